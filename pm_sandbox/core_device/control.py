"""The channel between a `CoreDevice` and its process: one JSON line each way over loopback, with a shared secret."""

import asyncio
import contextlib
import hmac
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

LOOPBACK = "127.0.0.1"
_LINE_LIMIT = 1 << 20

Command = Callable[[Mapping[str, Any]], Awaitable[Any]]


class ControlError(RuntimeError):
    """The device answers with an error, or not at all."""


async def serve(commands: Mapping[str, Command]) -> tuple[asyncio.Server, dict[str, Any]]:
    """Answer commands until the server is closed.

    Args:
        commands: Name -> what carries it out: takes the arguments, returns what becomes JSON.

    Returns:
        The server, and the address that `call` takes; it holds the secret, so keep it in a file for the owner alone.
    """
    secret = secrets.token_hex(20)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            request = json.loads(await reader.readline() or b"{}")
            if not hmac.compare_digest(str(request.get("secret", "")), secret):
                reply: dict[str, Any] = {"error": "wrong secret"}
            elif request.get("command") not in commands:
                reply = {"error": f"command {request.get('command')!r}: allowed are {', '.join(commands)}"}
            else:
                try:
                    reply = {"result": await commands[request["command"]](request.get("arguments") or {})}
                except (RuntimeError, ValueError, KeyError, OSError, TimeoutError) as error:
                    reply = {"error": f"{type(error).__name__}: {error}"}
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0, limit=_LINE_LIMIT)
    return server, {"port": server.sockets[0].getsockname()[1], "secret": secret}


def call(
    address: Mapping[str, Any], command: str, arguments: Mapping[str, Any] | None = None, timeout: float = 30.0
) -> Any:
    """Have the device carry out a command, and return its result.

    Args:
        address: As `serve` has given it.
        command: Its name.
        arguments: What it takes.
        timeout: Seconds.

    Raises:
        ControlError: if the device does not answer in time, or answers with an error.
    """
    request = {"secret": address["secret"], "command": command, "arguments": dict(arguments or {})}
    try:
        with socket.create_connection((LOOPBACK, address["port"]), timeout=timeout) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except OSError as error:
        raise ControlError(f"the core device does not answer: {error}") from error
    if not line:
        raise ControlError("the core device ended while it was asked")
    reply = json.loads(line)
    if "error" in reply:
        raise ControlError(f"{command}: {reply['error']}")
    return reply["result"]
