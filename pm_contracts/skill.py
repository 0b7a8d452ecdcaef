"""A model's error, and the share of it that the model saves of a rule's that needs none.

`pm_ml.evaluate` has the root mean square for arrays.
"""

import math
from collections.abc import Iterable


def root_mean_square(errors: Iterable[float]) -> float:
    """The root of the errors' mean square.

    Raises:
        ZeroDivisionError: if there are no errors.
    """
    squares = [error * error for error in errors]
    return math.sqrt(math.fsum(squares) / len(squares))


def root_mean_square_sql(error: str) -> str:
    """The same as an aggregate in SQL, of an expression that says one row's error."""
    return f"sqrt(avg(({error}) * ({error})))"


def skill(error: float, reference: float) -> float:
    """The share of the reference's error that a model saves: 1 at most, 0 at par; 0 where there is none to save."""
    return 1 - error / reference if reference > 0 else 0.0
