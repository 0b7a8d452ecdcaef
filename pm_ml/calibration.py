"""Calibration of the trees' margins to probabilities, and a measure of how well they hold.

Platt, "Probabilistic Outputs for Support Vector Machines", 1999: the log-odds are a slope times the margin plus a
shift. The map is increasing, so it changes what a probability says and no decision at the threshold that costs least.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 10
#: Probabilities are rare near 1 and crowded near 0, so bins follow the log-odds between these.
LOWEST, HIGHEST = 1e-4, 1 - 1e-4

_Truth = NDArray[np.bool_]
_Array = NDArray[np.float64]


class Calibration(NamedTuple):
    """Log-odds of a fault: `slope * margin + shift`."""

    slope: float = 1.0
    shift: float = 0.0

    def __call__(self, margin: _Array) -> _Array:
        """The probability of a fault, of each margin."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * margin + self.shift, -500, 500))))


class Bin(NamedTuple):
    """Readings of about the same probability."""

    said: float  #: their mean probability
    came_true: float  #: share of them that was faulty
    readings: int


def fitted(margin: _Array, faulty: _Truth) -> Calibration:
    """The calibration that makes these outcomes likeliest; of readings that the trees were not trained on.

    Platt's targets, drawn in from 0 and 1, keep the fit finite where the margin separates the two without error.
    """
    healthy, faults = np.sum(~faulty), np.sum(faulty)
    target = np.where(faulty, (faults + 1) / (faults + 2), 1 / (healthy + 2))
    parameters = np.array([1.0, 0.0])
    design = np.column_stack([margin, np.ones_like(margin)])
    for _ in range(100):
        said = Calibration(*parameters)(margin)
        gradient = design.T @ (said - target)
        curvature = design.T @ (design * np.maximum(said * (1 - said), 1e-9)[:, None]) + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        parameters -= step * min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(*(float(each) for each in parameters))


def brier(faulty: _Truth, probability: _Array | float) -> float:
    """Mean squared difference of probability and outcome: 0 is best (Brier, 1950)."""
    return float(np.mean((probability - faulty) ** 2))


def reliability(faulty: _Truth, probability: _Array) -> list[Bin]:
    """Stated and observed shares, in bins of equal width in log-odds; empty bins are left out."""
    within = np.clip(probability, LOWEST, HIGHEST)
    odds = np.log(within / (1 - within))
    edges = np.linspace(np.log(LOWEST / (1 - LOWEST)), np.log(HIGHEST / (1 - HIGHEST)), BINS + 1)
    number = np.digitize(odds, edges[1:-1])
    return [
        Bin(float(probability[some].mean()), float(faulty[some].mean()), int(some.sum()))
        for some in (number == each for each in np.unique(number))
    ]
