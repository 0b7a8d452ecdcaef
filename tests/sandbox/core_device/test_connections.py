"""Clients of any make: what MQTT has is answered, and connections without it end no broker and fill no disk.

Not proved here: TLS and the policies of devices (test_client_devices.py), and how many devices a gateway serves.
"""

import asyncio
import errno
import queue
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from pm_sandbox.core_device import broker_connection, component_log
from pm_sandbox.core_device.broker import Broker
from pm_sandbox.core_device.client_devices import gateway
from pm_sandbox.core_device.client_devices.admission import Admission
from pm_sandbox.core_device.client_devices.authority import Authority
from pm_sandbox.core_device.client_devices.bus_link import BusLink
from pm_sandbox.core_device.client_devices.cloud import DeviceCloud
from pm_sandbox.core_device.client_devices.configuration import Configuration
from pm_sandbox.core_device.client_devices.gateway import Gateway
from pm_sandbox.core_device.local_bus import LocalBus

SECONDS = 30.0


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def made(directory: Path) -> tuple[Gateway, Counter[str], Any]:
    """A gateway that nobody is admitted to, its counters, and its side of TLS."""
    admission = Admission(cast(DeviceCloud, None), 60.0, directory / "verified.json")
    bus = cast(BusLink, SimpleNamespace(carried=0))
    one = Gateway(cast(Configuration, None), admission, bus, directory / "status.json", directory / "sessions.json")
    context = Authority(directory, "gera-core").server_context("127.0.0.1", directory / "authority.pem")
    return one, admission.counters, context


async def closed(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has closed a connection."""
    async with asyncio.timeout(SECONDS):
        try:
            while await reader.read(1024):
                pass
        except ConnectionResetError:
            pass


def test_who_opens_connections_and_says_nothing_costs_the_oldest_of_them(
    tmp_path: Path, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "HALF_OPEN", 3)

    async def run() -> None:
        one, counters, context = made(tmp_path)
        serving = asyncio.create_task(one.listen(listening, context))
        await asyncio.sleep(0)
        opened = [await asyncio.open_connection(*listening.getsockname()) for _ in range(10)]
        for reader, _ in opened[:7]:
            await closed(reader)
        assert counters["refused_Silent"] == 7
        assert not serving.done()
        for _, writer in opened:
            writer.close()
        serving.cancel()

    asyncio.run(run())


def test_a_gateway_outlives_a_moment_without_descriptors(
    tmp_path: Path, listening: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gateway, "_ACCEPT_AGAIN", 0.0)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        accept, failures = loop.sock_accept, iter([errno.EMFILE, errno.ECONNABORTED])

        async def failing_at_first(bound: socket.socket) -> Any:
            if number := next(failures, 0):
                raise OSError(number, "refused by the system")
            return await accept(bound)

        monkeypatch.setattr(loop, "sock_accept", failing_at_first)
        one, counters, context = made(tmp_path)
        serving = asyncio.create_task(one.listen(listening, context))
        await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(b"this is no TLS, and the gateway says so\r\n")
        await closed(reader)
        assert counters["refused_Certificate"] == 1
        assert not serving.done()
        writer.close()
        serving.cancel()

    asyncio.run(run())
    assert "no connection is taken in" in caplog.text


def test_a_connection_on_which_nobody_says_who_it_is_ends(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_connection, "CONNECT_SECONDS", 0.01)

    async def run() -> None:
        server = await Broker().serve(listening)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        await closed(reader)
        writer.close()
        server.close()

    asyncio.run(run())


def device(client_id: str, **options: Any) -> tuple[mqtt.Client, "queue.Queue[Any]"]:
    """A client as paho makes it, and what happens to it."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=client_id, **options)
    events: queue.Queue[Any] = queue.Queue()
    client.on_connect = lambda _client, _user, _flags, reason, _properties: events.put(str(reason))
    client.on_subscribe = lambda *_: events.put("subscribed")
    client.on_message = lambda _client, _user, found: events.put((found.topic, found.payload, found.retain))
    return client, events


def started(client: mqtt.Client, port: int) -> None:
    client.connect("127.0.0.1", port)
    client.loop_start()


def _devices(port: int) -> None:
    """Devices with paho's defaults, and with what Greengrass's MQTT broker takes."""
    for client_id, options, answer in (
        # paho takes an id of its own where one is asked for, and comes again.
        ("", {}, "Success"),
        ("gera_air-3", {"protocol": mqtt.MQTTProtocolVersion.MQTTv5}, "Unsupported protocol version"),
    ):
        client, events = device(client_id, **options)
        started(client, port)
        assert events.get(timeout=SECONDS) == answer
        client.loop_stop()

    listener, heard = device("gera_air-2")
    started(listener, port)
    assert heard.get(timeout=SECONDS) == "Success"
    listener.subscribe("pm/#", 1)
    assert heard.get(timeout=SECONDS) == "subscribed"

    publisher, events = device("gera_air-1")
    publisher.will_set("pm/gera/air-1/status", b"gone", qos=1)
    started(publisher, port)
    assert events.get(timeout=SECONDS) == "Success"
    published = publisher.publish("pm/gera/air-1/reading", b"kept", qos=2, retain=True)
    published.wait_for_publish(SECONDS)
    assert published.is_published()
    assert heard.get(timeout=SECONDS) == ("pm/gera/air-1/reading", b"kept", False)

    late, found = device("gera_air-4")
    started(late, port)
    assert found.get(timeout=SECONDS) == "Success"
    late.subscribe("pm/gera/+/reading", 1)
    assert {found.get(timeout=SECONDS), found.get(timeout=SECONDS)} == {
        "subscribed",
        ("pm/gera/air-1/reading", b"kept", True),
    }

    publisher.loop_stop()
    publisher.socket().close()  # without a good-bye
    assert heard.get(timeout=SECONDS) == ("pm/gera/air-1/status", b"gone", False)
    for client in (listener, late):
        client.disconnect()
        client.loop_stop()


def test_devices_of_any_make_are_answered_by_the_specification(tmp_path: Path, listening: socket.socket) -> None:
    async def run() -> None:
        one, _, _ = made(tmp_path)
        one._configuration = cast(Configuration, SimpleNamespace(allows=lambda *_: True, bridged=()))

        async def admitted(*_: object) -> str:
            return ""

        one._admission.check = admitted  # type: ignore[method-assign]
        listening.listen()
        server = await asyncio.get_running_loop().create_server(
            lambda: broker_connection.Connection(one), sock=listening
        )
        await asyncio.to_thread(_devices, listening.getsockname()[1])
        server.close()

    asyncio.run(run())


def test_the_broker_s_log_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(component_log, "FILE_BYTES", 2_000)
    monkeypatch.setattr(component_log, "FILES", 3)

    async def run() -> None:
        bus = LocalBus(tmp_path)
        await bus.start()
        for _ in range(200):  # about 100 bytes of log each
            reader, writer = await asyncio.open_connection("127.0.0.1", bus.port)
            writer.write(b"\x00\x00")  # a packet of no type
            await closed(reader)
            writer.close()
        await bus.stop()

    asyncio.run(run())
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("broker.log*")}
    assert sorted(sizes) == ["broker.log", "broker.log.1", "broker.log.2"]
    # A chunk of a pipe is written whole.
    assert max(sizes.values()) < 2_000 + component_log._CHUNK_BYTES
