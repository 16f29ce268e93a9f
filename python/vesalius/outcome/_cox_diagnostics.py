# SPDX-License-Identifier: Apache-2.0
"""What is asked of a fitted Cox model: tests, residuals, proportional hazards, profile limits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted, validate_data

from .._vesalius import outcome as _core
from ..errors import InvalidArgument, NotSupported
from ._data import check_numeric, names_of, start_stop_outcome, to_tensor


class CoxDiagnostics:
    """The part of :class:`CoxPH` that looks at a fit."""

    firth: bool
    frailty: str | None
    fit_: Any
    coef_: np.ndarray
    covariance_: np.ndarray | None
    naive_covariance_: np.ndarray | None
    log_likelihood_: float
    log_likelihood_null_: float
    log_likelihood_without_: float
    n_features_in_: int

    def _inputs(
        self, X: np.ndarray, y: Any, sample_weight: Any, strata: Any, entry: Any, offset: Any
    ) -> tuple[Any, Any, Any]:
        raise NotImplementedError

    def tests(self) -> pd.DataFrame:
        """Likelihood-ratio, Wald and score test that all coefficients are 0: chi_squared, df, p. With a frailty Wald's, and the
        likelihood-ratio test that its variance is 0 (at the edge of what it can be: half of chi-squared's p)."""
        from scipy.stats import chi2

        check_is_fitted(self)
        if self.covariance_ is None:
            raise InvalidArgument("tests need a fit without a penalty: penalised estimates have no such distribution")
        if self.frailty is not None:
            return self._frailty_tests()
        values = {
            "likelihood ratio": 2 * (self.log_likelihood_ - self.log_likelihood_null_),
            "wald": float(self.coef_ @ np.linalg.solve(self.covariance_, self.coef_)),
            "score": self.fit_.score_test,
        }
        if self.firth:
            del values["score"]
        elif np.isnan(self.fit_.score_test):
            warnings.warn(
                "the score test was left out of a fit of this size: fit with score_test=True", UserWarning, stacklevel=2
            )
        table = pd.DataFrame({"chi_squared": values})
        table["df"] = len(self.coef_)
        table["p"] = chi2.sf(table["chi_squared"], table["df"])
        return table

    def _frailty_tests(self) -> pd.DataFrame:
        from scipy.stats import chi2

        wald = float(self.coef_ @ np.linalg.solve(np.asarray(self.covariance_), self.coef_))
        ratio = max(0.0, 2 * (self.log_likelihood_ - self.log_likelihood_without_))
        p = len(self.coef_)
        return pd.DataFrame(
            {"chi_squared": [wald, ratio], "df": [p, 1], "p": [chi2.sf(wald, p), 0.5 * chi2.sf(ratio, 1)]},
            index=["wald", "frailty"],
        )

    def profile_intervals(
        self,
        X: Any,
        y: Any,
        *,
        confidence: float = 0.95,
        sample_weight: Any = None,
        strata: Any = None,
        entry: Any = None,
        offset: Any = None,
    ) -> pd.DataFrame:
        """Profile-likelihood limits of a fit with ``firth=True``, on its data: columns coef, lower, upper. Under separation those of
        :meth:`summary` (Wald's) are too wide to one side and too narrow to the other; these hold their level."""
        from scipy.stats import chi2

        check_is_fitted(self)
        if not self.firth:
            raise InvalidArgument("profile_intervals needs a fit with firth=True")
        if not 0 < confidence < 1:
            raise InvalidArgument(f"confidence must be between 0 and 1; it is {confidence!r}")
        x, outcome, options = self._again(X, y, sample_weight, strata, entry, offset)
        limits = _core.cox_firth_intervals(self.fit_, x, outcome, options, float(chi2.ppf(confidence, 1) / 2)).numpy()
        return pd.DataFrame(
            {"coef": self.coef_, "lower": limits[:, 0], "upper": limits[:, 1]},
            index=names_of(self, self.n_features_in_),
        )

    def residuals(
        self,
        X: Any,
        y: Any,
        kind: str = "martingale",
        *,
        sample_weight: Any = None,
        strata: Any = None,
        entry: Any = None,
        offset: Any = None,
    ) -> pd.DataFrame | pd.Series:
        """Residuals on the data of the fit, given again as to :meth:`fit`.

        Parameters
        ----------
        kind : str
            ``"martingale"`` (events less those expected: the form a column should have), ``"deviance"`` (the same, more symmetric:
            outliers), ``"score"`` (each row's part of the score), ``"dfbeta"`` (about what the coefficients change without the row),
            ``"dfbetas"`` (the same over their standard errors), ``"schoenfeld"`` and ``"scaled_schoenfeld"`` (a row for each event,
            by time: the second is about the coefficient at that time).

        Returns
        -------
        Series [n], or DataFrame [n, p]; of the Schoenfeld kinds DataFrame [events, p] with index ``time``
        """
        x, outcome, options = self._again(X, y, sample_weight, strata, entry, offset)
        names = names_of(self, self.n_features_in_)
        index = X.index if isinstance(X, pd.DataFrame) else None
        event, time, _ = start_stop_outcome(y, entry)
        if kind in ("martingale", "deviance"):
            m = _core.cox_martingale(self.fit_, x, outcome, options).numpy()
            if kind == "deviance":
                expected = event - m
                with np.errstate(divide="ignore", invalid="ignore"):
                    log = np.where(event, np.log(np.where(event, expected, 1.0)), 0.0)
                m = np.sign(m) * np.sqrt(np.maximum(0.0, -2 * (m + log)))
            return pd.Series(m, index=index, name=kind)
        if kind in ("score", "dfbeta", "dfbetas"):
            values = _core.cox_score_residuals(self.fit_, x, outcome, options).numpy()
            if kind != "score":
                if self.naive_covariance_ is None:
                    raise InvalidArgument(f"{kind} needs a fit without a penalty")
                values = values @ self.naive_covariance_
                if kind == "dfbetas":
                    values = values / np.sqrt(np.diag(self.naive_covariance_))
            return pd.DataFrame(values, index=index, columns=names)
        if kind in ("schoenfeld", "scaled_schoenfeld"):
            result = _core.cox_schoenfeld(self.fit_, x, outcome, options)
            values = result.residual.numpy()
            if kind == "scaled_schoenfeld":
                if self.naive_covariance_ is None:
                    raise InvalidArgument(f"{kind} needs a fit without a penalty")
                values = values @ self.naive_covariance_ * len(values) + self.coef_
            return pd.DataFrame(values, index=pd.Index(time[result.row.numpy()], name="time"), columns=names)
        raise InvalidArgument(
            "kind must be 'martingale', 'deviance', 'score', 'dfbeta', 'dfbetas', 'schoenfeld' or 'scaled_schoenfeld'; it is "
            f"{kind!r}"
        )

    def proportional_hazards(
        self,
        X: Any,
        y: Any,
        *,
        transform: str = "km",
        sample_weight: Any = None,
        strata: Any = None,
        entry: Any = None,
        offset: Any = None,
    ) -> pd.DataFrame:
        """Score tests that each coefficient is the same at all times, and of all together (``GLOBAL``): R's ``cox.zph``.

        The alternative is a coefficient b + θ g(t). A small p says that hazards are not proportional: let the column stratify, or
        split time. Plot ``residuals(..., "scaled_schoenfeld")`` over time to see how.

        Parameters
        ----------
        transform : "km", "rank", "identity" or "log"
            g: one minus the Kaplan-Meier curve just before t, ranks of the event times, t, or log t.

        Returns
        -------
        DataFrame with columns chi_squared, df, p
        """
        from scipy.stats import chi2, rankdata

        x, outcome, options = self._again(X, y, sample_weight, strata, entry, offset)
        event, time, start = start_stop_outcome(y, entry)
        rows = _core.cox_schoenfeld(self.fit_, x, outcome, options).row.numpy()
        at = time[rows]
        if transform == "km":
            g = 1 - _survival_before(time, event, start, at)
        elif transform == "rank":
            g = rankdata(at)
        elif transform == "identity":
            g = at
        elif transform == "log":
            if (at <= 0).any():
                raise InvalidArgument("transform='log' needs event times above 0")
            g = np.log(at)
        else:
            raise InvalidArgument(f"transform must be 'km', 'rank', 'identity' or 'log'; it is {transform!r}")
        result = _core.cox_proportional_hazards(
            self.fit_, x, outcome, options, to_tensor(rows), to_tensor(g - g.mean())
        )
        names = [*names_of(self, self.n_features_in_), "GLOBAL"]
        table = pd.DataFrame({"chi_squared": [*result.chi_squared.tolist(), result.global_]}, index=names)
        table["df"] = [1] * self.n_features_in_ + [self.n_features_in_]
        table["p"] = chi2.sf(table["chi_squared"], table["df"])
        return table

    def _again(self, X: Any, y: Any, sample_weight: Any, strata: Any, entry: Any, offset: Any) -> tuple[Any, Any, Any]:
        check_is_fitted(self)
        if self.frailty is not None:
            raise NotSupported(
                "residuals and tests of proportional hazards are not there for a model with a frailty: ask a plain fit with cluster="
            )
        X = validate_data(self, check_numeric(X), reset=False, dtype=np.float64, ensure_all_finite=False)
        return self._inputs(X, y, sample_weight, strata, entry, offset)


def _survival_before(time: np.ndarray, event: np.ndarray, entry: np.ndarray | None, at: np.ndarray) -> np.ndarray:
    """Kaplan-Meier's curve just before each of the times `at`."""
    times, deaths = np.unique(time[event], return_counts=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), times, side="left")
    if entry is not None:
        at_risk -= len(time) - np.searchsorted(np.sort(entry), times, side="left")
    curve = np.concatenate([[1.0], np.cumprod(1 - deaths / at_risk)])
    return curve[np.searchsorted(times, at, side="left")]
