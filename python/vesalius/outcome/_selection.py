# SPDX-License-Identifier: Apache-2.0
"""Features that say what another one says already."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import InvalidArgument
from ._data import check_numeric, names_of


class RedundancyFilter(SelectorMixin, BaseEstimator):
    """Drops columns that are missing somewhere, constant, or nearly a monotone function of a column kept before.

    Columns are walked through in their order (put first what you would rather keep); one is dropped when the absolute
    Spearman correlation with any column already kept is above ``threshold``. The outcome is not looked at. Inside a
    :class:`sklearn.pipeline.Pipeline` only the training folds decide.

    Parameters
    ----------
    threshold : float
        Largest absolute rank correlation allowed between two kept columns, in (0, 1].

    Attributes
    ----------
    support_ : bool [p]
    reasons_ : dict
        Column name to why it was dropped: ``"missing"``, ``"constant"``, or the name of the kept column it follows.
    """

    def __init__(self, threshold: float = 0.9) -> None:
        self.threshold = threshold

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.required = False
        return tags

    def fit(self, X: Any, y: Any = None) -> RedundancyFilter:
        """X [n, p]; NaN and infinity count as missing. y is not used."""
        if not 0 < self.threshold <= 1:
            raise InvalidArgument(f"threshold is an absolute correlation, in (0, 1]; it is {self.threshold!r}")
        X = validate_data(self, check_numeric(X), dtype=np.float64, ensure_all_finite=False, ensure_min_samples=2)
        names = names_of(self, X.shape[1])
        finite = np.isfinite(X).all(axis=0)
        varies = np.zeros(X.shape[1], dtype=bool)
        varies[finite] = np.ptp(X[:, finite], axis=0) > 0
        self.reasons_ = {
            n: "missing" if not f else "constant" for n, f, v in zip(names, finite, varies, strict=True) if not v
        }
        candidates = np.flatnonzero(varies)
        self.support_ = np.zeros(X.shape[1], dtype=bool)
        if candidates.size:
            ranks = pd.DataFrame(X[:, candidates]).rank().to_numpy(copy=True)  # pandas 3 gives read-only views
            ranks -= ranks.mean(axis=0)
            ranks /= np.linalg.norm(ranks, axis=0)
            correlation = np.abs(ranks.T @ ranks)
            kept: list[int] = []
            for j in range(candidates.size):
                follows = [k for k in kept if correlation[j, k] > self.threshold + 1e-12]
                if follows:
                    self.reasons_[names[candidates[j]]] = names[candidates[follows[0]]]
                else:
                    kept.append(j)
            self.support_[candidates[kept]] = True
        if not self.support_.any():
            raise InvalidArgument(
                f"all {X.shape[1]} columns are missing somewhere or constant: nothing is left to model"
            )
        return self

    def transform(self, X: Any) -> Any:
        """The kept columns."""
        return super().transform(check_numeric(X))

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self.support_
