"""Adaptive conformal prediction intervals.

The interval of a forecast is as wide as its own recent errors ask for, and the level asked for follows how often
outcomes were missed: Gibbs and Candes, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021,
equation 2. So the share of outcomes inside stays at the level when the series changes, without knowing how.
"""

import bisect
import math
from collections import deque
from collections.abc import Iterable

import msgspec

#: Rate at which the level asked for follows the misses; the paper's own experiments use 0.005.
STEP = 0.01
#: Errors remembered: about six weeks of hours.
MEMORY = 1000


class IntervalState(msgspec.Struct, forbid_unknown_fields=True):
    """An interval's state, for a file."""

    miss_rate: float
    scores: list[float]


class AdaptiveInterval:
    """The interval of one forecaster; scores are absolute errors divided by the forecast's spread."""

    def __init__(self, level: float, scores: Iterable[float] = (), miss_rate: float | None = None) -> None:
        """Begin with what is known.

        Args:
            level: share of outcomes that the interval is made to hold, 0 to 1.
            scores: of earlier forecasts, oldest first.
            miss_rate: of an earlier state; the nominal one where left out.
        """
        self.level = level
        self._miss_rate = 1 - level if miss_rate is None else miss_rate
        self._recent = deque(scores, maxlen=MEMORY)
        self._sorted = sorted(self._recent)

    def half_width(self, spread: float) -> float:
        """Half the interval's width for a forecast of that spread; infinite while the scores are too few to say."""
        count = len(self._sorted)
        if (count + 1) * self.level > count:  # not even the largest score of so few reaches the level
            return math.inf
        # A rank beyond the scores takes the largest: an infinite interval there would be right and of no use.
        rank = min(max(math.ceil((count + 1) * (1 - self._miss_rate)), 1), count)
        return self._sorted[rank - 1] * spread

    def update(self, score: float, inside: bool) -> None:
        """Learn from an outcome: its score, and whether the interval that was given for it held it."""
        self._miss_rate += STEP * ((1 - self.level) - (0.0 if inside else 1.0))
        if len(self._recent) == MEMORY:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent[0])]
        self._recent.append(score)
        bisect.insort(self._sorted, score)

    def state(self) -> IntervalState:
        """The state to resume from after a restart."""
        return IntervalState(self._miss_rate, list(self._recent))
