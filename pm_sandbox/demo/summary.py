"""The demo's figures in a few sentences, for the terminal."""

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from pm_sandbox.terminal import marked


def summary_table(summary: dict[str, Any]) -> Table:
    """The events of the demo, a line a subject; `summary` is the contents of `demo.json`."""
    readings, forecast, fault = summary["readings"], summary["forecast"], summary["fault"]
    offline, alerts, seconds = summary["offline"], summary["alerts"], summary["seconds"]
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0), title="What happened", title_justify="left")
    lines = {
        "Ingest": f"{readings['published']:,} readings into the lake at {readings['per_second']:,.0f} a second; "
        f"{readings['lost']} lost, {readings['duplicated']} doubled",
        "Forecast": f"error (RMSE) {forecast['rmse']:.1f} µg/m³, where saying `as now` (persistence) errs by "
        f"{forecast['persistence_rmse']:.1f}: skill {100 * forecast['skill']:+.1f} %; "
        f"{100 * forecast['interval_coverage']:.1f} % of the outcomes inside their 90 % interval"
        if forecast["outcomes"]
        else "no outcome came back",
        "Faults": f"{fault['detected']} of {fault['injected']} found before the part failed; "
        f"{fault['false_alarms']} false alarms",
        "Offline": f"{offline['buffered']:,} messages waited {offline['cut_seconds']:.0f} s for the uplink; "
        f"{offline['lost']} lost",
        "Alerts": f"{alerts['emails']} e-mails and {len(alerts['announcements'])} spoken announcements",
        "Time": f"{seconds['total']:.0f} s in all: deploy {seconds['deploy']:.0f}, ingest {seconds['ingest']:.0f}, "
        f"train {seconds['train']:.0f}, roll out {seconds['rollout']:.0f}, live {seconds['live']:.0f}, "
        f"alert {seconds['alert']:.0f}",
    }
    for name, text in lines.items():
        table.add_row(marked("[bold]{}", name), text)
    return table


def where_to_look(out: Path) -> Text:
    """The places of the demo's results."""
    return marked(
        "Open [bold]{}[/] for the pictures, [bold]{}[/] for the e-mails and [bold]{}[/] for the speech;\n"
        "all figures are in [bold]{}[/].",
        *(out / name for name in ("report.html", "mail", "announcements", "demo.json")),
    )
