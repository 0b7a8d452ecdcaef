"""Pulumi's wire format, taken apart: what a program sent, as plain values, with the places that have no value."""

from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

from sandbox.provider.inputs import whole_numbers


def plain(message: Any, unknown: Any = None) -> tuple[dict[str, Any], list[str]]:
    """The properties of a message, and the paths within it that have no value.

    Secrets are unwrapped, a reference to a resource becomes its id (its URN for a component), assets and archives
    become Pulumi's objects, whole numbers integers. A property that is null is left out, as Pulumi leaves it out.

    Args:
        message: the properties of a resource, or the arguments of a function.
        unknown: what stands where there is no value; None leaves the property out.
    """
    missing: list[str] = []
    values = {key: _plain(value, key, missing, unknown) for key, value in message.items()}
    return whole_numbers({key: value for key, value in values.items() if value is not None}), missing


def _plain(value: Any, path: str, missing: list[str], unknown: Any) -> Any:
    if value == rpc.UNKNOWN:
        missing.append(path)
        return unknown
    if isinstance(value, struct_pb2.ListValue):
        return [_plain(item, f"{path}[{index}]", missing, unknown) for index, item in enumerate(value)]
    if isinstance(value, struct_pb2.Struct):
        signature = value[rpc._special_sig_key] if rpc._special_sig_key in value else None  # noqa: SIM401 - no `get`
        if signature == rpc._special_secret_sig:
            return _plain(value["value"], path, missing, unknown)
        if signature == rpc._special_resource_sig:
            return value["id"] if "id" in value else value["urn"]
        if signature is not None:
            return rpc.deserialize_property(value)
        items = {key: _plain(item, f"{path}.{key}", missing, unknown) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not None}
    return value
