"""A broker's state of one client: its subscriptions and the messages for it, connected or not."""

import asyncio
import logging
from collections import deque
from typing import NamedTuple, Protocol

from pm_sandbox.core_device import mqtt

#: Messages that a subscriber may have unacknowledged before those after them wait, and their publishers with them.
WINDOW = 500
#: Seconds that a kept session outlives its connection: several times what a component needs to start anew.
KEPT_SECONDS = 60.0
#: Messages that wait for one subscriber at most. The windows of the publishers keep far below it, unless they start
#: anew again and again; past it the oldest is dropped and counted.
WAITING = 20_000

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


class Session:
    """One client.

    Attributes:
        client_id: Who.
        is_kept: Whether it outlives its connection.
        filters: Topic filter -> granted quality of service.
        connection: None while it is away.
        dropped: Messages that it was not given, for it lagged or stayed away.
        unreleased: Packet identifiers at quality of service 2 that it has published and not released (section 4.3.3).
    """

    def __init__(self, client_id: str, is_kept: bool, filters: dict[str, int] | None = None) -> None:
        self.client_id = client_id
        self.is_kept = is_kept
        self.filters = filters or {}
        self.connection: Connection | None = None
        self.dropped = 0
        self.unreleased: set[int] = set()
        self._away_since = asyncio.get_running_loop().time()
        self._waiting: deque[Delivery] = deque()
        self._unacknowledged: dict[int, Delivery] = {}
        self._packet_id = 0

    @property
    def pending(self) -> int:
        """Messages that it has not acknowledged."""
        return len(self._waiting) + len(self._unacknowledged)

    def is_over(self, now: float) -> bool:
        """True if the client has been away for too long; `now` is the event loop's time."""
        return self.connection is None and now - self._away_since > KEPT_SECONDS

    def attach(self, connection: Connection) -> None:
        """Go on with this connection; `take_waiting` sends it what waits."""
        self.connection = connection

    def detach(self) -> None:
        """Be away: what was under way goes out again, before what waits, when the client is back."""
        self.connection = None
        self._away_since = asyncio.get_running_loop().time()
        under_way = [delivery._replace(again=True) for delivery in self._unacknowledged.values()]
        self._unacknowledged.clear()
        self._waiting.extendleft(reversed(under_way))

    def end(self) -> int:
        """Give up what it has not acknowledged, so that no publisher waits for it; returns how much that was."""
        given_up = self.pending
        for delivery in [*self._unacknowledged.values(), *self._waiting]:
            delivery.receipt.settle()
        self._unacknowledged.clear()
        self._waiting.clear()
        return given_up

    def offer(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Send a message at quality of service 0, or drop it where there is no room."""
        connection = self.connection
        if connection is not None and connection.writable and not self._waiting:
            connection.send(mqtt.publish_head(topic, len(payload), 0, retained=retained) + payload)
            return
        self._drop("messages at quality of service 0 are dropped for it")

    def deliver(self, delivery: Delivery) -> None:
        """Send a message at quality of service 1, now or when there is room."""
        connection = self.connection
        if connection is not None and not self._waiting and connection.writable and len(self._unacknowledged) < WINDOW:
            self._send(connection, delivery)
            return
        if len(self._waiting) >= WAITING:
            self._waiting.popleft().receipt.settle()
            self._drop(f"{WAITING} messages wait for it, and the oldest are dropped")
        self._waiting.append(delivery)

    def acknowledged(self, packet_id: int) -> None:
        """Note that the client has a message."""
        delivery = self._unacknowledged.pop(packet_id, None)
        if delivery is not None:
            delivery.receipt.settle()
        if self._waiting:
            self.take_waiting()

    def take_waiting(self) -> None:
        """Send of what waits as much as there is room for."""
        connection, waiting = self.connection, self._waiting
        while waiting and connection is not None and connection.writable and len(self._unacknowledged) < WINDOW:
            self._send(connection, waiting.popleft())

    def _send(self, connection: Connection, delivery: Delivery) -> None:
        topic, payload, _, again, retained = delivery
        self._packet_id = packet_id = self._packet_id % 0xFFFF + 1
        while packet_id in self._unacknowledged:
            self._packet_id = packet_id = packet_id % 0xFFFF + 1
        self._unacknowledged[packet_id] = delivery
        head = mqtt.publish_head(topic, len(payload), 1, again=again, retained=retained)
        connection.send(b"%b%b%b" % (head, packet_id.to_bytes(2, "big"), payload))

    def _drop(self, what: str) -> None:
        if not self.dropped:
            log.warning("%s is %s: %s", self.client_id, "slow" if self.connection is not None else "away", what)
        self.dropped += 1
