"""Forecasts beside what anyone could say without a model, and how sure the difference is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pm_contracts.skill import skill
from pm_ml.evaluate import mean_absolute, rmse_skill, root_mean_square

HOURS_PER_WEEK = 168
#: Draws of weeks; the ends of the interval then move by about 0.05 percentage points from seed to seed.
DRAWS = 2000
#: Of the skill's interval.
CONFIDENCE = 0.95

_Array = NDArray[np.float64]


def forecast_entry(
    actual: _Array, forecast: _Array, last_value: _Array, others: Mapping[str, _Array], target_hour: NDArray[np.int64]
) -> dict[str, Any]:
    """The figures of one part of the data; all arrays of one length.

    Args:
        actual: what came true, ug/m3.
        forecast: what was forecast.
        last_value: the value at issue, which is what persistence forecasts.
        others: what other references forecast, by name.
        target_hour: the hours forecast, since 1970.

    Returns:
        `rmse_skill` and `mae_skill` are 1 - error / persistence's error; their intervals come from a bootstrap over
        whole weeks, since the errors of neighbouring hours go together. `without_zeros` leaves out hours where the
        actual or the last value is 0, which marks a gap. `references` are scored in the same way.
    """
    measured = (actual > 0) & (last_value > 0)
    entry: dict[str, Any] = {"rows": len(actual)} | _scores(actual, forecast, last_value)
    entry |= skill_intervals(actual, forecast, last_value, target_hour)
    entry["without_zeros"] = {"rows": int(measured.sum())} | _scores(
        actual[measured], forecast[measured], last_value[measured]
    )
    entry["references"] = {
        name: _scores(actual, values, last_value) for name, values in {"persistence": last_value, **others}.items()
    }
    return entry


def climatology(due: NDArray[np.int64], actual: _Array, training: slice) -> _Array:
    """The training rows' mean of the month and the hour of day, for each row; their mean of all where there was none.

    Args:
        due: the hours forecast, since 1970.
        actual: what came true, ug/m3.
        training: the rows that it may know.
    """
    time = pd.to_datetime(due * 3600, unit="s")
    known = pd.Series(actual[training]).groupby([time.month[training], time.hour[training]]).mean()
    mean = known.reindex(pd.MultiIndex.from_arrays([time.month, time.hour])).to_numpy(dtype=np.float64)
    return np.where(np.isnan(mean), actual[training].mean(), mean)


def skill_intervals(
    actual: _Array, forecast: _Array, last_value: _Array, target_hour: NDArray[np.int64], seed: int = 0
) -> dict[str, list[float]]:
    """Intervals of both skills, by drawing whole weeks with replacement (Kunsch, 1989, non-overlapping blocks)."""
    _, week = np.unique(target_hour // HOURS_PER_WEEK, return_inverse=True)
    weeks = int(week.max()) + 1

    def by_week(errors: _Array) -> _Array:
        return np.asarray(np.bincount(week, errors, minlength=weeks), dtype=np.float64)

    drawn = np.random.default_rng(seed).multinomial(weeks, np.full(weeks, 1 / weeks), size=DRAWS).astype(np.float64)
    model, persistence = actual - forecast, actual - last_value
    squared = (drawn @ by_week(model**2)) / np.maximum(drawn @ by_week(persistence**2), 1e-300)
    absolute = (drawn @ by_week(np.abs(model))) / np.maximum(drawn @ by_week(np.abs(persistence)), 1e-300)
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    return {
        "rmse_skill_interval": [float(each) for each in np.quantile(1 - np.sqrt(squared), ends)],
        "mae_skill_interval": [float(each) for each in np.quantile(1 - absolute, ends)],
    }


def _scores(actual: _Array, forecast: _Array, last_value: _Array) -> dict[str, float]:
    mae = mean_absolute(actual - forecast)
    return {
        "rmse": root_mean_square(actual - forecast),
        "mae": mae,
        "rmse_skill": rmse_skill(actual, forecast, last_value),
        "mae_skill": skill(mae, mean_absolute(actual - last_value)),
    }
