# SPDX-License-Identifier: Apache-2.0
"""A measure in each group of subjects, and how far groups are apart."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...errors import Error, InvalidArgument
from .._data import plain
from ._common import normal_quantile


@dataclass(frozen=True)
class ByGroup:
    """What :func:`by_group` returns.

    Attributes
    ----------
    table : DataFrame
        A row for each group: n, value, standard_error, lower, upper, reason (why the value is NaN)
    gaps : DataFrame
        A row for each other group against `reference`: difference, standard_error, lower, upper, z, p, p_holm, reason
    reference : the group that others are compared with
    """

    table: pd.DataFrame
    gaps: pd.DataFrame
    reference: Any
    confidence: float

    @property
    def widest_gap(self) -> float:
        """Largest value less smallest. Of noise alone it grows with the number of groups: look at `gaps`."""
        return float(self.table["value"].max() - self.table["value"].min())


def _rows(values: Any, members: np.ndarray) -> Any:
    if isinstance(values, tuple):
        return tuple(_rows(v, members) for v in values)
    values = plain(values)
    if isinstance(values, (pd.DataFrame, pd.Series)):
        return values.iloc[np.flatnonzero(members)]
    return np.asarray(values)[members]


def _labels(groups: Any) -> tuple[np.ndarray, np.ndarray]:
    """Names and codes; missing labels are left out (code −1), with a warning."""
    codes, names = pd.factorize(pd.Series(np.asarray(plain(groups)).tolist()), sort=True)
    if (codes < 0).any():
        warnings.warn(f"{int((codes < 0).sum())} subjects have no group and are left out", UserWarning, stacklevel=3)
    return np.asarray(names), codes


def by_group(
    metric: Callable[..., Any],
    y: Any,
    prediction: Any,
    *,
    groups: Any,
    reference: Any = None,
    confidence: float = 0.95,
    sample_weight: Any = None,
    **kwargs: Any,
) -> ByGroup:
    """A measure in each group, with its interval, and gaps between groups with theirs.

    Parameters
    ----------
    metric : any of this module that gives a value with a standard error, such as :func:`concordance_index`, :func:`roc_auc`,
        :func:`brier_score`; called as ``metric(y, prediction, confidence=…, **kwargs)``
    groups : [n] labels
    reference : the group that others are compared with; default the largest

    A group where the measure does not exist (one member, no events, one class) is NaN with the reason, and the others are there.
    Groups are different people, so the variance of a gap is the sum of the two; ``p_holm`` is adjusted for the number of gaps
    (Holm 1979).
    """
    from scipy.stats import norm

    names, codes = _labels(groups)
    first = y[0] if isinstance(y, tuple) else y
    if len(codes) != len(first) or len(codes) != len(prediction):
        raise InvalidArgument(
            f"y, prediction and groups must be of one length; they are {len(first)}, {len(prediction)} and {len(codes)}"
        )
    if not len(names):
        raise InvalidArgument("no subject has a group")
    rows = []
    for code in range(len(names)):
        members = codes == code
        extra = dict(kwargs) if sample_weight is None else {**kwargs, "sample_weight": _rows(sample_weight, members)}
        value = se = low = high = float("nan")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                result = metric(_rows(y, members), _rows(prediction, members), confidence=confidence, **extra)
            value, reason = float(result), str(getattr(result, "reason", ""))
            se = float(result.standard_error)
            low, high = (float(v) for v in result.interval)
            if not np.isfinite(value):
                reason = reason or _first_reason(result) or "the measure is not defined here"
            elif not np.isfinite(se):
                reason = reason or "too few subjects for a standard error"
        except (Error, ZeroDivisionError) as error:
            reason = str(error)
        except AttributeError as error:
            raise InvalidArgument(
                "metric must return a value with a standard_error and an interval, as those of vesalius.outcome.metrics do"
            ) from error
        rows.append((int(members.sum()), value, se, low, high, reason))
    index = pd.Index(names, name="group")
    table = pd.DataFrame(rows, columns=["n", "value", "standard_error", "lower", "upper", "reason"], index=index)
    if reference is None:
        usable = table["n"].where(table["value"].notna())
        reference = usable.idxmax() if usable.notna().any() else table["n"].idxmax()
    elif reference not in table.index:
        raise InvalidArgument(f"reference must be one of the groups {names.tolist()}; it is {reference!r}")
    base = table.loc[reference]
    others = table.drop(index=reference)
    difference = others["value"] - base["value"]
    gap_error = np.sqrt(others["standard_error"] ** 2 + base["standard_error"] ** 2)
    half = normal_quantile(confidence) * gap_error
    with np.errstate(divide="ignore", invalid="ignore"):
        z = difference / gap_error
    p = pd.Series(2 * norm.sf(np.abs(z)), index=others.index)
    gaps = pd.DataFrame({
        "difference": difference, "standard_error": gap_error, "lower": difference - half, "upper": difference + half,
        "z": z, "p": p, "p_holm": _holm(p), "reason": others["reason"].where(others["reason"] != "", base["reason"]),
    })  # fmt: skip
    return ByGroup(table, gaps, reference, confidence)


def _first_reason(result: Any) -> str:
    table = getattr(result, "table", None)
    if table is None or "reason" not in table:
        return ""
    return next((str(r) for r in table["reason"] if r), "")


def _holm(p: pd.Series) -> pd.Series:
    known = p.dropna().sort_values()
    steps = known * np.arange(len(known), 0, -1)
    return steps.cummax().clip(upper=1).reindex(p.index)
