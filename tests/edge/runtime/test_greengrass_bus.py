"""The local bus on Greengrass's inter-process communication: AWS's own client against a server of its protocol.

The server is that of `fake_nucleus.py`, in both of a nucleus's makes. Not proved here: what a real nucleus does beyond
what its source was read for; `docs/sandbox.md` says what was seen on real ones.
"""

import base64
import datetime as dt
import gc
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from awscrt import NativeResource
from awscrt.eventstream.rpc import ClientContinuation
from awsiot.eventstreamrpc import ClientOperation

from pm_contracts import budgets
from pm_contracts.messages import Command, DeadLetter, decode, encode
from pm_edge.runtime import greengrass_bus
from pm_edge.runtime.bus import WINDOW, BusError, TooLargeError
from pm_edge.runtime.component import Component
from pm_edge.runtime.connect import connect
from pm_edge.runtime.inference import subscribe_to_readings
from pm_edge.runtime.settings import Settings
from pm_edge.runtime.window import Room, Window
from tests.edge.fake_nucleus import CLASSIC_SOCKET, LITE_SOCKET, TOKEN, Nucleus
from tests.waiting import eventually

PUBLISHES = 10_000


@pytest.fixture(params=[CLASSIC_SOCKET, LITE_SOCKET], ids=["classic", "lite"])
def nucleus(request, tmp_path, monkeypatch) -> Iterator[Nucleus]:
    yield from _running(tmp_path / request.param, monkeypatch)


@pytest.fixture
def lite(tmp_path, monkeypatch) -> Iterator[Nucleus]:
    yield from _running(tmp_path / LITE_SOCKET, monkeypatch)


def _running(path: Path, monkeypatch) -> Iterator[Nucleus]:
    running = Nucleus(path)
    monkeypatch.setenv("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", str(path))
    monkeypatch.setenv("SVCUID", TOKEN)
    yield running
    running.stop()


class Heard:
    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._news = threading.Condition()

    def __call__(self, topic: str, payload: bytes) -> None:
        with self._news:
            self.messages.append((topic, payload))
            self._news.notify_all()

    def wait(self, count: int) -> list[tuple[str, bytes]]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.messages) >= count, 60), f"{len(self.messages)} of {count}"
            return list(self.messages)


def test_messages_go_over_the_nucleus_in_order_with_their_bytes_its_own_too(nucleus):
    bus = connect("lindau", "pm.Test")
    heard = Heard()
    bus.subscribe("pm/lindau/#", heard)
    sent = [(f"pm/lindau/air-{number % 3}/reading", b"\x00\xff%d" % number) for number in range(2 * WINDOW)]
    for topic, payload in sent:
        bus.publish(topic, payload)
    assert bus.flush(60)
    assert heard.wait(len(sent)) == sent
    assert base64.b64encode(sent[0][1]) != sent[0][1]
    bus.close()


def test_on_lite_a_bus_that_is_not_there_yet_is_waited_for(lite, monkeypatch):
    lite.stop()
    tried = threading.Event()

    def wait(_seconds: float) -> None:
        if not tried.is_set():
            tried.set()
            lite.start()

    monkeypatch.setattr(greengrass_bus.time, "sleep", wait)
    bus = connect("lindau", "pm.Test")
    assert tried.is_set()
    heard = Heard()
    bus.subscribe("pm/lindau/alert", heard)
    bus.publish("pm/lindau/alert", b"at last")
    assert heard.wait(1) == [("pm/lindau/alert", b"at last")]
    bus.close()


def test_a_bus_that_is_never_there_is_given_up_on_either_nucleus(nucleus, monkeypatch):
    nucleus.stop()
    monkeypatch.setattr(greengrass_bus, "_START_SECONDS", 0.1)
    with pytest.raises(BusError, match="the Greengrass nucleus does not answer"):
        connect("lindau", "pm.Test")


def test_a_component_says_to_a_classic_nucleus_that_it_runs_and_nothing_to_lite_which_knows(nucleus):
    bus = connect("lindau", "pm.Test")
    bus.ready()
    assert nucleus.states == ([] if nucleus.is_lite else ["RUNNING"])
    bus.close()


def test_a_nucleus_that_is_gone_is_told_nothing(tmp_path, monkeypatch):
    for running in _running(tmp_path / CLASSIC_SOCKET, monkeypatch):
        bus = connect("lindau", "pm.Test")
        running.stop()
        with pytest.raises(BusError, match="does not take that the component runs"):
            bus.ready()


def test_a_callback_may_publish_more_than_the_window_holds(nucleus):
    bus = connect("lindau", "pm.Test")
    heard = Heard()
    bus.subscribe("pm/lindau/out", heard)

    def answer(topic: str, payload: bytes) -> None:
        for number in range(2 * WINDOW):
            bus.publish("pm/lindau/out", b"%d" % number)

    bus.subscribe("pm/lindau/in", answer)
    bus.publish("pm/lindau/in", b"")
    assert [payload for _, payload in heard.wait(2 * WINDOW)] == [b"%d" % number for number in range(2 * WINDOW)]
    bus.close()


def test_after_ten_thousand_publishes_no_operation_lives_and_nothing_came_too_much(nucleus, monkeypatch):
    monkeypatch.setattr(NativeResource, "_track_lifetime", True)
    bus = connect("lindau", "pm.Test")
    bus.subscribe("pm/lindau/+/forecast", Heard())
    before, its_own = _living(ClientOperation), _streams()
    for number in range(PUBLISHES):
        bus.publish("pm/lindau/air-1/reading", b"%d" % number)
    assert bus.flush(60)
    assert nucleus.published == PUBLISHES
    # A stream ends when its last frame is written, a little after the answer.
    eventually(lambda: (gc.collect(), _streams() - its_own)[1] <= 0, lambda: f"{_streams() - its_own} streams to end")
    assert _living(ClientOperation) <= before
    eventually(lambda: nucleus.ended == (PUBLISHES if nucleus.is_lite else 0), lambda: f"{nucleus.ended} ended")
    assert nucleus.surplus == 0
    bus.close()


def _living(kind: type) -> int:
    gc.collect()
    return sum(isinstance(each, kind) for each in gc.get_objects())


def _streams() -> int:
    return sum(isinstance(each, ClientContinuation) for each in list(NativeResource._living))


def test_the_largest_payload_goes_there_and_back_and_a_larger_one_is_refused_before_it_is_sent(nucleus):
    bus = connect("lindau", "pm.Test")
    heard = Heard()
    bus.subscribe("pm/lindau/#", heard)
    for topic in ("pm/lindau/alert", f"pm/lindau/{'d' * 32}/reading"):
        largest = bus.largest_payload(topic)
        assert 7_000 < largest < 7_300 if nucleus.is_lite else largest == 128 * 1024
        with pytest.raises(TooLargeError, match=f"{largest + 1} bytes on {topic}: the nucleus carries {largest}"):
            bus.publish(topic, bytes(largest + 1))
        with pytest.raises(TooLargeError):
            bus.publish_at_most_once(topic, bytes(largest + 1))
        bus.publish(topic, bytes(largest))
    assert bus.flush(60)
    assert [len(payload) for _, payload in heard.wait(2)] == [
        bus.largest_payload("pm/lindau/alert"), bus.largest_payload(f"pm/lindau/{'d' * 32}/reading")
    ]  # fmt: skip
    assert nucleus.skipped == 0
    bus.close()


def test_lite_closes_the_connection_on_a_larger_frame(lite, monkeypatch):
    monkeypatch.setattr(greengrass_bus, "LITE_FRAME_BYTES", 11_000)
    bus = connect("lindau", "pm.Test")
    bus.publish("pm/lindau/alert", bytes(bus.largest_payload("pm/lindau/alert")))
    eventually(lambda: lite.oversized, "the connection to be closed")
    assert lite.published == 0
    bus.close()


def test_what_the_recipe_s_access_control_forbids_is_an_error_with_the_topic(nucleus):
    bus = connect("lindau", "pm.Test")
    reason = "UnauthorizedError" if nucleus.is_lite else "not authorized to access pm/lindau/secret"
    with pytest.raises(BusError, match=f"refuses a subscription to pm/lindau/secret: {reason}"):
        bus.subscribe("pm/lindau/secret", Heard())
    bus.publish("pm/lindau/secret/topic", b"")
    assert not bus.flush(60)
    with pytest.raises(BusError, match=f"pm/lindau/alert.*refuses a publish on pm/lindau/secret/topic: {reason}"):
        bus.publish("pm/lindau/alert", b"")
    bus.close()


def test_a_wrong_token_is_refused(nucleus, monkeypatch):
    monkeypatch.setenv("SVCUID", "stolen")
    nucleus.vouches = False
    monkeypatch.setattr(greengrass_bus, "_START_SECONDS", 0.1)
    with pytest.raises(BusError, match="the Greengrass nucleus does not answer"):
        connect("lindau", "pm.Test")


def test_a_process_of_lite_that_begins_anew_with_a_token_of_an_earlier_time_gives_its_name(lite, monkeypatch):
    monkeypatch.setenv("SVCUID", "of an earlier time")
    bus = connect("lindau", "pm.Test")
    bus.publish("pm/lindau/alert", b"")
    assert bus.flush(60)
    bus.close()


def test_when_a_classic_nucleus_goes_a_publish_fails_so_that_the_component_ends_and_is_started_anew(
    tmp_path, monkeypatch
):
    for nucleus in _running(tmp_path / CLASSIC_SOCKET, monkeypatch):
        bus = connect("lindau", "pm.Test")
        bus.publish("pm/lindau/alert", b"")
        assert bus.flush(60)
        nucleus.stop()
        closed = threading.Event()

        def publish_until_it_fails(bus=bus, closed=closed) -> None:
            try:
                while True:
                    bus.publish("pm/lindau/alert", b"")
                    bus.flush(1)
            except BusError:
                closed.set()

        threading.Thread(target=publish_until_it_fails, daemon=True).start()
        assert closed.wait(60)
        bus.close()


def test_on_lite_the_bus_outlives_any_number_of_crashes_of_its_server_and_sends_again_in_order(lite, monkeypatch):
    monkeypatch.setattr(greengrass_bus, "_BACK_OFF", (0.01, 0.1))
    bus = connect("lindau", "pm.Test")
    heard, late = Heard(), Heard()
    bus.subscribe("pm/lindau/+/reading", heard)
    sent: list[bytes] = []
    for crash in range(6):
        lite.mute = True
        for number in range(WINDOW // 2):
            sent.append(b"%d %d" % (crash, number))
            bus.publish("pm/lindau/air-1/reading", sent[-1])
        assert not bus.flush(0.0)
        lite.stop()
        if crash == 5:
            eventually(lambda: not bus._is_connected, "the crash to be noticed")
            bus.subscribe("pm/lindau/alert", late)
        lite.mute = False
        lite.start()
        assert bus.flush(60)
    assert [payload for _, payload in heard.wait(len(sent))] == sent
    bus.publish("pm/lindau/alert", b"said once more")
    assert late.wait(1) == [("pm/lindau/alert", b"said once more")]
    bus.close()


def test_what_lite_cannot_bind_is_refused_with_its_error(lite):
    bus = connect("lindau", "pm.Test")
    for number in range(99):
        bus.subscribe(f"pm/lindau/air-{number}/reading", Heard())
    with pytest.raises(BusError, match="refuses a subscription to pm/lindau/alert: ServiceError"):
        bus.subscribe("pm/lindau/alert", Heard())
    bus.close()


def test_what_is_too_large_for_lite_is_counted_and_ends_as_a_dead_letter_that_fits(lite, tmp_path):
    bus = connect("lindau", "pm.Test")
    component = Component("pm.Test", Settings("lindau", {}, tmp_path), bus)
    heard = Heard()
    bus.subscribe("pm/lindau/#", heard)
    issued_at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    command = Command(site="lindau", name="replay", issued_at=issued_at, parameters={"data": "\x01" * 2_000})
    assert component.publish("pm/lindau/command/replay", command) is False
    component.publish_dead_letter("t" * 300, b"x" * 10**6, "\x01" * 5_000)
    assert component.publish("pm/lindau/command/replay", msgspec.structs.replace(command, parameters={})) is True
    assert component.counters.snapshot() == {"too_large": 1}
    (_, first), (_, second), (topic, _) = heard.wait(3)
    assert topic == "pm/lindau/command/replay"
    letter = decode(first, DeadLetter)
    assert letter.topic == "pm/lindau/command/replay"
    assert re.search(
        r"^\d+ bytes on .*: the nucleus carries \d+ at most \(kept: the first \d+ of \d+ bytes\)", letter.reason
    )
    assert encode(command).startswith(base64.b64decode(letter.payload))
    assert len(base64.b64decode(decode(second, DeadLetter).payload)) > 1_000
    bus.close()


def test_a_nucleus_that_answers_nothing_holds_up_nothing_for_ever(nucleus):
    bus = connect("lindau", "pm.Test")
    entered, released = threading.Event(), threading.Event()

    def publish_on(topic: str, payload: bytes) -> None:
        entered.set()
        try:
            for _ in range(WINDOW + 1):
                bus.publish("pm/lindau/out", b"")
        except BusError:
            released.set()
            raise

    bus.subscribe("pm/lindau/in", publish_on)
    nucleus.mute_answers = True
    bus.publish("pm/lindau/in", b"")
    assert entered.wait(60)
    eventually(lambda: bus._window.enter_at_once() is None, "the window to be full")
    bus.publish_at_most_once("pm/lindau/status", b"")  # is dropped, and returns
    assert not bus.flush(0.1)
    bus.stop_receiving()
    assert released.wait(60)
    assert not bus.flush(60)
    with pytest.raises(BusError, match="could not be answered"):
        bus.publish("pm/lindau/alert", b"")
    bus.close()


def test_a_nucleus_that_says_nothing_at_all_lets_go_of_whoever_subscribes_publishes_and_closes(nucleus, monkeypatch):
    bus = connect("lindau", "pm.Test")
    monkeypatch.setattr(greengrass_bus, "_ANSWER_SECONDS", 0.2)
    nucleus.mute = True
    with pytest.raises(BusError, match="refuses a subscription to pm/lindau/#: TimeoutError"):
        bus.subscribe("pm/lindau/#", Heard())
    for _ in range(WINDOW):
        bus.publish("pm/lindau/alert", b"")
    assert not bus.flush(0.0)
    refused = threading.Event()

    def publish_one_more() -> None:
        with pytest.raises(BusError, match="the bus is closed"):
            bus.publish("pm/lindau/alert", b"")
        refused.set()

    waiting = threading.Thread(target=publish_one_more)
    waiting.start()
    bus.stop_receiving()
    bus.close()
    assert refused.wait(60)
    waiting.join()
    assert not bus.flush(60)


def test_a_nucleus_that_does_not_even_greet_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(greengrass_bus, "_ANSWER_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / LITE_SOCKET))
        listening.listen()
        monkeypatch.setenv("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", str(tmp_path / LITE_SOCKET))
        with pytest.raises(BusError, match="the Greengrass nucleus does not answer: TimeoutError"):
            connect("lindau", "pm.Test")


def test_two_hundred_devices_take_one_subscription_and_others_are_not_heard(lite, tmp_path):
    devices = {f"air-{number}": "air_quality" for number in range(200)} | {"machine-01": "machine"}
    component = Component("pm.Test", Settings("lindau", devices, tmp_path), connect("lindau", "pm.Test"))
    heard = Heard()
    subscribe_to_readings(component, "air_quality", heard)
    eventually(lite.subscriptions, "the subscription, made with the connection that comes first")
    assert lite.subscriptions() == ["pm/lindau/+/reading"]
    for device in ("machine-01", "air-200", "air-199", "air-0"):
        component.bus.publish(f"pm/lindau/{device}/reading", device.encode())
    assert heard.wait(2) == [(f"pm/lindau/{device}/reading", device.encode()) for device in ("air-199", "air-0")]
    component.bus.close()


def test_what_waits_for_a_slow_callback_is_bounded_in_bytes_and_the_rest_is_counted_and_told(
    nucleus, tmp_path, monkeypatch
):
    monkeypatch.setattr(budgets, "BUS_HELD_BYTES", 100_000)
    entered, go = threading.Event(), threading.Event()
    heard: list[bytes] = []

    def slow(topic: str, payload: bytes) -> None:
        entered.set()
        assert go.wait(60)
        heard.append(payload)

    bus = connect("lindau", "pm.Test")
    bus.subscribe("pm/lindau/+/reading", slow)
    sent = [b"%05d" % number + b"x" * 5_000 for number in range(100)]
    for payload in sent:
        bus.publish("pm/lindau/air-1/reading", payload)
    assert entered.wait(60)
    assert bus.flush(60), "no publisher waits"
    # One is being worked off.
    held = 1 + 100_000 // (len("pm/lindau/air-1/reading") + len(sent[0]) + 1_000)
    eventually(lambda: bus.dropped == len(sent) - held, f"all but {held} to be dropped: {bus.dropped}")
    go.set()
    eventually(lambda: len(heard) == held, "what was held to be worked off")
    assert heard == sent[:held]
    bus.publish("pm/lindau/air-1/reading", b"after")
    eventually(lambda: heard[-1] == b"after", "it goes on")
    component = Component("pm.Test", Settings("lindau", {}, tmp_path), bus)
    component._publish_status(None)
    assert component.counters.snapshot()["bus_dropped"] == bus.dropped
    bus.close()


def test_a_window_that_is_closed_says_why_and_lets_no_one_wait():
    window = Window(Room(1, 100))
    ticket = window.enter()
    assert window.enter_at_once() is None
    window.close(BusError("gone"))
    for enter in (window.enter, window.enter_at_once):
        with pytest.raises(RuntimeError, match="closed: gone"):
            enter()
    assert not window.wait_for_earlier(60)
    window.leave(ticket)
    assert not window.wait_for_earlier(60)
