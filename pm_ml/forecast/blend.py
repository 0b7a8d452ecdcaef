"""The forecast model that ships: the mean of the nets and of the trees of two losses, which errs less than any of them.

Of all means of these it had the highest skill on the validation years of the real series (`pm_ml.forecast.protocol`,
docs/models.md). The spread is the nets'.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pm_ml import export
from pm_ml.forecast.model import SMALLEST_SPREAD, TrainedForecaster
from pm_ml.forecast.scaling import SCALED_LIMIT, Scaling
from pm_ml.forecast.trees import Trees
from pm_ml.xgboost_trees import scaled_trees

#: Its name among the candidates of the protocol.
NAME = "nets + trees + robust trees"
#: Of the training hours, by time, the last: they decide when to stop, and their errors begin the intervals.
KEPT_SHARE = 0.15

_Array = NDArray[np.float64]


def fitted_and_kept(training: slice) -> tuple[slice, slice]:
    """The training hours to learn from, and those kept."""
    kept_from = training.stop - round((training.stop - training.start) * KEPT_SHARE)
    return slice(training.start, kept_from), slice(kept_from, training.stop)


class Blend(NamedTuple):
    """Trained nets and trees that answer together."""

    nets: TrainedForecaster
    scaling: Scaling
    target_scale: float  #: what an answer of 1 of the nets is, ug/m3
    trees: tuple[Trees, ...]

    def answers(self, features: _Array) -> _Array:
        """Change and spread, `[rows, 2]`, ug/m3, of features `[rows, features]`, NaN where unknown."""
        said = self.nets.answers(self.scaling(features)).astype(np.float64) * self.target_scale
        change = np.mean([said[:, 0], *(trees(features) for trees in self.trees)], axis=0)
        return np.stack([change, said[:, 1]], axis=1)

    def graph(self) -> bytes:
        """The ONNX model."""
        share = 1 / (1 + len(self.trees))
        trees = [tree for each in self.trees for tree in scaled_trees(each.booster, share)]
        return export.forecast_graph(
            self.scaling, SCALED_LIMIT, *self.nets.weights, SMALLEST_SPREAD, self.target_scale, share, trees
        )
