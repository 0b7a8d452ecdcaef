"""The demo's report: one HTML file that opens anywhere, without a network."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pm_contracts.messages import CAUSE_FAULT
from pm_ml.report import page
from pm_ml.report.plots import BAND, BLUE, GREY, LAYOUT, ORANGE, RED
from pm_sandbox.demo.meter import Meter
from pm_sandbox.demo.results import InjectedFaults, Live

TITLE = "A factory on one machine, from sensor to alert"
_FIRST_VIEW = dt.timedelta(days=14)


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
    text = page.rendered(
        "report.html.j2",
        Path(__file__).parent,
        title=TITLE,
        summary=summary,
        alerts=_told(live, summary["alerts"]["announcements"], path.parent),
        plots={name: page.drawn(figure) for name, figure in plots.items()},
    )
    path.write_text(text, encoding="utf-8")


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
    times = _times([o["target_time"] for o in live.outcomes])
    figure = go.Figure(layout=LAYOUT)

    def line(column: str, name: str, **style: Any) -> None:
        values = np.array([o[column] for o in live.outcomes], dtype=np.float32)
        figure.add_scatter(x=times, y=values, name=name, mode="lines", **style)

    line("lower", "interval, lower end", line={"width": 0}, showlegend=False, hoverinfo="skip")
    line("upper", "90 % interval", line={"width": 0}, fill="tonexty", fillcolor=BAND, hoverinfo="skip")
    line("value", "forecast of the hour before", line={"color": BLUE, "width": 1.8})
    line("actual", "measured", line={"color": GREY, "width": 1.5})
    figure.update_yaxes(title="PM2.5, µg/m³", hoverformat=".1f")
    figure.update_xaxes(type="date", title="time, UTC")
    figure.update_layout(height=460)
    if live.outcomes:
        # A few intervals of the worst hours are so wide that they would press everything else flat.
        figure.update_yaxes(range=[0, 1.2 * max(o["actual"] for o in live.outcomes)])
        # The highest hour of the year and what led to it: the days that an operator would ask about.
        peak = max(live.outcomes, key=lambda o: o["actual"])["target_time"]
        start = max(live.outcomes[0]["target_time"], peak - _FIRST_VIEW / 2)
        figure.update_xaxes(range=[start, start + _FIRST_VIEW], rangeslider={"visible": True, "thickness": 0.09})
    return figure


def _times(times: list[dt.datetime]) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Times as plotly reads them in a sixth of the bytes of text: milliseconds since 1970, UTC."""
    return np.array([time.timestamp() * 1000 for time in times])


def _fault_plot(live: Live, injected: InjectedFaults) -> go.Figure:
    machines = sorted({score["device"] for score in live.fault_scores} | set(injected), reverse=True)
    figure = go.Figure(layout=LAYOUT)
    shown = False
    for machine, faults in injected.items():
        for onset, failure, subsystem in faults:
            figure.add_bar(
                x=[(failure - onset) / dt.timedelta(milliseconds=1)],
                base=[onset],
                y=[machine],
                orientation="h",
                marker={"color": ORANGE, "line": {"width": 0}},
                opacity=0.5,
                name="a part wears, until it fails",
                legendgroup="wear",
                showlegend=not shown,
                hovertext=f"{subsystem}: {onset:%Y-%m-%d} to {failure:%Y-%m-%d}",
                hoverinfo="text",
            )
            shown = True
    called = [score for score in live.fault_scores if score["faulty"]]
    figure.add_scatter(
        x=_times([s["event_time"] for s in called]),
        y=[s["device"] for s in called],
        mode="markers",
        name="reading called faulty",
        marker={"color": RED, "size": 6, "opacity": 0.8},
        text=[f"probability {s['probability']:.2f}" for s in called],
    )
    raised = [a for a in live.alerts if a["cause"] == CAUSE_FAULT and a["state"] == "active"]
    figure.add_scatter(
        x=_times([a["raised_at"] for a in raised]),
        y=[a["device"] for a in raised],
        mode="markers",
        name="alert raised",
        marker={"color": BLUE, "size": 13, "symbol": "triangle-down"},
    )
    figure.update_yaxes(categoryorder="array", categoryarray=machines, type="category")
    figure.update_xaxes(type="date")
    figure.update_layout(height=90 + 34 * max(len(machines), 3), hovermode="closest", barmode="overlay")
    return figure


def _rate_plot(meter: Meter) -> go.Figure:
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.1)
    figure.update_layout(LAYOUT)
    pairs = list(zip(meter.samples, meter.samples[1:], strict=False))
    rate = [round((b.delivered - a.delivered) / (b.seconds - a.seconds)) for a, b in pairs]
    waiting = [sample.buffered for sample in meter.samples[1:]]
    for row, (name, values, colour) in enumerate(
        (("messages a second<br>into the lake", rate, BLUE), ("messages waiting<br>in the outbox", waiting, ORANGE)), 1
    ):
        figure.add_scatter(
            x=[round(sample.seconds, 1) for sample in meter.samples[1:]],
            y=values,
            name=name.replace("<br>", " "),
            mode="lines",
            line={"color": colour, "width": 1.5, "shape": "hv"},
            row=row,
            col=1,
        )
        figure.update_yaxes(title=name, row=row)
    at = {name: seconds for seconds, name in meter.marks}
    if "uplink cut" in at and "uplink restored" in at:
        cut = {"x0": at["uplink cut"], "x1": at["uplink restored"]}
        figure.add_vrect(**cut, fillcolor=RED, opacity=0.15, line_width=0, row="all", col=1)
    for seconds, name in meter.marks:
        if name == "uplink restored":  # the end of the shade says it, and two texts there would cover one another
            continue
        figure.add_vline(x=seconds, line={"color": GREY, "width": 1, "dash": "dot"}, row="all", col=1)
        figure.add_annotation(
            x=seconds, y=1, yref="paper", text=name, textangle=-90, showarrow=False, xshift=-8, yanchor="top",
            font={"size": 11},
        )  # fmt: skip
    figure.update_layout(height=400, showlegend=False)
    figure.update_xaxes(title="seconds since the demo began", row=2)
    figure.update_yaxes(rangemode="tozero", tickformat=",~d")
    return figure
