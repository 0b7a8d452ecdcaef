"""One connection to a broker: packets in, packets out."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Coroutine
from typing import Any, Protocol, cast

from pm_contracts import budgets
from pm_sandbox.core_device import mqtt
from pm_sandbox.core_device.broker_session import Session

#: Seconds in which a client has to send its CONNECT: "a reasonable amount of time" (section 3.1.4).
CONNECT_SECONDS = 20.0
#: Bytes to be sent that are not gathered any longer: with them the system says whether the client reads.
_GATHERED_BYTES = 64 * 1024

log = logging.getLogger("broker")


class Broker(Protocol):
    """A connection's view of its broker."""

    has_all: bool

    def admit(self, connection: "Connection", connect: mqtt.Connect) -> Coroutine[Any, Any, None] | None:
        """Take a client in by `connection.accept` or turn it away; a coroutine where that needs time."""

    def gone(self, connection: "Connection") -> None:
        """Note that a connection is gone."""

    def publish(self, publisher: "Connection", message: mqtt.Publish) -> None:
        """Carry a message to its subscribers, and acknowledge it once they have."""

    def subscribe(self, connection: "Connection", topic_filter: str, qos: int) -> int:
        """Subscribe; returns the granted quality of service or `mqtt.REFUSED_FILTER`."""

    def unsubscribe(self, connection: "Connection", topic_filter: str) -> None:
        """Unsubscribe."""


class Connection(asyncio.Protocol):
    """A client that is connecting or connected.

    Attributes:
        client_id: Who, once it has said so.
        keep_alive: Seconds that it may be silent; 0 for ever.
        heard_at: When it was heard last, by the event loop's time.
        session: What the broker knows of it, once it is taken in.
        writable: Whether there is room to write.
        certificate: What it has shown by TLS, DER; empty on a plain connection.
    """

    session: Session

    def __init__(self, broker: Broker) -> None:
        self.client_id = ""
        self.keep_alive = 0
        self.heard_at = 0.0
        self.writable = True
        self.certificate = b""
        self._broker = broker
        self._reader = mqtt.PacketReader()
        self._loop = asyncio.get_running_loop()
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._open = True
        self._admission: asyncio.Task[None] | None = None
        self._will: mqtt.Publish | None = None
        #: Packets that came before the client was taken in (section 3.1.4 allows them).
        self._early: list[tuple[int, int, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection."""
        self._transport = cast(asyncio.Transport, transport)
        with contextlib.suppress(OSError):  # of a client that has gone already
            self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._silence = self._loop.call_later(CONNECT_SECONDS, self._end_silence)
        tls = self._transport.get_extra_info("ssl_object")
        if tls is not None:
            self.certificate = tls.getpeercert(binary_form=True) or b""
        self.heard_at = self._loop.time()

    def data_received(self, data: bytes) -> None:
        """Take packets."""
        self.heard_at = self._loop.time()
        try:
            for kind, flags, body in self._reader.feed(data):
                if not self._open:
                    return
                self._handle(kind, flags, body)
        except mqtt.ConnectRefused as refused:
            self.refuse(str(refused), refused.return_code)
        except mqtt.ProtocolViolation as violation:
            self.close(str(violation), logging.WARNING)

    def connection_lost(self, _: Exception | None) -> None:
        """Note the end."""
        self._open = False
        self._silence.cancel()
        if self._admission is not None:
            self._admission.cancel()
        if self._will is not None and hasattr(self, "session"):
            self._broker.publish(self, self._will)
        self._broker.gone(self)

    def pause_writing(self) -> None:
        """Note that there is no room to write."""
        self.writable = False

    def resume_writing(self) -> None:
        """Write on."""
        self.writable = True
        if hasattr(self, "session"):
            self.session.take_waiting()

    def accept(self, session: Session, *, session_present: bool) -> None:
        """Take the client in."""
        self.session = session
        session.attach(self)
        self.send(mqtt.connack(session_present=session_present))
        log.info("%s is connected%s", self.client_id, f"; {session.pending} messages wait" if session.pending else "")
        session.take_waiting()
        early, self._early = self._early, []
        for packet in early:
            self._handle(*packet)
        if self._admission is not None and self._open:
            self._transport.resume_reading()

    def refuse(self, reason: str, return_code: int = mqtt.NOT_AUTHORIZED) -> None:
        """Turn the client away: it hears a return code, and the log says why."""
        self.send(mqtt.connack(return_code))
        self._flush()
        log.warning("%s is refused: %s", self.client_id or "a client", reason)
        self._open = False
        self._transport.close()

    def send(self, packet: bytes) -> None:
        """Send a packet, together with the others of this round of the event loop."""
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(packet)
        self._outgoing_bytes += len(packet)
        if self._outgoing_bytes > _GATHERED_BYTES:
            self._flush()

    def close(self, reason: str, level: int = logging.INFO) -> None:
        """End the connection."""
        if self._open:
            self._open = False
            log.log(level, "%s is disconnected: %s", self.client_id or "a client", reason)
            self._transport.abort()

    def _end_silence(self) -> None:
        if not self.client_id:
            self.close(f"it has not said who it is within {CONNECT_SECONDS:.0f} s")

    def _flush(self) -> None:
        packets, self._outgoing, self._outgoing_bytes = self._outgoing, [], 0
        if self._open and packets:
            self._transport.write(b"".join(packets))
            if self._transport.get_write_buffer_size() > budgets.BROKER_UNREAD_BYTES:
                self.close("it reads none of its answers", logging.WARNING)

    def _handle(self, kind: int, flags: int, body: bytes) -> None:
        if not self.client_id:
            self._connect(kind, body)
        elif not hasattr(self, "session"):
            self._early.append((kind, flags, body))
        elif kind == mqtt.PUBLISH:
            self._publish(mqtt.parse_publish(flags, body))
        elif kind == mqtt.PUBACK:
            self.session.acknowledged(mqtt.parse_acknowledgement(body))
        elif kind == mqtt.PUBREL and self._broker.has_all:
            packet_id = mqtt.parse_acknowledgement(body)
            self.session.unreleased.discard(packet_id)
            self.send(mqtt.acknowledgement(packet_id, mqtt.PUBCOMP))
        elif kind == mqtt.SUBSCRIBE:
            packet_id, filters = mqtt.parse_subscribe(body)
            self.send(mqtt.suback(packet_id, [self._broker.subscribe(self, *wanted) for wanted in filters]))
        elif kind == mqtt.UNSUBSCRIBE:
            packet_id, names = mqtt.parse_unsubscribe(body)
            for name in names:
                self._broker.unsubscribe(self, name)
            self.send(mqtt.unsuback(packet_id))
        elif kind == mqtt.PINGREQ:
            self.send(mqtt.PINGRESP_PACKET)
        elif kind == mqtt.DISCONNECT:
            self._will = None
            self.close("it said good-bye")
        else:
            raise mqtt.ProtocolViolation(f"packet type {kind}, which no client sends at quality of service 0 or 1")

    def _publish(self, message: mqtt.Publish) -> None:
        if not self._broker.has_all and (message.qos == 2 or message.retain):
            raise mqtt.ProtocolViolation("quality of service 2 or a retained message: this broker has neither")
        if message.qos == 2:
            if message.packet_id in self.session.unreleased:  # it has not heard of the first time
                self.send(mqtt.acknowledgement(message.packet_id, mqtt.PUBREC))
                return
            self.session.unreleased.add(message.packet_id)
        self._broker.publish(self, message)

    def _connect(self, kind: int, body: bytes) -> None:
        if kind != mqtt.CONNECT:
            raise mqtt.ProtocolViolation(f"packet type {kind} before CONNECT (section 3.1)")
        connect = mqtt.parse_connect(body)
        if connect.will is not None and not self._broker.has_all:
            raise mqtt.ProtocolViolation("a will message: this broker has none")
        self.client_id, self.keep_alive, self._will = connect.client_id, connect.keep_alive, connect.will
        admission = self._broker.admit(self, connect)
        if admission is not None:
            # What it has sent already waits in memory, and the rest with it.
            self._transport.pause_reading()
            self._admission = self._loop.create_task(admission)
