"""The fault model: gradient-boosted trees on one reading of a machine, missing measurements included.

Counters grow with use and age, far more than with wear. So the trees see what is left of a reading's logarithms when
the main direction of healthy readings (their first principal component) is taken out, which is use and age. On fleets
of the simulator the decisions then cost 38 to 94 % less than with trees on the measurements themselves; a second
direction, and allowing for the measurements that a reading lacks, changed the cost of six splits by less than they
differ among themselves, and made two thirds of the time of an answer.

The threshold is chosen on predictions for machines that the model has not seen: the machines are dealt into folds, each
fold is predicted by a model of the others. So every faulty reading, of which there are few, serves both to fit and to
choose, and never the two at once. On the same predictions the probability is calibrated (`ml.calibration`); since that
keeps the order of readings, the threshold would call the same ones without it.
"""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from ml import contributions
from ml.calibration import Calibration

ROUNDS = 200
FOLDS = 5
PARAMETERS: dict[str, Any] = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "max_depth": 3,
    "learning_rate": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.3,
    "scale_pos_weight": 5.0,
    "reg_lambda": 5.0,
}
#: One, so that sums are added in the same order everywhere, and because threads that wait for one another burn the core
#: that the other training job wants.
THREADS = 1

_Rows = NDArray[np.float32]
_Truth = NDArray[np.bool_]


class Preparation:
    """What is done to measurements before the trees see them, fitted on healthy readings."""

    def __init__(self, healthy: _Rows) -> None:
        logarithms = np.log(healthy.astype(np.float64) + 1)
        known = ~np.isnan(logarithms)
        count = np.maximum(known.sum(axis=0), 1)
        #: Of each measurement's logarithm; a missing one is taken for it where use is reckoned.
        self.mean = np.where(known, logarithms, 0).sum(axis=0) / count
        variance = np.where(known, (logarithms - self.mean) ** 2, 0).sum(axis=0) / count
        scale = np.where(variance > 0, np.sqrt(variance), 1.0)
        scaled = np.where(known, (logarithms - self.mean) / scale, 0)
        together = np.maximum(known.T.astype(np.float64) @ known, 1)  # readings that have both measurements
        _, directions = np.linalg.eigh(scaled.T @ scaled / together)
        #: How use follows from the logarithms, and the logarithms from use.
        self.to_use, self.from_use = directions[:, -1] / scale, directions[:, -1] * scale

    def __call__(self, rows: _Rows) -> _Rows:
        """The rest of each measurement's logarithm, NaN where missing; `ml.export.fault_graph` does the same.

        Double precision inside, so that here and there the same single-precision numbers come out.
        """
        logarithms = np.log(rows.astype(np.float64) + 1)
        use = np.where(np.isnan(logarithms), self.mean, logarithms) @ self.to_use
        return (logarithms - use[:, None] * self.from_use).astype(np.float32)


class TrainedFaultModel:
    """Trained trees, what comes before them and what comes after."""

    def __init__(
        self, preparation: Preparation, booster: xgboost.Booster, calibration: Calibration | None = None
    ) -> None:
        self.preparation = preparation
        self.calibration = calibration or Calibration()
        self._booster = booster

    def calibrated(self, calibration: Calibration) -> "TrainedFaultModel":
        """The same trees with probabilities that come true as often as they say."""
        return TrainedFaultModel(self.preparation, self._booster, calibration)

    def margins(self, rows: _Rows) -> NDArray[np.float64]:
        """The sum of the trees' leaves for each reading, before calibration."""
        prepared = xgboost.DMatrix(self.preparation(rows))
        return np.asarray(self._booster.predict(prepared, output_margin=True), dtype=np.float64)

    def probabilities(self, rows: _Rows) -> NDArray[np.float32]:
        """The probability of a fault, `[rows, 1]`, of measurements, NaN where missing."""
        return self.calibration(self.margins(rows)).astype(np.float32)[:, None]

    def shap_values(self, rows: _Rows) -> NDArray[np.float64]:
        """By how much each measurement moves the log-odds of a fault, `[rows, measurements]`."""
        return self.calibration.slope * contributions.shap_values(self._booster, self.preparation(rows))

    @property
    def trees(self) -> tuple[list[dict[str, Any]], float]:
        """The trees as XGBoost's JSON writes them, and what their sums begin with; calibrated, so log-odds."""
        learner = json.loads(self._booster.save_raw("json"))["learner"]
        base = float(learner["learner_model_param"]["base_score"].strip("[]"))
        slope, shift = self.calibration
        trees = [
            tree
            | {
                "split_conditions": [
                    value * slope if left == -1 else value
                    for left, value in zip(tree["left_children"], tree["split_conditions"], strict=True)
                ]
            }
            for tree in learner["gradient_booster"]["model"]["trees"]
        ]
        return trees, slope * math.log(base / (1 - base)) + shift


def train(rows: _Rows, faulty: _Truth, seed: int) -> TrainedFaultModel:
    """Fit the trees.

    Args:
        rows: `[readings, measurements]`, NaN where missing.
        faulty: `[readings]`.
        seed: of the subsampling.
    """
    parameters = PARAMETERS | {"seed": seed, "nthread": THREADS}
    preparation = Preparation(rows[~faulty])
    return TrainedFaultModel(preparation, xgboost.train(parameters, xgboost.DMatrix(preparation(rows), faulty), ROUNDS))


def unseen_margins(
    rows: _Rows, faulty: _Truth, machine: NDArray[np.str_], seed: int, on_fold: Callable[[], None] = lambda: None
) -> NDArray[np.float64]:
    """The margin of each reading before calibration, by models that have not seen its machine.

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
        answers[unseen] = train(rows[~unseen], faulty[~unseen], seed).margins(rows[unseen])
        on_fold()
    return answers
