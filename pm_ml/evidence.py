"""The evidence on a model from a training run or an evaluation, on data that the model was not trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_Array = NDArray[np.float64]
_Truth = NDArray[np.bool_]


@dataclass(frozen=True)
class ForecastEvidence:
    """Forecasts of hours, in the order of time, with what came true; ug/m3."""

    name: str  #: of what forecast
    horizon_hours: int
    issued: NDArray[np.int64]  #: hour since 1970 at which each forecast was made
    actual: _Array
    last_value: _Array  #: at issue, which is what persistence forecasts
    forecast: _Array
    spread: _Array  #: the absolute error that the model expects
    earlier_scores: Sequence[float]  #: errors divided by spreads, of hours kept for that; the intervals begin with them
    entries: Mapping[str, Mapping[str, Any]]  #: `pm_ml.forecast.skill.forecast_entry` of each part
    importance: Sequence[tuple[str, float]]  #: feature, and by how much the RMSE grows without it
    others: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)  #: entries of other models

    @property
    def due(self) -> NDArray[np.int64]:
        """The hours forecast, since 1970."""
        return self.issued + self.horizon_hours


class Flagged(NamedTuple):
    """A reading that was called a fault."""

    machine: str
    reading: str  #: which of the machine's: its time, or its number
    probability: float
    faulty: bool  #: the workshop's verdict
    contributions: Sequence[tuple[str, float]]  #: measurements and their SHAP values in log-odds, largest first


@dataclass(frozen=True)
class FaultEvidence:
    """Fault decisions on readings with verdicts."""

    faulty: _Truth
    probability: _Array
    uncalibrated: _Array  #: the probability that the trees alone would have said
    threshold: float
    chosen_on: tuple[_Truth, _Array]  #: verdicts and probabilities that the threshold was chosen on
    importance: Sequence[tuple[str, float]]  #: measurement and mean absolute SHAP value in log-odds, largest first
    flagged: Sequence[Flagged]
    other_costs: Mapping[str, float] = field(default_factory=dict)  #: what others' decisions on the same readings cost
    early_warning: Mapping[str, Any] = field(default_factory=dict)  #: `pm_ml.faults.protocol.early_warning`


@dataclass(frozen=True)
class Profile:
    """The data as they were read."""

    columns: pd.DataFrame  #: numbers, NaN where missing
    meanings: Mapping[str, str]  #: what each column is, with its unit
    time: pd.Series | None = None  #: of each row, UTC; None if the data do not tell
    parts: Mapping[str, str] = field(default_factory=dict)  #: when each part begins, UTC
