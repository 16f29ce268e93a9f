# SPDX-License-Identifier: Apache-2.0
"""The outcome of a study from its features, for ``vesalius fit``: honest defaults, nothing fitted outside a fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InvalidArgument

if TYPE_CHECKING:
    import pandas as pd

    from .store import Study


def _usable(features: pd.DataFrame) -> pd.DataFrame:
    """Without the columns that no fold could use: missing values or one value only."""
    kept = features.loc[:, features.notna().all() & (features.nunique() > 1)]
    if kept.shape[1] == 0:
        raise InvalidArgument(
            "no feature has a value for every subject and more than one value; extract features first (`vesalius extract study.h5`)"
        )
    return kept


def _classification(
    X: pd.DataFrame, y: Any, folds: int, repeats: int, seed: int
) -> tuple[dict[str, Any], pd.DataFrame]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from . import outcome

    pipeline = make_pipeline(outcome.RedundancyFilter(), StandardScaler(), outcome.LogisticRegressionCV())
    result = outcome.repeated_stratified_cv(
        pipeline, X, y, folds=folds, repeats=repeats, seed=seed, permutations=100, jobs=2
    )
    low, high = result.auc.interval
    facts = {
        "model": "elastic-net logistic regression",
        "auc": result.auc.value,
        "auc_lower": low,
        "auc_upper": high,
        "permutation_p": result.p_value,
    }
    return facts, result.mean_prediction.to_frame()


def _survival(X: pd.DataFrame, y: Any, folds: int, repeats: int, seed: int) -> tuple[dict[str, Any], pd.DataFrame]:
    import pandas as pd
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from . import outcome

    event = y[y.dtype.names[0]]
    risk = np.zeros((len(y), repeats))
    for repeat in range(repeats):
        for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed + repeat).split(X, event):
            model = make_pipeline(outcome.RedundancyFilter(), StandardScaler(), outcome.CoxPH(penalty="elastic_net"))
            risk[test, repeat] = model.fit(X.iloc[train], y[train]).predict(X.iloc[test])
    values = [outcome.metrics.concordance_index(y, risk[:, repeat], confidence=0.95) for repeat in range(repeats)]
    facts = {
        "model": "elastic-net Cox",
        "concordance": float(np.mean([v.value for v in values])),
        "concordance_lower": float(np.mean([v.interval[0] for v in values])),
        "concordance_upper": float(np.mean([v.interval[1] for v in values])),
    }
    return facts, pd.DataFrame({"risk": risk.mean(axis=1)}, index=X.index)


def fit_study(study: Study, *, outcome: str | None, folds: int, repeats: int, seed: int) -> dict[str, Any]:
    """Repeated stratified cross-validation of the study's features against an outcome; the predictions go into the study.

    A structured outcome (time and event) is fitted by Cox regression and measured by Harrell's concordance, two
    classes by logistic regression and the area under the ROC curve; both with elastic net, redundant features
    filtered and all scaled inside each training fold.

    Raises
    ------
    InvalidArgument
        For an outcome the study doesn't have, or no usable feature.
    """
    features, y = study.table(outcome=outcome)
    X = _usable(features)
    survival = getattr(y, "dtype", None) is not None and y.dtype.names is not None
    facts, predictions = (_survival if survival else _classification)(X, y, folds, repeats, seed)
    # the column that `table` took: the report finds the outcome by this name
    name = outcome or ("survival" if survival else str(study.outcomes.columns[0]))
    study.add_predictions(f"{name}: {facts['model']}", predictions, overwrite=True)
    return {"outcome": name, "subjects": len(X), "features": X.shape[1], "folds": folds, "repeats": repeats, **facts}
