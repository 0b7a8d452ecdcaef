"""Paths to parts of a resource's inputs, as `ignore_changes` and `replace_on_changes` name them: `rules[*].id`."""

import json
import re
from typing import Any

#: Keys of objects, indices of lists, and `*` for all of either.
Path = tuple[str | int, ...]

_STEP = re.compile(r"""\.?(?:\[(?P<index>\d+|\*)\]|\[(?P<quoted>"(?:\\"|[^"])*")\]|(?P<name>[^.\[]+))""")
_ABSENT: Any = object()


def parse(text: str) -> Path:
    """The path that a text names.

    Raises:
        ValueError: if it names none.
    """
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise ValueError(f"{text!r} is no path to an input; such a path is tags or rules[0].id")
        index, quoted, name = found["index"], found["quoted"], found["name"]
        steps.append(json.loads(quoted) if quoted else name or ("*" if index == "*" else int(index)))
        position = found.end()
    return tuple(steps)


def contains(path: Path, other: Path) -> bool:
    """Return whether `other` leads to what `path` leads to, or into it."""
    return len(path) <= len(other) and all(one in ("*", two) for one, two in zip(path, other, strict=False))


def kept(path: Path, old: Any, new: Any) -> Any:
    """A copy of `new` with what is at the path as `old` has it.

    Where an element on the way to it was added or removed, nothing is kept.
    """
    if not path:
        return old
    step, rest = path[0], path[1:]
    if isinstance(old, dict) and isinstance(new, dict):
        both = old.keys() | new.keys() if not rest else old.keys() & new.keys()
        result = dict(new)
        for key in both if step == "*" else both & {step}:
            value = kept(rest, old.get(key, _ABSENT), new.get(key))
            if value is _ABSENT:
                del result[key]
            else:
                result[key] = value
        return result
    if isinstance(old, list) and isinstance(new, list):
        both_have = range(min(len(old), len(new)))
        return [
            kept(rest, old[index], value) if index in both_have and step in ("*", index) else value
            for index, value in enumerate(new)
        ]
    return new
