"""Reading a resource's inputs: whether something is set, what lies where, and documents that are kept as JSON text."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pulumi_policy.proxy import UnknownValueError


def is_set(inputs: Mapping[str, Any], key: str) -> bool:
    """Whether `key` has a value; one that is not known yet counts, an empty one does not."""
    try:
        return inputs.get(key) not in (None, "", False)
    except UnknownValueError:
        return True


def at(inputs: Mapping[str, Any], *path: str) -> Any:
    """The value at `path`, None where there is none on the way.

    A block that a provider repeats is a list of one on the wire of some versions: its first item is looked into.

    Raises:
        UnknownValueError: where the way leads over a value that is not known yet.
    """
    value: Any = inputs
    for key in path:
        if is_list(value):
            value = value[0] if value else None
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def items(value: Any) -> list[Any]:
    """`value` as a list: its items, itself where it is no list, nothing where it is None.

    Raises:
        UnknownValueError: for an item that is not known yet.
    """
    if value is None:
        return []
    return [value[index] for index in range(len(value))] if is_list(value) else [value]


def is_list(value: Any) -> bool:
    """Whether `value` is a list of values and no text."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def document(inputs: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The JSON document that `key` holds as text or as it is; empty where it is not set or holds no object.

    Raises:
        UnknownValueError: where it is not known yet.
    """
    value = inputs.get(key)
    if isinstance(value, str):
        value = json.loads(value) if value else {}
    return dict(value) if isinstance(value, Mapping) else {}


def statements(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The statements of a policy document."""
    return [statement for statement in items(policy.get("Statement")) if isinstance(statement, Mapping)]


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each text in `value` with its path; what is not known yet is left out."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key in value:
            yield from _texts_at(value, key, f"{path}.{key}" if path else str(key))
    elif is_list(value):
        for index in range(len(value)):
            yield from _texts_at(value, index, f"{path}[{index}]")


def _texts_at(container: Any, key: Any, path: str) -> Iterator[tuple[str, str]]:
    try:
        value = container[key]
    except UnknownValueError:
        return
    yield from texts(value, path)
