"""The uplink that can be cut, with real sockets. What MQTT and S3 make of a cut is in `test_deployments.py`."""

import asyncio
import contextlib

import pytest

from pm_sandbox.core_device.forwarder import Forwarder

LIMIT = 60.0


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _server() -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


def test_it_carries_more_than_buffers_hold_and_the_end_of_the_connection() -> None:
    async def run() -> None:
        server, port = await _server()
        forwarder = Forwarder("127.0.0.1", port)
        await forwarder.restore()
        reader, writer = await asyncio.open_connection("127.0.0.1", forwarder.port)
        sent = bytes(range(256)) * 65536
        writer.write(sent)
        # The reader comes late, so that the way back fills and the way there has to wait for it.
        await asyncio.sleep(0.1)
        assert await asyncio.wait_for(reader.readexactly(len(sent)), LIMIT) == sent
        server.close()
        writer.close()
        await forwarder.cut()

    asyncio.run(run())


def test_a_cut_breaks_connections_and_refuses_new_ones_until_it_is_restored() -> None:
    async def run() -> None:
        server, port = await _server()
        forwarder = Forwarder("127.0.0.1", port)
        await forwarder.restore()
        address = ("127.0.0.1", forwarder.port)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), LIMIT) == b"hello"
        await forwarder.cut()
        assert forwarder.is_cut
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), LIMIT) == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        await forwarder.restore()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"again")
        assert await asyncio.wait_for(reader.readexactly(5), LIMIT) == b"again"
        writer.close()
        await forwarder.cut()
        server.close()

    asyncio.run(run())


def test_a_target_that_refuses_ends_the_connection() -> None:
    async def run() -> None:
        server, port = await _server()
        server.close()
        await server.wait_closed()
        forwarder = Forwarder("127.0.0.1", port)
        await forwarder.restore()
        reader, _ = await asyncio.open_connection("127.0.0.1", forwarder.port)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), LIMIT) == b""
        await forwarder.cut()

    asyncio.run(run())
