"""The fault model: gradient-boosted trees on one reading of a machine, missing measurements included.

The threshold is chosen on predictions for machines that the model has not seen: the machines are dealt into folds, each
fold is predicted by a model of the others. So every faulty reading, of which there are few, serves both to fit and to
choose, and never the two at once.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

ROUNDS = 150
FOLDS = 5
PARAMETERS: dict[str, Any] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 4,
    "learning_rate": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.3,
    "scale_pos_weight": 5.0,
}
#: Fixed, so that sums are added in the same order on every machine.
THREADS = 2

_Rows = NDArray[np.float32]
_Truth = NDArray[np.bool_]


class TrainedFaultModel:
    """Trained trees."""

    def __init__(self, booster: xgboost.Booster) -> None:
        self._booster = booster

    def probabilities(self, rows: _Rows) -> NDArray[np.float32]:
        """The probability of a fault, `[rows, 1]`."""
        return np.asarray(self._booster.predict(xgboost.DMatrix(rows)), dtype=np.float32)[:, None]

    @property
    def trees(self) -> tuple[list[dict[str, Any]], float]:
        """The trees as XGBoost's JSON writes them, and the margin that their sums begin with."""
        learner = json.loads(self._booster.save_raw("json"))["learner"]
        base = float(learner["learner_model_param"]["base_score"].strip("[]"))
        return learner["gradient_booster"]["model"]["trees"], math.log(base / (1 - base))


def train(rows: _Rows, faulty: _Truth, seed: int) -> TrainedFaultModel:
    """Fit the trees.

    Args:
        rows: `[readings, measurements]`, NaN where missing.
        faulty: `[readings]`.
        seed: of the subsampling.
    """
    parameters = PARAMETERS | {"seed": seed, "nthread": THREADS}
    return TrainedFaultModel(xgboost.train(parameters, xgboost.DMatrix(rows, faulty), ROUNDS))


def unseen_probabilities(
    rows: _Rows, faulty: _Truth, machine: NDArray[np.str_], seed: int, on_fold: Callable[[], None] = lambda: None
) -> NDArray[np.float64]:
    """The probability of a fault of each reading, by models that have not seen its machine.

    Args:
        rows: `[readings, measurements]`.
        faulty: `[readings]`.
        machine: `[readings]`, which machine each is of; at least two.
        seed: of the subsampling.
        on_fold: called after each fold.
    """
    names, number = np.unique(machine, return_inverse=True)
    fold = number % min(FOLDS, len(names))
    answers = np.empty(len(rows))
    for each in np.unique(fold):
        unseen = fold == each
        answers[unseen] = train(rows[~unseen], faulty[~unseen], seed).probabilities(rows[unseen])[:, 0]
        on_fold()
    return answers
