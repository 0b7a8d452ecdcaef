"""The constraints that an AWS service model puts on an input, checked as the services word them."""

from functools import lru_cache
from typing import Any

import regex
from botocore.model import Shape

_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "blob": (bytes,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}
#: A pair of surrogates in a pattern: the first is of U+D800 to U+DBFF, the second of U+DC00 to U+DFFF.
_SURROGATES = regex.compile(r"\\u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})")


def violations(shape: Shape | None, value: Any, where: str = "", unknown: str | None = None) -> list[str]:
    """List what is wrong with an input.

    Args:
        shape: the botocore shape; None allows anything.
        value: the parsed value; blobs are bytes.
        where: the path of the value in the input, for the messages.
        unknown: the mark of a text that is not known yet: a value that holds it is not judged.

    Returns:
        One sentence for each violation of: type, required, enum, pattern, minimum and maximum (of a length or number).
    """
    if shape is None or shape.type_name not in _TYPES:
        return []
    if unknown is not None and isinstance(value, str) and unknown in value:
        return []
    kinds: Any = _TYPES[shape.type_name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return [f"Value at '{where}' must be a {shape.type_name}, not {type(value).__name__}"]
    if shape.type_name == "structure":
        return _structure(shape, value, where, unknown)
    found = _own(shape, value, where)
    if shape.type_name == "list":
        for index, item in enumerate(value, 1):
            found += violations(shape.member, item, f"{where}.{index}.member", unknown)
    elif shape.type_name == "map":
        for key, item in value.items():
            found += violations(shape.key, key, f"{where}.key", unknown)
            found += violations(shape.value, item, f"{where}.{key}.member", unknown)
    return found


def _structure(shape: Shape, value: dict[str, Any], where: str, unknown: str | None) -> list[str]:
    prefix = f"{where}." if where else ""
    found = [
        f"Value null at '{prefix}{name}' failed to satisfy constraint: Member must not be null"
        for name in shape.metadata.get("required", [])
        if value.get(name) is None
    ]
    for name, item in value.items():
        if name not in shape.members:
            found.append(f"'{prefix}{name}' is not known; allowed are {', '.join(sorted(shape.members))}")
        elif item is not None:
            found += violations(shape.members[name], item, f"{prefix}{name}", unknown)
    return found


def _own(shape: Shape, value: Any, where: str) -> list[str]:
    limits = shape.metadata
    found = []

    def fail(constraint: str) -> None:
        shown = "" if shape.type_name == "blob" else f" '{value}'"
        found.append(f"Value{shown} at '{where}' failed to satisfy constraint: Member must {constraint}")

    if limits.get("enum") and value not in limits["enum"]:
        fail(f"satisfy enum value set: [{', '.join(limits['enum'])}]")
    pattern = limits.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        fail(f"satisfy regular expression pattern: {pattern}")
    sized = shape.type_name in ("string", "blob", "list", "map")
    size, noun = (len(value), "length") if sized else (value, "value")
    if limits.get("min") is not None and size < limits["min"]:
        fail(f"have {noun} greater than or equal to {limits['min']}")
    if limits.get("max") is not None and size > limits["max"]:
        fail(f"have {noun} less than or equal to {limits['max']}")
    return found


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> "regex.Pattern[str]":
    # The patterns are Java's. Some repeat their end, as `${1,256}`, which says no more than the minimum and maximum do;
    # and a character beyond 16 bits is a pair of surrogates, by its code units.
    return regex.compile(_SURROGATES.sub(_character, regex.sub(r"\$\{\d+,\d+\}$", "", pattern)))


def _character(pair: "regex.Match[str]") -> str:
    return f"\\U{(int(pair[1], 16) - 0xD800) * 0x400 + int(pair[2], 16) - 0xDC00 + 0x10000:08X}"
