"""Pulumi's wire format, taken apart: what a program sent, as plain values, with the places that have no value."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from pm_sandbox.provider.inputs import whole_numbers

#: The mark of a value that is not known yet.
UNKNOWN: str = rpc.UNKNOWN
#: Characters from which a secret is kept out of errors; to look for shorter ones would make these unreadable.
_SECRET_LENGTH = 4


class _As(NamedTuple):
    """The values that stand for what is no plain value; see `plain`."""

    unknown: Any
    assets_by_hash: bool
    secrets_unknown: bool


def plain(
    message: Any, unknown: Any = None, *, assets_by_hash: bool = False, secrets_unknown: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """The properties of a message, and the paths within it that have no value.

    Secrets are unwrapped, a reference to a resource becomes its id (its URN for a component), assets and archives
    become Pulumi's objects, whole numbers integers. A property that is null is left out, as Pulumi leaves it out.

    Args:
        message: the properties of a resource, or the arguments of a function.
        unknown: what stands where there is no value; None leaves the property out.
        assets_by_hash: whether an asset or archive is told by its hash alone, which the engine sends with each.
        secrets_unknown: whether `unknown` stands for what is secret too, where messages may show values.
    """
    missing: list[str] = []
    told_as = _As(unknown, assets_by_hash, secrets_unknown)
    values = {key: _plain(value, key, missing, told_as) for key, value in message.items()}
    return whole_numbers({key: value for key, value in values.items() if value is not None}), missing


def message_of(values: dict[str, Any]) -> Any:
    """A message of the values."""
    message = struct_pb2.Struct()
    message.update(values)
    return message


def secret(value: Any) -> dict[str, Any]:
    """A value as the wire has it where it is secret."""
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}


def is_secret(value: Any) -> bool:
    """Return whether a value of a message is a secret, or holds one."""
    if isinstance(value, struct_pb2.Struct):
        return _signature(value) == rpc._special_secret_sig or any(is_secret(item) for _, item in value.items())
    return isinstance(value, struct_pb2.ListValue) and any(map(is_secret, value))


def without_secrets(text: str, messages: Iterable[Any]) -> str:
    """A text, such as an error that repeats what was sent, without what is secret in messages."""
    secrets = {one for message in messages for one in _secret_texts(message) if len(one) >= _SECRET_LENGTH}
    for one in sorted(secrets, key=len, reverse=True):
        text = text.replace(one, "[secret]")
    return text


def _secret_texts(value: Any, secret_above: bool = False) -> Iterator[str]:
    """The texts within the secrets of a message."""
    if isinstance(value, str) and secret_above:
        yield value
    elif isinstance(value, struct_pb2.Struct):
        below = secret_above or _signature(value) == rpc._special_secret_sig
        for key, item in value.items():
            if key != rpc._special_sig_key:
                yield from _secret_texts(item, below)
    elif isinstance(value, struct_pb2.ListValue):
        for item in value:
            yield from _secret_texts(item, secret_above)


def _signature(value: Any) -> Any:
    return value[rpc._special_sig_key] if rpc._special_sig_key in value else None  # noqa: SIM401 - no `get`


def _plain(value: Any, path: str, missing: list[str], told_as: _As) -> Any:
    if value == rpc.UNKNOWN:
        missing.append(path)
        return told_as.unknown
    if isinstance(value, struct_pb2.ListValue):
        return [_plain(item, f"{path}[{index}]", missing, told_as) for index, item in enumerate(value)]
    if isinstance(value, struct_pb2.Struct):
        signature = _signature(value)
        if signature == rpc._special_secret_sig:
            return told_as.unknown if told_as.secrets_unknown else _plain(value["value"], path, missing, told_as)
        if signature == rpc._special_resource_sig:
            return value["id"] if "id" in value else value["urn"]
        if signature is not None:
            return f"{signature} {value['hash']}" if told_as.assets_by_hash else rpc.deserialize_property(value)
        items = {key: _plain(item, f"{path}.{key}", missing, told_as) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not None}
    return value
