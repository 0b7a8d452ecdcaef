"""The report opens in a browser, without a network, and draws its plots.

Does not prove that the plots are beautiful. Where no Chromium is installed the browser's part is skipped, but not in
CI, which installs one.
"""

import datetime as dt
import io
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from pm_sandbox.demo.meter import Sample
from pm_sandbox.demo.report import write_report
from pm_sandbox.demo.results import InjectedFaults, Live, fault_figures, forecast_figures
from pm_sandbox.demo.summary import summary_table

DAY0 = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)


SAMPLES = SimpleNamespace(
    samples=[Sample(float(t), 100 * t, 0) for t in range(20)],
    marks=[(2.0, "replay"), (8.0, "uplink cut"), (10.0, "uplink restored")],
)


def summarised(path: Path, live: Live, injected: InjectedFaults) -> dict[str, Any]:
    return {
        "data": "simulator, seed <0>",
        "seconds": dict.fromkeys(("deploy", "ingest", "train", "rollout", "live", "alert", "total"), 1.5),
        "readings": {"published": 1000, "in_lake": 1000, "lost": 0, "duplicated": 0, "per_second": 1234.5},
        "forecast": forecast_figures(live.outcomes),
        "fault": fault_figures(injected, live),
        "offline": {"cut_seconds": 2.0, "buffered": 10, "delivered": 10, "lost": 0, "live_readings": 57},
        "alerts": {
            "raised": 1,
            "emails": 1,
            "mail_directory": str(path.parent / "mail"),
            "announcements": [str(path.parent / "announcements" / "lindau" / "a.mp3")],
        },
        "resources": {"registered": 12, "by_type": {}},
    }


def written(path: Path, live: Live, injected: InjectedFaults) -> str:
    write_report(path, summarised(path, live, injected), live, injected, SAMPLES)
    return path.read_text()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    outcomes = [
        {"target_time": DAY0 + dt.timedelta(hours=h), "value": 50.0, "lower": 40.0, "upper": 60.0, "last_value": 48.0,
         "actual": 55.0, "model_version": "<b>1.0.1</b>"}
        for h in range(48)
    ]  # fmt: skip
    injected = {"machine-01": [(DAY0, DAY0 + dt.timedelta(days=9), "valves")]}
    scores = [
        {"device": "machine-01", "event_time": DAY0 + dt.timedelta(days=d), "probability": d / 10, "threshold": 0.5,
         "faulty": d > 5}
        for d in range(9)
    ]  # fmt: skip
    alerts = [
        {"message_id": message_id, "device": "machine-01", "cause": "fault", "severity": "critical", "state": state,
         "raised_at": DAY0 + dt.timedelta(days=day), "text": f"the valves <{state}>"}
        for message_id, state, day in (("a", "active", 6), ("b", "cleared", 9))
    ]  # fmt: skip
    path = tmp_path / "report.html"
    written(path, Live(outcomes, scores, alerts, {}), injected)
    return path


def test_the_report_says_the_figures_and_loads_nothing_from_elsewhere(report: Path):
    page = report.read_text()
    for said in ("0 lost, 0 doubled", "1,000 readings", "1 of 1 faults", "simulator, seed &lt;0&gt;"):
        assert said in page
    body = page[page.index("<body>") :]
    assert re.findall('src="([^"]*)"', body) == ["announcements/lindau/a.mp3"]
    assert "the valves &lt;cleared&gt;" in body
    assert "<link" not in page
    links = re.findall('href="([^"]*)"', body)
    assert "mail/" in links
    assert not any(":" in link or link.startswith("/") for link in links), "the folder of the report can be moved"
    assert str(report.parent) not in page
    assert len(page) < 2_500_000


def test_a_demo_without_any_outcome_or_alert_has_a_report_that_says_so(tmp_path: Path):
    page = written(tmp_path / "report.html", Live([], [], [], {}), {})
    assert "0 of 0 faults" in page
    assert "There was nothing to tell" in page
    assert "nan" not in page[page.index("<body>") : page.index('id="plotly"')].lower()


def test_the_terminal_says_the_figures_and_also_that_there_are_none(tmp_path: Path):
    def said(live: Live) -> str:
        terminal = io.StringIO()
        Console(file=terminal, width=200).print(summary_table(summarised(tmp_path / "report.html", live, {})))
        return terminal.getvalue()

    outcome = {"value": 50.0, "lower": 40.0, "upper": 60.0, "last_value": 47.0, "actual": 55.0, "model_version": "1"}
    assert "errs by 8.0: skill +37.5 %; 100.0 % of the outcomes" in said(Live([outcome], [], [], {}))
    assert "no outcome came back" in said(Live([], [], [], {}))


def test_a_browser_draws_the_three_plots(report: Path, tmp_path: Path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine")
    drawn = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}",
         "--virtual-time-budget=20000", "--dump-dom", report.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    body = drawn.stdout[drawn.stdout.index("<body>") :]
    for section in ("forecast", "faults", "rate"):
        part = body[body.index(f'id="{section}"') :].split("</section>")[0]
        assert part.count("main-svg") >= 2, f"{section} is not drawn: {drawn.stderr[-500:]}"
