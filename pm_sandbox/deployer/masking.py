"""Secrets taken out of what is told: a recording and a deployment may be printed, and are kept in files."""

from typing import Any

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

MASK = "[secret]"


def masked(message: Any, value: Any) -> Any:
    """`value`, the plain form of `message`, with a mask for each part that the program holds for secret.

    Args:
        message: a property or the properties of a resource, as they came on the wire.
        value: what was read from it.
    """
    if isinstance(message, struct_pb2.Struct):
        signature = message[rpc._special_sig_key] if rpc._special_sig_key in message else None  # noqa: SIM401 - no `get`
        if signature == rpc._special_secret_sig:
            return MASK
        if isinstance(value, dict):
            return {key: masked(message[key], item) if key in message else item for key, item in value.items()}
    if isinstance(message, struct_pb2.ListValue) and isinstance(value, list):
        return [masked(part, item) for part, item in zip(message, value, strict=True)]
    return value
