"""A broker's state of one client: its subscriptions and the messages for it, connected or not."""

import asyncio
import logging
from collections import deque
from typing import NamedTuple, Protocol

from pm_contracts import budgets
from pm_sandbox.core_device import mqtt

#: Messages that a subscriber may have unacknowledged before those after them wait, and their publishers with them.
WINDOW = 500
#: Seconds in which a subscriber has to acknowledge something while messages wait for it, connected or away, and that a
#: kept session outlives its connection: several times what a component needs to start anew.
KEPT_SECONDS = 60.0
#: Bytes that a message takes in memory beside its topic and payload.
OVERHEAD_BYTES = 400

_TOO_MUCH = "more waits for it than there is room for, and the oldest messages are dropped"

log = logging.getLogger("broker")


class Connection(Protocol):
    """A client's connection, as its session and those who wait for an acknowledgement see it."""

    writable: bool

    def send(self, packet: bytes) -> None:
        """Send a packet; nothing happens where the connection is gone."""

    def close(self, reason: str, level: int = logging.INFO) -> None:
        """End the connection."""


class Receipt:
    """The acknowledgement that a publisher is owed once `missing` subscribers have acknowledged its message."""

    __slots__ = ("kind", "missing", "packet_id", "publisher")

    def __init__(self, publisher: Connection, packet_id: int, qos: int = 1) -> None:
        self.publisher = publisher
        self.packet_id = packet_id
        self.kind = mqtt.PUBREC if qos == 2 else mqtt.PUBACK
        self.missing = 0

    def settle(self) -> None:
        """One subscriber less to wait for."""
        self.missing -= 1
        if not self.missing:
            self.acknowledge()

    def acknowledge(self) -> None:
        """Tell the publisher."""
        self.publisher.send(mqtt.acknowledgement(self.packet_id, self.kind))


class Delivery(NamedTuple):
    """A message at quality of service 1 for one subscriber; `again` where it may have had it already."""

    topic: str
    payload: bytes
    receipt: Receipt
    again: bool = False
    retained: bool = False

    @property
    def size(self) -> int:
        """Bytes that it takes in memory."""
        return len(self.topic) + len(self.payload) + OVERHEAD_BYTES


class Backlog:
    """The bytes of all messages that wait for the sessions of one broker, and what was given up of them.

    Attributes:
        bytes: What waits.
        dropped: Messages that a subscriber was not given, for it lagged or stayed away.
        forgotten: Subscribers that were given up while messages waited for them.
    """

    def __init__(self, session_bytes: int, total_bytes: int) -> None:
        """Bound what waits for one session, and what waits for all of them."""
        self._session_bytes = session_bytes
        self._total_bytes = total_bytes
        self._sessions: dict[Session, None] = {}
        self.bytes = 0
        self.dropped = 0
        self.forgotten = 0

    def begin(self, session: "Session") -> None:
        """Know a session from now on."""
        self._sessions[session] = None

    def end(self, session: "Session") -> None:
        """Know it no more."""
        self._sessions.pop(session, None)

    def in_the_way(self, session: "Session", size: int) -> "Session | None":
        """The session that has to give up something before `size` bytes more can wait for `session`; None if none."""
        if session.bytes + size > self._session_bytes:
            return session
        if self.bytes + size > self._total_bytes:
            return max(self._sessions, key=lambda one: one.bytes)
        return None


class Session:
    """One client.

    Attributes:
        client_id: Who.
        is_kept: Whether it outlives its connection.
        filters: Topic filter -> granted quality of service.
        connection: None while it is away.
        bytes: What it has not acknowledged.
        dropped: Messages that it was not given, for it lagged or stayed away.
        unreleased: Packet identifiers at quality of service 2 that it has published and not released (section 4.3.3).
    """

    def __init__(self, client_id: str, is_kept: bool, backlog: Backlog, filters: dict[str, int] | None = None) -> None:
        self.client_id = client_id
        self.is_kept = is_kept
        self.filters = filters or {}
        self.connection: Connection | None = None
        self.bytes = 0
        self.dropped = 0
        self.unreleased: set[int] = set()
        self._backlog = backlog
        self._loop = asyncio.get_running_loop()
        self._away_since = self._progress_at = self._loop.time()
        self._waiting: deque[Delivery] = deque()
        self._unacknowledged: dict[int, Delivery] = {}
        self._flight_bytes = 0
        self._packet_id = 0
        backlog.begin(self)

    @property
    def pending(self) -> int:
        """Messages that it has not acknowledged."""
        return len(self._waiting) + len(self._unacknowledged)

    def why_over(self, now: float) -> str:
        """The reason to give the client up; empty while there is none. `now` is the event loop's time."""
        if self.pending and now - self._progress_at > KEPT_SECONDS:
            return f"it has acknowledged nothing for {KEPT_SECONDS:.0f} s while messages waited"
        if self.connection is None and now - self._away_since > KEPT_SECONDS:
            return f"it has been away for {KEPT_SECONDS:.0f} s"
        return ""

    def has_room(self, size: int) -> bool:
        """True if so many bytes more can wait without a message having to go for them."""
        return self._backlog.in_the_way(self, size) is None

    def attach(self, connection: Connection) -> None:
        """Go on with this connection; `take_waiting` sends it what waits."""
        self.connection = connection

    def detach(self) -> None:
        """Be away: what was under way goes out again, before what waits, when the client is back."""
        self.connection = None
        self._away_since = self._loop.time()
        under_way = [delivery._replace(again=True) for delivery in self._unacknowledged.values()]
        self._unacknowledged.clear()
        self._flight_bytes = 0
        self._waiting.extendleft(reversed(under_way))

    def end(self) -> int:
        """Give up what it has not acknowledged, so that no publisher waits for it; returns how much that was."""
        given_up = self.pending
        for delivery in [*self._unacknowledged.values(), *self._waiting]:
            delivery.receipt.settle()
        self._unacknowledged.clear()
        self._waiting.clear()
        self._backlog.bytes -= self.bytes
        self._backlog.dropped += given_up
        self._backlog.forgotten += given_up > 0
        self.bytes = self._flight_bytes = 0
        self._backlog.end(self)
        return given_up

    def offer(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Send a message at quality of service 0, or drop it where there is no room."""
        connection = self.connection
        if connection is not None and connection.writable and not self._waiting:
            connection.send(mqtt.publish_head(topic, len(payload), 0, retained=retained) + payload)
            return
        self._note_drop("messages at quality of service 0 are dropped for it")

    def deliver(self, delivery: Delivery) -> None:
        """Send a message at quality of service 1, now or when there is room."""
        size = delivery.size
        while (other := self._backlog.in_the_way(self, size)) is not None:
            if not other.drop_oldest():  # all else is under way
                delivery.receipt.settle()
                self._note_drop(_TOO_MUCH)
                return
        if not self.pending:
            self._progress_at = self._loop.time()
        self.bytes += size
        self._backlog.bytes += size
        self._waiting.append(delivery)
        self.take_waiting()

    def drop_oldest(self) -> bool:
        """Give up the message that has waited longest and is not under way; whether there was one."""
        if not self._waiting:
            return False
        self._settle(self._waiting.popleft())
        self._note_drop(_TOO_MUCH)
        return True

    def acknowledged(self, packet_id: int) -> None:
        """Note that the client has a message."""
        delivery = self._unacknowledged.pop(packet_id, None)
        if delivery is not None:
            self._progress_at = self._loop.time()
            self._flight_bytes -= delivery.size
            self._settle(delivery)
        if self._waiting:
            self.take_waiting()

    def take_waiting(self) -> None:
        """Send of what waits as much as there is room for."""
        connection, waiting = self.connection, self._waiting
        while waiting and connection is not None and connection.writable and self._may_fly(waiting[0].size):
            self._send(connection, waiting.popleft())

    def _may_fly(self, size: int) -> bool:
        under_way = len(self._unacknowledged)
        return not under_way or (under_way < WINDOW and self._flight_bytes + size <= budgets.BROKER_FLIGHT_BYTES)

    def _settle(self, delivery: Delivery) -> None:
        self.bytes -= delivery.size
        self._backlog.bytes -= delivery.size
        delivery.receipt.settle()

    def _send(self, connection: Connection, delivery: Delivery) -> None:
        topic, payload, _, again, retained = delivery
        self._packet_id = packet_id = self._packet_id % 0xFFFF + 1
        while packet_id in self._unacknowledged:
            self._packet_id = packet_id = packet_id % 0xFFFF + 1
        self._unacknowledged[packet_id] = delivery
        self._flight_bytes += delivery.size
        head = mqtt.publish_head(topic, len(payload), 1, again=again, retained=retained)
        connection.send(b"%b%b%b" % (head, packet_id.to_bytes(2, "big"), payload))

    def _note_drop(self, what: str) -> None:
        if not self.dropped:
            log.warning("%s is %s: %s", self.client_id, "slow" if self.connection is not None else "away", what)
        self.dropped += 1
        self._backlog.dropped += 1
