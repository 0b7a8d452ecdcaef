"""MQTT packets to the broker of a site's local bus and to the gateway of the plant's devices."""

import asyncio
import functools
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from resilience.fuzz.boundary import Boundary, Opened


class _Transport(asyncio.Transport):
    """A connection's way out, to nowhere."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default if name == "ssl_object" else _Socket()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class _Socket:
    def setsockopt(self, *_: object) -> None:
        pass


def _packets() -> list[bytes]:
    """The packets of a client from its first one on."""
    from pm_sandbox.core_device import mqtt

    def packet(kind: int, flags: int, body: bytes) -> bytes:
        return bytes((kind << 4 | flags, len(body))) + body

    def text(value: str) -> bytes:
        return len(value).to_bytes(2, "big") + value.encode()

    connect = mqtt.connect("lindau_air-1")
    with_will = packet(
        mqtt.CONNECT, 0, text("MQTT") + b"\x04\x2e\x00\x1e" + text("lindau_air-1") + text("pm/x") + text("gone")
    )
    publish = mqtt.publish_head("pm/lindau/air-1/reading", 2, 1) + b"\x00\x01{}"
    twice = mqtt.publish_head("pm/lindau/air-1/reading", 2, 2, retained=True) + b"\x00\x02{}"
    filters = text("pm/lindau/#") + b"\x01" + text("pm/+/alert") + b"\x00"
    subscribe = packet(mqtt.SUBSCRIBE, 2, b"\x00\x03" + filters)
    unsubscribe = packet(mqtt.UNSUBSCRIBE, 2, b"\x00\x04" + text("pm/lindau/#"))
    release = packet(mqtt.PUBREL, 2, b"\x00\x02")
    acknowledge = mqtt.acknowledgement(1)
    ping, good_bye = packet(mqtt.PINGREQ, 0, b""), packet(mqtt.DISCONNECT, 0, b"")
    shadow = mqtt.publish_head("$aws/things/lindau_air-1/shadow/update", 2, 1) + b"\x00\x05{}"
    return [
        connect + publish + subscribe + ping + acknowledge,
        connect + subscribe + publish + acknowledge + unsubscribe + good_bye,
        with_will + twice + release + shadow + subscribe,
    ]


def _opened(make: Any, folder: Path) -> Opened:
    from pm_sandbox.core_device.broker_connection import Connection

    loop = asyncio.new_event_loop()
    raised: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: raised.append(context.get("exception") or RuntimeError(str(context))))

    async def connect(content: bytes) -> None:
        broker = make(folder)
        connection = Connection(broker)
        connection.connection_made(_Transport())
        half = len(content) // 2
        for piece in (content[:half], content[half:]):
            connection.data_received(piece)
            for _ in range(3):  # rounds of the loop, in which a client is admitted and answered
                await asyncio.sleep(0)
        connection.connection_lost(None)

    def door(content: bytes) -> None:
        raised.clear()
        loop.run_until_complete(connect(content))
        if raised:
            raise raised[0]

    return Opened(door, _packets())


def _bus(_folder: Path) -> Any:
    from pm_sandbox.core_device.broker import Broker

    return Broker()


def _gateway(folder: Path) -> Any:
    from pm_sandbox.core_device import mqtt
    from pm_sandbox.core_device.broker_connection import Connection
    from pm_sandbox.core_device.client_devices.bus_link import BusLink
    from pm_sandbox.core_device.client_devices.configuration import Configuration, Rule
    from pm_sandbox.core_device.client_devices.gateway import Gateway

    class Open(Gateway):
        """The gateway, to whoever comes: who may is another boundary's concern."""

        def admit(self, connection: Connection, connect: mqtt.Connect) -> Coroutine[Any, Any, None]:
            async def taken_in() -> None:
                self.take_in(connection, connect)

            return taken_in()

        def write_status(self) -> None:
            """Nobody reads it."""

    class Counting:
        """Admission, as far as it counts."""

        def refuse(self, _code: str, reason: str) -> str:
            return reason

    everything = Rule(("*",), ("mqtt:*",), ("*",))
    configuration = Configuration((everything,), 60.0, ("pm/+/+/reading",), False, frozenset())
    link = BusLink("127.0.0.1", 1, "link")
    return Open(configuration, Counting(), link, folder / "status.json", folder / "sessions.json")  # type: ignore[arg-type]


BOUNDARIES = (
    Boundary("bus_packets", functools.partial(_opened, _bus)),
    Boundary("gateway_packets", functools.partial(_opened, _gateway), 0.3),
)
