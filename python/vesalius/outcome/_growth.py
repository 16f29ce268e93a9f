# SPDX-License-Identifier: Apache-2.0
"""Growth curves: a score over visits, each subject with a curve of its own."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from .._vesalius import outcome as _core
from ..errors import InvalidArgument
from ._data import check_finite, check_numeric, coefficient_table, names_of, plain, to_tensor
from ._linear import regression_target


class GrowthCurve(RegressorMixin, BaseEstimator):
    r"""Linear mixed-effects growth curve: what a recovery score will be at a visit, for everyone and for one subject.

    .. math:: y_{ij} = \beta_0 + x_{ij}^\top \beta + b_{0i} + b_{1i} t_{ij} + e_{ij},\quad b_i \sim N(0, D),\ e_{ij} \sim N(0, \sigma^2).

    The columns of X (the time among them) have common coefficients β; each subject deviates by an intercept and a slope of its own, drawn
    from a normal distribution whose covariance D is estimated. A subject's curve is pulled towards the common one by as much as its
    visits are few or noisy (best linear unbiased prediction). Visits may be at any times, their number may differ; visits that are
    missing must be missing at random given those that are there.

    Parameters
    ----------
    time : str or int
        The column of X with the time.
    random : "slope" or "intercept"
        What each subject has of its own: intercept and slope, or intercept only.
    interactions : bool
        Let the other columns act on the slope too (columns "x:time" are added).
    method : "reml" or "ml"
        Restricted or plain maximum likelihood; compare models with different columns by "ml".
    max_iterations : int

    Attributes
    ----------
    coef_ : float64 [p], fixed effects; intercept_ : float; covariance_ : float64 [p + 1, p + 1], the intercept first
    random_covariance_ : float64 [q, q], D; sigma_ : float
    effects_ : DataFrame of each subject's own intercept (and slope)
    log_likelihood_, aic_ : float; restricted with "reml"

    References
    ----------
    Laird NM, Ware JH. Random-effects models for longitudinal data. Biometrics 1982;38:963-974. doi 10.2307/2529876.

    Bates D, Mächler M, Bolker B, Walker S. J Stat Softw 2015;67(1). doi 10.18637/jss.v067.i01.
    """

    def __init__(
        self,
        *,
        time: str | int = 0,
        random: str = "slope",
        interactions: bool = False,
        method: str = "reml",
        max_iterations: int = 500,
    ) -> None:
        self.time = time
        self.random = random
        self.interactions = interactions
        self.method = method
        self.max_iterations = max_iterations

    def _column(self) -> int:
        names = names_of(self, self.n_features_in_)
        if isinstance(self.time, str):
            if self.time not in names:
                raise InvalidArgument(f"time names the column {self.time!r}; X has {names[:10]}")
            return names.index(self.time)
        if not 0 <= int(self.time) < len(names):
            raise InvalidArgument(f"time is column {self.time!r}; X has {len(names)}")
        return int(self.time)

    def _design(self, X: Any, *, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        X = validate_data(self, check_numeric(X), reset=reset, dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        j = self._column()
        time = X[:, j].copy()
        if self.interactions:
            others = np.delete(np.arange(X.shape[1]), j)
            X = np.column_stack([X, X[:, others] * time[:, None]])
        return X, time

    def _names(self) -> list[str]:
        names = names_of(self, self.n_features_in_)
        if not self.interactions:
            return names
        j = self._column()
        return [*names, *(f"{n}:{names[j]}" for k, n in enumerate(names) if k != j)]

    def _codes(self, subject: Any, n: int) -> np.ndarray:
        labels = np.asarray(plain(subject))
        if labels.shape != (n,):
            raise InvalidArgument(f"X has {n} rows and subject {labels.shape}: it names the subject of each visit")
        if pd.isna(labels).any():
            raise InvalidArgument(f"subject has {int(pd.isna(labels).sum())} missing labels")
        return labels

    def fit(self, X: Any, y: Any, subject: Any = None) -> GrowthCurve:
        """Fit.

        Parameters
        ----------
        X : [visits, p] of numbers, one row for each visit, the time among the columns
        y : [visits], the score
        subject : [visits] of labels
        """
        if self.random not in ("slope", "intercept") or self.method not in ("reml", "ml"):
            raise InvalidArgument(
                f"random must be 'slope' or 'intercept' and method 'reml' or 'ml'; they are {self.random!r}, {self.method!r}"
            )
        if subject is None:
            raise InvalidArgument(
                "say subject=, whose visit each row of X is: a growth curve needs subjects seen more than once"
            )
        X, time = self._design(X, reset=True)
        y = regression_target(y, len(X), "GrowthCurve")
        if len(X) == 1:
            raise InvalidArgument("X has one visit (n_samples = 1): a growth curve needs several of several subjects")
        self.subjects_, codes = np.unique(self._codes(subject, len(X)), return_inverse=True)
        fit = _core.fit_growth(
            to_tensor(X),
            to_tensor(y),
            to_tensor(time),
            to_tensor(codes),
            _core.GrowthOptions(
                slope=self.random == "slope",
                restricted=self.method == "reml",
                max_iterations=self.max_iterations,
                names=self._names(),
            ),
        )
        if fit.singular:
            warnings.warn(
                "subjects vary no more than the residuals explain: the random effects' covariance has no full rank. "
                'random="intercept" (or a linear regression) says as much',
                UserWarning,
                stacklevel=2,
            )
        self._state = {
            k: getattr(fit, k).numpy()
            for k in ("coef", "covariance", "random", "subjects", "effects", "uncertainty", "leverage")
        }
        beta = self._state["coef"]
        self.intercept_, self.coef_, self.covariance_ = float(beta[0]), beta[1:], self._state["covariance"]
        self.random_covariance_, self.sigma_ = self._state["random"], fit.sigma
        self.effects_ = pd.DataFrame(
            self._state["effects"],
            index=pd.Index(self.subjects_, name="subject"),
            columns=["intercept", "slope"][: len(self.random_covariance_)],
        )
        self.log_likelihood_ = fit.log_likelihood
        q = len(self.random_covariance_)
        self.aic_ = 2 * (len(beta) + q * (q + 1) // 2 + 1) - 2 * fit.log_likelihood
        self.n_iter_ = max(1, fit.iterations)
        return self

    def predict(self, X: Any, subject: Any = None) -> np.ndarray:
        """Scores at visits, [n]: the common curve, or with ``subject`` each one's own (the common one for subjects not seen)."""
        return self.predict_interval(X, subject)["value"].to_numpy()

    def predict_interval(
        self, X: Any, subject: Any = None, *, confidence: float = 0.95, of: str = "curve"
    ) -> pd.DataFrame:
        """value, standard_error, lower, upper at visits.

        ``of="curve"``: where the subject's true curve is; ``of="observation"``: where a score measured there falls (σ² more). For a
        subject not seen, or none, the interval covers a new subject's curve: it holds the spread D between subjects. The variance
        parameters count as known, as usual.
        """
        from scipy.stats import norm

        check_is_fitted(self, "coef_")
        if of not in ("curve", "observation") or not 0 < confidence < 1:
            raise InvalidArgument(
                f"of must be 'curve' or 'observation' and confidence in (0, 1); they are {of!r}, {confidence!r}"
            )
        design, time = self._design(X, reset=False)
        codes = None
        if subject is not None:
            labels = self._codes(subject, len(design))
            place = np.clip(np.searchsorted(self.subjects_, labels), 0, len(self.subjects_) - 1)
            codes = to_tensor(np.where(self.subjects_[place] == labels, place, -1))
        s = {k: _tensor(v) for k, v in self._state.items()}
        fit = _core.GrowthFit(
            s["coef"],
            s["covariance"],
            s["random"],
            self.sigma_,
            s["subjects"],
            s["effects"],
            s["uncertainty"],
            s["leverage"],
        )
        value, se = (t.numpy() for t in _core.predict_growth(fit, to_tensor(design), to_tensor(time), codes))
        if of == "observation":
            se = np.hypot(se, self.sigma_)
        width = norm.ppf(0.5 + confidence / 2) * se
        return pd.DataFrame(
            {"value": value, "standard_error": se, "lower": value - width, "upper": value + width},
            index=X.index if isinstance(X, pd.DataFrame) else None,
        )

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Fixed effects: coef, se, z, p, lower, upper (Wald, the variance parameters taken as known)."""
        check_is_fitted(self, "coef_")
        table = coefficient_table(
            ["(intercept)", *self._names()], np.r_[self.intercept_, self.coef_], self.covariance_, confidence
        )
        return table.drop(columns="exp(coef)")


def _tensor(values: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values).copy())
