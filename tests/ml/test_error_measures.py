"""The root mean square error is the same in Python, in numpy and in the lake's SQL, and skill has its ends.

Not proved here: that Athena's `sqrt` and `avg` are DuckDB's; tests of the queries run on the emulated Athena.
"""

import duckdb
import numpy as np
import pytest

from pm_contracts import skill
from pm_ml import evaluate

ERRORS = [3.0, -4.0, 0.0, 12.5]


def test_the_root_mean_square_is_one_formula_in_three_places() -> None:
    expected = ((9 + 16 + 156.25) / 4) ** 0.5
    assert skill.root_mean_square(ERRORS) == pytest.approx(expected)
    assert evaluate.root_mean_square(np.array(ERRORS)) == pytest.approx(expected)
    rows = ", ".join(f"({error + 1}, 1.0)" for error in ERRORS)
    statement = f"SELECT {skill.root_mean_square_sql('value - actual')} FROM (VALUES {rows}) AS t(value, actual)"
    assert duckdb.sql(statement).fetchall() == [(pytest.approx(expected),)]


@pytest.mark.parametrize(
    ("error", "reference", "expected"), [(0.0, 5.0, 1.0), (5.0, 5.0, 0.0), (10.0, 5.0, -1.0), (1.0, 0.0, 0.0)]
)
def test_skill_is_the_share_of_the_reference_s_error_that_is_saved(
    error: float, reference: float, expected: float
) -> None:
    assert skill.skill(error, reference) == expected
