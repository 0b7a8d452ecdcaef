"""`python -m pm_sandbox.cloud.launcher`: the emulator as a child process of `pm_sandbox.cloud.process.Cloud`.

It serves on sockets that the parent has bound to loopback, turns any other listener that the emulator opens on all
interfaces to loopback too, and ends when the parent does: the parent holds the other end of standard input.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
from asyncio.base_events import BaseEventLoop
from typing import Any
from urllib.parse import parse_qs

from pm_sandbox.cloud import extensions, seams

_EVERYWHERE = (None, "", "0.0.0.0", "::")  # noqa: S104 - recognised here in order to be refused


def _listen_on_loopback_only(mqtt_socket: socket.socket) -> None:
    """Make every listener of this process bind loopback; the MQTT one takes the socket already bound for it."""
    create_server = BaseEventLoop.create_server
    mqtt_port = mqtt_socket.getsockname()[1]

    async def on_loopback(
        self: BaseEventLoop, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> asyncio.AbstractServer:
        if options.get("sock") is None and host in _EVERYWHERE:
            if port == mqtt_port and mqtt_socket.fileno() >= 0:
                return await create_server(self, protocol_factory, sock=mqtt_socket, **options)
            host = seams.LOOPBACK
        return await create_server(self, protocol_factory, host, port, **options)

    BaseEventLoop.create_server = on_loopback  # type: ignore[method-assign, assignment]


def _with_own_routes(application: Any) -> Any:
    """The emulator's ASGI application, with the extensions' GET routes in front."""

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        route = seams.routes.get(scope.get("path", "")) if scope["type"] == "http" else None
        if route is None:
            await application(scope, receive, send)
            return
        body = json.dumps(await route(parse_qs(scope["query_string"].decode()))).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return serve


def _stop_requested(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """An event that is set on SIGTERM, on SIGINT, or when the parent closes standard input or dies."""
    requested = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, requested.set)
    # Moved away from 0, so that no process that we start reads from it.
    lifeline = os.dup(0)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a file descriptor is wanted
        os.dup2(nothing.fileno(), 0)

    def watch() -> None:
        while os.read(lifeline, 1024):
            pass
        loop.call_soon_threadsafe(requested.set)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
    return requested


async def _serve(http_descriptor: int, application: Any) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{http_descriptor}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5
    config.loglevel = os.environ["LOG_LEVEL"]
    requested = _stop_requested(asyncio.get_running_loop())
    for start in seams.on_start:
        await start()
    await serve(_with_own_routes(application), config, shutdown_trigger=requested.wait)


def main() -> None:
    """Serve until asked to stop, then leave at once."""
    mqtt_socket = socket.socket(fileno=int(os.environ.pop(seams.MQTT_SOCKET_VARIABLE)))
    http_descriptor = int(os.environ.pop(seams.HTTP_SOCKET_VARIABLE))
    _listen_on_loopback_only(mqtt_socket)
    seams.check_version()
    from ministack.app import app

    extensions.install_all()
    asyncio.new_event_loop().run_until_complete(_serve(http_descriptor, app))
    # Threads of the emulator (Lambda pollers, schedulers) would hold the interpreter's orderly exit for seconds, and
    # there is nothing for them to save: all state is in memory.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
