"""The broker of client devices: TLS with certificates, rules of who may say what, and the ways to bus and shadows."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from pm_contracts import budgets
from pm_sandbox.core_device import mqtt
from pm_sandbox.core_device.broker import Broker
from pm_sandbox.core_device.broker_connection import Connection
from pm_sandbox.core_device.broker_session import OVERHEAD_BYTES, Backlog, Delivery, Receipt
from pm_sandbox.core_device.client_devices.admission import Admission
from pm_sandbox.core_device.client_devices.bus_link import BusLink
from pm_sandbox.core_device.client_devices.configuration import SHADOW_FILTER, Configuration
from pm_sandbox.core_device.client_devices.shadows import Shadows
from pm_sandbox.state_files import write_json

#: Seconds between looks at whether the connected devices may stay; a real core device looks once a day.
REFRESH_SECONDS = 5.0
_HANDSHAKE_SECONDS = 20.0
#: Connections that may be shaking hands at once. Who opens more, and says nothing on them, costs the oldest of them and
#: no descriptor that a device needs (a process has 1,024 by default).
HALF_OPEN = 100
#: Of retained messages together; one for each topic is kept, which devices choose.
RETAINED_BYTES = 1 << 20
#: Seconds before connections are taken in again where the system gives none.
_ACCEPT_AGAIN = 1.0

log = logging.getLogger("client_devices")


class _Nobody:
    """The receiver of acknowledgements of the gateway's own messages."""

    writable = True

    def send(self, packet: bytes) -> None:
        """Nothing to tell."""

    def close(self, reason: str, level: int = logging.INFO) -> None:
        """Nothing to close."""


def _for_nobody() -> Receipt:
    """The acknowledgement of a message that nobody waits for."""
    receipt = Receipt(_Nobody(), 0)
    receipt.missing = 1
    return receipt


class Gateway(Broker):
    """A broker whose clients are devices of the cloud, each held to its own rules."""

    has_all = True

    def __init__(
        self, configuration: Configuration, admission: Admission, bus: BusLink, status_file: Path, sessions_file: Path
    ) -> None:
        """Let in whom `admission` and `configuration` allow; `status_file` tells how it is doing."""
        super().__init__(sessions_file, Backlog(budgets.CLIENT_DEVICE_BYTES, budgets.CLIENT_DEVICES_BYTES))
        self._configuration = configuration
        self._admission = admission
        self._bus = bus
        self._status_file = status_file
        self._retained: dict[str, bytes] = {}
        #: In the order in which they have begun.
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self.port = 0
        self.shadows: Shadows | None = None

    async def listen(self, listening: socket.socket, context: ssl.SSLContext) -> None:
        """Take connections in on `listening`, which is bound, until cancelled."""
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        listening.listen()
        self.port = listening.getsockname()[1]
        self.watch()
        self.write_status()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError as error:  # no descriptor is left, or the client has gone already
                log.warning("no connection is taken in for %.0f s: %s", _ACCEPT_AGAIN, error)
                await asyncio.sleep(_ACCEPT_AGAIN)
                continue
            if len(self._handshakes) >= HALF_OPEN:
                next(iter(self._handshakes)).cancel()
            task = loop.create_task(self._shake_hands(accepted, context))
            self._handshakes[task] = None
            task.add_done_callback(lambda done: self._handshakes.pop(done, None))

    def admit(self, connection: Connection, connect: mqtt.Connect) -> Coroutine[Any, Any, None]:
        """See `broker_connection.Broker`."""
        return self._admit(connection, connect)

    def publish(self, publisher: Connection, message: mqtt.Publish) -> None:
        """See `broker_connection.Broker`: a message that is not allowed is not acknowledged, as on Moquette."""
        thing, topic = publisher.client_id, message.topic
        if not self._configuration.allows(thing, "mqtt:publish", f"mqtt:topic:{topic}"):
            log.warning("%s: %s", thing, self._refuse("Publish", f"it may not publish on {topic}"))
            publisher.session.unreleased.discard(message.packet_id)
            return
        is_bridged = any(mqtt.matches(wanted, topic) for wanted in self._configuration.bridged)
        if is_bridged and not self._bus.has_room(topic, message.payload):
            # The device keeps what it hears nothing of, and sends it again.
            log.warning("%s: %s", thing, self._refuse("Room", f"{topic}: too much waits for the local bus"))
            publisher.session.unreleased.discard(message.packet_id)
            return
        receipt = Receipt(publisher, message.packet_id, message.qos) if message.qos else None
        if message.retain:
            self._retain(message)
        if self.shadows is not None and mqtt.matches(SHADOW_FILTER, topic):
            owner, _, request = topic.removeprefix("$aws/things/").partition("/shadow/")
            self.shadows.handle(owner, request, message.payload)
            self.write_status()
        else:
            if is_bridged:
                # The bus takes everything at least once; what came at most once then has nobody to tell.
                receipt_of_bus = receipt or Receipt(_Nobody(), 0)
                receipt_of_bus.missing += 1
                self._bus.carry(Delivery(topic, message.payload, receipt_of_bus))
            self.carry(topic, message.payload, receipt)
        if receipt is not None and not receipt.missing:
            receipt.acknowledge()

    def subscribe(self, connection: Connection, topic_filter: str, qos: int) -> int:
        """See `broker_connection.Broker`."""
        if not self._configuration.allows(connection.client_id, "mqtt:subscribe", f"mqtt:topicfilter:{topic_filter}"):
            log.warning("%s: %s", connection.client_id, self._refuse("Subscribe", f"it may not hear {topic_filter}"))
            return mqtt.REFUSED_FILTER
        granted = super().subscribe(connection, topic_filter, qos)
        if granted != mqtt.REFUSED_FILTER:
            for topic, payload in self._retained.items():
                if mqtt.matches(topic_filter, topic) and granted:
                    connection.session.deliver(Delivery(topic, payload, _for_nobody(), retained=True))
                elif mqtt.matches(topic_filter, topic):
                    connection.session.offer(topic, payload, retained=True)
        return granted

    def _retain(self, message: mqtt.Publish) -> None:
        """Keep a message for later subscribers; an empty one ends that (section 3.3.1.3)."""
        self._retained.pop(message.topic, None)
        if not message.payload:
            return
        kept = [*self._retained.items(), (message.topic, message.payload)]
        if sum(len(topic) + len(payload) + OVERHEAD_BYTES for topic, payload in kept) > RETAINED_BYTES:
            self._refuse("Retain", f"{message.topic}: {RETAINED_BYTES} bytes of retained messages are kept at most")
            return
        self._retained[message.topic] = message.payload

    def gone(self, connection: Connection) -> None:
        """See `broker_connection.Broker`."""
        super().gone(connection)
        self.write_status()

    def tell(self, topic: str, payload: bytes) -> None:
        """Publish a message of the core device's own to the devices that may hear it."""
        self.carry(topic, payload, Receipt(_Nobody(), 0))

    def is_connected(self, thing: str) -> bool:
        """True if a device is connected now."""
        session = self._sessions.get(thing)
        return session is not None and session.connection is not None

    async def keep_checking(self) -> None:
        """Ask about each connected device again and again, and let go of those that may not stay, until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            for connection in list(self._connections):
                reason = await self._admission.check(connection.client_id, connection.certificate)
                if reason:
                    self.write_status()
                    connection.close(reason, logging.WARNING)
            self.write_status()

    def write_status(self) -> None:
        """Tell how it is doing, for the device's status."""
        status = {
            "port": self.port,
            "connected": sorted(thing for thing in self._sessions if self.is_connected(thing)),
            "carried": self._bus.carried,
            "dropped": self.backlog.dropped,
            "admission": dict(self._admission.counters),
            "shadows": dict(self.shadows.counters) if self.shadows is not None else {},
        }
        with contextlib.suppress(OSError):  # a full disk: the next status comes soon
            write_json(self._status_file, status, durable=False)

    async def _shake_hands(self, accepted: socket.socket, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: Connection(self), accepted, ssl=context, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except (OSError, ssl.SSLError) as error:
            log.warning("a client is refused: %s", self._refuse("Certificate", f"no TLS with it: {error}"))
        except asyncio.CancelledError:
            self._refuse("Silent", f"more than {HALF_OPEN} connections were shaking hands, this one the longest")
            raise

    async def _admit(self, connection: Connection, connect: mqtt.Connect) -> None:
        thing = connect.client_id
        reason = await self._admission.check(thing, connection.certificate)
        if not reason and not self._configuration.allows(thing, "mqtt:connect", f"mqtt:clientId:{thing}"):
            reason = self._admission.refuse("Connect", f"no device group lets {thing} connect")
        if reason:
            self.write_status()
            connection.refuse(reason)
        else:
            self.take_in(connection, connect)
            self.write_status()

    def _refuse(self, code: str, reason: str) -> str:
        """Count a refusal, and give back the reason.

        It stands in the status before the device hears of it: who is told "no" can be found among the refused.
        """
        self._admission.refuse(code, reason)
        self.write_status()
        return reason
