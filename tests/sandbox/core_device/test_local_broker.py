"""The broker of the local bus as the process that a device runs, with paho clients and raw sockets against it.

It proves no rate, and memory on Linux alone. Whether what is left out of MQTT (quality of service 2, wills) is missed
is for the components' own tests.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import paho.mqtt.client as mqtt
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from pm_contracts import budgets
from pm_edge.runtime.mqtt_bus import MqttBus
from pm_sandbox.core_device import broker_session
from pm_sandbox.core_device.broker import Broker
from pm_sandbox.core_device.broker_connection import Connection
from pm_sandbox.core_device.broker_session import WINDOW, Backlog, Delivery, Receipt, Session
from pm_sandbox.core_device.mqtt import (
    REFUSED_FILTER,
    UNAVAILABLE,
    PacketReader,
    ProtocolViolation,
    is_filter,
    matches,
    publish_head,
)
from pm_sandbox.core_device.mqtt import connect as connect_packet
from tests.waiting import eventually

LIMIT = 60.0


@pytest.fixture(scope="module")
def process() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "pm_sandbox.core_device.broker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        yield running
        assert running.stdin is not None
        running.stdin.close()
        assert running.wait(LIMIT) == 0


@pytest.fixture(scope="module")
def port(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


Connect = Callable[..., mqtt.Client]


@pytest.fixture
def connect(port: int) -> Iterator[Connect]:
    """Connect a client: its id, filters, what it does with a message."""
    clients = []

    def make(
        client_id: str, filters: tuple[str, ...] = (), heard: Callable[[mqtt.MQTTMessage], None] | None = None
    ) -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        ready = threading.Event()
        client.on_connect = lambda *_: client.subscribe([(each, 1) for each in filters]) if filters else ready.set()
        client.on_subscribe = lambda *_: ready.set()
        if heard is not None:
            client.on_message = lambda _client, _user, message: heard(message)
        client.max_inflight_messages_set(0)
        client.connect("127.0.0.1", port)
        client.loop_start()
        clients.append(client)
        assert ready.wait(LIMIT)
        return client

    yield make
    for client in clients:
        client.disconnect()
        client.loop_stop()


def test_a_message_reaches_each_subscriber_once(connect: Connect) -> None:
    heard: dict[str, list[bytes]] = {"all": [], "readings": [], "other": []}
    done = threading.Semaphore(0)

    def note(who: str) -> Callable[[mqtt.MQTTMessage], None]:
        def hear(message: mqtt.MQTTMessage) -> None:
            heard[who].append(message.payload)
            done.release()

        return hear

    # Two overlapping filters of one client are one delivery.
    connect("all", ("pm/gera/#", "pm/+/air-1/reading"), note("all"))
    connect("readings", ("pm/gera/+/reading",), note("readings"))
    connect("other", ("pm/jena/#",), note("other"))
    publisher = connect("publisher")
    expected = [str(number).encode() for number in range(50)]
    for payload in expected:
        publisher.publish("pm/gera/air-1/reading", payload, qos=1)
    for _ in range(100):
        assert done.acquire(timeout=LIMIT)
    assert heard["all"] == heard["readings"] == expected
    assert heard["other"] == []


def test_a_message_is_acknowledged_when_its_subscriber_has_acknowledged_it(connect: Connect) -> None:
    go = threading.Event()
    began, done = threading.Event(), threading.Event()
    count = 3 * WINDOW
    heard: list[int] = []

    def hear(message: mqtt.MQTTMessage) -> None:
        began.set()
        assert go.wait(LIMIT)
        heard.append(int(message.payload))
        if len(heard) == count:
            done.set()

    connect("slow", ("pm/slow/#",), hear)
    publisher = connect("fast")
    messages = [publisher.publish("pm/slow/a/reading", str(number), qos=1) for number in range(count)]
    assert began.wait(LIMIT)
    elsewhere = publisher.publish("pm/elsewhere/a/reading", b"x", qos=1)
    elsewhere.wait_for_publish(LIMIT)
    # The answer to what came last is there, and to what the subscriber is still at is not.
    assert elsewhere.is_published()
    assert not any(message.is_published() for message in messages)
    go.set()
    assert done.wait(LIMIT)
    messages[-1].wait_for_publish(LIMIT)
    assert heard == list(range(count))
    assert all(message.is_published() for message in messages)


def test_a_subscriber_that_leaves_does_not_hold_the_publisher_for_ever(connect: Connect) -> None:
    leave = threading.Event()
    began = threading.Event()

    def hear(_: mqtt.MQTTMessage) -> None:
        began.set()
        leave.wait(2 * LIMIT)

    slow = connect("leaver", ("pm/leave/#",), hear)
    publisher = connect("stayer")
    messages = [publisher.publish("pm/leave/a/reading", b"x", qos=1) for _ in range(2 * WINDOW)]
    assert began.wait(LIMIT)
    assert not messages[0].is_published()
    slow.socket().shutdown(2)
    messages[-1].wait_for_publish(LIMIT)
    leave.set()
    assert all(message.is_published() for message in messages)


class Keeper:
    """A subscriber that asks for its session to be kept, and acknowledges only when told to."""

    def __init__(self, port: int, client_id: str, topic_filter: str) -> None:
        self.heard: list[tuple[bytes, bool]] = []
        self._port = port
        self._client_id = client_id
        self._filter = topic_filter
        self._news = threading.Condition()

    def connect(self, *, acknowledge: bool = True, subscribe: bool = True) -> bool:
        """Connect, and return whether the broker had a session of it."""
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, clean_session=False, manual_ack=not acknowledge
        )
        ready = threading.Event()
        present: list[bool] = []

        def connected(_client: object, _user: object, flags: mqtt.ConnectFlags, *_: object) -> None:
            present.append(flags.session_present)
            if subscribe:
                client.subscribe(self._filter, 1)
            else:
                ready.set()

        client.on_connect = connected
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = self._hear
        client.connect("127.0.0.1", self._port)
        client.loop_start()
        assert ready.wait(LIMIT)
        self._client = client
        return present[0]

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def vanish(self) -> None:
        """Disconnect like a process that is killed."""
        self._client.reconnect_delay_set(60, 60)
        self._client.socket().shutdown(2)
        self._client.loop_stop()

    def wait(self, count: int) -> list[bytes]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.heard) >= count, LIMIT), f"{len(self.heard)} of {count}"
            return [payload for payload, _ in self.heard]

    def _hear(self, _client: object, _user: object, message: mqtt.MQTTMessage) -> None:
        with self._news:
            self.heard.append((message.payload, message.dup))
            self._news.notify_all()


def test_what_is_published_while_a_subscriber_is_away_waits_for_it(connect: Connect, port: int) -> None:
    keeper = Keeper(port, "keeper", "pm/kept/#")
    assert not keeper.connect()
    keeper.leave()
    publisher = connect("to-the-keeper")
    messages = [publisher.publish("pm/kept/a/reading", str(number), qos=1) for number in range(2 * WINDOW)]
    other = publisher.publish("pm/nobody/a/reading", b"x", qos=1)
    other.wait_for_publish(LIMIT)
    assert not any(message.is_published() for message in messages)
    assert keeper.connect(subscribe=False), "its session is there"
    assert keeper.wait(len(messages)) == [str(number).encode() for number in range(len(messages))]
    messages[-1].wait_for_publish(LIMIT)
    assert messages[-1].is_published()
    keeper.leave()


def test_what_a_killed_subscriber_had_not_acknowledged_comes_again_and_says_so(connect: Connect, port: int) -> None:
    keeper = Keeper(port, "killed", "pm/killed/#")
    keeper.connect(acknowledge=False)
    publisher = connect("to-the-killed")
    messages = [publisher.publish("pm/killed/a/reading", str(number), qos=1) for number in range(5)]
    assert keeper.wait(5) == [b"0", b"1", b"2", b"3", b"4"]
    keeper.vanish()
    assert not any(message.is_published() for message in messages)
    keeper.heard.clear()
    assert keeper.connect(subscribe=False)
    keeper.wait(5)
    assert keeper.heard == [(str(number).encode(), True) for number in range(5)]
    messages[-1].wait_for_publish(LIMIT)
    assert messages[-1].is_published()
    keeper.leave()


def test_a_clean_session_ends_the_kept_one(connect: Connect, port: int) -> None:
    keeper = Keeper(port, "changed", "pm/changed/#")
    keeper.connect()
    keeper.leave()
    publisher = connect("to-the-changed")
    message = publisher.publish("pm/changed/a/reading", b"x", qos=1)
    connect("changed")
    message.wait_for_publish(LIMIT)
    assert message.is_published(), "nobody waits for it any more"


def test_a_broker_that_is_killed_loses_nothing_for_a_subscriber_that_was_away(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pm_sandbox.core_device.broker", "--sessions", str(tmp_path / "sessions.json")]

    def start(port: int) -> tuple["subprocess.Popen[str]", int]:
        running = subprocess.Popen(
            [*command, "--port", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert running.stdout is not None
        return running, int(running.stdout.readline())

    broker, port = start(0)
    keeper = Keeper(port, "keeper", "pm/kept/#")
    keeper.connect()
    keeper.leave()
    publisher = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="publisher")
    back = threading.Semaphore(0)
    publisher.on_connect = lambda *_: back.release()
    publisher.reconnect_delay_set(1, 1)
    publisher.connect("127.0.0.1", port)
    publisher.loop_start()
    assert back.acquire(timeout=LIMIT)
    before = publisher.publish("pm/kept/a/reading", b"before", qos=1)
    broker.kill()
    broker.wait()
    broker, _ = start(port)
    assert back.acquire(timeout=LIMIT)
    after = publisher.publish("pm/kept/a/reading", b"after", qos=1)
    assert keeper.connect(subscribe=False), "the broker remembers whom it keeps a session for"
    # In no order: whoever publishes anew on a connection that is back may come before what is sent again.
    assert sorted(keeper.wait(2)) == [b"after", b"before"]
    for message in (before, after):
        message.wait_for_publish(LIMIT)
        assert message.is_published()
    publisher.disconnect()
    publisher.loop_stop()
    keeper.leave()
    broker.kill()
    broker.wait()


def test_a_file_of_sessions_that_is_damaged_and_cannot_be_written_does_not_end_the_broker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_session, "KEPT_SECONDS", -1.0)
    file = tmp_path / "sessions.json"
    file.write_text("{")
    (tmp_path / "sessions.json.partial").mkdir()  # where the new file would be written

    async def run() -> None:
        broker = Broker(file)
        broker._sessions["away"] = Session("away", True, broker.backlog, {"pm/#": 1})
        broker._check()
        assert broker._sessions == {}

    asyncio.run(run())
    assert "sessions.json is not used" in caplog.text
    assert "will not know of all kept sessions" in caplog.text


def test_who_stays_away_for_too_long_is_forgotten_and_its_publishers_are_released(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(broker_session, "KEPT_SECONDS", -1.0)
    file = tmp_path / "sessions.json"
    file.write_text(json.dumps({"away": {"pm/#": 1}}))

    async def run() -> None:
        size = Delivery("pm/a", b"x", None).size  # type: ignore[arg-type]
        broker = Broker(file, Backlog(3 * size, 100 * size))
        publisher = Peer()
        for packet_id in range(1, 6):
            broker.carry("pm/a", b"x", Receipt(publisher, packet_id))
        # More than may wait: the oldest are given up, so that their publisher need not wait for ever.
        assert [packet[-1] for packet in publisher.sent] == [1, 2]
        broker._check()
        assert [packet[-1] for packet in publisher.sent] == [1, 2, 3, 4, 5]

    asyncio.run(run())


class Peer:
    """The other end of a session, which takes all that it is sent."""

    writable = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, packet: bytes) -> None:
        self.sent.append(packet)

    def close(self, reason: str, level: int = 0) -> None:
        raise AssertionError(reason)


def test_what_waits_is_bounded_in_bytes_for_one_subscriber_and_for_all() -> None:
    async def run() -> None:
        backlog = Backlog(10_000, 15_000)
        first, second, third = (Session(name, True, backlog) for name in ("first", "second", "third"))
        publisher = Peer()

        def deliver(session: Session, size: int) -> None:
            receipt = Receipt(publisher, 7)
            receipt.missing = 1
            session.deliver(Delivery("a", b"x" * (size - broker_session.OVERHEAD_BYTES - 1), receipt))

        for _ in range(100):
            deliver(first, 1_000)
        assert (first.bytes, first.dropped) == (10_000, 90)
        for _ in range(100):
            deliver(second, 500)
        # Together no more than allowed, and whoever has most gives it up.
        assert backlog.bytes == first.bytes + second.bytes == 15_000
        assert abs(first.bytes - second.bytes) <= 1_000
        deliver(third, 1_000)
        assert (third.bytes, third.dropped) == (1_000, 0)
        deliver(third, 10_001)
        assert third.dropped == 2, "one that is larger than all the room, and what it was to replace"
        dropped = first.dropped + second.dropped + third.dropped
        assert backlog.dropped == dropped == len(publisher.sent), "no publisher waits for what is given up"
        for session in (first, second, third):
            session.end()
        assert (backlog.bytes, backlog.forgotten) == (0, 2)

    asyncio.run(run())


def test_what_is_under_way_to_one_subscriber_is_bounded_in_bytes_and_one_message_always_goes() -> None:
    async def run() -> None:
        session, peer, publisher = Session("one", True, Backlog(10**9, 10**9)), Peer(), Peer()
        session.attach(peer)
        for _ in range(100):
            receipt = Receipt(publisher, 7)
            receipt.missing = 1
            session.deliver(Delivery("a", b"x" * 250_000, receipt))
        assert len(peer.sent) == budgets.BROKER_FLIGHT_BYTES // 250_000 == 4
        session.acknowledged(1)
        assert len(peer.sent) == 5
        large = Receipt(publisher, 7)
        large.missing = 1
        other = Session("other", True, Backlog(10**9, 10**9))
        other.attach(lone := Peer())
        other.deliver(Delivery("a", b"x" * 2 * budgets.BROKER_FLIGHT_BYTES, large))
        assert len(lone.sent) == 1

    asyncio.run(run())


def test_a_hundred_thousand_made_up_topics_are_not_all_remembered() -> None:
    async def run() -> None:
        broker = Broker()
        for number in range(100_000):
            broker.carry(f"pm/made-up-{number}", b"", None)
        assert 0 < len(broker._subscribers) <= budgets.REMEMBERED_TOPICS
        known = len(broker._subscribers)
        broker.carry("x" * 60_000, b"", None)
        assert len(broker._subscribers) == known

    asyncio.run(run())


def test_large_messages_for_a_subscriber_that_acknowledges_none_leave_the_broker_within_its_budget() -> None:
    with own_broker() as (process, port, _):
        keeper = Keeper(port, "keeper", "pm/large/#")
        keeper.connect(acknowledge=False)
        with socket.create_connection(("127.0.0.1", port)) as publisher:
            publisher.sendall(connect_packet("flood"))
            payload = b"x" * 250_000
            head = publish_head("pm/large/a/reading", len(payload), 1)
            for number in range(1_200):
                publisher.sendall(head + (number + 1).to_bytes(2, "big") + payload)
            publisher.sendall(b"\xc0\x00")  # PINGREQ: its answer comes after all of them were taken
            publisher.settimeout(LIMIT)
            answers = b""
            while not answers.endswith(b"\xd0\x00"):
                answers += publisher.recv(65536)
            peak = psutil.Process(process.pid).memory_info().rss
        assert len(keeper.heard) <= 5
        keeper.vanish()
    assert peak < budgets.PROCESS_BYTES[budgets.LOCAL_BROKER] / 2, f"{peak / budgets.MEBIBYTE:.0f} MiB"


def test_who_reads_none_of_the_answers_is_disconnected(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(connect_packet("deaf"))
        with pytest.raises(ConnectionError):
            deaf.sendall(b"\xc0\x00" * 50_000_000)  # PINGREQ, whose answer is as long


def test_sessions_and_filters_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "SESSIONS", 2)

    async def run() -> None:
        broker = Broker()
        server = await broker.serve(socket.create_server(("127.0.0.1", 0)))
        port = server.sockets[0].getsockname()[1]
        opened = []
        for name, code in (("one", 0), ("two", 0), ("three", UNAVAILABLE), ("two", 0)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened.append(writer)
            writer.write(connect_packet(name))
            assert await asyncio.wait_for(reader.readexactly(4), LIMIT) == bytes((0x20, 2, 0, code)), name
        [session] = [each for each in broker._sessions.values() if each.client_id == "two"]
        connection = cast(Connection, session.connection)
        granted = [broker.subscribe(connection, f"pm/{number}", 1) for number in range(budgets.FILTERS + 3)]
        assert granted == [1] * budgets.FILTERS + [REFUSED_FILTER] * 3
        assert broker.subscribe(connection, "pm/0", 0) == 0, "one that it has may be changed"
        broker.unsubscribe(connection, "pm/1")
        assert broker.subscribe(connection, "x" * 1_000, 1) == REFUSED_FILTER
        for writer in opened:
            writer.close()
        server.close()

    asyncio.run(run())


@contextlib.contextmanager
def own_broker(
    kept_seconds: float = broker_session.KEPT_SECONDS,
) -> Iterator[tuple["subprocess.Popen[str]", int, Path]]:
    """A broker of the test's own with another patience; process, port and the file of what it gave up."""
    program = (
        "import runpy; from pm_sandbox.core_device import broker_session, broker;"
        f"broker_session.KEPT_SECONDS = {kept_seconds}; broker._CHECK = 0.2; import sys, asyncio;"
        "asyncio.run(broker._main(0, None, __import__('pathlib').Path(sys.argv[1])))"
    )
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder) / "counts.json"
        with subprocess.Popen(
            [sys.executable, "-c", program, str(counts)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as running:
            assert running.stdout is not None
            try:
                yield running, int(running.stdout.readline()), counts
            finally:
                running.kill()


#: A component that prints what it hears.
_LISTENER = """
import sys, threading
from pm_edge.runtime.mqtt_bus import MqttBus
bus = MqttBus("127.0.0.1", int(sys.argv[1]), "listener")
bus.subscribe("pm/frozen/#", lambda topic, payload: print(payload.decode(), flush=True))
print("ready", flush=True)
threading.Event().wait()
"""


def test_a_frozen_subscriber_is_given_up_and_told_and_holds_nobody_up_and_comes_back_when_it_thaws() -> None:
    with (
        own_broker(kept_seconds=2.0) as (_, port, counts),
        subprocess.Popen([sys.executable, "-c", _LISTENER, str(port)], stdout=subprocess.PIPE, text=True) as listener,
    ):
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        os.kill(listener.pid, signal.SIGSTOP)
        heard: list[bytes] = []
        other, publisher = MqttBus("127.0.0.1", port, "other"), MqttBus("127.0.0.1", port, "publisher")
        other.subscribe("pm/frozen/#", lambda _, payload: heard.append(payload))
        sent = [b"%d" % number for number in range(1_000)]
        for payload in sent:
            publisher.publish("pm/frozen/a/reading", payload)
        assert publisher.flush(LIMIT), "the publisher is let go"
        assert eventually(lambda: len(heard) == len(sent), "the other subscriber to hear all")
        assert heard == sent
        told = eventually(lambda: counts.exists() and json.loads(counts.read_text()), "what was given up")
        assert told["forgotten"] == 1
        assert 0 < told["dropped"] <= len(sent)
        os.kill(listener.pid, signal.SIGCONT)
        lines = listener.stdout
        again = iter(lambda: lines.readline().strip(), None)
        heard.clear()
        stop = threading.Event()
        repeating = threading.Thread(target=_repeat, args=(publisher, stop))
        repeating.start()
        assert next(line for line in again if line == "after")
        stop.set()
        repeating.join()
        for bus in (other, publisher):
            bus.close()
        listener.kill()


def _repeat(publisher: MqttBus, stop: threading.Event) -> None:
    while not stop.wait(0.1):
        publisher.publish("pm/frozen/a/reading", b"after")


def test_the_later_of_two_clients_with_one_id_stays(connect: Connect) -> None:
    gone = threading.Event()
    first = connect("twin")
    first.on_disconnect = lambda *_: gone.set()
    first.reconnect_delay_set(60, 60)
    connect("twin")
    assert gone.wait(LIMIT)


def test_what_the_broker_has_not_ends_the_connection(port: int) -> None:
    ended = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="will")
    client.will_set("pm/gera/status", b"gone", qos=1)
    client.on_disconnect = lambda *_: ended.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ended.wait(LIMIT)
    client.loop_stop()


def test_it_listens_on_loopback_only(process: "subprocess.Popen[str]", port: int) -> None:
    listening = [c.laddr for c in psutil.Process(process.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert listening == [("127.0.0.1", port)]


def test_a_port_in_use_is_a_clear_error(port: int) -> None:
    command = [sys.executable, "-m", "pm_sandbox.core_device.broker", "--port", str(port)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert result.returncode == 1
    assert f"port {port} of 127.0.0.1 cannot be used" in result.stderr


def test_packets_are_found_however_the_stream_is_cut() -> None:
    payload = b"p" * 300
    packet = publish_head("pm/gera/air-1/reading", len(payload), 1) + b"\x00\x07" + payload
    stream = packet * 3
    for size in (1, 2, 5, 303, len(stream)):
        reader = PacketReader()
        found = [each for start in range(0, len(stream), size) for each in reader.feed(stream[start : start + size])]
        assert [kind for kind, _, _ in found] == [3, 3, 3]
        assert all(body.endswith(payload) for _, _, body in found)


def test_a_length_that_is_none_is_refused() -> None:
    with pytest.raises(ProtocolViolation, match="four bytes"):
        list(PacketReader().feed(b"\x30\xff\xff\xff\xff\x01"))
    with pytest.raises(ProtocolViolation, match="at most"):
        list(PacketReader().feed(b"\x30\xff\xff\xff\x7f"))


levels = st.lists(st.sampled_from(["a", "b", "", "$x"]), min_size=1, max_size=4)
wild_levels = st.lists(st.sampled_from(["a", "b", "", "+", "#", "$x", "a+", "#b"]), min_size=1, max_size=4)


@given(wild_levels, levels)
def test_filters_match_as_those_of_paho(filter_levels: list[str], topic_levels: list[str]) -> None:
    topic_filter, topic = "/".join(filter_levels), "/".join(topic_levels)
    if topic and is_filter(topic_filter):
        assert matches(topic_filter, topic) == mqtt.topic_matches_sub(topic_filter, topic)


@pytest.mark.parametrize("text", ["", "a/#/b", "a+", "a/b#", "#/"])
def test_what_is_no_filter(text: str) -> None:
    assert not is_filter(text)
