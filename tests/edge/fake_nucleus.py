"""A nucleus of the tests: local publish/subscribe by the event-stream RPC protocol on a Unix socket, classic or lite.

The two differ as their sources do: aws-greengrass-nucleus 2.18, and aws-greengrass-lite 2.6 (`modules/ggipcd`,
`modules/ggpubsubd`, `modules/core-bus`).

It runs in the process of a test, or by itself: `python -m tests.edge.fake_nucleus SOCKET` serves a nucleus until its
standard input ends; `--mute` as its last argument has it answer nothing after the handshake.
"""

import contextlib
import json
import secrets
import socket
import struct
import sys
import threading
import zlib
from pathlib import Path

TOKEN = "token-of-the-component"
#: Names of the socket: `UnixPlatform.java` of the classic nucleus, `unit_file_generator.c` of lite.
CLASSIC_SOCKET, LITE_SOCKET = "ipc.socket", "gg-ipc.socket"
#: Of lite: GGL_IPC_MAX_MSG_LEN, without the twelve bytes of the prelude where a frame comes, with them where one goes.
LITE_FRAME_BYTES = 10_000
PRELUDE_BYTES = 12
#: Of lite: GGL_PUBSUB_MAX_SUBSCRIPTIONS, of all components together.
LITE_SUBSCRIPTIONS = 99

#: `:message-type` and `:message-flags` of the event-stream RPC protocol.
MESSAGE, ERROR, CONNECT, CONNECT_ACK = 0, 1, 4, 5
ACCEPTED, TERMINATE = 1, 2
FROM_OTHERS = "RECEIVE_MESSAGES_FROM_OTHERS"

Headers = dict[str, int | str]


def pack(headers: Headers, payload: bytes) -> bytes:
    """One frame."""
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


def unpack_headers(encoded: bytes) -> Headers:
    """The headers of a frame."""
    headers: Headers = {}
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


class _Dropped(Exception):
    """The nucleus ends a connection."""


class Nucleus:
    """Serves components, each connection on a thread.

    Attributes:
        forbidden: Beginning of the topics that no component may use.
        mute: Whether it takes nothing after the handshake.
        mute_answers: Whether it answers no publish, and gives what was published to its subscribers.
        published: Publishes that it took.
        ended: Streams that the client has ended, of those that the nucleus had not.
        surplus: Frames that came on streams that had been ended already.
        oversized: Connections that it has closed for a frame too large.
        vouches: Whether processes are of the component that they say; lite asks systemd for their units.
        states: What components have said of their state.
        skipped: Messages that did not fit into a frame to a subscriber.
    """

    def __init__(self, path: Path, *, mute: bool = False) -> None:
        self.path = path
        self.is_lite = path.name == LITE_SOCKET
        self.forbidden = "pm/lindau/secret"
        self.mute = mute
        self.mute_answers = False
        self.vouches = True
        self.states: list[str] = []
        self.published = self.ended = self.surplus = self.oversized = self.skipped = 0
        self._lock = threading.Lock()
        self.start()

    def start(self) -> None:
        """Listen; of what was before, nothing is known any more."""
        self._tokens = {TOKEN} if not hasattr(self, "_tokens") else set()
        self._names: dict[str, str] = {}
        self._subscribers: list[tuple[socket.socket, int, str, str]] = []
        self._open: dict[socket.socket, set[int]] = {}
        self.path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()
        self._threads = [threading.Thread(target=self._accept, args=(self._listening,), daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        """Go, as in a crash."""
        accepting, *_ = self._threads
        _hang_up(self._listening)
        accepting.join()
        for connection in self._open:
            _hang_up(connection)
        for thread in self._threads:
            thread.join()

    def tell(self, topic: str, message: str) -> None:
        """Give a message, in Base64, to those who subscribe to its topic."""
        self._publish(self._listening, topic, message)

    def subscriptions(self) -> list[str]:
        """The topic filters of all components."""
        return [topic_filter for _, _, topic_filter, _ in list(self._subscribers)]

    def unanswered(self) -> list[int]:
        """Operations that were not ended, of each connection that has a subscription."""
        listeners = {each[0] for each in list(self._subscribers)}
        return [len(streams) for connection, streams in list(self._open.items()) if connection in listeners]

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self._open[connection] = set()
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        with contextlib.suppress(OSError, _Dropped):
            while len(prelude := stream.read(PRELUDE_BYTES)) == PRELUDE_BYTES:
                total, headers_length, _ = struct.unpack(">III", prelude)
                if self.is_lite and total - PRELUDE_BYTES > LITE_FRAME_BYTES:
                    self.oversized += 1
                    break
                rest = stream.read(total - PRELUDE_BYTES)
                if len(rest) < total - PRELUDE_BYTES:
                    break
                assert zlib.crc32(prelude + rest[:-4]) == struct.unpack(">I", rest[-4:])[0]
                self._take(connection, unpack_headers(rest[:headers_length]), rest[headers_length:-4])
        with self._lock:
            self._subscribers = [each for each in self._subscribers if each[0] is not connection]
        stream.close()
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def _take(self, connection: socket.socket, headers: Headers, payload: bytes) -> None:
        stream, flags = headers[":stream-id"], headers[":message-flags"]
        assert isinstance(stream, int)
        assert isinstance(flags, int)
        if headers[":message-type"] == CONNECT:
            self._welcome(connection, json.loads(payload))
        elif self.mute:
            pass
        elif "operation" not in headers:
            its_open = self._open[connection]
            if stream not in its_open:
                self.surplus += 1
            elif flags & TERMINATE:
                its_open.remove(stream)
                self.ended += 1
                with self._lock:
                    self._subscribers = [each for each in self._subscribers if each[:2] != (connection, stream)]
        else:
            self._open[connection].add(stream)
            self._operate(connection, stream, str(headers["operation"]), json.loads(payload))

    def _welcome(self, connection: socket.socket, introduction: dict[str, str]) -> None:
        """Take a client in by its token; on lite by its component's name, too, which the process's unit vouches for."""
        known = introduction.get("authToken") in self._tokens
        extra: Headers = {}
        if self.is_lite and "authToken" not in introduction:
            name = introduction["componentName"]
            known = self.vouches
            extra = {"svcuid": self._names.setdefault(name, secrets.token_hex(8))}
        if not known and self.is_lite:
            raise _Dropped
        flags = ACCEPTED if known else 0
        headers: Headers = {":message-type": CONNECT_ACK, ":message-flags": flags, ":stream-id": 0, **extra}
        with self._lock:
            connection.sendall(pack(headers, b""))

    def _operate(self, connection: socket.socket, stream: int, operation: str, request: dict[str, object]) -> None:
        if operation == "aws.greengrass#UpdateState":
            self.states.append(str(request["state"]))
            self._send(connection, stream, MESSAGE, 0 if self.is_lite else TERMINATE, "UpdateStateResponse", {})
            return
        topic = str(request["topic"])
        if topic.startswith(self.forbidden):
            text = "IPC Operation not authorized." if self.is_lite else f"not authorized to access {topic}"
            self._refuse(connection, stream, "UnauthorizedError", text)
        elif operation == "aws.greengrass#SubscribeToTopic":
            if self.is_lite and len(self._subscribers) >= LITE_SUBSCRIPTIONS:
                self._refuse(connection, stream, "ServiceError", "Failed to bind subscription.")
                return
            self._send(connection, stream, MESSAGE, 0, "SubscribeToTopicResponse", {})
            # The classic nucleus's own default; lite does not know the field.
            mode = str(request.get("receiveMode")) if "receiveMode" in request else FROM_OTHERS
            if self.is_lite or not set("#+*") & set(topic):
                mode = "RECEIVE_ALL_MESSAGES"
            with self._lock:
                self._subscribers.append((connection, stream, topic, mode))
        else:
            assert operation == "aws.greengrass#PublishToTopic"
            self._publish(connection, topic, request["publishMessage"]["binaryMessage"]["message"])  # type: ignore[index]
            self.published += 1
            if not self.mute_answers:
                self._send(connection, stream, MESSAGE, 0 if self.is_lite else TERMINATE, "PublishToTopicResponse", {})

    def _publish(self, publisher: socket.socket, topic: str, message: str) -> None:
        event = {"binaryMessage": {"message": message, "context": {"topic": topic}}}
        for subscriber, its_stream, topic_filter, mode in list(self._subscribers):
            if _matches(topic_filter, topic) and not (subscriber is publisher and mode == FROM_OTHERS):
                with contextlib.suppress(OSError):
                    self._send(subscriber, its_stream, MESSAGE, 0, "SubscriptionResponseMessage", event)

    def _refuse(self, connection: socket.socket, stream: int, code: str, text: str) -> None:
        error = {"_message": text, "_errorCode": code}
        if not self.is_lite:
            error |= {"message": text, "_service": "aws"}
        self._send(connection, stream, ERROR, TERMINATE, code, error)

    def _send(self, connection: socket.socket, stream: int, kind: int, flags: int, model: str, payload: object) -> None:
        headers: Headers = {
            ":message-type": kind,
            ":message-flags": flags,
            ":stream-id": stream,
            ":content-type": "application/json",
            "service-model-type": f"aws.greengrass#{model}",
        }
        frame = pack(headers, json.dumps(payload, separators=(",", ":")).encode())
        if self.is_lite and len(frame) > LITE_FRAME_BYTES:
            self.skipped += 1
            return
        if flags & TERMINATE:
            self._open[connection].discard(stream)
        with self._lock:
            connection.sendall(frame)


def _hang_up(its_socket: socket.socket) -> None:
    with contextlib.suppress(OSError):
        its_socket.shutdown(socket.SHUT_RDWR)
    its_socket.close()


def _matches(topic_filter: str, topic: str) -> bool:
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        levels = levels[: len(wanted)]
    return len(levels) == len(wanted) and all(w in ("+", level) for w, level in zip(wanted, levels, strict=True))


if __name__ == "__main__":
    nucleus = Nucleus(Path(sys.argv[1]), mute="--mute" in sys.argv)
    print("ready", flush=True)
    sys.stdin.read()
