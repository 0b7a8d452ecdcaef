"""The plots of models and their data, for the report and for notebooks."""

import datetime as dt
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from pm_ml import calibration, evaluate
from pm_ml.evidence import FaultEvidence, ForecastEvidence, Profile
from pm_ml.intervals import INTERVAL_LEVEL, adaptive_half_widths

#: Colours that are told apart on white and on black, and with common colour blindness (Okabe and Ito, 2008).
GREY, BLUE, ORANGE, GREEN, RED = "#8a94a3", "#3f8fd2", "#e08a1e", "#17a07a", "#d9534a"
BAND = "rgba(63,143,210,.22)"
#: Of every plot: no colour of its own but of lines, so that the page is light or dark around it.
LAYOUT: dict[str, Any] = {
    "template": "none",
    "font": {"family": "system-ui, sans-serif", "size": 13},
    "margin": {"l": 64, "r": 16, "t": 34, "b": 48},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "bgcolor": "rgba(0,0,0,0)"},
    "height": 330,
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "hovermode": "x unified",
    "hoverlabel": {"bgcolor": "#2a3340", "font": {"color": "#fff"}},
    "xaxis": {"gridcolor": "rgba(138,148,163,.25)", "automargin": True},
    "yaxis": {"gridcolor": "rgba(138,148,163,.25)", "automargin": True},
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: Levels at which intervals are held to their word.
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
#: A month with fewer hours says too little of its coverage.
FULL_MONTH_HOURS = 500
MOST_BARS = 15
COST_CURVE_POINTS = 80

_Array = NDArray[np.float64]


def errors(evidence: ForecastEvidence, by: str) -> go.Figure:
    """Root mean squared errors and mean error of the model, beside persistence.

    Args:
        evidence: the forecasts.
        by: `hour` (of the day, UTC) or `month`, of the hour forecast.
    """
    time = pd.to_datetime(evidence.due * 3600, unit="s")
    group = getattr(time, by)
    model = pd.Series(evidence.actual - evidence.forecast).groupby(group)
    persistence = pd.Series(evidence.actual - evidence.last_value).groupby(group)
    figure = _figure("hour of day, UTC" if by == "hour" else "month", "error, µg/m³")
    at = [_MONTHS[number - 1] if by == "month" else number for number in model.groups]
    if by == "hour":
        figure.update_xaxes(dtick=3)
    lines = ((persistence, "persistence, RMSE", GREY), (model, f"{evidence.name}, RMSE", BLUE))
    for grouped, name, colour in lines:
        rmse = grouped.apply(evaluate.root_mean_square)
        figure.add_scatter(x=at, y=rmse.tolist(), name=name, mode="lines+markers", line={"color": colour})
    figure.add_bar(x=at, y=model.mean().tolist(), name=f"{evidence.name}, mean error", marker_color=ORANGE)
    return figure


def coverage_by_month(evidence: ForecastEvidence) -> go.Figure:
    """The share of outcomes inside the interval, with the interval adapting as on the device and as it began."""
    month = pd.to_datetime(evidence.due * 3600, unit="s").strftime("%Y-%m")
    figure = _figure("month", "share of outcomes inside")
    lines = (
        (fixed_half_widths(evidence, INTERVAL_LEVEL), "as it began, never adapted", GREY, "dot"),
        (adapting_half_widths(evidence), "adapting, as on the device", BLUE, "solid"),
    )
    for half_width, name, colour, dash in lines:
        inside = pd.Series(np.abs(evidence.actual - evidence.forecast) <= half_width).groupby(month)
        full = inside.mean()[inside.size() >= FULL_MONTH_HOURS]
        figure.add_scatter(
            x=full.index.tolist(),
            y=full.tolist(),
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
        )
    asked = [INTERVAL_LEVEL] * len(full)
    figure.add_scatter(x=full.index.tolist(), y=asked, name="asked for", mode="lines", line={"color": RED, "width": 1})
    figure.update_xaxes(type="date", tickformat="%b %Y")
    figure.update_yaxes(tickformat=".0%")
    return figure


def interval_calibration(evidence: ForecastEvidence) -> go.Figure:
    """The share of outcomes inside intervals of several levels, none of them adapted."""
    error = np.abs(evidence.actual - evidence.forecast)
    inside = [float(np.mean(error <= fixed_half_widths(evidence, level))) for level in LEVELS]
    figure = _figure("level asked for", "share of outcomes inside")
    figure.add_scatter(x=LEVELS, y=LEVELS, name="as asked", mode="lines", line={"color": GREY, "dash": "dot"})
    figure.add_scatter(x=LEVELS, y=inside, name=evidence.name, mode="lines+markers", line={"color": BLUE})
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(tickformat=".0%")
    return figure


def fixed_half_widths(evidence: ForecastEvidence, level: float) -> _Array:
    """Half of each interval's width by the earlier scores alone (split conformal), ug/m3."""
    scores = np.sort(evidence.earlier_scores)
    rank = min(int(np.ceil((len(scores) + 1) * level)), len(scores))
    return np.asarray(scores[rank - 1] * evidence.spread)


def adapting_half_widths(evidence: ForecastEvidence) -> _Array:
    """Half of each interval's width as the device would have given it, ug/m3."""
    score = np.abs(evidence.actual - evidence.forecast) / evidence.spread
    return adaptive_half_widths(
        score, evidence.spread, evidence.issued, evidence.horizon_hours, INTERVAL_LEVEL, evidence.earlier_scores
    )


def worst_days(evidence: ForecastEvidence, days: int = 10) -> go.Figure:
    """The forecast and the outcome around the highest hour."""
    peak = int(np.argmax(evidence.actual))
    rows = slice(max(0, peak - days * 12), peak + days * 12)
    time = pd.to_datetime(evidence.due[rows] * 3600, unit="s")
    half_width, forecast = adapting_half_widths(evidence)[rows], evidence.forecast[rows]
    figure = _figure("time, UTC", "PM2.5, µg/m³")
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    figure.add_scatter(x=time, y=np.maximum(forecast - half_width, 0).round(1), name="interval, lower end", **band)
    figure.data[0].showlegend = False
    upper = (forecast + half_width).round(1)
    name = f"{percent(INTERVAL_LEVEL, 0)} interval, upper end"
    figure.add_scatter(x=time, y=upper, name=name, fill="tonexty", fillcolor=BAND, **band)
    for values, called, colour in ((forecast, "forecast", BLUE), (evidence.actual[rows], "measured", GREY)):
        figure.add_scatter(x=time, y=values.round(1), name=called, mode="lines", line={"color": colour, "width": 1.6})
    return figure


def cost_curve(evidence: FaultEvidence) -> go.Figure:
    """Cost per reading by threshold, where the threshold was chosen and where it was measured."""
    figure = _figure("threshold (a probability at or above it is called a fault)", "cost per reading")
    thresholds = np.geomspace(1e-4, 0.99, COST_CURVE_POINTS)
    measured = (evidence.faulty, evidence.probability)
    for (faulty, probability), name, colour in (
        (evidence.chosen_on, "readings that it was chosen on", GREY),
        (measured, "readings measured", BLUE),
    ):
        cost = [evaluate.fault_cost(faulty, probability >= each) / len(faulty) for each in thresholds]
        figure.add_scatter(x=thresholds.tolist(), y=cost, name=name, mode="lines", line={"color": colour})
    at = evaluate.fault_cost(evidence.faulty, evidence.probability >= evidence.threshold) / len(evidence.faulty)
    figure.add_scatter(
        x=[evidence.threshold],
        y=[at],
        name=f"chosen: {evidence.threshold:.3g}",
        mode="markers",
        marker={"color": RED, "size": 11, "symbol": "diamond"},
    )
    figure.update_xaxes(type="log", hoverformat=".3g", tickformat="~g", dtick=1)
    figure.update_yaxes(type="log", tickformat="~g", dtick=1)
    return figure


def reliability(evidence: FaultEvidence) -> go.Figure:
    """Stated probabilities against outcomes, before and after calibration; bins of equal width in log-odds."""
    figure = _figure("probability said", "share that was faulty")
    ends = [calibration.LOWEST, 1.0]
    figure.add_scatter(x=ends, y=ends, name="as said", mode="lines", line={"color": GREY, "dash": "dot"})
    for probability, name, colour in (
        (evidence.uncalibrated, "trees alone", ORANGE),
        (evidence.probability, "calibrated", BLUE),
    ):
        bins = calibration.reliability(evidence.faulty, probability)
        seen = [each for each in bins if each.came_true > 0]  # a logarithm has no place for 0
        figure.add_scatter(
            x=[each.said for each in seen],
            y=[each.came_true for each in seen],
            text=[f"{each.readings:,} readings" for each in seen],
            name=f"{name}, Brier score {calibration.brier(evidence.faulty, probability):.4f}",
            mode="lines+markers",
            line={"color": colour},
        )
    figure.update_xaxes(type="log", tickformat="~g", dtick=1)
    figure.update_yaxes(type="log", tickformat="~g", dtick=1)
    figure.update_layout(hovermode="closest")
    return figure


def importance(named: Sequence[tuple[str, float]], unit: str) -> go.Figure:
    """The largest of some named values, as bars."""
    most = list(named)[:MOST_BARS][::-1]
    figure = _figure(unit, "")
    figure.add_bar(
        x=[value for _, value in most], y=[name for name, _ in most], orientation="h", name=unit, marker_color=BLUE
    )
    figure.update_layout(height=120 + 22 * len(most), showlegend=False, hovermode="closest")
    return figure


def course(profile: Profile, column: str) -> go.Figure:
    """A column's median and middle 90 % by month, with the parts that the series is split into."""
    assert profile.time is not None, "the data do not tell when they were measured"  # noqa: S101 - the caller's to know
    by_month = profile.columns[column].groupby(profile.time.dt.strftime("%Y-%m-01"))
    figure = _figure("month", profile.meanings[column].partition(";")[0])
    for share, name, style in (
        (0.05, "5 % of the hours are below", {"line": {"width": 0}}),
        (0.95, "5 % of the hours are above", {"line": {"width": 0}, "fill": "tonexty", "fillcolor": BAND}),
        (0.5, "median", {"line": {"color": BLUE, "width": 2}}),
    ):
        values = by_month.quantile(share).round(2)
        figure.add_scatter(x=values.index.tolist(), y=values.tolist(), name=name, mode="lines", **style)
    for name, first in profile.parts.items():
        figure.add_vline(x=_milliseconds(first), line={"color": GREY, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=first, y=1, yref="paper", text=f"{name} →", showarrow=False, xanchor="left", yanchor="top"
        )
    figure.update_xaxes(type="date")
    figure.update_yaxes(rangemode="tozero")
    return figure


def missing(columns: pd.DataFrame) -> go.Figure:
    """The number of columns by their share of missing values, for data of more columns than a table shows."""
    share = columns.isna().mean()
    edges = np.linspace(0, 1, 11)
    counts, _ = np.histogram(share, edges)
    figure = _figure("share of its readings that a measurement lacks", "measurements")
    names = [f"{100 * low:.0f} to {percent(high, 0)}" for low, high in itertools.pairwise(edges)]
    figure.add_bar(x=names, y=counts.tolist(), name="measurements", marker_color=BLUE)
    figure.update_layout(showlegend=False)
    return figure


def quantiles(columns: pd.DataFrame) -> pd.DataFrame:
    """Missing and zero values and five quantiles of each column, a row each."""
    found = columns.quantile([0, 0.25, 0.5, 0.75, 1]).T
    found.columns = pd.Index(["minimum", "25 %", "median", "75 %", "maximum"])
    found.insert(0, "missing", columns.isna().sum())
    found.insert(1, "zeros", (columns == 0).sum())
    return found


def percent(share: float, digits: int = 1) -> str:
    """A share in words."""
    return f"{100 * share:.{digits}f} %"


def _figure(x: str, y: str) -> go.Figure:
    figure = go.Figure(layout=LAYOUT)
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y)
    return figure


def _milliseconds(time: str) -> float:
    return dt.datetime.fromisoformat(time).replace(tzinfo=dt.UTC).timestamp() * 1000
