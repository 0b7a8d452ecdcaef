"""A boundary: a place where input comes in that somebody else has made."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resilience.fuzz.mutation import damaged, retold

#: Takes an input; returns, or raises one of its refusals.
Door = Callable[[bytes], object]


@dataclass(frozen=True)
class Opened:
    """A boundary that is ready for input.

    Attributes:
        door: Takes an input.
        samples: Good inputs, of which cases are made.
        refusals: The errors that it declares; any other is a failure.
    """

    door: Door
    samples: Sequence[bytes]
    refusals: tuple[type[Exception], ...] = ()
    _trees: list[Any] = field(default_factory=list)

    def case(self, dice: random.Random) -> bytes:
        """An input of the boundary, the same for the same state of `dice`."""
        if not self._trees:
            self._trees.extend(_tree(sample) for sample in self.samples)
        which = dice.randrange(len(self.samples))
        if self._trees[which] is not None and dice.randrange(2):
            return retold(dice, self._trees[which])
        return damaged(dice, self.samples[which], self.samples)


@dataclass(frozen=True)
class Boundary:
    """A boundary by its name.

    Attributes:
        name: In tables, in `out/fuzz.json`, and of its folder in the corpus.
        open: Makes it ready, in the process that tries it; it may keep files in the folder that it is given.
        share: Its part of a run's cases, less for one whose cases take long.
    """

    name: str
    open: Callable[[Path], Opened]
    share: float = 1.0


def _tree(sample: bytes) -> Any:
    try:
        return json.loads(sample)
    except (ValueError, RecursionError):
        return None
