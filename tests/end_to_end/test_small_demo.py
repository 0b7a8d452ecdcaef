"""The whole system, once: the real program in the real emulator, real components, real training, real counts.

A span of three years instead of five, so that it takes a minute. Does not prove anything about AWS itself (see
docs/sandbox.md), nor the figures of the full demo, which `make demo` prints.
"""

import datetime as dt
import email
import email.policy
import json
import os
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from pm_edge.devices.simulator import sources
from pm_sandbox.demo import story
from pm_sandbox.demo.plan import Plan
from pm_sandbox.progress import SILENT
from tests.pulumi_stub import Stub
from tests.waiting import eventually

HISTORY_DAYS, LIVE_DAYS, MACHINES = 1000, 80, 10

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def pulumi(tmp_path_factory: pytest.TempPathFactory) -> Stub:
    """A command of Pulumi's that is there while the demo runs."""
    return Stub(tmp_path_factory.mktemp("commands"), "echo v3.274.1")


@pytest.fixture(scope="module")
def demo(out: Path, pulumi: Stub) -> dict[str, Any]:
    live_start = sources.START + dt.timedelta(days=HISTORY_DAYS)
    plan = Plan(
        live_start=live_start, end=live_start + dt.timedelta(days=LIVE_DAYS), cut_messages=1000, live_per_second=200
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", str(pulumi.folder), prepend=os.pathsep)
        return story.run(plan, out, SILENT)


def test_no_command_of_pulumi_is_taken(demo, pulumi):
    assert shutil.which("pulumi", path=str(pulumi.folder)) == str(pulumi.path)
    assert pulumi.runs == []


def test_every_reading_of_the_history_is_in_the_lake_once(demo):
    readings = demo["readings"]
    assert readings["published"] == HISTORY_DAYS * (24 + MACHINES)
    assert readings["in_lake"] == readings["published"]
    assert (readings["lost"], readings["duplicated"]) == (0, 0)


def test_nothing_is_lost_while_the_uplink_is_cut(demo):
    offline = demo["offline"]
    assert offline["live_readings"] == LIVE_DAYS * (24 + MACHINES)
    assert offline["live_in_lake"] == offline["live_readings"]
    assert offline["lost"] == 0
    assert offline["buffered"] >= 1000
    assert offline["delivered"] == offline["buffered"]
    assert offline["cut_seconds"] > 0


def test_both_models_were_trained_judged_and_run_on_the_floor(demo, out):
    models = {model["kind"]: model for model in demo["training"]["models"]}
    assert set(models) == {"forecast", "fault"}
    for kind, model in models.items():
        assert model["passed"], model["reasons"]
        assert (
            f"<h1>{kind.capitalize()} model {model['version']}</h1>" in (out / f"{kind}_model_report.html").read_text()
        )
    assert demo["forecast"]["by_model_version"][models["forecast"]["version"]] > LIVE_DAYS * 24 - 48
    assert demo["fault"]["scored"] == LIVE_DAYS * MACHINES


def test_each_hour_has_its_forecast_and_its_outcome(demo):
    # The first hour has nothing before it, and the last one's successor never comes.
    assert demo["forecast"]["outcomes"] == LIVE_DAYS * 24 - 1
    assert 0.8 < demo["forecast"]["interval_coverage"] <= 1


def test_each_alert_is_mailed_and_spoken(demo, out):
    alerts = demo["alerts"]
    mails = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in sorted((out / "mail").glob("*.eml"))
    ]
    assert len(mails) == alerts["emails"] == len(alerts["announcements"])
    assert alerts["raised"] >= 1
    assert all(mail["To"] == "operator@example.com" and "lindau" in mail.get_content() for mail in mails)
    for announcement in alerts["announcements"]:
        speech = Path(announcement).read_bytes()
        # An MPEG audio frame begins with eleven set bits; half a second at 32 kbit/s is 2,000 bytes.
        assert speech[0] == 0xFF
        assert speech[1] & 0xE0 == 0xE0
        assert len(speech) > 2000


def test_demo_json_has_what_it_promises_and_the_report_lies_beside_it(demo, out):
    written = json.loads((out / "demo.json").read_text())
    assert written == json.loads(json.dumps(demo))
    assert set(written["seconds"]) == {"deploy", "ingest", "train", "rollout", "live", "alert", "total"}
    assert {"rmse", "persistence_rmse", "skill", "interval_coverage"} <= set(written["forecast"])
    assert {"injected", "detected", "false_alarms"} <= set(written["fault"])
    assert written["resources"]["registered"] == sum(written["resources"]["by_type"].values()) > 100
    assert (out / "report.html").stat().st_size > 1_000_000


def test_all_that_was_started_has_ended(demo, out):
    def left() -> list[str]:
        lines = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
        return [line for line in lines if str(out) in line]

    eventually(lambda: not left(), lambda: f"the end of {left()}")


def test_the_devices_keys_never_left_the_device(demo, out):
    keys = [p for p in out.rglob("*") if p.is_file() and b"PRIVATE KEY" in p.read_bytes()[:200]]
    device = out / "demo" / "devices" / "lindau-core"
    # Its own, and that of the authority by which it vouches for its broker.
    assert {p.relative_to(device).as_posix() for p in keys} == {
        "identity/private-key.pem",
        "nucleus/client-devices/authority-key.pem",
    }
    assert all(p.stat().st_mode & 0o077 == 0 for p in keys)
    assert "PRIVATE KEY" not in (out / "demo" / "cloud" / "deployment.json").read_text()
