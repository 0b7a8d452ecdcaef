"""The broker of the local bus as the process that a device runs, with paho clients and raw sockets against it.

It does not prove a rate. Whether what is left out of MQTT (quality of service 2, wills, kept sessions) is missed is for
the components' own tests.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion

from sandbox.core_device.broker import WINDOW
from sandbox.core_device.mqtt import PacketReader, ProtocolViolation, is_filter, matches, publish_head

LIMIT = 20.0


@pytest.fixture(scope="module")
def process() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "sandbox.core_device.broker"]
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


def test_a_slow_subscriber_holds_the_publisher_back_and_loses_nothing(connect: Connect) -> None:
    go = threading.Event()
    done = threading.Event()
    count = 3 * WINDOW
    heard: list[int] = []

    def hear(message: mqtt.MQTTMessage) -> None:
        assert go.wait(LIMIT)
        heard.append(int(message.payload))
        if len(heard) == count:
            done.set()

    connect("slow", ("pm/slow/#",), hear)
    acknowledged: list[int] = []
    window_full = threading.Event()
    publisher = connect("fast")

    def on_publish(*_: object) -> None:
        acknowledged.append(1)
        if len(acknowledged) == WINDOW:
            window_full.set()

    publisher.on_publish = on_publish
    messages = [publisher.publish("pm/slow/a/reading", str(number), qos=1) for number in range(count)]
    assert window_full.wait(LIMIT)
    # The subscriber has not acknowledged one yet: no more than its window is taken from the publisher.
    assert not messages[WINDOW].is_published()
    assert len(acknowledged) == WINDOW
    go.set()
    assert done.wait(LIMIT)
    messages[-1].wait_for_publish(LIMIT)
    assert heard == list(range(count))
    assert len(acknowledged) == count


def test_a_subscriber_that_leaves_does_not_hold_the_publisher_for_ever(connect: Connect) -> None:
    leave = threading.Event()
    slow = connect("leaver", ("pm/leave/#",), lambda _: leave.wait(LIMIT) and None)
    publisher = connect("stayer")
    messages = [publisher.publish("pm/leave/a/reading", b"x", qos=1) for _ in range(2 * WINDOW)]
    messages[0].wait_for_publish(LIMIT)
    assert not messages[-1].is_published()
    slow.socket().shutdown(2)
    messages[-1].wait_for_publish(LIMIT)
    leave.set()


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
    command = [sys.executable, "-m", "sandbox.core_device.broker", "--port", str(port)]
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
