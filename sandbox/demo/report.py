"""The demo's report: one HTML file that opens anywhere, without a network."""

import datetime as dt
from pathlib import Path
from typing import Any

import jinja2
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from sandbox.demo.meter import Meter
from sandbox.demo.results import InjectedFaults, Live

_INK, _BLUE, _BAND, _AMBER, _RED, _GREEN = "#1c2430", "#2563eb", "rgba(37,99,235,.18)", "#f5b94a", "#d92d20", "#12876f"
_FIRST_VIEW = dt.timedelta(days=14)
_LAYOUT = {
    "template": "plotly_white",
    "font": {"family": "system-ui, sans-serif", "size": 13, "color": _INK},
    "margin": {"l": 64, "r": 24, "t": 16, "b": 40},
    "legend": {"orientation": "h", "y": 1.08, "x": 0},
    "hovermode": "x unified",
}


def write_report(path: Path, summary: dict[str, Any], live: Live, injected: InjectedFaults, meter: Meter) -> None:
    """Write the report of one demo.

    Args:
        path: The HTML file to write.
        summary: What `demo.json` holds.
        live: The rows of the live span.
        injected: The faults that the simulator put into the live span.
        meter: The samples taken while the demo ran.
    """
    plots = {
        "forecast": _forecast_plot(live),
        "faults": _fault_plot(live, injected),
        "rate": _rate_plot(meter),
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template("report.html.j2").render(
        summary=summary,
        out=path.parent,
        plotly=get_plotlyjs(),
        alerts=_told(live, summary["alerts"]["announcements"], path.parent),
        plots={name: figure.to_html(full_html=False, include_plotlyjs=False) for name, figure in plots.items()},
    )
    path.write_text(page, encoding="utf-8")


def _told(live: Live, announcements: list[str], out: Path) -> list[dict[str, Any]]:
    """Each alert with its announcement, whose file is named by the alert's id, as a path from the report."""
    recordings = {Path(each).stem: Path(each).resolve().relative_to(out.resolve()) for each in announcements}
    looks = {"cleared": "good", "active": "bad"}
    return [
        alert
        | {
            "announcement": recordings.get(alert["message_id"]),
            "look": looks[alert["state"]],
            "label": alert["severity"] if alert["state"] == "active" else "cleared",
        }
        for alert in live.alerts
    ]


def _forecast_plot(live: Live) -> go.Figure:
    times = [o["target_time"] for o in live.outcomes]
    figure = go.Figure(layout=_LAYOUT)

    def line(column: str, name: str, **style: Any) -> None:
        figure.add_scatter(x=times, y=[round(o[column], 1) for o in live.outcomes], name=name, mode="lines", **style)

    line("lower", "interval, lower end", line={"width": 0}, showlegend=False, hoverinfo="skip")
    line("upper", "90 % interval", line={"width": 0}, fill="tonexty", fillcolor=_BAND, hoverinfo="skip")
    line("value", "forecast of the hour before", line={"color": _BLUE, "width": 1.5})
    line("actual", "measured", line={"color": _INK, "width": 1.2})
    figure.update_yaxes(title="PM2.5, µg/m³")
    figure.update_layout(height=460)
    if times:
        # A few intervals of the worst hours are so wide that they would press everything else flat.
        figure.update_yaxes(range=[0, 1.2 * max(o["actual"] for o in live.outcomes)])
        # The highest hour of the year and what led to it: the days that an operator would ask about.
        peak = max(live.outcomes, key=lambda o: o["actual"])["target_time"]
        start = max(times[0], peak - _FIRST_VIEW / 2)
        figure.update_xaxes(range=[start, start + _FIRST_VIEW], rangeslider={"visible": True, "thickness": 0.09})
    return figure


def _fault_plot(live: Live, injected: InjectedFaults) -> go.Figure:
    machines = sorted({score["device"] for score in live.fault_scores} | set(injected), reverse=True)
    figure = go.Figure(layout=_LAYOUT)
    shown = False
    for machine, faults in injected.items():
        for onset, failure, subsystem in faults:
            figure.add_bar(
                x=[(failure - onset) / dt.timedelta(milliseconds=1)],
                base=[onset],
                y=[machine],
                orientation="h",
                marker_color=_AMBER,
                opacity=0.75,
                name="a part wears, until it fails",
                legendgroup="wear",
                showlegend=not shown,
                hovertext=f"{subsystem}: {onset:%Y-%m-%d} to {failure:%Y-%m-%d}",
                hoverinfo="text",
            )
            shown = True
    called = [score for score in live.fault_scores if score["faulty"]]
    figure.add_scatter(
        x=[s["event_time"] for s in called],
        y=[s["device"] for s in called],
        mode="markers",
        name="reading called faulty",
        marker={"color": _RED, "size": 7, "opacity": 0.7},
        text=[f"probability {s['probability']:.2f}" for s in called],
    )
    raised = [a for a in live.alerts if a["cause"] == "fault" and a["state"] == "active"]
    figure.add_scatter(
        x=[a["raised_at"] for a in raised],
        y=[a["device"] for a in raised],
        mode="markers",
        name="alert raised",
        marker={"color": _INK, "size": 12, "symbol": "triangle-down-open", "line": {"width": 2}},
    )
    figure.update_yaxes(categoryorder="array", categoryarray=machines, type="category")
    figure.update_xaxes(type="date")
    figure.update_layout(height=90 + 34 * max(len(machines), 3), hovermode="closest", barmode="overlay")
    return figure


def _rate_plot(meter: Meter) -> go.Figure:
    figure = go.Figure(layout=_LAYOUT)
    pairs = list(zip(meter.samples, meter.samples[1:], strict=False))
    figure.add_scatter(
        x=[round(b.seconds, 1) for _, b in pairs],
        y=[round((b.delivered - a.delivered) / (b.seconds - a.seconds)) for a, b in pairs],
        name="messages into the lake, per second",
        mode="lines",
        line={"color": _GREEN, "width": 1.5, "shape": "hv"},
    )
    figure.add_scatter(
        x=[round(s.seconds, 1) for s in meter.samples],
        y=[s.buffered for s in meter.samples],
        name="messages waiting in the outbox (right)",
        mode="lines",
        line={"color": _RED, "width": 1.5, "shape": "hv"},
        yaxis="y2",
    )
    at = {name: seconds for seconds, name in meter.marks}
    if "uplink cut" in at and "uplink restored" in at:
        figure.add_vrect(x0=at["uplink cut"], x1=at["uplink restored"], fillcolor=_RED, opacity=0.1, line_width=0)
    for seconds, name in meter.marks:
        if name == "uplink restored":  # the end of the shade says it, and two texts there would cover one another
            continue
        figure.add_vline(x=seconds, line={"color": "#98a2b3", "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=seconds, y=1, yref="paper", text=name, textangle=-90, showarrow=False, xshift=-8, yanchor="top",
            font={"size": 11, "color": "#667085"},
        )  # fmt: skip
    figure.update_layout(
        height=340,
        xaxis_title="seconds since the demo began",
        yaxis_title="per second",
        yaxis2={
            "title": "messages",
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "rangemode": "tozero",
            "tickmode": "auto",
            "nticks": 6,
        },
    )
    figure.update_yaxes(rangemode="tozero")
    return figure
