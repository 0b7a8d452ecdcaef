"""Holds a preview, in which no output of a resource has a value, to what is registered once all have one."""

from collections.abc import Iterable
from typing import Any

from pm_sandbox.recorder import UNKNOWN, Registered


def unknown_inputs(preview: Iterable[Registered]) -> int:
    """Hold each resource to having no output, and count the places in inputs whose value is still to come."""
    resources = list(preview)
    made = [one for one in resources if one.custom]
    assert made
    assert all(set(one.outputs.values()) == {UNKNOWN} for one in made), "not a preview: an output has a value"
    return sum(_count(one.inputs) for one in resources)


def differences(ordinary: Iterable[Registered], preview: Iterable[Registered]) -> list[str]:
    """Differences of a preview of a program: resources left out or added, and values told too early."""
    before = {one.urn: one for one in preview}
    after = {one.urn: one for one in ordinary}
    found = [f"not in the preview: {urn}" for urn in sorted(after.keys() - before.keys())]
    found += [f"in the preview alone: {urn}" for urn in sorted(before.keys() - after.keys())]
    for urn in sorted(before.keys() & after.keys()):
        found += _compared(urn, after[urn].inputs, before[urn].inputs)
    return found


def _compared(path: str, after: Any, before: Any) -> list[str]:
    if before in (UNKNOWN, after):
        return []
    if isinstance(after, dict) and isinstance(before, dict):
        return [
            one
            for key in sorted({*after, *before})
            for one in _compared(f"{path} {key}", after.get(key), before.get(key))
        ]
    if isinstance(after, list) and isinstance(before, list) and len(after) == len(before):
        return [
            one
            for place, pair in enumerate(zip(after, before, strict=True))
            for one in _compared(f"{path}[{place}]", *pair)
        ]
    return [f"{path}: {before!r} in the preview, then {after!r}"]


def _count(value: Any) -> int:
    if isinstance(value, dict | list):
        return sum(_count(item) for item in (value.values() if isinstance(value, dict) else value))
    return value == UNKNOWN
