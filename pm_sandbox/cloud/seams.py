"""The seams of the emulator: its private functions, checked before they are relied on, and our own routes.

The emulator offers no extension interface, so the extensions replace private functions of one pinned version. `require`
is the check that a function still is what the extension was written against; without it an upgrade would fail at some
message of some run rather than at the start.
"""

import inspect
import os
from collections.abc import Awaitable, Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

#: The version that the extensions are written against (`requirements/sandbox.in` pins it).
MINISTACK_VERSION = "1.5.33"

LOOPBACK = "127.0.0.1"
DIRECTORY_VARIABLE = "PM_CLOUD_DIRECTORY"
#: File descriptors of the launcher's two listening sockets, inherited from its parent.
HTTP_SOCKET_VARIABLE = "PM_CLOUD_HTTP_SOCKET"
MQTT_SOCKET_VARIABLE = "PM_CLOUD_MQTT_SOCKET"

Route = Callable[[dict[str, list[str]]], Awaitable[Any]]

#: GET path -> what answers it: takes the parsed query string, returns what becomes the JSON body.
routes: dict[str, Route] = {}

#: Awaited in the cloud's event loop before it serves.
on_start: list[Callable[[], Awaitable[None]]] = []


class SeamError(RuntimeError):
    """The installed emulator is not the one that the extensions were written against."""


def check_version() -> None:
    """Refuse any emulator but the pinned one.

    Raises:
        SeamError: naming the version found and the one wanted.
    """
    found = metadata.version("ministack")
    if found != MINISTACK_VERSION:
        raise SeamError(f"ministack {found} is installed; the extensions are written against {MINISTACK_VERSION}")


def require(owner: ModuleType, name: str, *parameters: str) -> Callable[..., Any]:
    """The function `name` of the emulator's module `owner`, which must take exactly `parameters`.

    Raises:
        SeamError: naming the function, what was found and what is wanted.
    """
    found = getattr(owner, name, None)
    if not inspect.isroutine(found):
        raise SeamError(f"{owner.__name__}.{name} is gone from ministack; an extension replaces or calls it")
    names = tuple(inspect.signature(found).parameters)
    if names != parameters:
        raise SeamError(f"{owner.__name__}.{name} takes ({', '.join(names)}); expected ({', '.join(parameters)})")
    return found


def require_value(owner: ModuleType, name: str, kind: type) -> Any:
    """The value `name` of the emulator's module `owner`, which must be a `kind`.

    Raises:
        SeamError: naming the value, what was found and what is wanted.
    """
    found = getattr(owner, name, None)
    if not isinstance(found, kind):
        raise SeamError(f"{owner.__name__}.{name} is a {type(found).__name__}; expected a {kind.__name__}")
    return found


def directory() -> Path:
    """The cloud's own folder, where extensions keep what people may want to look at."""
    return Path(os.environ[DIRECTORY_VARIABLE])
