# SPDX-License-Identifier: Apache-2.0
"""Elastic-net paths of Cox's model and the choice on them by cross-validation."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .._vesalius import outcome as _core
from ..errors import InvalidArgument
from ._cox import CoxPH
from ._data import check_finite, check_numeric, names_of, plain, start_stop_outcome, to_tensor


class CoxNet(BaseEstimator):
    r"""Cox's model with an elastic net, at a whole sequence of strengths.

    Minimised at each ``alpha`` is what :class:`CoxPH` minimises with ``penalty="elastic_net"`` (glmnet's objective, whose lambda is
    ``alpha`` here and whose alpha is ``l1_ratio``).

    Parameters
    ----------
    n_alphas : int
        Length of the path, from the smallest strength that leaves no coefficient, equally spaced in the logarithm; it ends early where
        the deviance no longer changes, as in glmnet.
    alpha_min_ratio : "auto" or float
        The last strength over the first; ``"auto"`` is 1e-4, or 0.01 with fewer subjects than columns.
    alphas : sequence of float, optional
        The strengths themselves, instead.
    l1_ratio : float, 0 to 1
    ties : "breslow" or "efron"
    standardise : bool
        Penalise coefficients of columns divided by their standard deviation.
    tolerance : float
        Largest violation of an optimality condition, on standardised columns.

    Attributes
    ----------
    alphas_ : float64 [k], descending
    coef_ : float64 [p, k]
    deviance_ratio_ : float64 [k], the share of the null deviance explained
    mean_ : float64 [p], the columns' means, where the linear predictor is 0

    References
    ----------
    Simon N, Friedman J, Hastie T, Tibshirani R. Regularization paths for Cox's proportional hazards model via coordinate
    descent. J Stat Softw 2011;39(5). doi 10.18637/jss.v039.i05.
    """

    def __init__(
        self,
        *,
        n_alphas: int = 100,
        alpha_min_ratio: str | float = "auto",
        alphas: Any = None,
        l1_ratio: float = 0.5,
        ties: str = "breslow",
        standardise: bool = True,
        max_iterations: int = 100,
        tolerance: float = 1e-6,
    ) -> None:
        self.n_alphas = n_alphas
        self.alpha_min_ratio = alpha_min_ratio
        self.alphas = alphas
        self.l1_ratio = l1_ratio
        self.ties = ties
        self.standardise = standardise
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CoxNet:
        """X [n, p] of numbers; y as for :meth:`CoxPH.fit`; sample_weight [n] ≥ 0."""
        X = validate_data(self, check_numeric(X), dtype=np.float64, ensure_all_finite=False)
        self._fit_path(X, self._outcome(X, y, sample_weight))
        return self

    def _options(self) -> Any:
        if self.ties not in ("efron", "breslow"):
            raise InvalidArgument(f"ties must be 'breslow' or 'efron'; it is {self.ties!r}")
        return _core.CoxOptions(
            alpha=1.0,
            l1_ratio=float(self.l1_ratio),
            standardise=self.standardise,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            names=names_of(self, self.n_features_in_),
            ties=getattr(_core.Ties, self.ties),
        )

    def _outcome(self, X: np.ndarray, y: Any, sample_weight: Any) -> tuple[np.ndarray, ...]:
        """event, time, weights, and the entry or ones of −1 that mean none."""
        if len(X) == 1:
            raise InvalidArgument("X has one subject (n_samples = 1): a path needs more")
        check_finite(X, names_of(self, X.shape[1]))
        event, time, entry = start_stop_outcome(y)
        if len(event) != len(X):
            raise InvalidArgument(f"X has {len(X)} rows and y {len(event)}: they must be of one length")
        weights = (
            np.ones(len(X))
            if sample_weight is None
            else _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        )
        return event, time, weights, np.empty(0) if entry is None else entry

    @staticmethod
    def _core_outcome(outcome: tuple[np.ndarray, ...], rows: Any = slice(None)) -> Any:
        event, time, weights, entry = outcome
        return _core.CoxOutcome(
            to_tensor(time[rows]),
            to_tensor(event[rows]),
            weights=to_tensor(weights[rows]),
            entry=to_tensor(entry[rows]) if len(entry) else None,
        )

    def _fit_path(self, X: np.ndarray, outcome: tuple[np.ndarray, ...]) -> None:
        ratio = (
            (0.01 if len(X) < X.shape[1] else 1e-4) if self.alpha_min_ratio == "auto" else float(self.alpha_min_ratio)
        )
        given = (
            None if self.alphas is None else to_tensor(np.atleast_1d(np.asarray(plain(self.alphas), dtype=np.float64)))
        )
        path = _core.cox_path(
            to_tensor(X), self._core_outcome(outcome), self._options(), given, int(self.n_alphas), ratio
        )
        self.alphas_, self.coef_ = path.alphas.numpy(), path.coef.numpy().T
        self.mean_, self.deviance_ratio_ = path.mean.numpy(), path.deviance_ratio.numpy()

    def coef_at(self, alpha: float | None = None) -> np.ndarray:
        """Coefficients [p] at a strength (the last if not given), between two of the path in a straight line."""
        check_is_fitted(self)
        alpha = self._default_alpha() if alpha is None else float(alpha)
        if not self.alphas_[-1] * (1 - 1e-9) <= alpha <= self.alphas_[0] * (1 + 1e-9):
            raise InvalidArgument(
                f"alpha must lie on the path, {self.alphas_[-1]:g} to {self.alphas_[0]:g}; it is {alpha:g}. Fit with alphas=[...]"
            )
        return np.array([np.interp(alpha, self.alphas_[::-1], c[::-1]) for c in self.coef_])

    def _default_alpha(self) -> float:
        return float(self.alphas_[-1])

    def predict(self, X: Any, alpha: float | None = None) -> np.ndarray:
        """Linear predictor (x − mean)·coef at ``alpha``, [n]; larger is earlier."""
        check_is_fitted(self)
        X = validate_data(self, check_numeric(X), reset=False, dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        return (X - self.mean_) @ self.coef_at(alpha)

    def score(self, X: Any, y: Any) -> float:
        """Harrell's concordance of :meth:`predict`."""
        from .metrics import concordance_index

        return float(concordance_index(y, self.predict(X)))

    def path(self) -> pd.DataFrame:
        """Coefficients, a row for each strength."""
        check_is_fitted(self)
        return pd.DataFrame(
            self.coef_.T, index=pd.Index(self.alphas_, name="alpha"), columns=names_of(self, self.n_features_in_)
        )


class CoxNetCV(CoxNet):
    """:class:`CoxNet` with the strength chosen by cross-validation.

    The measure is the partial-likelihood deviance of Verweij and van Houwelingen: of all the data less that of the training folds, at the
    coefficients of the training folds, per event left out. Of several ``l1_ratio`` the best is taken.

    Parameters
    ----------
    l1_ratio : float or sequence of float
    cv : int or splitter
        An integer means folds stratified by the event, shuffled by ``random_state``.
    rule : "min" or "1se"
        The strength of the least deviance, or the largest whose deviance is within one standard error of it: fewer columns.
    n_alphas, alpha_min_ratio, alphas, ties, standardise, max_iterations, tolerance
        As for :class:`CoxNet`.

    Attributes
    ----------
    alpha_, l1_ratio_ : float, the chosen ones; coef_best_ : float64 [p]
    alpha_min_, alpha_1se_ : float
    cv_results_ : DataFrame of l1_ratio, alpha, deviance, standard_error, columns (how many are in)
    model_ : CoxPH
        Fitted to all the data at the choice; gives survival curves.

    References
    ----------
    Verweij PJM, van Houwelingen HC. Cross-validation in survival analysis. Stat Med 1993;12:2305-14. doi 10.1002/sim.4780122407.
    """

    def __init__(
        self,
        *,
        n_alphas: int = 100,
        alpha_min_ratio: str | float = "auto",
        alphas: Any = None,
        l1_ratio: Any = 0.5,
        cv: Any = 10,
        rule: str = "min",
        random_state: Any = 0,
        ties: str = "breslow",
        standardise: bool = True,
        max_iterations: int = 100,
        tolerance: float = 1e-6,
    ) -> None:
        super().__init__(
            n_alphas=n_alphas,
            alpha_min_ratio=alpha_min_ratio,
            alphas=alphas,
            l1_ratio=l1_ratio,
            ties=ties,
            standardise=standardise,
            max_iterations=max_iterations,
            tolerance=tolerance,
        )
        self.cv = cv
        self.rule = rule
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CoxNetCV:
        """X [n, p] of numbers; y as for :meth:`CoxPH.fit`; sample_weight [n] ≥ 0."""
        if self.rule not in ("min", "1se"):
            raise InvalidArgument(f"rule must be 'min' or '1se'; it is {self.rule!r}")
        frame = check_numeric(X)
        X = validate_data(self, frame, dtype=np.float64, ensure_all_finite=False)
        outcome = self._outcome(X, y, sample_weight)
        folds = self._folds(X, outcome[0])
        tables = []
        for ratio in np.atleast_1d(np.asarray(self.l1_ratio, dtype=np.float64)):
            net = CoxNet(**{k: v for k, v in self.get_params().items() if k not in ("cv", "rule", "random_state")})
            net.set_params(l1_ratio=float(ratio))
            net.n_features_in_ = X.shape[1]
            net._fit_path(X, outcome)
            tables.append(self._deviances(net, X, outcome, folds).assign(l1_ratio=float(ratio)))
        best = min(tables, key=lambda t: t["deviance"].min())
        self.l1_ratio_ = float(best["l1_ratio"].iloc[0])
        self.cv_results_ = pd.concat(tables, ignore_index=True)[
            ["l1_ratio", "alpha", "deviance", "standard_error", "columns"]
        ]
        low = best["deviance"].idxmin()
        within = best["deviance"] <= best.loc[low, "deviance"] + best.loc[low, "standard_error"]
        self.alpha_min_, self.alpha_1se_ = float(best.loc[low, "alpha"]), float(best.loc[within, "alpha"].max())
        self.alpha_ = self.alpha_min_ if self.rule == "min" else self.alpha_1se_
        if low == len(best) - 1 and self.alphas is None and len(best) > 1:
            warnings.warn(
                "the least deviance is at the end of the path: smaller strengths may be better; lower alpha_min_ratio",
                UserWarning,
                stacklevel=2,
            )
        chosen = CoxNet(
            **{k: v for k, v in self.get_params().items() if k not in ("cv", "rule", "random_state")}
        ).set_params(l1_ratio=self.l1_ratio_)
        chosen.n_features_in_ = X.shape[1]
        chosen._fit_path(X, outcome)
        self.alphas_, self.coef_ = chosen.alphas_, chosen.coef_
        self.mean_, self.deviance_ratio_ = chosen.mean_, chosen.deviance_ratio_
        self.coef_best_ = self.coef_at(self.alpha_)
        self.model_ = CoxPH(
            penalty="elastic_net",
            alpha=self.alpha_,
            l1_ratio=self.l1_ratio_,
            ties=self.ties,
            standardise=self.standardise,
            max_iterations=self.max_iterations,
        ).fit(frame, y, sample_weight)
        return self

    def _folds(self, X: np.ndarray, event: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        if isinstance(self.cv, int):
            fewest = int(min(event.sum(), (~event).sum() or event.sum()))
            if fewest < self.cv:
                raise InvalidArgument(
                    f"cv={self.cv} folds need as many events and as many censored; there are {int(event.sum())} events among "
                    f"{len(event)} subjects. Use fewer folds"
                )
            splitter = StratifiedKFold(self.cv, shuffle=True, random_state=self.random_state)
        else:
            splitter = check_cv(self.cv)
        return list(splitter.split(X, event))

    def _deviances(
        self, net: CoxNet, X: np.ndarray, outcome: tuple[np.ndarray, ...], folds: list[tuple[np.ndarray, np.ndarray]]
    ) -> pd.DataFrame:
        event, _, weights, _ = outcome
        options, alphas = net._options(), to_tensor(net.alphas_)
        whole, rows, mass = net._core_outcome(outcome), [], []
        for train, test in folds:
            held = float((weights * event)[test].sum())
            if held == 0:
                raise InvalidArgument("a fold has no event: use fewer folds, or stratify them by the event")
            part = net._core_outcome(outcome, train)
            x = to_tensor(X[train])
            path = _core.cox_path(x, part, options, alphas, len(net.alphas_), 0.5)
            full = _core.cox_log_likelihoods(to_tensor(X), whole, options, path.coef).numpy()
            rows.append(-2 * (full - _core.cox_log_likelihoods(x, part, options, path.coef).numpy()) / held)
            mass.append(held)
        table, share = np.array(rows), np.array(mass) / np.sum(mass)
        mean = share @ table
        error = np.sqrt(share @ (table - mean) ** 2 / max(1, len(folds) - 1))
        return pd.DataFrame(
            {
                "alpha": net.alphas_,
                "deviance": mean,
                "standard_error": error,
                "columns": (net.coef_ != 0).sum(axis=0),
            }
        )

    def _default_alpha(self) -> float:
        return self.alpha_

    def predict_survival_function(self, X: Any, *, times: Any = None) -> pd.DataFrame:
        """As :meth:`CoxPH.predict_survival_function`, at the chosen strength."""
        check_is_fitted(self)
        return self.model_.predict_survival_function(X, times=times)
