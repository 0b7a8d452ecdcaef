"""The scaling of features for the nets: by the training hours, clipped, 0 if unknown."""

import numpy as np
from numpy.typing import NDArray

#: In standard deviations; what lies beyond is cut, lest one wild reading carry the forecast away.
SCALED_LIMIT = 8.0

_Array = NDArray[np.float64]


class Scaling:
    """The scaling of features, fitted on training hours."""

    def __init__(self, features: _Array) -> None:
        self.mean = np.nan_to_num(np.nanmean(features, axis=0))
        scale = np.nan_to_num(np.nanstd(features, axis=0))
        self.scale = np.where(scale > 0, scale, 1.0)

    def __call__(self, features: _Array) -> NDArray[np.float32]:
        """Scaled and cut features, 0 where unknown."""
        scaled = np.clip((features - self.mean) / self.scale, -SCALED_LIMIT, SCALED_LIMIT)
        return np.nan_to_num(scaled, nan=0.0).astype(np.float32)
