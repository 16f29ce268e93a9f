# SPDX-License-Identifier: Apache-2.0
"""Cox's proportional hazards."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .._vesalius import outcome as _core
from ..errors import InvalidArgument
from ._cox_diagnostics import CoxDiagnostics
from ._data import (
    check_finite,
    check_numeric,
    coefficient_table,
    names_of,
    penalty_of,
    plain,
    start_stop_outcome,
    strata_codes,
    to_tensor,
)


class CoxPH(CoxDiagnostics, BaseEstimator):
    r"""Cox's proportional hazards, plain or with an elastic-net penalty.

    The hazard of a subject is :math:`h_0(t) \exp((x - \bar x)^\top b)`; :math:`h_0` is left open. Maximised is the partial
    likelihood, with tied times by Efron's or Breslow's approximation; in full, minimised is

    .. math:: -\frac{1}{\sum_i w_i} \log L(b) + \alpha \left(\rho \lVert b \rVert_1 + \tfrac{1 - \rho}{2} \lVert b \rVert_2^2\right),

    glmnet's objective (which knows Breslow's ties only): ``alpha`` is its lambda, ``l1_ratio`` (:math:`\rho`) its alpha.

    The model assumes that hazards are proportional: a coefficient is the same at all times. Censoring must tell nothing about
    the outcome beyond what the columns tell.

    Parameters
    ----------
    penalty : None, "l1", "l2" or "elastic_net"
        With a penalty there may be more columns than subjects.
    alpha : float
        Strength of the penalty; not used with ``penalty=None``.
    l1_ratio : float
        Share of the absolute values in ``"elastic_net"``, 0 to 1.
    ties : "efron", "breslow" or "exact"
        ``"exact"`` is Cox's discrete model: the conditional likelihood of who of those at risk had the events, for times that are
        truly discrete (visits). Its cost grows with (at risk) x (tied events).
    robust : bool
        Sandwich errors (Lin, Wei 1989): :attr:`covariance_` is then robust and the model's own :attr:`naive_covariance_`. ``cluster=``
        in :meth:`fit` implies it.
    firth : bool
        Firth's penalised likelihood: finite estimates also under separation, less bias in small samples.
    frailty : None or "gamma"
        Subjects of one label of ``cluster=`` in :meth:`fit` (centre, family, lesions of one patient) share a factor of their
        hazard, drawn from a gamma distribution of mean 1 whose variance is estimated by the marginal likelihood: coefficients are
        those within a cluster (R's ``coxph`` with ``frailty()``; Therneau, Grambsch, Pankratz 2003).
    frailty_variance : float, optional
        That variance, where it is known.
    standardise : bool
        Penalise coefficients of columns divided by their standard deviation. Coefficients are always those of the columns
        as given; without a penalty it changes nothing.
    score_test : "auto" or bool
        Rao's test needs a Hessian at 0; ``"auto"`` leaves it out beyond n p² = 4e9.
    max_iterations, tolerance
        Newton steps, and the largest violation of an optimality condition on standardised columns.

    Attributes
    ----------
    coef_ : float64 [p], log hazard ratios
    mean_ : float64 [p], the columns' means in training, where the linear predictor is 0
    covariance_, naive_covariance_ : float64 [p, p], or None with a penalty
    log_likelihood_, log_likelihood_null_ : float; with a frailty the first is the marginal one
    frailty_variance_ : float, frailties_ : Series by label of the cluster; with a frailty
    n_iter_ : int

    Raises
    ------
    ConvergenceError
        The likelihood is monotone (a combination of columns orders all events) and no penalty is given.
    InvalidArgument
        No events; NaN; negative times; without a penalty also constant or collinear columns and fewer subjects than columns.

    References
    ----------
    Cox DR. Regression models and life-tables. J R Stat Soc B 1972;34:187-220.

    Efron B. The efficiency of Cox's likelihood function for censored data. J Am Stat Assoc 1977;72:557-565.
    doi 10.1080/01621459.1977.10480613.

    Simon N, Friedman J, Hastie T, Tibshirani R. Regularization paths for Cox's proportional hazards model via coordinate
    descent. J Stat Softw 2011;39(5). doi 10.18637/jss.v039.i05.

    Therneau TM, Grambsch PM, Pankratz VS. Penalized survival models and frailty. J Comput Graph Stat 2003;12:156-175.
    doi 10.1198/1061860031365.
    """

    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.1,
        l1_ratio: float = 0.5,
        ties: str = "efron",
        robust: bool = False,
        firth: bool = False,
        frailty: str | None = None,
        frailty_variance: float | None = None,
        standardise: bool = True,
        score_test: str | bool = "auto",
        max_iterations: int = 100,
        tolerance: float = 1e-9,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.ties = ties
        self.robust = robust
        self.firth = firth
        self.frailty = frailty
        self.frailty_variance = frailty_variance
        self.standardise = standardise
        self.score_test = score_test
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        strata: Any = None,
        *,
        entry: Any = None,
        cluster: Any = None,
        offset: Any = None,
    ) -> CoxPH:
        """Fit.

        Parameters
        ----------
        X : [n, p] of numbers
        y : structured array (event, time), DataFrame with those columns, or tuple (event, time)
            With a third field, (event, start, stop): a row is an interval in which its subject was at risk and its columns held
            (start-stop data: left truncation, columns that change with time).
        sample_weight : [n] ≥ 0, optional
        strata : [n] of labels, optional
            Each stratum has a baseline of its own; the coefficients are common.
        entry : [n] of numbers < time, optional
            The start of each row's interval, where ``y`` doesn't hold it.
        cluster : [n] of labels, optional
            Rows of one label may depend on each other (intervals of one subject, subjects of one centre): robust errors, or with
            ``frailty="gamma"`` a frailty for each label.
        offset : [n] of numbers, optional
            Added to the linear predictor with coefficient 1.
        """
        X = validate_data(self, check_numeric(X), dtype=np.float64, ensure_all_finite=False)
        self.strata_: np.ndarray | None = None if strata is None else np.unique(np.asarray(plain(strata)))
        x, outcome, options = self._inputs(X, y, sample_weight, strata, entry, offset)
        codes = self._cluster_codes(cluster, len(X))
        if self.frailty is not None:
            self._fit_frailty(x, outcome, options, codes)
        else:
            self.fit_ = _core.fit_cox(x, outcome, options)
        self.coef_, self.mean_ = self.fit_.coef.numpy(), self.fit_.mean.numpy()
        self.covariance_ = None if self.fit_.covariance is None else self.fit_.covariance.numpy()
        self.naive_covariance_ = self.covariance_
        if self.frailty is None and (self.robust or codes is not None):
            self.covariance_ = _core.cox_robust_covariance(
                self.fit_, x, outcome, options, None if codes is None else to_tensor(codes)
            ).numpy()
        self.log_likelihood_, self.log_likelihood_null_ = self.fit_.log_likelihood, self.fit_.log_likelihood_null
        self.n_iter_ = max(1, self.fit_.iterations)
        return self

    def _cluster_codes(self, cluster: Any, n: int) -> np.ndarray | None:
        if cluster is None:
            return None
        labels = np.asarray(plain(cluster))
        if labels.shape != (n,):
            raise InvalidArgument(f"X has {n} rows and cluster {len(labels)}: they must be of one length")
        if pd.isna(labels).any():
            raise InvalidArgument(f"cluster has {int(pd.isna(labels).sum())} missing labels")
        self.clusters_, codes = np.unique(labels, return_inverse=True)
        return codes

    def _fit_frailty(self, x: Any, outcome: Any, options: Any, codes: np.ndarray | None) -> None:
        if self.frailty != "gamma":
            raise InvalidArgument(f"frailty must be None or 'gamma'; it is {self.frailty!r}")
        if codes is None:
            raise InvalidArgument(
                "frailty='gamma' needs cluster= in fit: the label that says which rows share a frailty"
            )
        if self.robust:
            raise InvalidArgument("robust errors and a frailty are two answers to one question: leave robust=True out")
        fit = _core.fit_cox_frailty(x, outcome, to_tensor(codes), options, self.frailty_variance)
        self.fit_, self.frailty_variance_ = fit.fit, fit.variance
        self.frailties_ = pd.Series(fit.frailty.numpy(), index=pd.Index(self.clusters_, name="cluster"), name="frailty")
        self.log_likelihood_without_ = fit.log_likelihood_without
        if fit.variance == 0:
            warnings.warn(
                "clusters vary no more than chance explains: the variance of the frailties is 0 and the fit that of plain Cox",
                UserWarning,
                stacklevel=3,
            )

    def _inputs(
        self, X: np.ndarray, y: Any, sample_weight: Any, strata: Any, entry: Any, offset: Any
    ) -> tuple[Any, Any, Any]:
        """X, outcome and options as the core takes them."""
        if self.ties not in ("efron", "breslow", "exact"):
            raise InvalidArgument(f"ties must be 'efron', 'breslow' or 'exact'; it is {self.ties!r}")
        names = names_of(self, X.shape[1])
        check_finite(X, names)
        event, time, start = start_stop_outcome(y, entry)
        if len(event) != len(X):
            raise InvalidArgument(f"X has {len(X)} rows and y {len(event)}: they must be of one length")
        weights = (
            None
            if sample_weight is None
            else to_tensor(_check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True))
        )
        codes = strata_codes(self.strata_, strata, len(X))
        auto = self.penalty is None and len(X) * X.shape[1] ** 2 <= 4e9
        options = _core.CoxOptions(
            **penalty_of(self.penalty, self.alpha, self.l1_ratio),
            standardise=self.standardise,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
            names=names,
            ties=getattr(_core.Ties, self.ties),
            score_test=auto if self.score_test == "auto" else bool(self.score_test),
            firth=self.firth,
        )
        outcome = _core.CoxOutcome(
            to_tensor(time),
            to_tensor(event),
            entry=None if start is None else to_tensor(start),
            weights=weights,
            strata=None if codes is None else to_tensor(codes),
            offset=None if offset is None else to_tensor(np.asarray(plain(offset), dtype=np.float64)),
        )
        return to_tensor(X), outcome, options

    def predict(self, X: Any) -> np.ndarray:
        """Linear predictor (x − mean)·coef, [n]: the log hazard ratio to a subject at the training means. Larger is earlier."""
        check_is_fitted(self)
        X = validate_data(self, check_numeric(X), reset=False, dtype=np.float64, ensure_all_finite=False)
        check_finite(X, names_of(self, X.shape[1]))
        return _core.predict_cox(self.fit_, to_tensor(X)).numpy()

    def predict_cumulative_hazard_function(
        self, X: Any, *, times: Any = None, strata: Any = None, cluster: Any = None
    ) -> pd.DataFrame:
        """Cumulative hazard, a row for each subject and a column for each time.

        ``times`` are those observed in training if not given. After the last time observed (in the subject's stratum) nothing
        is known: NaN, with a warning. The baseline is Breslow's with ``ties="breslow"`` and Efron's correction of it otherwise,
        as in R. With a frailty it is that of a subject of a new cluster, whose frailty is not known: log(1 + θH)/θ, where H is the
        hazard at frailty 1; ``cluster`` names clusters of the training, whose own frailty then counts.
        """
        predictor = self.predict(X)
        codes = strata_codes(self.strata_, strata, len(predictor))
        if times is None:
            times = np.unique(self.fit_.baseline_times.numpy())
        else:
            times = np.atleast_1d(np.asarray(plain(times), dtype=np.float64))
        out = _core.cox_cumulative_hazard(
            self.fit_, to_tensor(predictor), to_tensor(times), None if codes is None else to_tensor(codes)
        ).numpy()
        if self.frailty is not None:
            out = self._of_frailty(out, cluster)
        elif cluster is not None:
            raise InvalidArgument("the model was fitted without a frailty: it knows no clusters")
        last = self.fit_.baseline_times.max().item()
        if (times > last).any():
            warnings.warn(
                f"nobody was followed beyond {last:g}: curves at later times are NaN", UserWarning, stacklevel=2
            )
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(out, index=index, columns=pd.Index(times, name="time"))

    def _of_frailty(self, hazard: np.ndarray, cluster: Any) -> np.ndarray:
        theta = self.frailty_variance_
        marginal = hazard if theta == 0 else np.log1p(theta * hazard) / theta
        if cluster is None:
            return marginal
        labels = np.asarray(plain(cluster))
        if labels.shape != (len(hazard),):
            raise InvalidArgument(f"X has {len(hazard)} rows and cluster {len(labels)}: they must be of one length")
        own = self.frailties_.reindex(labels).to_numpy()[:, None]
        return np.where(np.isnan(own), marginal, own * hazard)

    def predict_survival_function(
        self, X: Any, *, times: Any = None, strata: Any = None, cluster: Any = None
    ) -> pd.DataFrame:
        """Survival exp(−cumulative hazard), a row for each subject and a column for each time; see
        :meth:`predict_cumulative_hazard_function`."""
        hazard = self.predict_cumulative_hazard_function(X, times=times, strata=strata, cluster=cluster)
        return pd.DataFrame(np.exp(-hazard.to_numpy()), index=hazard.index, columns=hazard.columns)

    def baseline_hazard(self, *, centred: bool = True) -> pd.DataFrame:
        """Columns time, cumulative_hazard (and stratum): of a subject at the means of the columns, or with ``centred=False`` at 0
        in all of them (R's ``basehaz(fit, centered=FALSE)``), which overflows or vanishes where 0 is far from the data."""
        check_is_fitted(self)
        log_hazard = self.fit_.baseline_log_hazard.numpy() - (0.0 if centred else float(self.mean_ @ self.coef_))
        with np.errstate(over="ignore", under="ignore"):
            table = pd.DataFrame({"time": self.fit_.baseline_times.numpy(), "cumulative_hazard": np.exp(log_hazard)})
        if self.strata_ is not None:
            table.insert(0, "stratum", self.strata_[self.fit_.baseline_stratum.numpy()])
        return table

    def score(self, X: Any, y: Any) -> float:
        """Harrell's concordance of :meth:`predict`."""
        from .metrics import concordance_index

        return float(concordance_index(y, self.predict(X)))

    def summary(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """coef (log hazard ratio), exp(coef), se, z, p, lower, upper. With a penalty there are no standard errors (NaN): the
        estimates are biased on purpose. Bootstrap the whole pipeline instead."""
        check_is_fitted(self)
        names = names_of(self, self.n_features_in_)
        return coefficient_table(names, self.coef_, self.covariance_, confidence, "hazard ratio")
