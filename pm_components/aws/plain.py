"""Arguments that resources are named and counted by: they must be known while the program runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi


def plain_text(value: Any, key: str) -> str:
    """`value`, a text that is known.

    Args:
        value: what the argument holds.
        key: the argument, as `GreengrassSite.site`.

    Raises:
        TypeError: if it is an output, or no text.
    """
    if not isinstance(value, str):
        raise TypeError(f"{key}: found {_kind(value)}, allowed is a text that is known while the program runs")
    return value


def plain_list(value: Any, key: str) -> list[Any]:
    """`value`, a list that is known, of values that may be outputs; raises TypeError as `plain_text`."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"{key}: found {_kind(value)}, allowed is a list that is known while the program runs")
    return list(value)


def plain_texts(value: Any, key: str) -> list[str]:
    """`value`, a list of texts that are known; raises TypeError as `plain_text`."""
    return [plain_text(item, f"{key}[{index}]") for index, item in enumerate(plain_list(value, key))]


def plain_mapping(value: Any, key: str) -> dict[str, str]:
    """`value`, a mapping of texts that are known; raises TypeError as `plain_text`."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{key}: found {_kind(value)}, allowed is a mapping that is known while the program runs")
    return {plain_text(name, key): plain_text(item, f"{key}.{name}") for name, item in value.items()}


def plain_keys(value: Any, key: str) -> dict[str, Any]:
    """`value`, a mapping whose keys are known and whose values may be outputs; raises TypeError as `plain_text`."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{key}: found {_kind(value)}, allowed is a mapping with keys that are known")
    return {plain_text(name, key): item for name, item in value.items()}


def _kind(value: Any) -> str:
    return "an output" if isinstance(value, pulumi.Output) else f"{value!r} ({type(value).__name__})"
