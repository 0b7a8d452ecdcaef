"""The report of a component without Greengrass's IPC that it runs: `READY=1` on a socket, as in sd_notify(3).

It stands for `UpdateState`: one socket a component, so that the socket says who speaks.
"""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable

#: Names the socket to the component, `@` for an abstract one.
NOTIFY_VARIABLE = "NOTIFY_SOCKET"
_READY = b"READY=1"
_MAXIMUM_BYTES = 4096


class StateReport:
    """One component's socket.

    Attributes:
        address: For `NOTIFY_VARIABLE`.
    """

    def __init__(self, on_running: Callable[[], object]) -> None:
        """Call `on_running` each time that the component says so; to be made within the event loop."""
        name = f"pm-nucleus-{secrets.token_hex(16)}"
        self.address = f"@{name}"
        self._on_running = on_running
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        # Abstract, for a path in a device's folder may be longer than an address can be (unix(7)).
        self._socket.bind(f"\0{name}")
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if _READY in self._socket.recv(_MAXIMUM_BYTES).splitlines():
                self._on_running()
