"""The drivers of a model: SHAP values of trees, for one decision and for all; the loss of nets without a feature.

SHAP values are exact for trees: Lundberg et al., "From local explanations to global understanding with explainable AI
for trees", Nature Machine Intelligence 2020; XGBoost computes them (`pred_contribs`). A value is in the trees'
own unit, for a fault log-odds; the values of a row and the expected margin add up to the row's margin.

The trees of the fault model see what a measurement is beyond what use and age explain (`pm_ml.faults.model`). So a
value stands under the measurement's name and means that rest of it, not the counter as it was read.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import xgboost
from numpy.typing import NDArray

from pm_contracts.measurements import MACHINE_MEASUREMENTS
from pm_ml.evaluate import root_mean_square
from pm_ml.evidence import Flagged

#: Rows that a mean is taken over: it moves by a few percent from so many to all.
MOST_ROWS = 5000
#: Hours that a forecast model is asked about for each of its features.
ASKED_HOURS = 2000
#: Decisions of which the top sensors are told, and so many of each.
TOLD, TOP_SENSORS = 8, 5

_Array = NDArray[np.float64]
_Inputs = TypeVar("_Inputs", NDArray[np.float32], NDArray[np.float64])
#: The SHAP values of rows of measurements, `[rows, measurements]`, in log-odds.
ShapValues = Callable[[NDArray[np.float32]], _Array]


def shap_values(booster: xgboost.Booster, rows: NDArray[np.floating]) -> _Array:
    """The SHAP values of each row, `[rows, features]`; without the expected margin, which XGBoost puts last."""
    values = booster.predict(xgboost.DMatrix(rows), pred_contribs=True)
    return np.asarray(values, dtype=np.float64)[:, :-1]


def importance(explain: ShapValues, rows: NDArray[np.float32]) -> list[tuple[str, float]]:
    """The mean absolute SHAP value of each measurement that has one, largest first; of at most `MOST_ROWS` rows."""
    some = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(int)
    return _largest(np.abs(explain(rows[some])).mean(axis=0), len(MACHINE_MEASUREMENTS))


def flagged(
    explain: ShapValues,
    rows: NDArray[np.float32],
    probability: _Array,
    threshold: float,
    faulty: NDArray[np.bool_],
    machine: Sequence[str],
    reading: Sequence[str],
) -> list[Flagged]:
    """Some of the readings called a fault with their top sensors, from the most to the least probable.

    Args:
        explain: gives SHAP values.
        rows: the readings.
        probability: of a fault, of each.
        threshold: a probability at or above it is called a fault.
        faulty: the workshop's verdict on each.
        machine: of each.
        reading: which of the machine's each is.
    """
    called = np.argsort(-probability, kind="stable")[: int(np.sum(probability >= threshold))]
    if not len(called):
        return []
    some = called[np.linspace(0, len(called) - 1, min(len(called), TOLD)).astype(int)]
    return [
        Flagged(
            machine=str(machine[row]),
            reading=str(reading[row]),
            probability=float(probability[row]),
            faulty=bool(faulty[row]),
            contributions=_largest(values, TOP_SENSORS),
        )
        for row, values in zip(some, explain(rows[some]), strict=True)
    ]


def permutation_importance(
    answer: Callable[[_Inputs], _Array], rows: _Inputs, actual: _Array, names: Sequence[str]
) -> list[tuple[str, float]]:
    """By how much the root mean squared error grows where a feature's values are dealt to other rows, largest first.

    Breiman, "Random Forests", 2001. Features that say the same share what is lost, so that each looks less needed.

    Args:
        answer: what the model says to rows, in the unit of `actual`.
        rows: inputs that the model was not trained on; at most `ASKED_HOURS` of them are asked about.
        actual: what came true.
        names: of the features.
    """
    some = np.linspace(0, len(rows) - 1, min(len(rows), ASKED_HOURS)).astype(int)
    dealt = np.random.default_rng(0).permutation(some)
    asked, wanted = rows[some], actual[some]

    def error(given: _Inputs) -> float:
        return root_mean_square(answer(given) - wanted)

    without, growth = error(asked), []
    for column, name in enumerate(names):
        changed = asked.copy()
        changed[:, column] = rows[dealt, column]
        growth.append((name, error(changed) - without))
    return sorted(growth, key=lambda each: -each[1])


def _largest(values: _Array, most: int) -> list[tuple[str, float]]:
    """The largest values above zero, with their measurements."""
    largest = np.argsort(-values, kind="stable")[:most]
    return [(MACHINE_MEASUREMENTS[column], float(values[column])) for column in largest if values[column] > 0]
