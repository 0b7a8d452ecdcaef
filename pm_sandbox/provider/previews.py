"""The outputs whose values a preview cannot know, since the cloud makes them up as a resource is made or changed."""

import functools
import typing
from collections.abc import Collection
from typing import Any

from pulumi import _types

from pm_sandbox.provider.inputs import InputError
from pm_sandbox.provider.registry import RENEWS
from pm_sandbox.provider.sdk_types import UnknownTypeError, resource_of


@functools.cache
def always_given(token: str) -> frozenset[str]:
    """The outputs that a resource of this type always has, by the annotations of the installed SDK.

    Raises:
        InputError: if no SDK has the type.
    """
    try:
        properties = _types._py_properties(resource_of(token))
    except UnknownTypeError as error:
        raise InputError("the installed SDKs have no such type") from error
    outputs = {name: getter.fget.__annotations__["return"] for _, name, getter in properties}
    return frozenset(name for name, annotation in outputs.items() if not _may_be_none(annotation))


def unknown_when_made(token: str, inputs: Collection[str]) -> set[str]:
    """The outputs that come with the resource: all that it always has beside the inputs that the program gave."""
    return set(always_given(token)) - set(inputs)


def unknown_when_changed(token: str, changed: Collection[str], news: dict[str, Any]) -> set[str]:
    """The outputs that get another value when these inputs change in place."""
    return {
        output
        for output, renewal in RENEWS.get(token, {}).items()
        if set(renewal.inputs) & set(changed) and (renewal.where is None or news.get(renewal.where))
    }


def _may_be_none(annotation: Any) -> bool:
    """Return whether an annotation is an output that may have no value: `Output[Optional[str]]`."""
    (inner,) = typing.get_args(annotation)
    return type(None) in typing.get_args(inner)
