"""The broker of a site's local bus, as a process of its own: MQTT 3.1.1, quality of service 0 and 1, loopback only.

It holds a fast publisher back to the pace of the slowest of its subscribers: a message at quality of service 1 is
acknowledged to its publisher when each subscriber has room for it, so that nothing piles up in memory, nothing is
dropped, and a publisher's own window of unacknowledged messages bounds what is under way. (amqtt 0.12 acknowledges at
once, queues without bound, and gives a message up when a subscriber has not acknowledged it within five seconds.)

`python -m sandbox.core_device.broker --port N` prints the port it listens on, and ends when its standard input does.
"""

import argparse
import asyncio
import logging
import socket
import sys
from collections import deque
from typing import cast

from sandbox.core_device import mqtt
from sandbox.core_device.lifeline import until_stopped

LOOPBACK = "127.0.0.1"
#: Messages that a subscriber may have unacknowledged before those after them wait, and their publishers with them.
WINDOW = 500
#: Topics whose subscribers are remembered; a site has some dozens.
_REMEMBERED_TOPICS = 10_000
#: Seconds between looks at who has been silent for too long.
_SILENCE_CHECK = 5.0

log = logging.getLogger("broker")


class _Receipt:
    """The acknowledgement that a publisher is owed once `missing` subscribers have taken its message."""

    __slots__ = ("missing", "packet_id", "publisher")

    def __init__(self, publisher: "_Session", packet_id: int, missing: int) -> None:
        self.publisher = publisher
        self.packet_id = packet_id
        self.missing = missing

    def taken(self) -> None:
        self.missing -= 1
        if not self.missing:
            self.publisher.send(mqtt.puback(self.packet_id))


class Broker:
    """Who is connected, who wants what, and the way of a message from one to the others."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._subscribers: dict[str, list[tuple[_Session, int]]] = {}
        self.dropped = 0
        """Messages at quality of service 0 that a subscriber had no room for."""

    async def serve(self, listening: socket.socket) -> asyncio.Server:
        """Serve the connections to `listening`, which is bound."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Session(self), sock=listening)
        loop.call_later(_SILENCE_CHECK, self._close_silent)
        return server

    def connected(self, session: "_Session") -> None:
        """Take a session in; an earlier one of the same client gives way (section 3.1.4)."""
        earlier = self._sessions.get(session.client_id)
        if earlier is not None:
            earlier.close("another connection took its client id over")
        self._sessions[session.client_id] = session

    def gone(self, session: "_Session") -> None:
        """Forget a session."""
        if self._sessions.get(session.client_id) is session:
            del self._sessions[session.client_id]
        self._subscribers.clear()

    def subscriptions_changed(self) -> None:
        """Look the subscribers of each topic up anew."""
        self._subscribers.clear()

    def publish(self, publisher: "_Session", message: mqtt.Publish) -> None:
        """Hand a message to its subscribers, and acknowledge it once each has room for it."""
        topic, payload, qos, packet_id = message
        subscribers = self._subscribers.get(topic)
        if subscribers is None:
            subscribers = self._find_subscribers(topic)
        receipt: _Receipt | None = None
        for session, granted in subscribers:
            delivered_qos = qos if qos < granted else granted
            if session.has_room():
                session.deliver(topic, payload, delivered_qos)
            elif qos:
                if receipt is None:
                    receipt = _Receipt(publisher, packet_id, 0)
                receipt.missing += 1
                session.waiting.append((topic, payload, delivered_qos, receipt))
            else:
                self._drop(session)
        if qos and receipt is None:
            publisher.send(mqtt.puback(packet_id))

    def _find_subscribers(self, topic: str) -> list[tuple["_Session", int]]:
        if len(self._subscribers) >= _REMEMBERED_TOPICS:
            self._subscribers.clear()
        found = []
        for session in self._sessions.values():
            granted = [qos for topic_filter, qos in session.filters.items() if mqtt.matches(topic_filter, topic)]
            if granted:
                found.append((session, max(granted)))
        self._subscribers[topic] = found
        return found

    def _drop(self, session: "_Session") -> None:
        if not self.dropped:
            log.warning("%s lags: messages at quality of service 0 are dropped for it", session.client_id)
        self.dropped += 1

    def _close_silent(self) -> None:
        loop = asyncio.get_running_loop()
        for session in list(self._sessions.values()):
            if session.keep_alive and loop.time() - session.heard_at > 1.5 * session.keep_alive:
                session.close(f"silent for more than one and a half times its keep-alive of {session.keep_alive} s")
        loop.call_later(_SILENCE_CHECK, self._close_silent)


class _Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, broker: Broker) -> None:
        self.client_id = ""
        self.keep_alive = 0
        self.heard_at = 0.0
        self.filters: dict[str, int] = {}
        #: Messages for which there was no room: topic, payload, quality of service, the publisher's receipt.
        self.waiting: deque[tuple[str, bytes, int, _Receipt]] = deque()
        self._broker = broker
        self._reader = mqtt.PacketReader()
        self._loop = asyncio.get_running_loop()
        self._unacknowledged: set[int] = set()
        self._packet_id = 0
        self._outgoing: list[bytes] = []
        self._writable = True
        self._open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard_at = self._loop.time()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        try:
            for kind, flags, body in self._reader.feed(data):
                if not self._open:
                    return
                self._handle(kind, flags, body)
        except mqtt.ProtocolViolation as violation:
            self.close(str(violation), logging.WARNING)

    def connection_lost(self, _: Exception | None) -> None:
        self._open = False
        self._broker.gone(self)
        if self.client_id:
            log.info("%s is gone%s", self.client_id, f" with {len(self.waiting)} waiting" if self.waiting else "")
        # What waited for this subscriber alone must not hold its publishers for ever.
        while self.waiting:
            self.waiting.popleft()[3].taken()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._take_waiting()

    def has_room(self) -> bool:
        """Whether the next message may go out now."""
        return self._writable and len(self._unacknowledged) < WINDOW and not self.waiting

    def deliver(self, topic: str, payload: bytes, qos: int) -> None:
        """Send a message."""
        head = mqtt.publish_head(topic, len(payload), qos)
        if not qos:
            self.send(head + payload)
            return
        self._packet_id = packet_id = self._packet_id % 0xFFFF + 1
        while packet_id in self._unacknowledged:
            self._packet_id = packet_id = packet_id % 0xFFFF + 1
        self._unacknowledged.add(packet_id)
        self.send(b"%b%b%b" % (head, packet_id.to_bytes(2, "big"), payload))

    def send(self, packet: bytes) -> None:
        """Send a packet, together with the others of this round of the event loop."""
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(packet)

    def close(self, reason: str, level: int = logging.INFO) -> None:
        """End the connection."""
        if self._open:
            self._open = False
            log.log(level, "%s is disconnected: %s", self.client_id or "a client", reason)
            self._transport.abort()

    def _flush(self) -> None:
        packets, self._outgoing = self._outgoing, []
        if self._open:
            self._transport.write(b"".join(packets))

    def _take_waiting(self) -> None:
        waiting = self.waiting
        while waiting and self._writable and len(self._unacknowledged) < WINDOW:
            topic, payload, qos, receipt = waiting.popleft()
            self.deliver(topic, payload, qos)
            receipt.taken()

    def _handle(self, kind: int, flags: int, body: bytes) -> None:
        if not self.client_id:
            self._connect(kind, body)
        elif kind == mqtt.PUBLISH:
            self._broker.publish(self, mqtt.parse_publish(flags, body))
        elif kind == mqtt.PUBACK:
            self._unacknowledged.discard(mqtt.parse_puback(body))
            if self.waiting:
                self._take_waiting()
        elif kind == mqtt.SUBSCRIBE:
            packet_id, filters = mqtt.parse_subscribe(body)
            self.send(mqtt.suback(packet_id, [self._subscribe(*wanted) for wanted in filters]))
            self._broker.subscriptions_changed()
        elif kind == mqtt.UNSUBSCRIBE:
            packet_id, names = mqtt.parse_unsubscribe(body)
            for name in names:
                self.filters.pop(name, None)
            self._broker.subscriptions_changed()
            self.send(mqtt.unsuback(packet_id))
        elif kind == mqtt.PINGREQ:
            self.send(mqtt.PINGRESP_PACKET)
        elif kind == mqtt.DISCONNECT:
            self.close("it said good-bye")
        else:
            raise mqtt.ProtocolViolation(f"packet type {kind}, which no client sends at quality of service 0 or 1")

    def _connect(self, kind: int, body: bytes) -> None:
        if kind != mqtt.CONNECT:
            raise mqtt.ProtocolViolation(f"packet type {kind} before CONNECT (section 3.1)")
        connect = mqtt.parse_connect(body)
        if not connect.client_id:
            raise mqtt.ProtocolViolation("no client id: a component says who it is")
        self.client_id, self.keep_alive = connect
        self._broker.connected(self)
        self.send(mqtt.connack())
        log.info("%s is connected", self.client_id)

    def _subscribe(self, topic_filter: str, qos: int) -> int:
        if not mqtt.is_filter(topic_filter):
            log.warning("%s asked for %r, which is no topic filter", self.client_id, topic_filter)
            return mqtt.REFUSED_FILTER
        self.filters[topic_filter] = min(qos, 1)
        return min(qos, 1)


async def _main(port: int) -> None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
    except OSError as error:
        raise SystemExit(
            f"port {port} of {LOOPBACK} cannot be used ({error.strerror}): free it, or use another"
        ) from error
    server = await Broker().serve(listening)
    print(listening.getsockname()[1], flush=True)
    await until_stopped()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The broker of a site's local bus.")
    parser.add_argument("--port", type=int, default=0, help="port of 127.0.0.1; any free one where left out")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    asyncio.run(_main(parser.parse_args().port))
