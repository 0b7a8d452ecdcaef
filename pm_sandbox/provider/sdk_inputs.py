"""Each input against the annotations of Pulumi's SDK, which pass an unknown key of a dictionary through unseen."""

import collections.abc
import enum
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from pm_sandbox.provider.inputs import Failure
from pm_sandbox.provider.sdk_types import alternatives, arguments_of, fields_of, is_block
from pm_sandbox.provider.wire import UNKNOWN

_PLAIN = {bool: "a boolean", int: "an integer", float: "a number", str: "a text"}


def violations(token: str, inputs: Mapping[str, Any]) -> list[Failure]:
    """List the inputs that are unknown, missing or of a wrong type.

    Args:
        token: the type.
        inputs: by the name that reaches the engine; files are Pulumi's, or told by their kind.

    Raises:
        UnknownTypeError: if no installed SDK has the type.
    """
    return list(_block(arguments_of(token), inputs, ""))


def _block(arguments: type, value: Any, where: str) -> Iterator[Failure]:
    if not isinstance(value, Mapping):
        yield Failure(where, f"found {_shown(value)}, allowed is an object ({arguments.__name__})")
        return
    fields = fields_of(arguments)
    head = f"{where}." if where else ""
    for key, item in value.items():
        if key not in fields:
            yield Failure(f"{head}{key}", f"there is no such input, allowed are {', '.join(sorted(fields))}")
        else:
            yield from _value(fields[key].annotation, item, f"{head}{key}")
    for key, field in fields.items():
        if field.required and key not in value:
            yield Failure(f"{head}{key}", "it is missing, and required")


def _value(annotation: Any, value: Any, where: str) -> Iterator[Failure]:
    """The problems of the alternative that fits best."""
    if value == UNKNOWN or _is_file(value):
        return
    found: list[list[Failure]] = []
    for alternative in alternatives(annotation):
        found.append(list(_one(alternative, value, where)))
        if not found[-1]:
            return
    yield from min(found, key=len, default=[])


def _one(annotation: Any, value: Any, where: str) -> Iterator[Failure]:
    origin = typing.get_origin(annotation)
    if is_block(annotation):
        yield from _block(annotation, value, where)
    elif origin is collections.abc.Sequence:
        if not isinstance(value, list):
            yield Failure(where, f"found {_shown(value)}, allowed is a list")
            return
        for index, item in enumerate(value):
            yield from _value(typing.get_args(annotation)[0], item, f"{where}[{index}]")
    elif origin is collections.abc.Mapping:
        if not isinstance(value, Mapping):
            yield Failure(where, f"found {_shown(value)}, allowed is a map")
            return
        for key, item in value.items():
            yield from _value(typing.get_args(annotation)[1], item, f"{where}.{key}")
    elif isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        members = [member.value for member in annotation]
        if value not in members:
            yield Failure(where, f"found {_shown(value)}, allowed are {', '.join(map(str, members))}")
    elif annotation in _PLAIN and not _is(annotation, value):
        yield Failure(where, f"found {_shown(value)}, allowed is {_PLAIN[annotation]}")


def _is(kind: type, value: Any) -> bool:
    """Return whether a value is of a plain type; the engine's protocol knows numbers alone, no integers."""
    if kind in (int, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and (kind is float or value == int(value))
    return isinstance(value, kind)


def _is_file(value: Any) -> bool:
    if isinstance(value, pulumi.Asset | pulumi.Archive):
        return True
    return isinstance(value, Mapping) and value.get("kind") in {
        "AssetArchive",
        "FileArchive",
        "FileAsset",
        "RemoteArchive",
        "RemoteAsset",
        "StringAsset",
    }


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
