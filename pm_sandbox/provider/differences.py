"""The differences between two sets of inputs, as Pulumi's engine wants them told, and what a cloud has of inputs."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import pulumi

from pm_sandbox.provider.assets import described

#: Inputs that are objects of keys of the program's own.
_FREE_KEYS = {"attributes", "components", "dimensions", "metadata", "parameters", "tags", "variables"}
Kind = Literal["add", "delete", "update"]


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Kind]]:
    """The property paths that differ, such as `tags["a.b"]` and `rules[0].id`; a path of the top level is a key.

    Policies and other documents are the same where they say the same, however they are spaced.
    """
    if same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            step = key if not path else f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]"
            yield from differences(old.get(key), new.get(key), path + step)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from differences(_at(old, index), _at(new, index), f"{path}[{index}]")
    else:
        yield path, "add" if old is None else "delete" if new is None else "update"


def same(old: Any, new: Any) -> bool:
    """Return whether two values are the same to a cloud; assets and archives are by their content."""
    if isinstance(old, str) and isinstance(new, str) and old[:1] in ("{", "[") and new[:1] in ("{", "["):
        try:
            return bool(json.loads(old) == json.loads(new))
        except ValueError:
            return old == new
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(same, old, new))
    if isinstance(old, pulumi.Asset | pulumi.Archive) or isinstance(new, pulumi.Asset | pulumi.Archive):
        return bool(described(old) == described(new))
    return bool(old == new)


def as_the_cloud_has(key: str, asked: Any, found: Any) -> Any:
    """Reduce a cloud's value to the input: defaults that it adds are left out, and equal parts stay as asked.

    In an object of which the program makes up the keys, such as tags, nothing is a default.
    """
    if isinstance(asked, dict) and isinstance(found, dict) and key not in _FREE_KEYS:
        return {name: as_the_cloud_has(name, value, found[name]) for name, value in asked.items() if name in found}
    if isinstance(asked, list) and isinstance(found, list) and len(asked) == len(found):
        return [as_the_cloud_has(key, one, other) for one, other in zip(asked, found, strict=True)]
    return asked if same(asked, found) else found


def _at(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else None
