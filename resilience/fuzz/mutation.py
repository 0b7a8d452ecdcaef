"""Inputs made of good ones: bytes that are damaged, and JSON that says something else. Pure; chance comes as `dice`."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

#: Bytes that have ended programs: deep nesting, numbers out of range, texts that are none, marks of other formats.
_TOKENS = (
    b"\x00", b"\xff", b"\n", b"\r\n", b'"', b"\\", b"\\ud800", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"1e999", b"-0",
    b"NaN", b"Infinity", b"null", b"[]", b"{}", b",", b":", b"/", b"../", b"+", b"#", b"$", b"${topic()}", b"%s%n",
    b"\x1b[2J", b"[/]", b"[" * 2_000, b'{"a":' * 2_000, b"9" * 5_000, b"A" * 70_000,
)  # fmt: skip
#: Values of another type, or at the ends of one.
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), 2**31, 2**63 - 1, 2**63,
    -(2**63) - 1, 10**400, "", " ", "x", "lindau\n", "gera", "command", "..", "../../etc/passwd", "x" * 300,
    "x" * 3_000, "\ud800", "\x00", "\x1b[2J", "[/]", "${x}", "ü", "\u202e", "NaN", "-1", "1e9", "2099-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2010-01-02", "2010-02-30T00:00:00Z", [], {}, [[]],
    [None], {"": None}, {"a": {"b": []}},
)  # fmt: skip
_CHARACTERS = ("", "\n", "\x00", "/", "-", "é", "A", " ", "9")
_MOST = 3
_LONGEST_SPAN = 64
_DEEP = 1_500
#: Values of a tree, those of a list that is in it 2,000 times counted 2,000 times: lists in lists would have billions.
_MOST_VALUES = 50_000


def damaged(dice: random.Random, sample: bytes, others: Sequence[bytes]) -> bytes:
    """`sample` after one to three accidents; of `others` a piece may be in it."""
    content = sample
    for _ in range(dice.randint(1, _MOST)):
        content = dice.choice(_ACCIDENTS)(dice, content, others)
    return content


def retold(dice: random.Random, tree: Any) -> bytes:
    """The JSON of `tree` after one to three changes of its values, keys or shape."""
    try:
        for _ in range(dice.randint(1, _MOST)):
            changed = _changed(dice, tree)
            tree = changed if _values(changed, {}) <= _MOST_VALUES else tree
        return json.dumps(tree, ensure_ascii=bool(dice.randrange(2))).encode(errors="surrogatepass")
    except RecursionError:
        return b"[" * _DEEP


def _flipped(dice: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    if not content:
        return dice.randbytes(1)
    at = dice.randrange(len(content))
    return content[:at] + bytes((content[at] ^ 1 << dice.randrange(8),)) + content[at + 1 :]


def _overwritten(dice: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    at, length = _span(dice, content)
    return content[:at] + dice.randbytes(length) + content[at + length :]


def _cut(dice: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    return content[: dice.randrange(len(content) + 1)]


def _without(dice: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    at, length = _span(dice, content)
    return content[:at] + content[at + length :]


def _repeated(dice: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    at, length = _span(dice, content)
    return content[: at + length] + content[at:]


def _with_token(dice: random.Random, content: bytes, _: Sequence[bytes]) -> bytes:
    at = dice.randrange(len(content) + 1)
    return content[:at] + dice.choice(_TOKENS) + content[at + dice.randrange(2) :]


def _grafted(dice: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    other = dice.choice(others)
    at, length = _span(dice, other)
    into = dice.randrange(len(content) + 1)
    return content[:into] + other[at : at + length] + content[into + length :]


_ACCIDENTS: tuple[Callable[[random.Random, bytes, Sequence[bytes]], bytes], ...] = (
    _flipped, _flipped, _overwritten, _cut, _without, _repeated, _with_token, _grafted,
)  # fmt: skip


def _span(dice: random.Random, content: bytes) -> tuple[int, int]:
    return dice.randrange(len(content) + 1), dice.randint(1, _LONGEST_SPAN)


def _changed(dice: random.Random, tree: Any) -> Any:
    """The tree with one change on the way down a random path; what is not on it is shared."""
    if isinstance(tree, dict) and tree and dice.randrange(4):
        key = dice.choice(list(tree))
        match dice.randrange(8):
            case 0:
                return {name: value for name, value in tree.items() if name != key}
            case 1:
                return {**tree, dice.choice(("", "x", "site", "kind", key + "\n", key.upper())): tree[key]}
            case _:
                return {**tree, key: _changed(dice, tree[key])}
    if isinstance(tree, list) and tree and dice.randrange(4):
        at = dice.randrange(len(tree))
        match dice.randrange(8):
            case 0:
                return tree[:at] + tree[at + 1 :]
            case 1:
                return tree[:at] + tree[at : at + 1] * dice.choice((2, 100, 2_000)) + tree[at + 1 :]
            case _:
                return [*tree[:at], _changed(dice, tree[at]), *tree[at + 1 :]]
    match dice.randrange(6):
        case 0:
            return [tree]
        case 1:
            return _edited(dice, tree)
        case 2 if not dice.randrange(20):
            return _nested(tree)
        case _:
            return dice.choice(_VALUES)


def _values(tree: Any, counted: dict[int, int]) -> int:
    """The number of values that the JSON of a tree has; `counted` are those of the lists and objects seen already."""
    if not isinstance(tree, dict | list):
        return 1
    if id(tree) not in counted:
        values = 1
        for value in tree.values() if isinstance(tree, dict) else tree:
            values += _values(value, counted)
        counted[id(tree)] = values
    return counted[id(tree)]


def _edited(dice: random.Random, value: Any) -> Any:
    """The value, a little different and of the same type where that is a scalar."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * dice.choice((-1, 1, 2, 1_000_000)) + dice.choice((0, 1, -1))
    if isinstance(value, str):
        at = dice.randrange(len(value) + 1)
        return value[:at] + dice.choice(_CHARACTERS) + value[at + dice.randrange(2) :]
    return value


def _nested(tree: Any) -> Any:
    for _ in range(900):
        tree = [tree]
    return tree
