"""The order of faults: every kind once before any comes again, by a seed. Pure."""

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

#: Seconds that a fault lasts at most, and at least where the drill is short.
LONGEST, SHORTEST = 12.0, 0.5
#: Part of a drill that its faults last for together in the first round; the rest is for what they take to be mended.
_SHARE = 0.3

_Kind = TypeVar("_Kind")


def order(kinds: Sequence[_Kind], dice: random.Random) -> Iterator[_Kind]:
    """Kinds without end: each round has all of them in an order of its own."""
    while True:
        yield from dice.sample(kinds, len(kinds))


def lasting(seconds: float, kinds: int, dice: random.Random) -> float:
    """The seconds of one fault, so that a drill of so many seconds has room for each kind."""
    fair = seconds * _SHARE / kinds
    return min(LONGEST, max(SHORTEST, dice.uniform(0.5 * fair, 1.5 * fair)))
