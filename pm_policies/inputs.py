"""Reading a resource's inputs: whether something is set, what lies where, and documents that are kept as JSON text."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import yaml
from pulumi_policy.proxy import UnknownValueError

#: The input with the recipe of an AWS IoT Greengrass component: JSON or YAML.
RECIPE = "inlineRecipe"


def is_set(inputs: Mapping[str, Any], key: str) -> bool:
    """True if `key` has a value; one that is not known yet counts, an empty one does not."""
    try:
        return inputs.get(key) not in (None, "", False)
    except UnknownValueError:
        return True


def at(inputs: Mapping[str, Any], *path: str) -> Any:
    """The value at `path`, None if there is none on the way.

    A block that a provider repeats is a list of one on the wire of some versions: its first item is looked into.

    Raises:
        UnknownValueError: if the way leads over a value that is not known yet.
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
    """`value` as a list: its items, itself where it is no list, nothing if it is None.

    Raises:
        UnknownValueError: for an item that is not known yet.
    """
    if value is None:
        return []
    return [value[index] for index in range(len(value))] if is_list(value) else [value]


def is_list(value: Any) -> bool:
    """True if `value` is a list of values and no text."""
    return isinstance(value, Sequence) and not isinstance(value, str)


def document(inputs: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The document that `key` holds as JSON text or as it is; empty if there is none or it cannot be read.

    The rule `readable-documents` refuses what cannot be read, so that no other rule has to.

    Raises:
        UnknownValueError: if it is not known yet.
    """
    try:
        return read_document(inputs, key)
    except UnreadableError:
        return {}


class UnreadableError(ValueError):
    """A text that holds no document; says what was found and what is allowed."""


def read_document(inputs: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The document that `key` holds as JSON text or as it is; empty where `key` is not set.

    A recipe may be YAML too.

    Raises:
        UnknownValueError: if it is not known yet.
        UnreadableError: if it is no JSON, or no object.
    """
    value = inputs.get(key)
    if value in (None, ""):
        return {}
    if isinstance(value, str):
        value = _parsed(value, key)
    if not isinstance(value, Mapping):
        raise UnreadableError(f"{key}: found a document of type {type(value).__name__}, allowed is an object")
    return dict(value)


def _parsed(text: str, key: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        if key == RECIPE:
            with suppress(yaml.YAMLError, RecursionError):
                return yaml.safe_load(text)
        raise UnreadableError(f"{key}: found a text that is no JSON ({error}), allowed is a JSON object") from error


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


def texts_of(value: Any, key: str) -> Iterator[str]:
    """The texts that `key` holds, wherever it lies in `value`.

    Raises:
        UnknownValueError: if a part of it is not known yet.
    """
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == key and isinstance(item, str):
                yield item
            else:
                yield from texts_of(item, key)
    elif is_list(value):
        for item in value:
            yield from texts_of(item, key)


def _texts_at(container: Any, key: Any, path: str) -> Iterator[tuple[str, str]]:
    try:
        value = container[key]
    except UnknownValueError:
        return
    yield from texts(value, path)
