"""Checks of arguments: at once where the value is known, when it becomes known otherwise."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pulumi


def checked(value: Any, check: Callable[[Any], Any]) -> Any:
    """The result of `check` on `value`, which may be an output, or a mapping with outputs in it.

    Args:
        value: the argument.
        check: a pure function; it raises where the value is not allowed.

    Returns:
        The answer of `check` where `value` is known, otherwise an output of it.
    """
    parts = value.values() if isinstance(value, Mapping) else (value,)
    if any(isinstance(part, (pulumi.Output, Awaitable)) for part in parts):
        return pulumi.Output.from_input(value).apply(check)
    return check(value)
