"""The measure of a model's error against that of a rule without a model."""

import math
from collections.abc import Iterable


def root_mean_square(errors: Iterable[float]) -> float:
    """The root of the errors' mean square.

    Raises:
        ZeroDivisionError: if there are no errors.
    """
    squares = [error * error for error in errors]
    return math.sqrt(math.fsum(squares) / len(squares))


def skill(error: float, reference: float) -> float:
    """The share of the reference's error that a model saves: 1 at most, 0 at par; 0 where there is none to save."""
    return 1 - error / reference if reference > 0 else 0.0
