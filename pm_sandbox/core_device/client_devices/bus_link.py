"""The bridge's end on the components' bus: what devices say goes there, and is acknowledged when it is taken there."""

import asyncio
import logging
from typing import cast

from pm_contracts import budgets
from pm_sandbox.core_device import mqtt
from pm_sandbox.core_device.broker_session import OVERHEAD_BYTES, Backlog, Delivery, Session

_RETRY = (0.1, 5.0)

log = logging.getLogger("client_devices")


class BusLink:
    """A connection to the bus that comes back by itself and sends again what was not acknowledged.

    Attributes:
        carried: Messages that it was given.
    """

    def __init__(self, host: str, port: int, client_id: str) -> None:
        """Prepare it; `run` connects."""
        self._address = (host, port)
        self._client_id = client_id
        #: The bus, as a subscriber to all that it is given.
        self._bus = Session("bus", True, Backlog(budgets.CLIENT_DEVICES_BYTES, budgets.CLIENT_DEVICES_BYTES))
        self.carried = 0

    def has_room(self, topic: str, payload: bytes) -> bool:
        """True if a message can wait here without another having to go for it."""
        return self._bus.has_room(len(topic) + len(payload) + OVERHEAD_BYTES)

    def carry(self, delivery: Delivery) -> None:
        """Send a message on, now or when the bus is there."""
        self.carried += 1
        self._bus.deliver(delivery)

    async def run(self) -> None:
        """Keep connected until cancelled."""
        loop = asyncio.get_running_loop()
        shortest, longest = _RETRY
        delay = shortest
        while True:
            try:
                _, connection = await loop.create_connection(
                    lambda: _Connection(self._client_id, self._bus), *self._address
                )
                if await connection.ended:
                    delay = shortest
            except OSError as error:
                log.warning("the local bus is not there: %s", error)
            await asyncio.sleep(delay)
            delay = min(longest, delay * 2)


class _Connection(asyncio.Protocol):
    """One connection to the bus; `ended` tells at its end whether it ever was accepted."""

    def __init__(self, client_id: str, bus: Session) -> None:
        self.writable = True
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._client_id = client_id
        self._bus = bus
        self._reader = mqtt.PacketReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(mqtt.connect(self._client_id))

    def data_received(self, data: bytes) -> None:
        try:
            for kind, _, body in self._reader.feed(data):
                if kind == mqtt.CONNACK and body[1:2] == b"\x00":
                    self._bus.attach(self)
                    self._bus.take_waiting()
                elif kind == mqtt.PUBACK:
                    self._bus.acknowledged(mqtt.parse_acknowledgement(body))
                else:
                    raise mqtt.ProtocolViolation(f"packet type {kind} {body.hex()} from the bus")
        except mqtt.ProtocolViolation as violation:
            self.close(str(violation), logging.WARNING)

    def connection_lost(self, _: Exception | None) -> None:
        was_accepted = self._bus.connection is self
        if was_accepted:
            self._bus.detach()
        if not self.ended.done():
            self.ended.set_result(was_accepted)

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self._bus.take_waiting()

    def send(self, packet: bytes) -> None:
        self._transport.write(packet)

    def close(self, reason: str, level: int = logging.INFO) -> None:
        log.log(level, "the local bus is disconnected: %s", reason)
        self._transport.abort()
