"""An uplink in this process, step by step on a clock of the test's, at a cloud with the pace of AWS IoT Core."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from awscrt import mqtt5

from pm_contracts.messages import DeadLetter, decode
from pm_edge.components.uplink import uplink as uplink_module
from pm_edge.components.uplink.admission import Admission, Priority
from pm_edge.components.uplink.dead_letter_store import DeadLetterStore
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.uplink import Uplink
from pm_edge.runtime.component import Component
from pm_edge.runtime.journal import Journal
from pm_edge.runtime.settings import Settings

SITE = "lindau"
DEVICES = {"air-1": "air_quality", "machine-01": "machine"}
#: Of a connection to AWS IoT Core: publishes a second, "Publish requests per second per connection", and bytes,
#: "Throughput per second per connection", of its message broker limits.
PUBLISHES, BYTES = 100, 512_000
#: Steps of the uplink's thread in a second: it wakes for arrivals and answers, and gathers for 20 ms.
STEPS = 10


class PacedCloud:
    """Acknowledges in order, no more and no faster than AWS IoT Core takes from one connection."""

    def __init__(self) -> None:
        self.took: list[tuple[str, bytes]] = []
        self.told: list[bytes] = []
        self._under_way: deque[tuple[str, bytes, Future[Any]]] = deque()
        self._publishes = self._bytes = 0.0

    def start(self) -> None:
        pass

    stop = take_up_identity = start

    def publish(self, topic: str, payload: bytes) -> "Future[Any]":
        future: Future[Any] = Future()
        self._under_way.append((topic, payload, future))
        return future

    def publish_at_most_once(self, topic: str, payload: bytes) -> None:
        self.told.append(payload)
        self._publishes -= 1
        self._bytes -= len(topic) + len(payload)

    def pass_time(self, seconds: float) -> None:
        self._publishes = min(self._publishes + PUBLISHES * seconds, PUBLISHES)
        self._bytes = min(self._bytes + BYTES * seconds, BYTES)
        while self._under_way and self._publishes >= 1 and self._bytes > 0:
            topic, payload, future = self._under_way.popleft()
            self._publishes -= 1
            self._bytes -= len(topic) + len(payload)
            self.took.append((topic, payload))
            future.set_result(
                mqtt5.PublishCompletionData(puback=mqtt5.PubackPacket(reason_code=mqtt5.PubackReasonCode.SUCCESS))
            )

    def on(self, channel: str) -> list[bytes]:
        return [payload for topic, payload in self.took if topic.endswith(f"/{channel}")]

    def letters(self) -> list[DeadLetter]:
        return [decode(payload, DeadLetter) for payload in self.on("dead-letter")]


class Floor:
    """The uplink, its cloud and its clock."""

    def __init__(self, directory: Path, clock: Callable[[], float], bus: Any = None, outbox_bytes: int = 10**8) -> None:
        self.cloud = PacedCloud()
        self.directory = directory
        self.component = Component("pm.Uplink", Settings(SITE, DEVICES, directory), bus)
        priorities = [int(priority) for priority in Priority]
        self.outbox = Outbox(directory / "outbox.sqlite", outbox_bytes, priorities, Priority.DEAD_LETTER)
        self.store = DeadLetterStore(directory / "dead-letters.sqlite")
        self.uplink = Uplink(
            self.component,
            Admission(SITE, DEVICES),
            self.outbox,
            self.store,
            Journal(directory / "journal", "uplink"),
        )
        self._clock = clock
        self.uplink._cloud = self.cloud  # type: ignore[assignment]
        self.uplink._sender.use(self.cloud, 100)  # type: ignore[arg-type]
        self.uplink.up()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * STEPS)):
            self._clock.now += 1 / STEPS  # type: ignore[attr-defined]
            self.uplink._step()
            self.cloud.pass_time(1 / STEPS)

    @property
    def counters(self) -> dict[str, int]:
        self.uplink.update_counters()
        return self.component.counters.snapshot()

    def close(self) -> None:
        self.outbox.close()
        self.store.close()


class Clock:
    """Seconds that pass where a test lets them."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def make_floor(tmp_path, monkeypatch):
    """Makes an uplink on the test's own clock; another one in the same folder is its next start."""
    clock = Clock()
    monkeypatch.setattr(uplink_module, "time", SimpleNamespace(monotonic=clock, time=clock))
    floors: list[Floor] = []

    def make(**options: Any) -> Floor:
        floors.append(Floor(tmp_path, clock, **options))
        return floors[-1]

    yield make
    for floor in floors:
        floor.close()
