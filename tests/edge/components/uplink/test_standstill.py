"""The uplink where the local bus takes no commands, and where its own thread stands still.

The bus here is a model of the local one: it delivers one message after the other, and holds a publisher back once so
many of its messages are not acknowledged. Not proved here: what the local bus does with a subscriber that never
acknowledges.
"""

import datetime as dt
import queue
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from awscrt import mqtt5

from pm_contracts import budgets, topics
from pm_contracts.messages import Command, DeadLetter, decode, encode
from pm_edge.components.uplink.admission import Admission, Priority
from pm_edge.components.uplink.dead_letter_store import DeadLetterStore
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.uplink import Uplink
from pm_edge.runtime import last_end
from pm_edge.runtime.bus import WINDOW, BusError
from pm_edge.runtime.component import Component
from pm_edge.runtime.dead_letters import dead_letter
from pm_edge.runtime.journal import Journal
from pm_edge.runtime.settings import Settings
from tests.edge.components.uplink.plant_floor import DEVICES, SITE
from tests.edge.silent_broker import make_identity
from tests.waiting import eventually

LETTERS = topics.site_topic(SITE, topics.DEAD_LETTER)
REPLAY = topics.command_topic(SITE, "replay")


class LocalBus:
    """Delivers to one subscriber, in order; `is_heard` says whether what is published is ever acknowledged."""

    def __init__(self, *, is_heard: bool) -> None:
        self.subscriber: Any = None
        self._is_heard = is_heard
        self._waiting: queue.Queue[tuple[str, bytes, Any]] = queue.Queue()
        self._window = threading.Semaphore(WINDOW)
        self._closed = threading.Event()
        threading.Thread(target=self._deliver, daemon=True).start()

    def publish(self, topic: str, payload: bytes) -> None:
        while not self._window.acquire(timeout=0.05):
            if self._closed.is_set():
                raise BusError("closed")
        if self._is_heard:
            self._waiting.put((topic, payload, self._window.release))

    def say(self, topic: str, payload: bytes) -> None:
        """Have somebody on the floor say something."""
        self._waiting.put((topic, payload, lambda: None))

    def close(self) -> None:
        self._closed.set()

    def _deliver(self) -> None:
        while True:
            topic, payload, acknowledge = self._waiting.get()
            self.subscriber(topic, payload)
            acknowledge()


class Cloud:
    """Takes everything at once."""

    def __init__(self) -> None:
        self.took: list[tuple[str, bytes]] = []

    def start(self) -> None:
        pass

    stop = take_up_identity = start

    def publish(self, topic: str, payload: bytes) -> "Future[mqtt5.PublishCompletionData]":
        self.took.append((topic, payload))
        future: Future[mqtt5.PublishCompletionData] = Future()
        code = mqtt5.PubackReasonCode.SUCCESS
        future.set_result(mqtt5.PublishCompletionData(puback=mqtt5.PubackPacket(reason_code=code)))
        return future


def command(number: int) -> bytes:
    issued_at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=number)
    return encode(Command(site=SITE, name="replay", issued_at=issued_at))


@pytest.fixture
def make_uplink(tmp_path):
    """Makes an uplink on a bus, that is not started yet."""
    made: list[tuple[Uplink, LocalBus]] = []

    def make(bus: LocalBus) -> tuple[Uplink, Component]:
        component = Component("pm.Uplink", Settings(SITE, DEVICES, tmp_path), bus)  # type: ignore[arg-type]
        uplink = Uplink(
            component,
            Admission(SITE, DEVICES),
            Outbox(tmp_path / "outbox.sqlite", 10**9, [int(each) for each in Priority], Priority.DEAD_LETTER),
            DeadLetterStore(tmp_path / "dead-letters.sqlite"),
            Journal(tmp_path / "journal", "uplink"),
        )
        bus.subscriber = uplink.arrived
        made.append((uplink, bus))
        return uplink, component

    yield make
    for uplink, bus in made:
        bus.close()
        uplink.finish()


def said(number: int, size: int = 1000) -> bytes:
    return encode(dead_letter(SITE, "pm.Replayer", f"row {number}", b"x" * size, "for a test"))


def test_a_full_inbox_and_a_thousand_commands_do_not_wait_for_one_another(make_uplink, monkeypatch):
    bus, cloud = LocalBus(is_heard=True), Cloud()
    uplink, component = make_uplink(bus)
    count = 2 * budgets.INBOX_BYTES // 2_000
    for number in range(count):
        bus.say(LETTERS, said(number))
    for number in range(1_000):
        uplink.commanded(REPLAY, command(number))
    uplink.up()
    uplink.start(cloud, 100)
    eventually(lambda: sum(topic == LETTERS for topic, _ in cloud.took) >= count, "what the floor said")

    def all_answered() -> bool:
        counters = component.counters.snapshot()
        return counters["commands"] + counters["commands_refused"] == 1_000

    eventually(all_answered, lambda: f"each command passed on or refused: {component.counters.snapshot()}")


def test_a_subscriber_that_never_acknowledges_holds_up_commands_alone_and_that_is_said(make_uplink):
    bus, cloud = LocalBus(is_heard=False), Cloud()
    uplink, component = make_uplink(bus)
    uplink.up()
    uplink.start(cloud, 100)
    passed_on = 0
    while passed_on < WINDOW:
        for _ in range(min(budgets.COMMANDS, WINDOW - passed_on)):
            uplink.commanded(REPLAY, command(passed_on))
            passed_on += 1
        eventually(lambda: component.counters.snapshot()["commands"] == passed_on, "them to be passed on")  # noqa: B023
    for number in range(passed_on, passed_on + 400):
        uplink.commanded(REPLAY, command(number))
    for number in range(50):
        bus.say(LETTERS, said(number))
    eventually(lambda: len(cloud.took) >= 51, "what the floor said, and a dead letter")
    uplink.update_counters()
    counters = component.counters.snapshot()
    assert counters["commands_waiting"] == budgets.COMMANDS
    assert counters["commands_refused"] == 400 - budgets.COMMANDS
    assert counters["summed_up"] == counters["commands_refused"] - 1
    assert component._trouble == f"the local bus takes no commands: {budgets.COMMANDS} wait"
    refused = [decode(payload, DeadLetter) for _, payload in cloud.took]
    [letter] = [letter for letter in refused if letter.topic == REPLAY]
    assert letter.reason.startswith(f"{budgets.COMMANDS} commands wait for the local bus")


def test_a_thread_that_stands_still_ends_the_process_with_the_reason(ear, floor, site, tmp_path):
    make_identity(tmp_path / "identity")
    process = floor.start(
        "tests.edge.components.uplink.stuck_uplink", AWS_IOT_THING_NAME="x-core", PM_IOT_ENDPOINT="127.0.0.1:1"
    )
    assert process.wait(60) == 1
    reason = last_end.told(tmp_path, "pm.Uplink")
    assert "the thread uplink has made no step for 2 s; it is at threading.py" in reason
    ear.wait(lambda: "made no step" in ear.status("pm.Uplink").reason, "its last word")
