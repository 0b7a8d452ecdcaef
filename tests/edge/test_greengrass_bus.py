"""The local bus on Greengrass's inter-process communication: AWS's own client against a server of its protocol.

The server below speaks the event-stream RPC protocol on a Unix socket, for the operations that the bus uses, with a
nucleus's checks of the token and of topics. Not proved here: what a real nucleus does beyond that.
"""

import base64
import contextlib
import json
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.runtime.bus import WINDOW, BusError, connect

TOKEN = "token-of-the-component"
#: `:message-type` and `:message-flags` of the event-stream RPC protocol.
MESSAGE, ERROR, CONNECT, CONNECT_ACK = 0, 1, 4, 5
ACCEPTED, TERMINATE = 1, 2
FROM_OTHERS = "RECEIVE_MESSAGES_FROM_OTHERS"


def pack(headers: dict[str, int | str], payload: bytes) -> bytes:
    encoded = b""
    for name, value in headers.items():
        encoded += bytes([len(name)]) + name.encode()
        encoded += (
            b"\x04" + struct.pack(">i", value)
            if isinstance(value, int)
            else b"\x07" + struct.pack(">H", len(value)) + value.encode()
        )
    prelude = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    frame = prelude + struct.pack(">I", zlib.crc32(prelude)) + encoded + payload
    return frame + struct.pack(">I", zlib.crc32(frame))


def unpack_headers(encoded: bytes) -> dict[str, int | str]:
    headers: dict[str, int | str] = {}
    at = 0
    while at < len(encoded):
        length = encoded[at]
        name = encoded[at + 1 : at + 1 + length].decode()
        at += 1 + length
        kind, at = encoded[at], at + 1
        if kind == 4:
            headers[name] = struct.unpack_from(">i", encoded, at)[0]
            at += 4
        else:
            assert kind == 7, f"header {name} of kind {kind}"
            (length,) = struct.unpack_from(">H", encoded, at)
            headers[name] = encoded[at + 2 : at + 2 + length].decode()
            at += 2 + length
    return headers


class Nucleus:
    """Serves local publish/subscribe to components, each connection on a thread."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.forbidden = "pm/lindau/secret"
        self._subscribers: list[tuple[socket.socket, int, str, str]] = []
        self._connections: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        for its_socket in [self._listening, *self._connections]:
            with contextlib.suppress(OSError):
                its_socket.shutdown(socket.SHUT_RDWR)
            its_socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        with contextlib.suppress(OSError):
            while len(prelude := stream.read(12)) == 12:
                total, headers_length, _ = struct.unpack(">III", prelude)
                rest = stream.read(total - 12)
                assert zlib.crc32(prelude + rest[:-4]) == struct.unpack(">I", rest[-4:])[0]
                self._answer(connection, unpack_headers(rest[:headers_length]), rest[headers_length:-4])

    def _send(self, connection: socket.socket, stream: int, kind: int, flags: int, model: str, payload: object) -> None:
        headers: dict[str, int | str] = {":message-type": kind, ":message-flags": flags, ":stream-id": stream}
        if model:
            headers |= {"service-model-type": f"aws.greengrass#{model}", ":content-type": "application/json"}
        with self._lock:
            connection.sendall(pack(headers, json.dumps(payload).encode()))

    def _answer(self, connection: socket.socket, headers: dict[str, int | str], payload: bytes) -> None:
        stream = headers[":stream-id"]
        assert isinstance(stream, int)
        if headers[":message-type"] == CONNECT:
            known = json.loads(payload) == {"authToken": TOKEN}
            self._send(connection, 0, CONNECT_ACK, ACCEPTED if known else 0, "", {})
            return
        if "operation" not in headers:
            return
        request = json.loads(payload)
        topic = request["topic"]
        if topic.startswith(self.forbidden):
            error = {"message": f"not authorized to access {topic}", "_service": "aws", "_message": ""}
            self._send(connection, stream, ERROR, TERMINATE, "UnauthorizedError", error)
        elif headers["operation"] == "aws.greengrass#SubscribeToTopic":
            self._send(connection, stream, MESSAGE, 0, "SubscribeToTopicResponse", {"topicName": topic})
            # A nucleus's own default: with a wildcard a component does not hear itself.
            mode = request.get("receiveMode") or (FROM_OTHERS if "#" in topic else "RECEIVE_ALL_MESSAGES")
            self._subscribers.append((connection, stream, topic.rstrip("#"), mode))
        else:
            assert headers["operation"] == "aws.greengrass#PublishToTopic"
            message = request["publishMessage"]["binaryMessage"]["message"]
            self._send(connection, stream, MESSAGE, TERMINATE, "PublishToTopicResponse", {})
            event = {"binaryMessage": {"message": message, "context": {"topic": topic}}}
            for subscriber, its_stream, prefix, mode in self._subscribers:
                if topic.startswith(prefix) and not (subscriber is connection and mode == FROM_OTHERS):
                    self._send(subscriber, its_stream, MESSAGE, 0, "SubscriptionResponseMessage", event)


@pytest.fixture
def nucleus(tmp_path, monkeypatch) -> Iterator[Nucleus]:
    running = Nucleus(tmp_path / "ipc.socket")
    monkeypatch.setenv("AWS_GG_NUCLEUS_DOMAIN_SOCKET_FILEPATH_FOR_COMPONENT", running.path)
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
    bus = connect("ignored")
    heard = Heard()
    bus.subscribe("pm/lindau/#", heard)
    sent = [(f"pm/lindau/air-{number % 3}/reading", b"\x00\xff%d" % number) for number in range(2 * WINDOW)]
    for topic, payload in sent:
        bus.publish(topic, payload)
    assert bus.flush(60)
    assert heard.wait(len(sent)) == sent
    assert base64.b64encode(sent[0][1]) != sent[0][1]
    bus.close()


def test_a_callback_may_publish_more_than_the_window_holds(nucleus):
    bus = connect("ignored")
    heard = Heard()
    bus.subscribe("pm/lindau/out", heard)

    def answer(topic: str, payload: bytes) -> None:
        for number in range(2 * WINDOW):
            bus.publish("pm/lindau/out", b"%d" % number)

    bus.subscribe("pm/lindau/in", answer)
    bus.publish("pm/lindau/in", b"")
    assert [payload for _, payload in heard.wait(2 * WINDOW)] == [b"%d" % number for number in range(2 * WINDOW)]
    bus.close()


def test_what_the_recipe_s_access_control_forbids_is_an_error_with_the_topic(nucleus):
    bus = connect("ignored")
    with pytest.raises(BusError, match="refuses a subscription to pm/lindau/secret"):
        bus.subscribe("pm/lindau/secret", Heard())
    bus.publish("pm/lindau/secret/topic", b"")
    assert not bus.flush(60)
    with pytest.raises(BusError, match=r"cannot publish on pm/lindau/alert.*not authorized to access pm/lindau/secret"):
        bus.publish("pm/lindau/alert", b"")
    bus.close()


def test_a_wrong_token_is_refused(nucleus, monkeypatch):
    monkeypatch.setenv("SVCUID", "stolen")
    with pytest.raises(BusError, match="the Greengrass nucleus does not answer"):
        connect("ignored")


def test_when_the_nucleus_goes_a_publish_fails_so_that_the_component_ends_and_is_started_anew(nucleus):
    bus = connect("ignored")
    bus.publish("pm/lindau/alert", b"")
    assert bus.flush(60)
    nucleus.stop()
    closed = threading.Event()

    def publish_until_it_fails() -> None:
        try:
            while True:
                bus.publish("pm/lindau/alert", b"")
                bus.flush(1)
        except BusError:
            closed.set()

    threading.Thread(target=publish_until_it_fails, daemon=True).start()
    assert closed.wait(60)
    bus.close()
