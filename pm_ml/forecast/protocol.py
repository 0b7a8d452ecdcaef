"""The protocol by which forecasts are judged: years 1 and 2 to train on, 3 and 4 to choose by, the rest to test.

Candidates are nets, trees for two losses, a recurrent net, and blends of these, one of which ships to the device. What
is chosen is chosen on the validation years; the test year is looked at once, at the end. Each is scored twice: trained
once, and trained anew each month from what was known at the month's first hour.
"""

import datetime as dt
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis.expr.types import Table
from numpy.typing import NDArray

from pm_contracts.forecast_features import FEATURES
from pm_ml.contributions import permutation_importance
from pm_ml.data import DataRefused
from pm_ml.forecast import blend as forecast_blend
from pm_ml.forecast import recurrent as forecast_recurrent
from pm_ml.forecast import trees as forecast_trees
from pm_ml.forecast.blend import fitted_and_kept
from pm_ml.forecast.features import HOURS_PER_DAY, SECONDS_PER_HOUR, forecast_features, hourly
from pm_ml.forecast.model import TrainedForecaster, train
from pm_ml.forecast.scaling import Scaling
from pm_ml.forecast.skill import climatology, forecast_entry
from pm_ml.intervals import INTERVAL_LEVEL, adaptive_half_widths

#: Shares of the series, by time: of five years, two to train on, two to validate, one to test.
TRAINING_SHARE, VALIDATION_SHARE = 0.4, 0.4
#: Half-life in hours of an hour's weight when trees are retrained: two years. One, one and a
#: half and three served the validation years nearly as well. Where all hours weigh the same, the latest say less the
#: more there are, and the blend lost half a percentage point of skill there.
HALF_LIFE_HOURS = 2 * 365 * HOURS_PER_DAY
#: Each part needs at least this many hours to say anything.
FEWEST_HOURS = 24 * 60
BLENDS: dict[str, tuple[str, ...]] = {
    "nets": ("nets",),
    "trees": ("trees",),
    "robust trees": ("robust trees",),
    "nets + trees": ("nets", "trees"),
    forecast_blend.NAME: ("nets", "trees", "robust trees"),
    forecast_recurrent.NAME: (forecast_recurrent.NAME,),
    f"{forecast_blend.NAME} + {forecast_recurrent.NAME}": ("nets", "trees", "robust trees", forecast_recurrent.NAME),
}

_Array = NDArray[np.float64]
#: A step begins, of so many parts (0: unknown); then each part is told by `advance`.
Begin = Callable[[str, int], None]
Advance = Callable[[], None]


@dataclass(frozen=True)
class Series:
    """The hours of one station of which a model can be asked and whose outcome is known, in the order of time."""

    horizon: int
    issued: NDArray[np.int64]  #: hour since 1970 at which the forecast is made
    features: _Array
    value: _Array  #: PM2.5 at issue, ug/m3
    target: _Array  #: PM2.5 at `issued + horizon`
    seasonal: _Array  #: PM2.5 24 hours before the target
    bounds: tuple[int, int]  #: first hour of validation and of test

    @property
    def due(self) -> NDArray[np.int64]:
        """The hours forecast."""
        return self.issued + self.horizon

    def rows(self, part: str) -> slice:
        """The rows of `training`, `validation` or `test`.

        A forecast of a later part is made when all outcomes of the earlier part are known, and no sooner.
        """
        validation, test = self.bounds
        match part:
            case "training":
                return slice(0, int(np.searchsorted(self.due, validation)))
            case "validation":
                return slice(*(int(n) for n in (np.searchsorted(self.issued, validation - 1), self._due_by(test))))
            case _:
                return slice(int(np.searchsorted(self.issued, test - 1)), len(self.issued))

    def _due_by(self, hour: int) -> int:
        return int(np.searchsorted(self.due, hour))


@dataclass(frozen=True)
class Answers:
    """The candidates' forecast for each row, ug/m3; rows of the training part are of no use to judge by."""

    fixed: dict[str, _Array]
    retrained: dict[str, _Array]
    spread: _Array
    kept_scores: list[float]  #: of the blend that ships, whose members have not seen the kept hours, on these
    importance: list[tuple[str, float]]  #: of the blend that ships, on the rows judged (`permutation_importance`)
    seconds: dict[str, float]  #: of the processor, to train each candidate once and ask it about all rows


def series(readings: Table, connection: ibis.BaseBackend, horizon: int) -> Series:
    """Prepare a station's readings.

    Raises:
        DataRefused: if there are several stations, or too few hours for the three parts.
    """
    frame = connection.to_pyarrow(forecast_features(hourly(readings), horizon)).to_pandas()
    if frame["device"].nunique() > 1:
        raise DataRefused(f"one station is evaluated at a time; found are {sorted(frame['device'].unique())}")
    if frame.empty:
        raise DataRefused("no hour was read")
    first, end = int(frame["hour"].min()), int(frame["hour"].max()) + 1
    bounds = (
        first + round((end - first) * TRAINING_SHARE),
        first + round((end - first) * (TRAINING_SHARE + VALIDATION_SHARE)),
    )
    at = pd.Series(frame["value"].to_numpy(dtype=np.float64), index=frame["hour"].to_numpy())
    known = frame[frame["complete"].to_numpy(dtype=bool) & frame["target"].notna().to_numpy()]
    issued, value = known["hour"].to_numpy(dtype=np.int64), known["value"].to_numpy(dtype=np.float64)
    a_day_before = at.reindex(issued + horizon - HOURS_PER_DAY).to_numpy(dtype=np.float64)
    found = Series(
        horizon=horizon,
        issued=issued,
        features=known[list(FEATURES)].to_numpy(dtype=np.float64),
        value=value,
        target=known["target"].to_numpy(dtype=np.float64),
        seasonal=np.where(np.isnan(a_day_before), value, a_day_before),
        bounds=bounds,
    )
    for part in ("training", "validation", "test"):
        rows = found.rows(part)
        if rows.stop - rows.start < FEWEST_HOURS:
            raise DataRefused(
                f"{frame['device'][0]} has {rows.stop - rows.start} hours of {part} that are known from a day before "
                f"to their outcome; at least {FEWEST_HOURS} are needed in each of training, validation and test"
            )
    return found


def answers(data: Series, seed: int, begin: Begin, advance: Advance) -> Answers:
    """Train all candidates, once and month by month, and let them forecast.

    The recurrent net takes too long for each month: what it said once stands for what it would say retrained.
    """
    training = data.rows("training")
    fitted, kept = fitted_and_kept(training)
    change = data.target - data.value
    scale = float(np.std(change[training])) or 1.0
    scaling = Scaling(data.features[training])
    inputs = scaling(data.features)
    scaled = (change / scale).astype(np.float32)

    begin(f"h{data.horizon}: train a recurrent net", forecast_recurrent.EPOCHS)
    seconds, lap = {}, _stopwatch()
    hours = forecast_recurrent.history(inputs, data.issued)
    recurrent = forecast_recurrent.forecast(hours, scaled, fitted, kept, seed, advance).astype(np.float64) * scale
    seconds[forecast_recurrent.NAME] = lap()

    begin(f"h{data.horizon}: train the candidates that ship", 3)
    nets = train(inputs[fitted], scaled[fitted], inputs[kept], scaled[kept], seed)
    said, spread = _nets_say(nets, inputs, scale)
    seconds["nets"] = lap()
    advance()
    now, on_kept = {forecast_recurrent.NAME: recurrent, "nets": said}, {"nets": said[kept]}
    grown = {}
    for name, loss in (("trees", forecast_trees.squared), ("robust trees", forecast_trees.robust)):
        stopped, grown[name] = forecast_trees.grown(loss, data.features, change, fitted, kept, seed)
        on_kept[name] = stopped(data.features[kept])
        now[name] = grown[name](data.features)
        seconds[name] = lap()
        advance()
    importance = permutation_importance(
        lambda rows: np.mean(
            [_nets_say(nets, scaling(rows), scale)[0], *(trees(rows) for trees in grown.values())], axis=0
        ),
        data.features[training.stop :],
        change[training.stop :],
        FEATURES,
    )

    months = _months(data)
    begin(f"h{data.horizon}: train anew each month", len(months))
    later = {name: values.copy() for name, values in now.items()}
    for rows in months:
        # The outcome of the hour at which the month's first forecast is made is known, none after it.
        past = slice(0, int(np.searchsorted(data.due, data.issued[rows.start], side="right")))
        if past.stop > training.stop:
            nets.train_on(inputs[past], scaled[past])
            later["nets"][rows] = _nets_say(nets, inputs[rows], scale)[0]
            weight = 0.5 ** ((data.issued[past.stop - 1] - data.issued[past]) / HALF_LIFE_HOURS)
            for name, trees in grown.items():
                again = trees.again(data.features[past], change[past], weight / weight.mean())
                later[name][rows] = again(data.features[rows])
        advance()

    kept_change = np.mean([on_kept[name] for name in on_kept], axis=0)
    kept_forecast = np.maximum(data.value[kept] + kept_change, 0.0)
    return Answers(
        fixed=_blended(data, now),
        retrained=_blended(data, later),
        spread=spread,
        kept_scores=[float(each) for each in np.abs(data.target[kept] - kept_forecast) / spread[kept]],
        importance=importance,
        seconds={name: sum(seconds[member] for member in members) for name, members in BLENDS.items()},
    )


def judge(data: Series, given: Answers) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of the chosen blend, and how it was chosen."""
    candidates = {
        part: {name: part_entry(data, given.fixed[name], part) for name in BLENDS} for part in ("validation", "test")
    }
    validation = candidates["validation"]
    chosen = max(BLENDS, key=lambda name: validation[name]["rmse_skill"] + validation[name]["mae_skill"])
    entries = {
        "validation": validation[chosen],
        "test": candidates["test"][chosen],
        "validation_retrained": part_entry(data, given.retrained[chosen], "validation"),
        "test_retrained": part_entry(data, given.retrained[chosen], "test"),
    }
    choice = {
        "chosen": chosen,
        "rule": "the highest mean of RMSE skill and MAE skill on the validation years, trained once",
        "seconds": given.seconds,
        "shipped": {part: candidates[part][forecast_blend.NAME] for part in candidates},
    }
    for part, entry_of in candidates.items():
        choice[part] = {
            name: {skill: each[skill] for skill in ("rmse_skill", "mae_skill")} for name, each in entry_of.items()
        }
    return entries, choice


def part_entry(data: Series, forecast: _Array, part: str) -> dict[str, Any]:
    """The figures of one part (`pm_ml.forecast.skill.forecast_entry`).

    Args:
        data: the station's hours.
        forecast: for each of its rows, ug/m3.
        part: `validation` or `test`.
    """
    rows = data.rows(part)
    others = {
        "seasonal_naive": data.seasonal[rows],
        "climatology": climatology(data.due, data.target, data.rows("training"))[rows],
    }
    return forecast_entry(data.target[rows], forecast[rows], data.value[rows], others, data.due[rows])


def intervals(data: Series, given: Answers, chosen: str) -> tuple[dict[str, Any], _Array]:
    """Coverage of the 90 % intervals over validation and test, and half their widths."""
    rows = slice(data.rows("validation").start, len(data.issued))
    spread = given.spread[rows]
    error = np.abs(data.target[rows] - given.fixed[chosen][rows])
    half_width = adaptive_half_widths(
        error / spread, spread, data.issued[rows], data.horizon, INTERVAL_LEVEL, given.kept_scores
    )
    inside = error <= half_width
    months = np.array([f"{time:%Y-%m}" for time in times(data.due[rows])])
    names = np.unique(months)
    share = {name: float(inside[months == name].mean()) for name in names}
    # A month that the series only touches says nothing.
    full = [share[name] for name in names if (months == name).sum() >= 0.75 * 28 * HOURS_PER_DAY]
    tested = data.issued[rows] >= data.issued[data.rows("test").start]
    return {
        "level": INTERVAL_LEVEL,
        "coverage": float(inside.mean()),
        "coverage_validation": float(inside[~tested].mean()),
        "coverage_test": float(inside[tested].mean()),
        "worst_month": min(full or share.values()),
        "mean_width": float(2 * half_width.mean()),
        "months": share,
    }, half_width


def times(hours: NDArray[np.int64]) -> list[dt.datetime]:
    """Hours since 1970 as times, UTC."""
    return [dt.datetime.fromtimestamp(int(hour) * SECONDS_PER_HOUR, dt.UTC) for hour in hours]


def _stopwatch() -> Callable[[], float]:
    """A function that returns the processor's seconds since its last call, or since it was made."""
    last = time.process_time()

    def lap() -> float:
        nonlocal last
        before, last = last, time.process_time()
        return last - before

    return lap


def _nets_say(nets: TrainedForecaster, inputs: NDArray[np.float32], scale: float) -> tuple[_Array, _Array]:
    said = nets.answers(inputs).astype(np.float64) * scale
    return said[:, 0], said[:, 1]


def _months(data: Series) -> list[slice]:
    """The rows after training, a slice a month of issue."""
    start = data.rows("validation").start
    month = np.array([time.year * 12 + time.month for time in times(data.issued[start:])])
    edges = [start, *(start + 1 + np.flatnonzero(np.diff(month))), len(data.issued)]
    return [slice(int(first), int(end)) for first, end in itertools.pairwise(edges)]


def _blended(data: Series, changes: Mapping[str, _Array]) -> dict[str, _Array]:
    return {
        name: np.maximum(data.value + np.mean([changes[member] for member in members], axis=0), 0.0)
        for name, members in BLENDS.items()
    }
