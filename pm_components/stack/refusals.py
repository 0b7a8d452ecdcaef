"""Errors in a configuration, in the words of whoever wrote it."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from pm_components.aws.settings import allowed, without_meta

NAMESPACE = "pm"


class ConfigError(ValueError):
    """A key of the configuration that is wrong; the text names it, what was found and what is allowed."""


_PLACE = re.compile(r" - at (?P<of_a_key>`key` in )?`\$(?P<path>[^`]*)`\Z")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_STEP = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")


def explained(error: str, plain: Mapping[str, Any], form: type[msgspec.Struct]) -> str:
    """The error that msgspec found, with the key as the user writes it, the value found and the values allowed."""
    place = _PLACE.search(error)
    path = place["path"] if place else ""
    found: Any = plain
    expected: Any = form
    for step in _STEP.finditer(path):
        found, expected = _descend(found, expected, step)
    if place and place["of_a_key"]:
        expected = without_meta(expected).__args__[0]
    unknown = _UNKNOWN.search(error)
    key = f"{NAMESPACE}:{path.removeprefix('.')}" if path else NAMESPACE
    structure = without_meta(expected)
    if unknown:
        names = ", ".join(sorted(structure.__struct_fields__))
        return f"{key}{'.' if path else ':'}{unknown['name']}: there is no such key, allowed are {names}"
    reason = _PLACE.sub("", error)
    if "missing required field" in error:
        return f"{key}: {reason[0].lower()}{reason[1:]}; allowed are {', '.join(sorted(structure.__struct_fields__))}"
    description = allowed(expected)
    return (
        f"{key}: found {found!r}; {reason[0].lower()}{reason[1:]}{f', allowed is {description}' if description else ''}"
    )


def _descend(found: Any, expected: Any, step: "re.Match[str]") -> tuple[Any, Any]:
    expected = without_meta(expected)
    if step["key"]:
        fields = {field.name: field.type for field in msgspec.structs.fields(expected)}
        return found[step["key"]], fields[step["key"]]
    if step["index"] == "...":  # a value of a mapping; which one is not told, so that the whole of it is shown
        return found, expected.__args__[1]
    return found[int(step["index"])], expected.__args__[0]
