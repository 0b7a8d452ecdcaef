"""The local bus on the broker of the emulated core device, on a broker of another make, and without one.

Not proved here: Greengrass's local publish/subscribe, which has a test of its own.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from pm_contracts import budgets
from pm_edge.runtime import mqtt_bus
from pm_edge.runtime.bus import WINDOW, BusError
from pm_edge.runtime.connect import connect
from pm_edge.runtime.mqtt_bus import MqttBus
from pm_edge.runtime.window import Room
from tests.waiting import eventually

_AMQTT = """
import asyncio, sys
from amqtt.broker import Broker
async def main():
    broker = Broker({
        "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:" + sys.argv[1], "max_connections": 20}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    })
    await broker.start()
    print("ready on", sys.argv[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class BrokerProcess:
    """A broker that can be killed and started again on the same port."""

    def __init__(self, *command: str) -> None:
        self._command = command
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *self._command, str(self.port)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert re.search(rb"\d+", self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


OURS = ("-m", "pm_sandbox.core_device.broker", "--port")
OTHER = ("-c", _AMQTT)


@pytest.fixture(params=[OURS, OTHER], ids=["ours", "amqtt"])
def broker(request) -> Iterator[BrokerProcess]:
    running = BrokerProcess(*request.param)
    yield running
    running.kill()


@pytest.fixture
def bus(broker) -> Iterator[MqttBus]:
    connected = MqttBus("127.0.0.1", broker.port, "test")
    yield connected
    connected.close()


class Heard:
    """The messages heard, in order."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self._news = threading.Condition()

    def __call__(self, topic: str, payload: bytes) -> None:
        with self._news:
            self.payloads.append(payload)
            self._news.notify_all()

    def wait(self, count: int) -> list[bytes]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.payloads) >= count, 60), f"{len(self.payloads)} of {count}"
            return list(self.payloads)


def test_messages_come_in_their_order_and_flush_waits_for_all_acknowledgements(bus):
    heard = Heard()
    bus.subscribe("pm/lindau/+/reading", heard)
    sent = [b"%d" % number for number in range(2 * WINDOW)]
    for payload in sent:
        bus.publish("pm/lindau/air-1/reading", payload)
    assert bus.flush(60)
    assert heard.wait(len(sent)) == sent


def test_a_callback_may_publish_more_than_the_window_holds(bus):
    heard = Heard()

    def echo(topic: str, payload: bytes) -> None:
        for number in range(2 * WINDOW):
            bus.publish("pm/lindau/air-1/forecast", b"%d" % number)

    bus.subscribe("pm/lindau/air-1/forecast", heard)
    bus.subscribe("pm/lindau/air-1/reading", echo)
    bus.publish("pm/lindau/air-1/reading", b"go")
    assert heard.wait(2 * WINDOW) == [b"%d" % number for number in range(2 * WINDOW)]


def test_a_callback_that_fails_does_not_end_the_delivery(bus, caplog):
    heard = Heard()

    def picky(topic: str, payload: bytes) -> None:
        if payload == b"bad":
            raise RuntimeError("cannot digest this")
        heard(topic, payload)

    bus.subscribe("pm/lindau/alert", picky)
    for payload in (b"bad", b"good"):
        bus.publish("pm/lindau/alert", payload)
    assert heard.wait(1) == [b"good"]
    assert "cannot digest this" in caplog.text


def test_it_survives_the_broker_s_restart_and_sends_again_what_was_not_acknowledged(broker, bus):
    heard = Heard()
    bus.subscribe("pm/lindau/alert", heard)
    bus.publish("pm/lindau/alert", b"before")
    heard.wait(1)
    broker.process.send_signal(signal.SIGSTOP)
    bus.publish("pm/lindau/alert", b"under way when the broker went")
    assert not bus.flush(0.2)
    broker.kill()
    bus.publish("pm/lindau/alert", b"said while there was none")
    broker.start()
    assert bus.flush(60), "what was published meanwhile was not sent again"
    for number in range(100):  # the subscription comes back on a connection of its own, a little sooner or later
        bus.publish("pm/lindau/alert", b"after %d" % number)
        bus.flush(60)
        if any(payload.startswith(b"after") for payload in heard.payloads):
            break
        threading.Event().wait(0.1)
    assert any(payload.startswith(b"after") for payload in heard.payloads)


def test_what_is_sent_again_after_a_broker_s_restart_comes_before_what_is_newer(tmp_path):
    broker = BrokerProcess(
        "-m", "pm_sandbox.core_device.broker", "--sessions", str(tmp_path / "sessions.json"), "--port"
    )
    bus = MqttBus("127.0.0.1", broker.port, "test")
    heard = Heard()
    bus.subscribe("pm/lindau/air-1/reading", heard)
    numbers = range(5 * WINDOW)

    def load() -> None:
        for number in numbers:
            bus.publish("pm/lindau/air-1/reading", b"%d" % number)
            pause.wait(0.001)  # so that there is room for newer ones when the broker goes

    pause = threading.Event()
    thread = threading.Thread(target=load)
    thread.start()
    for count in (WINDOW, 3 * WINDOW):
        heard.wait(count)
        broker.kill()
        broker.start()
    thread.join()
    assert bus.flush(60)
    bus.close()
    broker.kill()
    assert list(dict.fromkeys(heard.payloads)) == [b"%d" % number for number in numbers]


def test_a_broker_that_answers_late_is_waited_for(broker, monkeypatch):
    monkeypatch.setattr(mqtt_bus, "_CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(mqtt_bus, "_CONNECT_ATTEMPTS", 100)
    broker.process.send_signal(signal.SIGSTOP)
    late = threading.Timer(0.5, broker.process.send_signal, [signal.SIGCONT])
    late.start()
    bus = MqttBus("127.0.0.1", broker.port, "patient")
    bus.publish("pm/lindau/alert", b"")
    assert bus.flush(60)
    bus.close()
    late.join()


def test_when_the_broker_is_gone_for_good_nobody_waits_for_ever(broker, monkeypatch):
    monkeypatch.setattr(mqtt_bus, "_CALLBACK_ROOM", Room(10, 1_000))
    monkeypatch.setattr(mqtt_bus, "STOP_SECONDS", 0.2)
    bus = MqttBus("127.0.0.1", broker.port, "left")
    entered, let_go = threading.Event(), threading.Event()
    said: list[str] = []

    def publish_until_it_fails(topic: str, payload: bytes) -> None:
        entered.set()
        try:
            while True:
                bus.publish("pm/lindau/out", b"")
        except BusError as error:
            said.append(str(error))
            let_go.set()

    bus.subscribe("pm/lindau/in", publish_until_it_fails)
    bus.publish("pm/lindau/in", b"")
    assert entered.wait(60)
    broker.kill()
    bus.stop_receiving()
    assert let_go.wait(60)
    assert "could not be answered within" in said[0]
    assert not bus.flush(60)
    bus.close()


def test_while_the_broker_is_frozen_what_is_published_is_bounded_in_bytes_and_statuses_wait_for_nobody():
    broker = BrokerProcess(*OURS)
    bus = MqttBus("127.0.0.1", broker.port, "test")
    os.kill(broker.process.pid, signal.SIGSTOP)
    payload, taken = b"x" * 100_000, []
    count = 2 * budgets.BUS_WINDOW_BYTES // len(payload)

    def publish() -> None:
        for number in range(count):
            bus.publish("pm/lindau/dead-letter", payload)
            taken.append(number)

    publishing = threading.Thread(target=publish)
    publishing.start()
    fitting = budgets.BUS_WINDOW_BYTES // len(payload)
    eventually(lambda: len(taken) == fitting, "as many as have room to be taken")
    for _ in range(1_000):
        bus.publish_at_most_once("pm/lindau/status", b"x" * 1_000)
    assert len(bus._passing._under_way) <= 8
    assert len(taken) == fitting
    os.kill(broker.process.pid, signal.SIGCONT)
    publishing.join(60)
    assert bus.flush(60)
    eventually(lambda: bus._passing.enter_at_once() is not None, "statuses to go again")
    bus.close()
    broker.kill()


def test_a_hundred_thousand_topics_that_nobody_subscribed_to_are_held_within_the_budget_and_the_rest_counted(
    bus, caplog
):
    payload = b"x" * 1_000
    for number in range(100_000):
        bus._arrived(f"pm/made-up-{number}", payload)
    kept = list(bus._early)
    assert sum(len(topic) + len(payload) for topic, payload in kept) <= budgets.EARLY_BYTES
    assert len(kept) > 1_000
    assert bus.dropped == 100_000 - len(kept)
    assert "more came than has room" in caplog.text
    heard: list[str] = []
    bus.subscribe("pm/+", lambda topic, _: heard.append(topic))
    assert heard == [topic for topic, _ in kept], "the latest, in their order"
    assert (list(bus._early), bus._early_bytes) == ([], 0)


def test_after_its_end_a_bus_refuses_to_publish(broker):
    bus = MqttBus("127.0.0.1", broker.port, "short")
    bus.close()
    with pytest.raises(BusError, match=r"cannot publish on pm/x.*the bus is closed"):
        bus.publish("pm/x", b"")


def test_without_a_broker_the_error_says_where_it_looked(monkeypatch):
    monkeypatch.setattr(mqtt_bus, "_CONNECT_ATTEMPTS", 2)
    port = free_port()
    monkeypatch.setenv("PM_LOCAL_BROKER", f"127.0.0.1:{port}")
    monkeypatch.delenv("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", raising=False)
    with pytest.raises(BusError, match=rf"no MQTT broker at 127\.0\.0\.1:{port}"):
        connect("lindau", "pm.Test")


def test_without_any_bus_in_the_environment_both_variables_are_named(monkeypatch):
    monkeypatch.delenv("PM_LOCAL_BROKER", raising=False)
    monkeypatch.delenv("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", raising=False)
    with pytest.raises(BusError, match=r"AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT.*PM_LOCAL_BROKER"):
        connect("lindau", "pm.Test")
