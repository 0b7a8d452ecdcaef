"""The forecast features as a notebook computes them: a pandas frame of the latest hours, of which the last row counts.

It is the reference of `forecast_features`, and gives the same numbers as `pm_edge.forecasting.features`: the
measurement compares them before it begins.
"""

import numpy as np
import pandas as pd

from pm_contracts.forecast_features import (
    DAY_HARMONICS,
    DAYS_PER_YEAR,
    DIRECTION_WINDOW,
    EXTREME_WINDOWS,
    FEATURES,
    HOLD_HOURS,
    LEVEL_CHANGES,
    LEVEL_HOURS,
    LEVEL_LAGS,
    MEAN_WINDOWS,
    WEATHER,
    WEATHER_CHANGES,
    WIND_DIRECTIONS,
)

_HOURS_PER_DAY = 24


def pandas_features(hours: pd.DataFrame) -> pd.DataFrame:
    """The features of each hour.

    Args:
        hours: the measurements of consecutive hours, indexed by hours since 1970.

    Returns:
        A frame with the columns of `FEATURES`.
    """
    held = hours.ffill(limit=HOLD_HOURS)
    level = hours["pollution"].where(hours["pollution"] != 0).ffill(limit=LEVEL_HOURS)
    log_level = np.log1p(level)
    movement = level.diff().abs()
    is_zero = (held["pollution"] == 0).astype(float)
    columns = {
        "log_level": log_level,
        "level": level,
        "is_zero": is_zero,
        "level_if_zero": level.where(is_zero == 1, 0.0),
    }
    columns |= {f"log_level_change_{k}h": log_level.diff(k) for k in LEVEL_LAGS}
    columns |= {f"level_change_{k}h": level.diff(k) for k in LEVEL_CHANGES}
    for w in MEAN_WINDOWS:
        columns[f"log_mean_{w}h"] = np.log1p(level.rolling(w, min_periods=1).mean()) - log_level
    for w in EXTREME_WINDOWS:
        columns[f"log_maximum_{w}h"] = np.log1p(level.rolling(w, min_periods=1).max()) - log_level
        columns[f"log_minimum_{w}h"] = np.log1p(level.rolling(w, min_periods=1).min()) - log_level
        columns[f"log_movement_{w}h"] = np.log1p(movement.rolling(w, min_periods=1).mean())
    held["wind"] = np.log1p(held["wnd_spd"])
    for quantity in WEATHER:
        columns[quantity] = held[quantity]
        columns |= {f"{quantity}_change_{k}h": held[quantity].diff(k) for k in WEATHER_CHANGES}
    for direction in WIND_DIRECTIONS:
        is_it = (held["wnd_dir"] == direction).astype(float)
        columns[f"direction_{direction}"] = is_it
        columns[f"direction_{direction}_share_{DIRECTION_WINDOW}h"] = is_it.rolling(
            DIRECTION_WINDOW, min_periods=1
        ).mean()
    columns |= {"log_snow": np.log1p(held["snow"]), "log_rain": np.log1p(held["rain"])}
    target = hours.index.to_series() + 1
    for harmonic in DAY_HARMONICS:
        angle = 2 * np.pi * harmonic * (target % _HOURS_PER_DAY) / _HOURS_PER_DAY
        columns |= {f"day_sine_{harmonic}": np.sin(angle), f"day_cosine_{harmonic}": np.cos(angle)}
    year = 2 * np.pi * target / _HOURS_PER_DAY / DAYS_PER_YEAR
    columns |= {"year_sine": np.sin(year), "year_cosine": np.cos(year)}
    return pd.DataFrame(columns)[list(FEATURES)]
