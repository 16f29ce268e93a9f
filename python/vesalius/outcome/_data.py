# SPDX-License-Identifier: Apache-2.0
"""Tables and outcomes as the core takes them, and what is wrong with them in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from ..errors import InvalidArgument, ShapeError, TypeMismatch

Penalties = (None, "l1", "l2", "elastic_net")


def plain(values: Any) -> Any:
    """A torch tensor as numpy; anything else as it came."""
    return values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values


def check_numeric(X: Any) -> Any:
    """DataFrame columns that are not numbers, named."""
    X = plain(X)
    if getattr(getattr(X, "dtype", None), "names", None):
        raise TypeMismatch(
            f"X is a structured array with the fields {', '.join(X.dtype.names)}: are X and y swapped? fit(X, y) takes columns first"
        )
    if isinstance(X, pd.DataFrame):
        bad = [
            str(c)
            for c, t in X.dtypes.items()
            if not (pd.api.types.is_numeric_dtype(t) or pd.api.types.is_bool_dtype(t))
        ]
        for column in list(bad):
            if pd.api.types.is_object_dtype(X[column]) and pd.to_numeric(X[column], errors="coerce").notna().all():
                bad.remove(column)
        if bad:
            example = X[bad[0]].dropna()
            raise TypeMismatch(
                f"X has columns that are not numbers: {', '.join(map(repr, bad[:5]))}{' …' if len(bad) > 5 else ''}"
                + (f" ({bad[0]!r} holds {example.iloc[0]!r})" if len(example) else "")
                + ". Encode them (pandas.get_dummies, sklearn.preprocessing.OneHotEncoder) or leave them out"
            )
        if not all(isinstance(c, str) for c in X.columns):
            X = X.set_axis([str(c) for c in X.columns], axis=1)
        X = X.astype(float)
    return X


def check_finite(X: np.ndarray, names: list[str]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(X.sum()):  # one quick pass; a sum that overflows is looked at again
            return
    bad = ~np.isfinite(X)
    if not bad.any():
        return
    counts = bad.sum(axis=0)
    columns = [f"{names[j]!r} ({counts[j]})" for j in np.flatnonzero(counts)]
    kind = "NaN" if np.isnan(X).any() else "infinity"
    raise InvalidArgument(
        f"X has {int(bad.sum())} values that are {kind}{' or infinity' if kind == 'NaN' and np.isinf(X).any() else ''}, in "
        f"{', '.join(columns[:5])}{f' and {len(columns) - 5} more columns' if len(columns) > 5 else ''}: "
        "impute them (sklearn.impute inside a Pipeline) or leave those rows or columns out"
    )


def names_of(estimator: Any, count: int) -> list[str]:
    names = getattr(estimator, "feature_names_in_", None)
    return [str(n) for n in names] if names is not None else [f"x{j}" for j in range(count)]


def to_tensor(values: Any) -> torch.Tensor:
    # writable, because torch warns of anything else; pandas 3 gives read-only views
    return torch.from_numpy(np.require(values, dtype=np.float64, requirements=["C", "W"]))


def penalty_of(penalty: str | None, alpha: float, l1_ratio: float) -> dict[str, float]:
    """`alpha` and `l1_ratio` as the core takes them."""
    if penalty not in Penalties:
        raise InvalidArgument(f"penalty must be one of {Penalties}; it is {penalty!r}")
    if penalty is None:
        return {"alpha": 0.0, "l1_ratio": 0.0}
    if not alpha > 0:
        raise InvalidArgument(f"penalty={penalty!r} needs alpha > 0; it is {alpha!r}. For none, say penalty=None")
    return {"alpha": float(alpha), "l1_ratio": {"l1": 1.0, "l2": 0.0, "elastic_net": float(l1_ratio)}[penalty]}


def survival_outcome(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """``(event, time)`` as bool and float64 arrays.

    Taken are: a structured array with one boolean and one number field (scikit-survival's), a DataFrame with
    columns ``event`` and ``time``, or a tuple ``(event, time)``.
    """
    y = plain(y)
    if isinstance(y, pd.DataFrame):
        missing = {"event", "time"} - set(y.columns)
        if missing:
            raise InvalidArgument(
                f"y as a DataFrame needs the columns 'event' and 'time'; it has {list(map(str, y.columns))}"
            )
        event, time = y["event"].to_numpy(), y["time"].to_numpy()
    elif isinstance(y, tuple) and len(y) == 2:
        event, time = np.asarray(plain(y[0])), np.asarray(plain(y[1]))
    else:
        y = np.asarray(y)
        if y.dtype.names is None or len(y.dtype.names) != 2:
            raise TypeMismatch(
                "y must be a structured array (event: bool, time: float), a DataFrame with columns 'event' and 'time', or a tuple "
                "(event, time). Make one with vesalius.outcome.survival_array(event, time)"
            )
        booleans = [n for n in y.dtype.names if y.dtype[n] == np.bool_]
        first, second = y.dtype.names
        name = booleans[0] if len(booleans) == 1 else ("event" if "event" in y.dtype.names else first)
        event, time = y[name], y[second if name == first else first]
    if event.ndim != 1 or event.shape != time.shape:
        raise ShapeError(f"event and time must be vectors of one length; they are {event.shape} and {time.shape}")
    if event.dtype != np.bool_:
        try:
            event = event.astype(float)
        except (TypeError, ValueError) as error:
            raise TypeMismatch(f"event must be True/False or 1/0; it is {event.dtype}") from error
        if np.isnan(event).any():
            raise InvalidArgument(f"event has {int(np.isnan(event).sum())} values that are NaN")
        odd = np.setdiff1d(event, [0.0, 1.0])
        if odd.size:
            raise InvalidArgument(
                f"event must be True/False or 1/0; it holds {odd[0]:g}. If these are R's 1 = censored, 2 = dead, pass event == 2; "
                "if they number competing causes, pass event == cause"
            )
        event = event.astype(bool)
    try:
        time = time.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeMismatch(f"time must be numbers; it is {time.dtype}") from error
    if not np.isfinite(time).all():
        raise InvalidArgument(f"time has {int((~np.isfinite(time)).sum())} values that are NaN or infinite")
    if (time < 0).any():
        raise InvalidArgument(
            f"time has {int((time < 0).sum())} negative values (the smallest is {time.min():g}): follow-up starts at 0"
        )
    return event, time


def start_stop_outcome(y: Any, entry: Any = None) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """``(event, time, entry)``: as :func:`survival_outcome`, and with a third field or column (event, start, stop) the time from
    which each subject, or each interval of one, was at risk; ``entry`` says the same beside ``y``."""
    y = plain(y)
    fields = y.dtype.names if isinstance(y, np.ndarray) else None
    if isinstance(y, pd.DataFrame) and {"event", "start", "stop"} <= set(y.columns):
        y = (y["event"].to_numpy(), y["start"].to_numpy(), y["stop"].to_numpy())
    elif fields is not None and len(fields) == 3:
        booleans = [n for n in fields if y.dtype[n] == np.bool_]
        name = booleans[0] if len(booleans) == 1 else ("event" if "event" in fields else fields[0])
        start, stop = (n for n in fields if n != name)
        y = (y[name], y[start], y[stop])
    if isinstance(y, tuple) and len(y) == 3:
        if entry is not None:
            raise InvalidArgument("entry is given twice: in y, as (event, start, stop), and as entry=")
        y, entry = (y[0], y[2]), y[1]
    event, time = survival_outcome(y)
    if entry is None:
        return event, time, None
    try:
        entry = np.asarray(plain(entry)).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeMismatch("entry must be numbers: the time from which each subject was at risk") from error
    if entry.shape != time.shape:
        raise ShapeError(f"entry must be one number for each of {len(time)} subjects; its shape is {entry.shape}")
    if np.isnan(entry).any() or (entry == np.inf).any():
        raise InvalidArgument(f"entry has {int((~(entry < np.inf)).sum())} values that are NaN or infinite")
    wrong = np.flatnonzero(entry >= time)
    if wrong.size:
        i = wrong[0]
        raise InvalidArgument(
            f"{wrong.size} subjects enter at or after their time (row {i}: entry {entry[i]:g}, time {time[i]:g}): each needs "
            "entry < time. Leave intervals of no length out"
        )
    return event, time, np.where(entry == -np.inf, -1.0, entry)


def strata_codes(known: np.ndarray | None, strata: Any, n: int) -> np.ndarray | None:
    """The place of each label among those of the training, or None where there are no strata."""
    if known is None:
        if strata is not None:
            raise InvalidArgument("the model was fitted without strata")
        return None
    if strata is None:
        raise InvalidArgument(
            f"the model has a baseline for each of its {len(known)} strata: say strata=, one for each row of X"
        )
    strata = np.asarray(plain(strata))
    unknown = np.setdiff1d(strata, known)
    if unknown.size or len(strata) != n:
        raise InvalidArgument(
            f"strata must be {n} of the labels seen in training; it has {len(strata)}, unknown are {unknown[:5].tolist()}"
        )
    return np.searchsorted(known, strata)


def survival_array(event: Any, time: Any) -> np.ndarray:
    """The structured array (event: bool, time: float64) that the survival models take as ``y``."""
    checked_event, checked_time = survival_outcome((event, time))
    out = np.empty(len(checked_event), dtype=[("event", bool), ("time", np.float64)])
    out["event"], out["time"] = checked_event, checked_time
    return out


def coefficient_table(
    names: list[str], coef: np.ndarray, covariance: np.ndarray | None, confidence: float, ratio: str = "exp(coef)"
) -> pd.DataFrame:
    """coef, exp(coef), se, z, p, lower, upper: Wald, on the scale of the coefficient; NaN where there is no covariance. What exp(coef)
    is (`ratio`) and the confidence stand in `attrs`."""
    from scipy.stats import norm

    if not 0 < confidence < 1:
        raise InvalidArgument(f"confidence must lie between 0 and 1; it is {confidence!r}")
    se = np.sqrt(np.diag(covariance)) if covariance is not None else np.full(len(coef), np.nan)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        z = coef / se
        width = norm.ppf(0.5 + confidence / 2) * se
        table = {
            "coef": coef,
            "exp(coef)": np.exp(coef),
            "se": se,
            "z": z,
            "p": 2 * norm.sf(np.abs(z)),
            "lower": coef - width,
            "upper": coef + width,
        }
    out = pd.DataFrame(table, index=pd.Index(names, name="feature"))
    out.attrs.update(ratio=ratio, confidence=confidence)
    return out
