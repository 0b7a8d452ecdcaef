"""A short drill on a real factory keeps each promise, Ctrl-C leaves nothing behind, and a broken promise is seen.

Not proved here: what takes minutes, as memory that grows slowly, and the faults that have drills of their own in
`tests/drills` (a killed nucleus, damaged files); `make drill` has them all.
"""

import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import psutil
import pytest

from pm_contracts.budgets import PROCESS_BYTES
from pm_contracts.messages import decode
from resilience.drill import schedule
from resilience.drill.faults import FAULTS
from resilience.drill.forgery import NOBODY, OTHER_SITE, forged, of_nobody
from resilience.drill.verdict import Result, doubled
from tests.waiting import eventually, has_ended

ROOT = Path(__file__).resolve().parents[2]
KINDS = (
    "kill_uplink", "kill_broker", "kill_gateway", "outage", "full_disk", "alert_storm", "garbage", "large_garbage",
    "frozen_subscriber", "forged_messages", "clock_ahead", "command_flood",
)  # fmt: skip
KEYS = {
    "seconds", "readings", "lost", "doubled", "forged", "starved", "faults", "peak_bytes", "budgets",
}  # fmt: skip


def command(work: Path, *arguments: str) -> list[str]:
    files = ("--work", str(work), "--file", str(work / "drill.json"))
    return [sys.executable, "-m", "resilience.drill", *files, *arguments]


def test_a_short_drill_keeps_each_promise(tmp_path):
    only = [argument for kind in KINDS for argument in ("--only", kind)]
    ended = subprocess.run(
        command(tmp_path, "--seconds", "10", "--seed", "11", *only),
        cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert (tmp_path / "drill.json").exists(), ended.stdout + ended.stderr
    found = json.loads((tmp_path / "drill.json").read_text())
    assert set(found) == KEYS
    assert found["readings"] > 0
    assert found["faults"] == dict.fromkeys(KINDS, 1), ended.stdout
    assert {name: found[name] for name in ("lost", "doubled", "forged", "starved")} == {
        "lost": 0,
        "doubled": 0,
        "forged": 0,
        "starved": 0,
    }, ended.stdout
    assert found["budgets"] == {name: PROCESS_BYTES[name] for name in found["peak_bytes"]}
    assert {"pm.Uplink", "local broker", "client-device gateway"} <= set(found["peak_bytes"])
    assert all(0 < peak <= found["budgets"][name] for name, peak in found["peak_bytes"].items()), ended.stdout
    assert ended.returncode == 0, ended.stdout


def test_ctrl_c_ends_it_and_leaves_no_process(tmp_path):
    running = subprocess.Popen(command(tmp_path, "--seed", "1"), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        own = psutil.Process(running.pid)
        eventually(lambda: own.children(recursive=True), "the cloud to start")
        started = own.children(recursive=True)
        os.kill(running.pid, signal.SIGINT)
        said, _ = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "interrupted: everything is stopped" in said
    eventually(lambda: all(has_ended(process) for process in started), "all to end")
    assert not (tmp_path / "drill.json").exists()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"lost": 2}, "2 readings are lost"),
        ({"doubled": 1}, "1 readings are doubled"),
        ({"forged": 3}, "3 forged messages were taken"),
        ({"starved": 1200}, "1,200 of 3,600 readings were starved"),
        ({"readings": 0}, "no reading was sent"),
        ({"peak_bytes": {"pm.Uplink": 300 << 20}}, "pm.Uplink took 300 MiB, and may take 256"),
    ],
)
def test_each_broken_promise_has_a_line(changes, line):
    kept = Result(
        300.0, 3600, 0, 0, 0, 0, faults={"outage": 1}, peak_bytes={"pm.Uplink": 1}, budgets={"pm.Uplink": 256 << 20}
    )
    assert kept.broken == []
    assert kept._replace(**changes).broken == [line]


def test_a_reading_is_doubled_where_it_has_two_identities_and_not_where_it_came_twice():
    lake = {"a": ("air-1", 1), "b": ("air-1", 2), "c": ("air-1", 2), "of another": ("air-2", 1)}
    assert doubled({"a", "b"}, lake) == 1


def test_each_round_of_a_schedule_has_every_kind_and_a_seed_gives_the_same_order():
    def first(seed: int) -> list[str]:
        return list(islice(schedule.order([fault.kind for fault in FAULTS], random.Random(seed)), 3 * len(FAULTS)))

    rounds = first(1)
    assert [set(rounds[at : at + len(FAULTS)]) for at in range(0, len(rounds), len(FAULTS))] == [
        {fault.kind for fault in FAULTS}
    ] * 3
    assert first(1) == rounds != first(2)


def test_forged_messages_are_of_the_contract_and_none_is_of_its_topic():
    at = dt.datetime(2012, 1, 1, tzinfo=dt.UTC)
    said = list(forged("lindau", at, 1))
    for each in said:
        topic, message = each
        assert decode(each.payload, type(message)) == message
        _, site, *rest = topic.split("/")
        device = rest[0] if len(rest) == 2 else ""
        assert message.site != site or message.device != device
    assert {message.site for _, message in said} == {"lindau", OTHER_SITE}
    identities = {message.message_id for _, message in said}
    assert not identities & {f.message.message_id for f in forged("lindau", at + dt.timedelta(hours=1), 2)}
    assert of_nobody("lindau", at, 1).message.device == NOBODY
