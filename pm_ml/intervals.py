"""Adaptive conformal intervals over a whole series at once, by the rules that the core device keeps online.

Gibbs and Candes, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021, equation 2. A test holds these
equal to the device's own. An outcome is learned from when its hour has come, so with a horizon of several hours the
intervals given in between do not know it.
"""

import bisect
import math
from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

#: Share of outcomes that the intervals are made to hold.
INTERVAL_LEVEL = 0.9
#: Rate at which the level asked for follows the misses, and number of errors remembered: as on the core device.
STEP = 0.01
MEMORY = 1000

_Array = NDArray[np.float64]


def adaptive_half_widths(
    score: _Array,
    spread: _Array,
    issued: NDArray[np.int64],
    horizon_hours: int,
    level: float,
    earlier_scores: Iterable[float],
) -> _Array:
    """Half the width of each forecast's interval, by what was known when it was made.

    Args:
        score: absolute error of each forecast divided by its spread, in the order of time.
        spread: how large the model expects the error to be.
        issued: the hour at which each forecast was made.
        horizon_hours: after so many hours its outcome is known.
        level: share of outcomes that the intervals are made to hold, 0 to 1.
        earlier_scores: of forecasts before these, oldest first; at least `1 / (1 - level)`.
    """
    recent = deque(earlier_scores, maxlen=MEMORY)
    ordered = sorted(recent)
    miss_rate = 1 - level
    given = np.empty(len(score))
    learned = 0
    for row, hour in enumerate(issued):
        while learned < row and issued[learned] + horizon_hours <= hour:
            miss_rate += STEP * ((1 - level) - float(score[learned] > given[learned]))
            if len(recent) == MEMORY:
                del ordered[bisect.bisect_left(ordered, recent[0])]
            recent.append(float(score[learned]))
            bisect.insort(ordered, float(score[learned]))
            learned += 1
        rank = min(max(math.ceil((len(ordered) + 1) * (1 - miss_rate)), 1), len(ordered))
        given[row] = ordered[rank - 1]
    return given * spread
