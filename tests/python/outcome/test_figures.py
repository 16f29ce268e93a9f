# SPDX-License-Identifier: Apache-2.0
"""Figures: what they show is what the measures say. (How they look was looked at.)"""

import numpy as np
import pandas as pd
import pytest
from gold import load
from matplotlib.backends.backend_agg import FigureCanvasAgg

import vesalius as vs
from vesalius import plot
from vesalius.outcome import CoxPH, FineGray, KaplanMeier, LogisticRegression, ParametricSurvival, log_rank, metrics


def drawn(figure):
    """It renders, and fits its paper: no text sticks out."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, (width, height) = canvas.get_renderer(), canvas.get_width_height()
    for axes in figure.axes:
        for text in [*axes.texts, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()]:
            if text.get_visible() and text.get_text() and axes.axison:
                box = text.get_window_extent(renderer)
                inside = box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1
                outside_of_view = axes.bbox.x0 > box.x1 or axes.bbox.x1 < box.x0
                assert inside or outside_of_view, f"{text.get_text()!r} sticks out"
    return figure


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def legend(figure):
    return [t.get_text() for t in figure.axes[0].get_legend().get_texts()]


@pytest.fixture(scope="module")
def cohort():
    X, y = load("gbsg2")
    return X, y, CoxPH().fit(X, y)


def test_kaplan_meier(cohort):
    """Oracle: the fits that it draws: curves, numbers at risk, medians, log-rank p."""
    X, y, _ = cohort
    groups = np.where(X["horTh_yes"] == 1, "hormone therapy", "none")
    figure = drawn(plot.kaplan_meier(y, groups, unit="days"))
    above, below = figure.axes
    fit = KaplanMeier().fit(y[groups == "none"])
    line = above.lines[2]  # curve and marks of each group
    np.testing.assert_allclose(line.get_ydata()[1:], fit.table_["survival"])
    assert f"log-rank p = {log_rank(y, groups).p:.3f}" in texts(figure)
    assert f"none: {(groups == 'none').sum()}; {fit.median[0]:.0f}" in legend(figure)[1]
    counts = fit.at_risk([0, 500, 1000])["at_risk"].astype(int).astype(str).tolist()
    assert set(counts) <= {t.get_text() for t in below.texts}
    assert below.get_xlabel() == "time (days)"
    alone = drawn(plot.kaplan_meier(y, at_risk=False, until=1000))
    assert "median" in legend(alone)[0] and len(alone.axes) == 1 and alone.axes[0].get_xlim()[1] < 1100
    given = plot.kaplan_meier({"a": ([0, 1], [1, 0.5], [1, 0.3], [1, 0.7])}, unit="years")
    assert given.axes[0].get_xlabel() == "time (years)"
    with pytest.raises(vs.InvalidArgument, match="too many"):
        plot.kaplan_meier(y, np.arange(len(y)) % 9)
    with pytest.raises(vs.InvalidArgument, match="one length"):
        plot.kaplan_meier(y, groups[:-1])


def test_forest(cohort):
    """Oracle: the table that it draws; what is off the scale leaves it by an arrow."""
    _, _, model = cohort
    table = model.summary()
    figure = drawn(plot.forest(table))
    assert figure.axes[0].get_xlabel() == "hazard ratio (95 % interval)"
    shown = texts(figure)
    row = table.loc["horTh_yes"]
    assert f"{np.exp(row['coef']):.2f} ({np.exp(row['lower']):.2f} to {np.exp(row['upper']):.2f})" in shown
    wild = pd.DataFrame(
        {"coef": [0.1, 40.0], "lower": [-0.1, -3000.0], "upper": [0.3, 3000.0], "p": [0.3, 0.9]}, ["a", "b"]
    )
    assert drawn(plot.forest(wild)).axes[0].get_xlabel() == "exp(coef) (95 % interval)"
    drawn(plot.forest(["a", "b"], [0.1, 0.2], [0, 0.1], [0.2, 0.3], label="difference"))
    with pytest.raises(vs.InvalidArgument, match="columns coef"):
        plot.forest(pd.DataFrame({"x": [1.0]}))
    with pytest.raises(vs.InvalidArgument, match="names, estimates"):
        plot.forest(["a"])


def test_forest_names_the_ratio_of_its_model(cohort):
    """Mechanics: the axis says what exp(coef) is in the model given, also after rows are taken out, and how wide the intervals are."""
    X, y, _ = cohort
    event = y["event"]
    codes = event * (1 + np.arange(len(y)) % 2)
    models = {
        "odds ratio": LogisticRegression().fit(X, event),
        "subdistribution hazard ratio": FineGray().fit(X, (codes, y["time"])),
        "time ratio": ParametricSurvival().fit(X, y),
        "hazard ratio": ParametricSurvival(family="spline").fit(X, y),
    }
    for ratio, model in models.items():
        table = model.summary(confidence=0.9)
        label = drawn(plot.forest(table.loc[list(X.columns)])).axes[0].get_xlabel()
        assert label == f"{ratio} (90 % interval)", ratio


def test_over_time(cohort):
    """Oracle: the tables that they draw; times without a value are left out."""
    X, y, model = cohort
    times = np.linspace(300, 2000, 6)
    auc = metrics.cumulative_dynamic_auc(y, model.predict(X), times)
    figure = drawn(plot.auc_over_time({"model": auc, "again": auc}, unit="days"))
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), auc.table["auc"])
    assert legend(figure)[0].startswith(f"model: mean {auc.mean:.3f}")
    with pytest.warns(UserWarning, match="NaN"):
        beyond = metrics.cumulative_dynamic_auc(y, model.predict(X), [500, 1500, 9999])
    assert len(drawn(plot.auc_over_time(beyond)).axes[0].lines[1].get_ydata()) == 2
    drawn(plot.auc_over_time(metrics.incident_dynamic_auc(y, model.predict(X))))
    brier = metrics.brier_curve(y, model.predict_survival_function(X, times=times))
    figure = drawn(plot.brier_over_time({"model": brier}))
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_ydata(), brier.table["brier"])
    assert f"integrated {brier.integrated:.3f}" in legend(figure)[1]
    with pytest.raises(vs.InvalidArgument, match="cumulative_dynamic_auc"):
        plot.auc_over_time([0.5, 0.6])


def test_predictions(cohort):
    """Oracle: the measures that they draw."""
    X, y, model = cohort
    risk = 1 - model.predict_survival_function(X, times=[1000]).to_numpy()[:, 0]
    result = metrics.survival_calibration(y, risk, 1000, bins=5)
    figure = drawn(plot.calibration(result, unit="days"))
    np.testing.assert_array_equal(figure.axes[0].lines[2].get_ydata(), result.curve["observed"])
    assert f"slope {result.slope:.2f}" in texts(figure)[0] and f"ICI {result.distance.ici:.3f}" in texts(figure)[0]
    assert figure.axes[1].get_xlabel() == "predicted risk by 1000 days"
    state = (y["time"] <= 1000) & y["event"]
    drawn(plot.calibration(metrics.calibration(state, risk, replicates=20)))
    drawn(plot.calibration(risk, state))
    curve = metrics.decision_curve(y, risk, time=1000)
    figure = drawn(plot.decision_curve({"model": curve}, unit="days"))
    known = curve.table["net_benefit"].dropna()
    np.testing.assert_array_equal(figure.axes[0].lines[2].get_ydata(), known)
    assert figure.axes[0].get_ylabel() == "net benefit at 1000 days"
    drawn(plot.decision_curve(metrics.decision_curve(state, risk), until=0.5))
    figure = drawn(plot.roc(state, {"model": risk, "age": X["age"]}))
    assert legend(figure)[0].startswith(f"model: AUC {metrics.roc_auc(state, risk).value:.3f}")
    for call in (lambda: plot.calibration(3), lambda: plot.decision_curve([1]), lambda: plot.roc([0, 1])):
        with pytest.raises(vs.InvalidArgument, match="pass"):
            call()
