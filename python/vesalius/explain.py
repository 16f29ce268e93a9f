# SPDX-License-Identifier: Apache-2.0
"""Which features carry a model: coefficients with their intervals, and permutation importance.

Both give DataFrames that a plot can be drawn from; :mod:`vesalius.plot` has the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from .errors import InvalidArgument, TypeMismatch

__all__ = ["coefficients", "permutation_importance"]


def _last_step(model: Any) -> tuple[Any, list[str] | None]:
    """A pipeline's last step and the names of the columns that reach it."""
    steps = getattr(model, "steps", None)
    if steps is None:
        best = getattr(model, "best_estimator_", None)
        return _last_step(best) if best is not None else (model, None)
    if len(steps) == 1:
        return _last_step(steps[0][1])
    try:
        names = [str(n) for n in model[:-1].get_feature_names_out()]
    except (AttributeError, ValueError):
        names = None
    inner, inner_names = _last_step(steps[-1][1])
    return inner, inner_names or names


def coefficients(model: Any, *, confidence: float = 0.95, drop_zero: bool = False) -> pd.DataFrame:
    """Coefficients of a fitted linear model, with intervals where the model has them.

    Parameters
    ----------
    model : CoxPH, LogisticRegression, LogisticRegressionCV, any scikit-learn model with ``coef_``, or a Pipeline or
        GridSearchCV that ends in one
    confidence : of the Wald intervals
    drop_zero : leave out what an l1 penalty has set to 0

    Returns
    -------
    DataFrame, a row for each feature, largest |coefficient| first (the intercept is left out):
        coef, exp(coef), se, z, p, lower, upper. With a penalty, and for models other than ours, se to upper are NaN.

    Notes
    -----
    Behind a ``StandardScaler`` a coefficient is per standard deviation; otherwise per unit of its column, and sizes of
    different features don't compare.
    """
    from sklearn.utils.validation import check_is_fitted

    last, names = _last_step(model)
    check_is_fitted(last)
    if hasattr(last, "summary"):
        table = last.summary(confidence=confidence).drop(index="(intercept)", errors="ignore")
    elif hasattr(last, "coef_"):
        from .outcome._data import coefficient_table

        coef = np.asarray(last.coef_, dtype=float)
        if coef.ndim > 1 and coef.shape[0] != 1:
            raise InvalidArgument(
                f"the model has {coef.shape[0]} rows of coefficients (one for each class); a table shows one"
            )
        coef = coef.ravel()
        own = getattr(last, "feature_names_in_", [f"x{j}" for j in range(len(coef))])
        table = coefficient_table([str(n) for n in own], coef, None, confidence)
    else:
        raise TypeMismatch(f"{type(last).__name__} has no coefficients: use permutation_importance")
    if names is not None and len(names) == len(table):
        table = table.set_axis(pd.Index(names, name="feature"))
    if drop_zero:
        table = table[table["coef"] != 0]
    return table.iloc[np.argsort(-table["coef"].abs().to_numpy(), kind="stable")]


def permutation_importance(
    model: Any,
    X: Any,
    y: Any,
    *,
    scoring: str | Callable[..., float] | None = None,
    repeats: int = 30,
    seed: int = 0,
    confidence: float = 0.95,
    groups: dict[str, list[str]] | None = None,
    draws: bool = False,
) -> pd.DataFrame:
    """How much worse a fitted model scores when a feature's values are shuffled among the subjects.

    Use subjects the model was not fitted on; on its training data importance shows what it memorised.

    Parameters
    ----------
    model : a fitted estimator or Pipeline
    X : [n, p] DataFrame or array
    y : [n], whatever the scorer takes (a structured array for survival)
    scoring : name of a scikit-learn scorer, ``function(model, X, y)``, or None for ``model.score``
    repeats, seed
        Shuffles of each feature.
    groups : dict of name to columns, optional
        Shuffle these together: features that tell the same (correlated ones) hide each other's importance one by one.
    draws : give each repeat's drop in score, a column for each feature, instead of the summary: for box plots

    Returns
    -------
    DataFrame, a row for each feature, most important first: importance (mean drop in score), sd (over repeats), lower and upper
    (quantiles over repeats: the noise of shuffling, not that of drawing other subjects), p (share of shuffles that did
    not lower the score, as ``(1 + #) / (1 + repeats)``).

    References
    ----------
    Breiman L. Random forests. Mach Learn 2001;45:5-32. doi 10.1023/A:1010933404324. Fisher A, Rudin C, Dominici F. All models are
    wrong, but many are useful. J Mach Learn Res 2019;20(177).
    """
    from sklearn.metrics import check_scoring

    from .outcome._data import plain

    if repeats < 1 or not 0 < confidence < 1:
        raise InvalidArgument(
            f"repeats must be at least 1 and confidence in (0, 1); they are {repeats!r} and {confidence!r}"
        )
    scorer = check_scoring(model, scoring=scoring)
    X, y = plain(X), plain(y)
    frame = X if isinstance(X, pd.DataFrame) else None
    columns = [str(c) for c in frame.columns] if frame is not None else [f"x{j}" for j in range(np.shape(X)[1])]
    position = {name: j for j, name in enumerate(columns)}
    groups = {name: [name] for name in columns} if groups is None else groups
    unknown = sorted({c for members in groups.values() for c in members} - set(columns))
    if unknown:
        raise InvalidArgument(f"groups name columns that X has not: {unknown[:5]}; it has {columns[:5]} …")
    base = float(scorer(model, X, y))
    if not np.isfinite(base):
        raise InvalidArgument("the model's score on X and y is not a finite number: nothing can be compared with it")

    generator = np.random.default_rng(seed)
    # every feature meets the same shuffles, so that features compare within a repeat
    orders = [generator.permutation(len(X)) for _ in range(repeats)]
    drops = {}
    for name, members in groups.items():
        where = [position[m] for m in members]
        values = []
        for order in orders:
            if frame is not None:
                shuffled = frame.copy()
                for j in where:
                    shuffled.isetitem(j, frame.iloc[order, j].array)
            else:
                shuffled = np.array(X, copy=True)
                shuffled[:, where] = X[order][:, where]
            values.append(base - float(scorer(model, shuffled, y)))
        drops[name] = values
    table = pd.DataFrame(drops)
    if draws:
        return table.rename_axis(index="repeat", columns="feature")
    tail = 0.5 - confidence / 2
    out = pd.DataFrame(
        {
            "importance": table.mean(),
            "sd": table.std(ddof=1) if repeats > 1 else np.nan,
            "lower": table.quantile(tail),
            "upper": table.quantile(1 - tail),
            "p": (1 + (table <= 1e-12).sum()) / (1 + repeats),
        }
    ).rename_axis(index="feature")
    return out.iloc[np.argsort(-out["importance"].to_numpy(), kind="stable")]
