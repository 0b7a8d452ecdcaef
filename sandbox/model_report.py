"""The report on the models: one HTML file that opens anywhere, without a network."""

from pathlib import Path

import jinja2
import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ml.fault_protocol import Judged
from ml.features import HOURS_PER_DAY
from ml.forecast_protocol import INTERVAL_LEVEL, Answers, Series, times
from ml.protocol import Findings
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS

_INK, _BLUE, _RED = "#1c2430", "#2563eb", "#d92d20"
_MOST_SHOWN = 15
_LAYOUT = {
    "template": "plotly_white",
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": _INK},
    "margin": {"l": 64, "r": 24, "t": 16, "b": 40},
    "legend": {"orientation": "h", "y": 1.1, "x": 0},
    "height": 320,
}


def write_report(path: Path, found: Findings) -> None:
    """Write the report of one evaluation."""
    horizon, (series, answers, _) = next(iter(found.forecasts.items()))
    chosen = found.figures["choice"][f"h{horizon}"]["chosen"]
    plots = {
        "hour": _errors_plot(series, answers, chosen, by="hour"),
        "season": _errors_plot(series, answers, chosen, by="month"),
        "coverage": _coverage_plot(found.figures["intervals"]["months"]),
    }
    if found.faults is not None:
        threshold = found.figures["fault"]["threshold"]
        plots |= {
            "cost": _cost_plot(found.faults, threshold),
            "calibration": _calibration_plot(found.faults),
            "importance": _importance_plot(found.faults),
        }
    measured = found.air_quality[list(AIR_QUALITY_MEASUREMENTS)]
    profile = {
        name: {
            "missing": int(values.isna().sum()),
            "zeros": int((values == 0).sum()),
            "quantiles": [float(each) for each in np.nanquantile(values, [0, 0.25, 0.5, 0.75, 1])],
        }
        for name, values in measured.items()
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("model_report.html.j2").render(
        figures=found.figures,
        profile=profile,
        horizon=horizon,
        plotly=get_plotlyjs(),
        plots={name: figure.to_html(full_html=False, include_plotlyjs=False) for name, figure in plots.items()},
    )
    path.write_text(page, encoding="utf-8")


def _errors_plot(series: Series, answers: Answers, chosen: str, by: str) -> go.Figure:
    rows = slice(series.rows("validation").start, len(series.issued))
    due = times(series.due[rows])
    groups = np.array([getattr(time, by) for time in due])
    names = range(HOURS_PER_DAY) if by == "hour" else range(1, 13)
    figure = go.Figure(layout=_LAYOUT)
    for label, forecast, colour in (("persistence", series.value, _INK), (chosen, answers.fixed[chosen], _BLUE)):
        error = (series.target - forecast)[rows]
        rmse = [
            float(np.sqrt(np.mean(error[groups == name] ** 2))) if (groups == name).any() else None for name in names
        ]
        figure.add_scatter(x=list(names), y=rmse, name=label, line={"color": colour})
    figure.update_xaxes(title="hour of day, UTC" if by == "hour" else "month")
    figure.update_yaxes(title="RMSE, µg/m³", rangemode="tozero")
    return figure


def _coverage_plot(months: dict[str, float]) -> go.Figure:
    figure = go.Figure(layout=_LAYOUT)
    figure.add_bar(x=list(months), y=list(months.values()), name="coverage", marker_color=_BLUE)
    figure.add_hline(y=INTERVAL_LEVEL, line_color=_RED)
    figure.update_yaxes(title="share inside", range=[0.7, 1])
    return figure


def _cost_plot(faults: Judged, threshold: float) -> go.Figure:
    figure = go.Figure(layout=_LAYOUT)
    figure.add_scatter(x=[x for x, _ in faults.cost_curve], y=[y for _, y in faults.cost_curve], line={"color": _BLUE})
    figure.add_vline(x=threshold, line_color=_RED)
    figure.update_xaxes(title="threshold", type="log")
    figure.update_yaxes(title="cost per reading", rangemode="tozero")
    return figure


def _calibration_plot(faults: Judged) -> go.Figure:
    figure = go.Figure(layout=_LAYOUT)
    figure.add_scatter(x=[0, 1], y=[0, 1], name="perfect", line={"color": _INK, "dash": "dot"})
    figure.add_scatter(
        x=[said for said, _, _ in faults.reliability],
        y=[came for _, came, _ in faults.reliability],
        text=[f"{count:,} readings" for _, _, count in faults.reliability],
        name="test part",
        mode="lines+markers",
        line={"color": _BLUE},
    )
    figure.update_xaxes(title="probability said")
    figure.update_yaxes(title="share faulty")
    return figure


def _importance_plot(faults: Judged) -> go.Figure:
    figure = go.Figure(layout=_LAYOUT)
    most = faults.importance[:_MOST_SHOWN][::-1]
    figure.add_bar(x=[share for _, share in most], y=[name for name, _ in most], orientation="h", marker_color=_BLUE)
    figure.update_xaxes(title="share of the trees' gain")
    figure.update_layout(height=440)
    return figure
