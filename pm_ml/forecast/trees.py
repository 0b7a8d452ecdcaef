"""Gradient-boosted trees on the forecast features: two kinds beside the nets, for squared and for absolute errors.

Both fit the change from the last value. The second uses the pseudo-Huber loss: squared for small errors, absolute for
large ones, so that the few hours where the series jumps weigh less.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

#: With early stopping the best number of rounds was 40 to 160 on the real series.
MOST_ROUNDS = 1000
PATIENCE = 40
#: The model of all training hours has more of them than the one that chose the rounds.
MORE_ROUNDS = 1.1
PARAMETERS: dict[str, Any] = {
    "tree_method": "hist",
    "learning_rate": 0.12,
    "max_depth": 5,
    "subsample": 0.7,
    "colsample_bytree": 0.4,
    "reg_lambda": 5.0,
    "base_score": 0.0,
    # One, so that sums are added in the same order everywhere; with two, threads that wait for one another took 40
    # times as long on a busy machine.
    "nthread": 1,
}
#: In standard deviations of the training changes: beyond it the pseudo-Huber loss grows with the error, not its square.
HUBER_SLOPE = 0.75

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trees:
    """Trained trees."""

    booster: xgboost.Booster
    parameters: dict[str, Any]
    rounds: int

    def __call__(self, features: _Array) -> _Array:
        """The change forecast, ug/m3."""
        return np.asarray(self.booster.predict(xgboost.DMatrix(features)), dtype=np.float64)

    def again(self, features: _Array, change: _Array, weight: _Array | None = None) -> "Trees":
        """The same kind of trees, as many, trained on other hours; `weight` of each, by default 1."""
        trained = xgboost.train(self.parameters, xgboost.DMatrix(features, change, weight=weight), self.rounds)
        return Trees(trained, self.parameters, self.rounds)


def squared(change: _Array, seed: int) -> dict[str, Any]:
    """Parameters of trees for the squared error."""
    del change
    return PARAMETERS | {"objective": "reg:squarederror", "min_child_weight": 30, "seed": seed}


def robust(change: _Array, seed: int) -> dict[str, Any]:
    """Parameters of trees for the pseudo-Huber loss, whose slope follows the training changes."""
    slope = max(HUBER_SLOPE * float(np.std(change)), 1e-6)
    return PARAMETERS | {
        "objective": "reg:pseudohubererror",
        "huber_slope": slope,
        "min_child_weight": 10,
        "seed": seed,
    }


#: The two kinds of trees, each by the parameters that it makes of the changes to learn and a seed.
LOSSES = (squared, robust)


def stopped_early(
    parameters: dict[str, Any], features: _Array, change: _Array, kept_features: _Array, kept_change: _Array
) -> Trees:
    """Trees of as many rounds as serve the kept hours best."""
    booster = xgboost.train(
        parameters,
        xgboost.DMatrix(features, change),
        MOST_ROUNDS,
        evals=[(xgboost.DMatrix(kept_features, kept_change), "kept")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )
    best = booster.best_iteration + 1
    return Trees(booster[:best], parameters, round(best * MORE_ROUNDS))


def grown(
    loss: Callable[[_Array, int], dict[str, Any]],
    features: _Array,
    change: _Array,
    fitted: slice,
    kept: slice,
    seed: int,
) -> tuple[Trees, Trees]:
    """Trees that have not seen the kept hours, which say how many serve best, and about as many that have.

    Args:
        loss: of `LOSSES`.
        features: of all hours, `[hours, features]`.
        change: to learn, of all hours.
        fitted: the first hours to learn from.
        kept: those that follow on them.
        seed: of the subsampling.
    """
    training = slice(fitted.start, kept.stop)
    stopped = stopped_early(
        loss(change[training], seed), features[fitted], change[fitted], features[kept], change[kept]
    )
    return stopped, stopped.again(features[training], change[training])
