"""The forecast model's inputs as Ibis expressions; the rules are those of `pm_contracts.forecast_features`.

DuckDB runs them here; the same expressions compile for Athena. The core device computes the same a reading at a time.
"""

import math
from typing import Any

import ibis
from ibis.expr.types import Table

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
    LOOK_BACK_HOURS,
    MEAN_WINDOWS,
    WEATHER,
    WEATHER_CHANGES,
    WIND_DIRECTIONS,
)
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS

SECONDS_PER_HOUR = 3600
HOURS_PER_DAY = 24


def hourly(readings: Table) -> Table:
    """One row for each device and hour from its first reading to its last.

    Args:
        readings: device, sequence, event_time and the measurements, in any order, repeats allowed.

    Returns:
        device, hour (since 1970), the measurements (null where the hour has no reading), `was_read`.
    """
    timed = readings.mutate(hour=(readings.event_time.epoch_seconds() / SECONDS_PER_HOUR).floor().cast("int64"))
    newest_first = ibis.window(group_by=["device", "hour"], order_by=ibis.desc("sequence"))
    chosen = timed.mutate(place=ibis.row_number().over(newest_first)).filter(ibis._.place == 0)
    span = chosen.group_by("device").agg(first=chosen.hour.min(), last=chosen.hour.max())
    grid = span.select("device", hour=ibis.range(span.first, span.last + 1).unnest())
    values = chosen.select("device", "hour", *AIR_QUALITY_MEASUREMENTS, was_read=ibis.literal(True))
    joined = grid.left_join(values, ["device", "hour"])
    return joined.select("device", "hour", *AIR_QUALITY_MEASUREMENTS, was_read=joined.was_read.fill_null(False))


def forecast_features(hours: Table, horizon_hours: int = 1) -> Table:
    """The features of each hour that was read, with what came true.

    Args:
        hours: from `hourly`.
        horizon_hours: how far ahead the forecast looks; the device asks for the next hour.

    Returns:
        device, hour, `value` (PM2.5 as reported or held, ug/m3), `complete` (whether a model is asked at that hour),
        `target` (PM2.5 reported for the hour forecast, null where there is none), and `FEATURES`.
    """
    reported = hours.mutate(target=hours.pollution.lead(horizon_hours).over(_rows()), level=hours.pollution.nullif(0))
    held = _hold(reported, dict.fromkeys(AIR_QUALITY_MEASUREMENTS, HOLD_HOURS) | {"level": LEVEL_HOURS})
    moved = held.mutate(
        log_level=_log1p(held.level),
        movement=(held.level - held.level.lag(1).over(_rows())).abs(),
        wind=_log1p(held.wnd_spd),
        is_zero=(held.pollution == 0).cast("float64"),
    )
    columns = _level_features(moved) | _weather_features(moved) | _direction_features(moved)
    columns |= _calendar_features(moved.hour + horizon_hours)
    featured = moved.select(
        "device",
        "hour",
        "was_read",
        "target",
        value=moved.pollution,
        complete=moved.pollution.count().over(_rows(LOOK_BACK_HOURS - 1)) == LOOK_BACK_HOURS,
        **{name: columns[name] for name in FEATURES},
    )
    return featured.filter(featured.was_read).drop("was_read").order_by("device", "hour")


def _level_features(t: Table) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "log_level": t.log_level,
        "level": t.level,
        "is_zero": t.is_zero,
        "level_if_zero": ibis.ifelse(t.is_zero == 1, t.level, t.is_zero),
    }
    columns |= {f"log_level_change_{k}h": _change(t.log_level, k) for k in LEVEL_LAGS}
    columns |= {f"level_change_{k}h": _change(t.level, k) for k in LEVEL_CHANGES}
    columns |= {f"log_mean_{w}h": _log1p(t.level.mean().over(_rows(w - 1))) - t.log_level for w in MEAN_WINDOWS}
    for w in EXTREME_WINDOWS:
        columns |= {
            f"log_maximum_{w}h": _log1p(t.level.max().over(_rows(w - 1))) - t.log_level,
            f"log_minimum_{w}h": _log1p(t.level.min().over(_rows(w - 1))) - t.log_level,
            f"log_movement_{w}h": _log1p(t.movement.mean().over(_rows(w - 1))),
        }
    return columns


def _weather_features(t: Table) -> dict[str, Any]:
    columns: dict[str, Any] = {quantity: t[quantity] for quantity in WEATHER}
    columns |= {f"{quantity}_change_{k}h": _change(t[quantity], k) for quantity in WEATHER for k in WEATHER_CHANGES}
    return columns | {"log_snow": _log1p(t.snow), "log_rain": _log1p(t.rain)}


def _direction_features(t: Table) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for direction in WIND_DIRECTIONS:
        is_it = (t.wnd_dir == direction).cast("float64")
        columns[f"direction_{direction}"] = is_it
        columns[f"direction_{direction}_share_{DIRECTION_WINDOW}h"] = is_it.mean().over(_rows(DIRECTION_WINDOW - 1))
    return columns


def _calendar_features(target_hour: Any) -> dict[str, Any]:
    """Of the hour forecast, not of the hour at which the forecast is made."""
    target = target_hour.cast("float64")
    columns: dict[str, Any] = {}
    for harmonic in DAY_HARMONICS:
        angle = (target_hour % HOURS_PER_DAY).cast("float64") * (harmonic * 2 * math.pi / HOURS_PER_DAY)
        columns |= {f"day_sine_{harmonic}": angle.sin(), f"day_cosine_{harmonic}": angle.cos()}
    year = target * (2 * math.pi / HOURS_PER_DAY / DAYS_PER_YEAR)
    return columns | {"year_sine": year.sin(), "year_cosine": year.cos()}


def _rows(preceding: int | None = None) -> Any:
    """The hour and so many before it; without a number, the order alone."""
    if preceding is None:
        return ibis.window(group_by="device", order_by="hour")
    return ibis.window(group_by="device", order_by="hour", preceding=preceding, following=0)


def _hold(t: Table, hours_by_column: dict[str, int]) -> Table:
    """Each column with its latest known value, for so many hours without one.

    A known value opens a block, which ends before the next one. (`last` over a window would be shorter, but Ibis
    compiles it to LAST_VALUE, which does not pass over nulls.)
    """
    so_far = ibis.cumulative_window(group_by="device", order_by="hour")
    blocks = t.mutate(**{f"{name}_block": t[name].count().over(so_far) for name in hours_by_column})
    held = {}
    for name, hours in hours_by_column.items():
        block = ibis.window(group_by=["device", f"{name}_block"])
        age = ibis.row_number().over(ibis.window(group_by=["device", f"{name}_block"], order_by="hour"))
        held[name] = ibis.ifelse(age <= hours, blocks[name].max().over(block), ibis.null("float64"))
    return blocks.mutate(**held)


def _change(column: Any, hours: int) -> Any:
    return column - column.lag(hours).over(_rows())


def _log1p(column: Any) -> Any:
    return (column + 1.0).ln()
