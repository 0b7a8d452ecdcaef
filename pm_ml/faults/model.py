"""The fault model: gradient-boosted trees on one reading of a machine, missing measurements included.

Counters grow with use and age, far more than with wear. So the trees see what is left of a reading's logarithms when
the main directions of healthy readings (their first principal components) are taken out, which is use and age. On
fleets of the simulator the decisions then cost 38 to 94 % less than with trees on the measurements themselves. With one
direction they cost 1.6 times as much on unseen machines as with two; allowing for the measurements that a reading
lacks changed the cost of four fleets by less than they differ among themselves.

The threshold is chosen on predictions for machines that the model has not seen: the machines are dealt into folds, each
fold is predicted by a model of the others. So every faulty reading, of which there are few, serves both to fit and to
choose, and never the two at once. On the same predictions the probability is calibrated (`pm_ml.calibration`);
since that keeps the order of readings, the threshold would call the same ones without it.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from pm_ml import contributions
from pm_ml.calibration import Calibration
from pm_ml.checkpoints import NONE, Checkpoints
from pm_ml.data import BATCH_ROWS
from pm_ml.xgboost_trees import base_score, scaled_trees

ROUNDS = 200
ROUNDS_PER_CHECKPOINT = 25
FOLDS = 5
#: Directions of healthy readings that are taken out.
DIRECTIONS = 2
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
    """The preparation of measurements for the trees, fitted on healthy readings."""

    def __init__(self, rows: _Rows, healthy: _Truth | None = None) -> None:
        """Fit to `rows`, or to those of them that are `healthy`; two passes, in batches."""
        columns = rows.shape[1]
        count, total = np.zeros(columns), np.zeros(columns)
        for logarithms in _logarithms(rows, healthy):
            count += (~np.isnan(logarithms)).sum(axis=0)
            total += np.nansum(logarithms, axis=0)
        #: Of each measurement's logarithm; a missing one is taken for it where use is reckoned.
        self.mean = total / np.maximum(count, 1)
        products, together = np.zeros((columns, columns)), np.zeros((columns, columns))
        for logarithms in _logarithms(rows, healthy):
            known = ~np.isnan(logarithms)
            centred = np.where(known, logarithms - self.mean, 0)
            products += centred.T @ centred
            together += known.T.astype(np.float64) @ known  # readings that have both measurements
        variance = np.diag(products) / np.maximum(count, 1)
        scale = np.where(variance > 0, np.sqrt(variance), 1.0)
        _, directions = np.linalg.eigh(products / np.outer(scale, scale) / np.maximum(together, 1))
        main = directions[:, -DIRECTIONS:]
        #: Weights of use from the logarithms, `[measurements, DIRECTIONS]`, and the logarithms from use.
        self.to_use, self.from_use = main / scale[:, None], (main * scale[:, None]).T

    def __call__(self, rows: _Rows) -> _Rows:
        """The rest of each measurement's logarithm, NaN where missing; `pm_ml.export.fault_graph` does the same.

        Double precision inside, so that here and there the same single-precision numbers come out.
        """
        logarithms = np.log(rows.astype(np.float64) + 1)
        use = np.where(np.isnan(logarithms), self.mean, logarithms) @ self.to_use
        return (logarithms - use @ self.from_use).astype(np.float32)


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
        answers = [
            self._booster.predict(xgboost.DMatrix(self.preparation(batch)), output_margin=True)
            for batch, _ in _batches(rows)
        ]
        return np.concatenate(answers, dtype=np.float64) if answers else np.empty(0)

    def probabilities(self, rows: _Rows) -> NDArray[np.float32]:
        """The probability of a fault, `[rows, 1]`, of measurements, NaN where missing."""
        return self.calibration(self.margins(rows)).astype(np.float32)[:, None]

    def shap_values(self, rows: _Rows) -> NDArray[np.float64]:
        """By how much each measurement moves the log-odds of a fault, `[rows, measurements]`."""
        return self.calibration.slope * contributions.shap_values(self._booster, self.preparation(rows))

    @property
    def trees(self) -> tuple[list[dict[str, Any]], float]:
        """The trees as XGBoost's JSON writes them, and what their sums begin with; calibrated, so log-odds."""
        slope, shift = self.calibration
        base = base_score(self._booster)
        return scaled_trees(self._booster, slope), slope * math.log(base / (1 - base)) + shift


def train(
    rows: _Rows,
    faulty: _Truth,
    seed: int,
    chosen: _Truth | None = None,
    checkpoints: Checkpoints = NONE,
    name: str = "fault",
) -> TrainedFaultModel:
    """Fit the trees, or go on where a run before this one was interrupted; the trees are the same.

    Args:
        rows: `[readings, measurements]`, NaN where missing. Where it is a `numpy.memmap`, the trees' own copy is kept
            on disk beside it too (XGBoost's external memory); they are the same trees.
        faulty: `[readings]`.
        seed: of the subsampling.
        chosen: of the readings, those to train on; by default all.
        checkpoints: where the trees are kept every `ROUNDS_PER_CHECKPOINT` rounds.
        name: of the checkpoint.
    """
    chosen = np.ones(len(rows), dtype=bool) if chosen is None else chosen
    preparation = Preparation(rows, chosen & ~faulty)
    parameters = PARAMETERS | {"nthread": THREADS}

    def further(matrix: xgboost.DMatrix, booster: xgboost.Booster | None, done: int) -> xgboost.Booster:
        # A seed for each stretch, so that what is drawn after an interruption is what would have been drawn.
        drawn = parameters | {"seed": seed + done}
        booster = xgboost.train(drawn, matrix, min(ROUNDS_PER_CHECKPOINT, ROUNDS - done), xgb_model=booster)
        checkpoints.save(name, bytes(booster.save_raw("ubj")))
        return booster

    matrix = _matrix(preparation, rows, faulty, chosen)
    kept = checkpoints.load(name)
    booster = xgboost.Booster(parameters, model_file=bytearray(kept)) if kept else further(matrix, None, 0)
    while (done := booster.num_boosted_rounds()) < ROUNDS:
        booster = further(matrix, booster, done)
    return TrainedFaultModel(preparation, booster)


def unseen_margins(
    rows: _Rows,
    faulty: _Truth,
    machine: NDArray[np.str_],
    seed: int,
    on_fold: Callable[[], None] = lambda: None,
    checkpoints: Checkpoints = NONE,
) -> NDArray[np.float64]:
    """The margin of each reading before calibration, by models that have not seen its machine.

    Args:
        rows: `[readings, measurements]`, as for `train`.
        faulty: `[readings]`.
        machine: `[readings]`, which machine each is of; at least two.
        seed: of the subsampling.
        on_fold: called after each fold.
        checkpoints: as for `train`.
    """
    names, number = np.unique(machine, return_inverse=True)
    fold = number % min(FOLDS, len(names))
    answers = np.empty(len(rows))
    for each in np.unique(fold):
        unseen = fold == each
        trained = train(rows, faulty, seed, ~unseen, checkpoints, f"fold-{each}")
        answers[unseen] = np.concatenate([trained.margins(batch) for batch, _ in _batches(rows, unseen)])
        on_fold()
    return answers


class _Batches(xgboost.DataIter):
    """Prepared readings for XGBoost, a batch at a time."""

    def __init__(
        self, preparation: Preparation, rows: _Rows, faulty: _Truth, chosen: _Truth, cache: str | None
    ) -> None:
        self._open = lambda: _batches(rows, chosen)
        self._preparation, self._faulty = preparation, faulty
        self._left = self._open()
        super().__init__(cache_prefix=cache)

    def next(self, input_data: Callable[..., None]) -> bool:
        for batch, numbers in self._left:
            input_data(data=self._preparation(batch), label=self._faulty[numbers])
            return True
        return False

    def reset(self) -> None:
        self._left = self._open()


def _matrix(preparation: Preparation, rows: _Rows, faulty: _Truth, chosen: _Truth) -> xgboost.DMatrix:
    """The prepared readings as XGBoost keeps them, a byte a measurement: in memory, or in a file beside that of `rows`.

    The file goes when the matrix does.
    """
    if not isinstance(rows, np.memmap):
        return xgboost.QuantileDMatrix(_Batches(preparation, rows, faulty, chosen, None), nthread=THREADS)
    pages = str(Path(str(rows.filename)).with_suffix(".pages"))
    return xgboost.ExtMemQuantileDMatrix(_Batches(preparation, rows, faulty, chosen, pages), nthread=THREADS)


def _batches(rows: _Rows, chosen: _Truth | None = None) -> Iterator[tuple[_Rows, NDArray[np.int64]]]:
    """The chosen rows and their numbers, some at a time."""
    for start in range(0, len(rows), BATCH_ROWS):
        numbers = np.arange(start, min(start + BATCH_ROWS, len(rows)))
        if chosen is not None:
            numbers = numbers[chosen[numbers]]
        if len(numbers):
            yield np.asarray(rows[numbers]), numbers


def _logarithms(rows: _Rows, chosen: _Truth | None) -> Iterator[NDArray[np.float64]]:
    for batch, _ in _batches(rows, chosen):
        yield np.log(batch.astype(np.float64) + 1)
