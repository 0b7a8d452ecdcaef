"""The forecast model's inputs, computed a reading at a time; the rules are those of `pm_contracts.forecast_features`.

Plain lists of floats rather than arrays: the windows are short, and for those Python's own `sum` and `max` are several
times faster than a call into numpy.
"""

import enum
import math
from collections.abc import Sequence

from pm_contracts.forecast_features import (
    DAY_HARMONICS,
    DAYS_PER_YEAR,
    DIRECTION_WINDOW,
    EXTREME_WINDOWS,
    HOLD_HOURS,
    LEVEL_CHANGES,
    LEVEL_HOURS,
    LEVEL_LAGS,
    LONGEST_WINDOW_HOURS,
    LOOK_BACK_HOURS,
    MEAN_WINDOWS,
    MEMORY_HOURS,
    WEATHER,
    WEATHER_CHANGES,
    WIND_DIRECTIONS,
)
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS

UNKNOWN = math.nan
SECONDS_PER_HOUR = 3600
HOURS_PER_DAY = 24
_TAU = 2 * math.pi
#: Lists are cut back to the memory only now and then, since cutting moves all that is left.
_SLACK_HOURS = 256

#: An hour that was read: hours since 1970, the reading's sequence, its measurements in the contract's order.
Hour = tuple[int, int, tuple[float | None, ...]]


class Placement(enum.Enum):
    """The outcome of placing a reading."""

    APPENDED = "it is the latest hour now"
    SLOTTED = "it came late and was put into its hour"
    REPEATED = "its hour already had a reading of the same or a higher sequence"
    TOO_LATE = "its hour is older than all that the features look at"


class FeatureWindow:
    """The latest hours of one station, and the features that follow from them."""

    def __init__(self, hours: Sequence[Hour] = ()) -> None:
        """Start with the hours of an earlier window's `hours()`, oldest first."""
        self.filled_hours = 0  #: how many hours went by without a reading
        self._read: dict[int, Hour] = {}
        self._clear()
        for hour in hours:
            self._read[hour[0]] = hour
        self._rebuild()

    def _clear(self) -> None:
        self._latest: int | None = None
        self._held: list[float] = [UNKNOWN] * len(AIR_QUALITY_MEASUREMENTS)
        self._held_for = [0] * len(AIR_QUALITY_MEASUREMENTS)
        self._level_now, self._level_age = UNKNOWN, 0
        self._value: list[float] = []
        self._level: list[float] = []
        self._log_level: list[float] = []
        self._movement: list[float] = []
        self._weather: tuple[list[float], ...] = tuple([] for _ in WEATHER)
        self._direction: list[float] = []
        self._complete_hours = 0

    @property
    def complete(self) -> bool:
        """True if the latest `LOOK_BACK_HOURS` hours all have a value."""
        return self._complete_hours >= LOOK_BACK_HOURS

    @property
    def value(self) -> float:
        """The latest hour's PM2.5 as reported or held, ug/m3; NaN where unknown."""
        return self._value[-1] if self._value else UNKNOWN

    def hours(self) -> list[Hour]:
        """The hours that were read and are still looked at, oldest first: all that a later window needs."""
        if self._latest is None:
            return []
        oldest = self._latest - MEMORY_HOURS + 1
        return [self._read[hour] for hour in sorted(self._read) if hour >= oldest]

    def place(self, hour: int, sequence: int, measurements: tuple[float | None, ...]) -> Placement:
        """Take a reading in.

        Args:
            hour: in which it was taken, hours since 1970 UTC.
            sequence: of the reading.
            measurements: in the contract's order, None where missing.
        """
        latest = self._latest
        known = self._read.get(hour)
        if latest is not None:
            if hour <= latest - MEMORY_HOURS:
                return Placement.TOO_LATE
            if known is not None and sequence <= known[1]:
                return Placement.REPEATED
        self._read[hour] = (hour, sequence, measurements)
        if latest is not None and hour <= latest:
            self._rebuild()
            return Placement.SLOTTED
        if latest is not None and hour > latest + 1:
            self.filled_hours += hour - latest - 1
        self._advance_to(hour)
        if len(self._value) > MEMORY_HOURS + _SLACK_HOURS:
            self._cut()
        return Placement.APPENDED

    def restart(self) -> None:
        """Forget everything, as if no reading had come yet."""
        self._read.clear()
        self._clear()

    def _rebuild(self) -> None:
        hours = self.hours() if self._latest is not None else [self._read[hour] for hour in sorted(self._read)]
        self._read = {hour[0]: hour for hour in hours}
        self._clear()
        for hour in hours:
            self._advance_to(hour[0])

    def _advance_to(self, hour: int) -> None:
        """Append the hours up to `hour`, which was read; those between are unknown."""
        if self._latest is not None:
            if hour - self._latest > MEMORY_HOURS:  # nothing before the gap counts any more
                self._clear()
            else:
                for _ in range(hour - self._latest - 1):
                    self._append(None)
        self._append(self._read[hour][2])
        self._latest = hour

    def _append(self, measurements: tuple[float | None, ...] | None) -> None:
        held, held_for = self._held, self._held_for
        for i in range(len(held)):
            measured = measurements[i] if measurements is not None else None
            if measured is not None:
                held[i] = measured
                held_for[i] = 0
            else:
                held_for[i] += 1
                if held_for[i] > HOLD_HOURS:
                    held[i] = UNKNOWN
        pollution, dew, temp, press, direction, wind, _, _ = held

        reported = measurements[0] if measurements is not None else None
        if reported:
            self._level_now, self._level_age = reported, 0
        else:
            self._level_age += 1
            if self._level_age > LEVEL_HOURS:
                self._level_now = UNKNOWN
        level = self._level_now
        self._movement.append(abs(level - self._level[-1]) if self._level else UNKNOWN)
        self._value.append(pollution)
        self._level.append(level)
        self._log_level.append(math.log1p(level))
        self._complete_hours = 0 if pollution != pollution else self._complete_hours + 1
        for quantity, number in zip(self._weather, (dew, temp, press, math.log1p(wind)), strict=True):
            quantity.append(number)
        self._direction.append(direction)

    def _cut(self) -> None:
        for series in (self._value, self._level, self._log_level, self._movement, self._direction, *self._weather):
            del series[:-MEMORY_HOURS]
        self._read = {hour[0]: hour for hour in self.hours()}

    def features(self) -> list[float]:
        """The features of the latest hour in the order of `FEATURES`, NaN where unknown.

        Raises:
            ValueError: before the first reading.
        """
        if self._latest is None:
            raise ValueError("no reading has come yet")
        level, log_level, value = self._level[-1], self._log_level[-1], self._value[-1]
        levels = _known(self._level[-LONGEST_WINDOW_HOURS:])
        snow, rain = self._held[6], self._held[7]
        is_zero = UNKNOWN if value != value else float(value == 0)

        answer = [log_level, level, is_zero, level if is_zero == 1 else is_zero]
        answer += [log_level - _lagged(self._log_level, lag) for lag in LEVEL_LAGS]
        answer += [level - _lagged(self._level, lag) for lag in LEVEL_CHANGES]
        for window in MEAN_WINDOWS:
            near = self._near(levels, window)
            answer.append(math.log1p(sum(near) / len(near)) - log_level if near else UNKNOWN)
        for window in EXTREME_WINDOWS:
            near = self._near(levels, window)
            moves = _known(self._movement[-window:])
            answer.append(math.log1p(max(near)) - log_level if near else UNKNOWN)
            answer.append(math.log1p(min(near)) - log_level if near else UNKNOWN)
            answer.append(math.log1p(sum(moves) / len(moves)) if moves else UNKNOWN)
        for quantity in self._weather:
            now = quantity[-1]
            answer.append(now)
            answer += [now - _lagged(quantity, lag) for lag in WEATHER_CHANGES]
        directions = _known(self._direction[-DIRECTION_WINDOW:])
        now = self._direction[-1]
        for direction in WIND_DIRECTIONS:
            answer.append(UNKNOWN if now != now else float(now == direction))
            answer.append(directions.count(direction) / len(directions) if directions else UNKNOWN)
        answer += [math.log1p(snow), math.log1p(rain)]
        answer += _calendar(self._latest + 1)
        return answer

    def _near(self, levels: list[float], window: int) -> list[float]:
        """The known levels of the latest `window` hours; `levels` are those of the longest window."""
        if len(levels) == min(len(self._level), LONGEST_WINDOW_HOURS):
            return levels[-window:]
        return _known(self._level[-window:])


def _known(numbers: list[float]) -> list[float]:
    total = sum(numbers)
    if total == total:  # a NaN anywhere makes the sum one
        return numbers
    return [number for number in numbers if number == number]


def _lagged(series: list[float], lag: int) -> float:
    return series[-1 - lag] if len(series) > lag else UNKNOWN


def _calendar(target_hour: int) -> list[float]:
    day = _TAU * (target_hour % HOURS_PER_DAY) / HOURS_PER_DAY
    answer = []
    for harmonic in DAY_HARMONICS:
        answer += [math.sin(harmonic * day), math.cos(harmonic * day)]
    # Days since 1970 rather than of the year: no calendar arithmetic, and no step at the turn of the year.
    year = _TAU * (target_hour / HOURS_PER_DAY) / DAYS_PER_YEAR
    return [*answer, math.sin(year), math.cos(year)]
