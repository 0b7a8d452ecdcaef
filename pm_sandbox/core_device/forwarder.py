"""The uplink of a core device: loopback ports in front of the cloud's, for all its traffic, which can be cut."""

import asyncio
import logging
from typing import cast

LOOPBACK = "127.0.0.1"

log = logging.getLogger("forwarder")


class Forwarder:
    """One port of loopback, forwarded to a host and port.

    Attributes:
        port: The port to connect to.
        is_cut: Whether connections are refused.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._ends: set[_End] = set()
        self.port = 0
        self.is_cut = True

    async def restore(self) -> None:
        """Listen, on the same port as before, and forward from now on."""
        if not self.is_cut:
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.is_cut = False

    async def cut(self) -> None:
        """Break all connections, as a pulled plug that both sides notice, and refuse new ones until `restore`."""
        if self.is_cut:
            return
        self.is_cut = True
        assert self._server is not None  # noqa: S101 - it is not cut, so it listens
        self._server.close()
        for end in list(self._ends):
            end.abort()
        await self._server.wait_closed()

    def _accept(self) -> "_End":
        near = _End(self)
        far = _End(self)
        near.peer, far.peer = far, near
        near.opening = asyncio.get_running_loop().create_task(self._connect(near, far))
        return near

    async def _connect(self, near: "_End", far: "_End") -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, *self._target)
        except OSError as error:
            log.warning("%s:%d does not take connections: %s", *self._target, error)
            near.abort()

    def opened(self, end: "_End") -> None:
        """Note a connection."""
        self._ends.add(end)
        if self.is_cut:
            end.abort()

    def closed(self, end: "_End") -> None:
        """Forget a connection."""
        self._ends.discard(end)


class _End(asyncio.Protocol):
    """One end of a forwarded connection; what it hears, its peer says."""

    peer: "_End"
    opening: "asyncio.Task[None]"

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._transport: asyncio.Transport | None = None
        self._held: list[bytes] = []
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._forwarder.opened(self)
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()
        if self.peer._lost:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self.peer.say(data)

    def say(self, data: bytes) -> None:
        """Write to the other side, or keep it until that is connected."""
        if self._transport is None:
            self._held.append(data)
        else:
            self._transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._lost = True
        self._forwarder.closed(self)
        if self.peer._transport is not None:
            self.peer._transport.close()

    def pause_writing(self) -> None:
        if self.peer._transport is not None:
            self.peer._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer._transport is not None and not self.peer._transport.is_closing():
            self.peer._transport.resume_reading()

    def abort(self) -> None:
        """Break the connection."""
        if self._transport is not None:
            self._transport.abort()
