"""Messages that devices make the gateway keep: bounded in bytes; one without room is refused and counted, not taken.

The gateway is an object here. Not proved: TLS, and the memory of its process.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pm_contracts import budgets
from pm_sandbox.core_device import mqtt
from pm_sandbox.core_device.broker_connection import Connection
from pm_sandbox.core_device.client_devices.admission import Admission
from pm_sandbox.core_device.client_devices.bus_link import BusLink
from pm_sandbox.core_device.client_devices.cloud import DeviceCloud
from pm_sandbox.core_device.client_devices.configuration import Configuration
from pm_sandbox.core_device.client_devices.gateway import RETAINED_BYTES, Gateway
from pm_sandbox.core_device.client_devices.shadows import SHADOW_BYTES, Shadows

NOBODY = cast(DeviceCloud, None)
Publish = Callable[..., None]


def gateway(directory: Path) -> tuple[Gateway, Publish, list[int]]:
    """A gateway whose bus is not there, a device that publishes, and the packets that it was acknowledged."""
    rules = cast(Configuration, SimpleNamespace(allows=lambda *_: True, bridged=("pm/gera/+/reading",)))
    admission = Admission(NOBODY, 60.0, directory / "verified.json")
    one = Gateway(rules, admission, BusLink("", 0, "bridge"), directory / "status.json", directory / "sessions.json")
    answers: list[int] = []
    session = SimpleNamespace(unreleased=set())
    device = SimpleNamespace(
        client_id="gera_air-1", session=session, send=lambda packet: answers.append(int.from_bytes(packet[-2:], "big"))
    )

    def publish(topic: str, payload: bytes, packet_id: int = 1, *, retain: bool = False) -> None:
        one.publish(cast(Connection, device), mqtt.Publish(topic, payload, 1, packet_id, retain))

    return one, publish, answers


def test_what_waits_for_the_bus_is_bounded_and_the_device_is_not_told_that_the_rest_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budgets, "CLIENT_DEVICES_BYTES", 1_000_000)

    async def run() -> None:
        one, publish, answers = gateway(tmp_path)
        for number in range(1, 101):
            publish("pm/gera/air-1/reading", b"x" * 100_000, number)
        status = json.loads((tmp_path / "status.json").read_text())
        assert (status["carried"], status["admission"]["refused_Room"]) == (9, 91)
        assert answers == []
        publish("pm/gera/air-1/other", b"x", 101)  # which the bus has nothing to do with
        assert answers == [101]
        # None of what was taken had to go for it.
        assert one._bus._bus.dropped == 0

    asyncio.run(run())


def test_retained_messages_without_content_are_bounded_too(tmp_path: Path) -> None:
    async def run() -> None:
        one, publish, _ = gateway(tmp_path)
        for number in range(5_000):
            publish(f"{number}", b"x", retain=True)
        assert 0 < len(one._retained) < RETAINED_BYTES / 400

    asyncio.run(run())


def test_a_shadow_is_no_larger_than_aws_s_and_what_would_make_it_so_is_rejected(tmp_path: Path) -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    async def run() -> None:
        file = tmp_path / "shadows.json"
        shadows = Shadows(file, NOBODY, [], lambda topic, payload: told.append((topic, json.loads(payload))))
        for number in range(100):
            reported = {f"key-{number}": "x" * 1_000}
            shadows.handle("gera_air-1", "update", json.dumps({"state": {"reported": reported}}).encode())
        accepted = [document for topic, document in told if topic.endswith("/update/accepted")]
        rejected = [document for topic, document in told if topic.endswith("/update/rejected")]
        assert (len(accepted), len(rejected)) == (8, 92)
        assert {document["code"] for document in rejected} == {413}
        assert f"{SHADOW_BYTES} are allowed" in rejected[0]["message"]
        assert len(json.loads(file.read_text())["gera_air-1"]["reported"]) == 8
        # One that makes room is taken.
        smaller = {"state": {"reported": {"key-0": None, "other": "x" * 900}}}
        shadows.handle("gera_air-1", "update", json.dumps(smaller).encode())
        assert told[-1][0].endswith("/update/accepted")

    asyncio.run(run())
