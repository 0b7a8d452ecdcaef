"""The forecaster of one station: readings in, forecasts and outcomes out. No input or output of its own.

Each reading is answered with a forecast of the next hour, and with the outcome of the forecast that was made for its
own hour. Persistence (the last value, held) answers until there is a model and enough history for it, and where neither
the model nor the one before it gives a sane answer; `model_version` says so.

A reading that comes late is put into its hour: forecasts already made for that hour get their outcome, and the features
of later hours count it; no forecast is made of it, since a later one exists. A repeated reading and one older than all
that the features look at are counted and otherwise ignored.
"""

import datetime as dt
import math
from typing import Any

import msgspec

from pm_contracts.event_times import PATIENCE
from pm_contracts.forecast_features import MEMORY_HOURS
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, AirQualityMeasurements
from pm_contracts.messages import PERSISTENCE, AirQualityReading, Forecast, Outcome, Refused
from pm_edge.forecasting.features import SECONDS_PER_HOUR, FeatureWindow, Hour, Placement
from pm_edge.forecasting.interval import AdaptiveInterval, IntervalState
from pm_edge.forecasting.model import ForecastModel
from pm_edge.runtime.model_in_use import ModelInUse

#: Range that the contract lets a station report, ug/m3 (`AirQualityMeasurements.pollution`); no forecast leaves it.
LARGEST_VALUE = 2000.0
#: The share of outcomes that persistence's interval is made to hold; a model brings its own.
PERSISTENCE_LEVEL = 0.9
_HORIZON = dt.timedelta(hours=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class _Issued(msgspec.Struct, forbid_unknown_fields=True):
    """A forecast that waits for its outcome, and the spread that its interval was made of."""

    forecast: Forecast
    spread: float


class _State(msgspec.Struct, forbid_unknown_fields=True):
    """All that a restart must not forget."""

    hours: list[Hour]
    pending: dict[int, _Issued]
    persistence_interval: IntervalState
    model_version: str
    model_interval: IntervalState | None


class Forecaster:
    """The forecaster of one station."""

    def __init__(
        self, site: str, device: str, model: ForecastModel | None = None, state: dict[str, Any] | None = None
    ) -> None:
        """Begin, or go on from an earlier `state()`.

        Raises:
            Refused: if the state is invalid; the text says which part.
        """
        self.counters = dict.fromkeys(
            (
                "readings", "forecasts", "persistence_forecasts", "outcomes", "late", "too_late", "repeated",
                "filled_hours", "unknown_values", "restarts",
            ),
            0,
        )  # fmt: skip
        self._site, self._device = site, device
        self._window = FeatureWindow()
        self._pending: dict[int, _Issued] = {}
        self._persistence_interval = AdaptiveInterval(PERSISTENCE_LEVEL)
        self.models = ModelInUse(self.counters, model)
        #: Of the models in use, by version.
        self._intervals: dict[str, AdaptiveInterval] = {}
        self._too_late_in_a_row = 0
        restored = _restore(state) if state is not None else None
        if restored:
            self._window = FeatureWindow(restored.hours)
            self._pending = restored.pending
            interval = restored.persistence_interval
            self._persistence_interval = AdaptiveInterval(PERSISTENCE_LEVEL, interval.scores, interval.miss_rate)
            if model and restored.model_interval and restored.model_version == model.version:
                interval = restored.model_interval
                self._intervals[model.version] = AdaptiveInterval(
                    model.manifest.interval.level, interval.scores, interval.miss_rate
                )

    @property
    def model_version(self) -> str:
        """The version of the model in use, or "persistence"."""
        return self.models.current.version if self.models.current else PERSISTENCE

    def observe(self, reading: AirQualityReading) -> list[Forecast | Outcome]:
        """Answer one reading.

        Returns:
            The outcome of the forecast made for the reading's hour, where there is one, then the forecast of the next
            hour; neither for a repeated reading or one that is too late, no forecast for a late one.
        """
        self.counters["readings"] += 1
        hour = (reading.event_time - _EPOCH) // dt.timedelta(seconds=SECONDS_PER_HOUR)
        measurements = reading.measurements
        placement = self._window.place(hour, reading.sequence, _values(measurements))
        if placement is Placement.TOO_LATE:
            return self._too_late(reading)
        self._too_late_in_a_row = 0
        self.counters["filled_hours"] = self._window.filled_hours
        if placement is Placement.REPEATED:
            self.counters["repeated"] += 1
            return []
        answers: list[Forecast | Outcome] = []
        if measurements.pollution is None:
            self.counters["unknown_values"] += 1
        elif issued := self._pending.pop(hour, None):
            answers.append(self._outcome(issued, measurements.pollution))
        if placement is Placement.SLOTTED:
            self.counters["late"] += 1
            return answers
        last_value = self._window.value
        if math.isfinite(last_value):
            answers.append(self._forecast(reading.event_time, hour, last_value))
        return answers

    def state(self) -> dict[str, Any]:
        """All that a restart must not forget, as JSON can hold it."""
        interval = self._intervals.get(self.model_version)
        state = _State(
            hours=self._window.hours(),
            pending=self._pending,
            persistence_interval=self._persistence_interval.state(),
            model_version=self.model_version,
            model_interval=interval.state() if interval else None,
        )
        return msgspec.to_builtins(state, str_keys=True)

    def _too_late(self, reading: AirQualityReading) -> list[Forecast | Outcome]:
        self.counters["too_late"] += 1
        self._too_late_in_a_row += 1
        # After so many it was the latest that was wrong (a clock far ahead): it starts anew.
        if self._too_late_in_a_row < PATIENCE:
            return []
        self._too_late_in_a_row = 0
        self.counters["restarts"] += 1
        self.counters["readings"] -= 1  # it is counted when it is observed again
        self._window.restart()
        self._pending.clear()
        return self.observe(reading)

    def _forecast(self, issued_at: dt.datetime, hour: int, last_value: float) -> Forecast:
        value, spread, interval, version = self._answer(last_value)
        half = interval.half_width(spread)
        forecast = Forecast(
            site=self._site,
            device=self._device,
            issued_at=issued_at,
            target_time=_EPOCH + dt.timedelta(hours=hour) + _HORIZON,
            horizon_hours=1,
            value=value,
            lower=max(value - half, 0.0),
            upper=min(value + half, LARGEST_VALUE),
            interval_level=interval.level,
            last_value=last_value,
            model_version=version,
        )
        self._pending[hour + 1] = _Issued(forecast, spread)
        self._forget_pending(hour)
        self.counters["forecasts"] += 1
        self.counters["persistence_forecasts"] += version == PERSISTENCE
        return forecast

    def _answer(self, last_value: float) -> tuple[float, float, AdaptiveInterval, str]:
        """Value, spread, the interval to use and the model's version."""
        if self.models.current and self._window.complete:
            features = self._window.features()
            if answered := self.models.ask(lambda model: model.answer(features)):
                model, (change, spread) = answered
                value = min(max(last_value + change, 0.0), LARGEST_VALUE)
                return value, spread, self._interval(model), model.version
        return last_value, 1.0, self._persistence_interval, PERSISTENCE

    def _interval(self, model: ForecastModel) -> AdaptiveInterval:
        """The interval of a model in use; a new one begins as its manifest says."""
        if model.version not in self._intervals:
            in_use = {one.version for one in (self.models.current, self.models.previous) if one}
            self._intervals = {version: kept for version, kept in self._intervals.items() if version in in_use}
            begin = model.manifest.interval
            self._intervals[model.version] = AdaptiveInterval(begin.level, begin.scores)
        return self._intervals[model.version]

    def _outcome(self, issued: _Issued, actual: float) -> Outcome:
        forecast = issued.forecast
        inside = forecast.lower <= actual <= forecast.upper
        error = abs(actual - forecast.value)
        if forecast.model_version == PERSISTENCE:
            self._persistence_interval.update(error, inside)
        elif interval := self._intervals.get(forecast.model_version):
            interval.update(error / issued.spread, inside)
        self.counters["outcomes"] += 1
        return Outcome(
            site=forecast.site,
            device=forecast.device,
            issued_at=forecast.issued_at,
            target_time=forecast.target_time,
            horizon_hours=forecast.horizon_hours,
            value=forecast.value,
            lower=forecast.lower,
            upper=forecast.upper,
            interval_level=forecast.interval_level,
            last_value=forecast.last_value,
            model_version=forecast.model_version,
            actual=actual,
            inside_interval=inside,
        )

    def _forget_pending(self, hour: int) -> None:
        """Drop the forecasts that no late reading can bring an outcome for any more; they were made in order."""
        while (oldest := next(iter(self._pending))) <= hour - MEMORY_HOURS:
            del self._pending[oldest]


def _values(measurements: AirQualityMeasurements) -> tuple[float | None, ...]:
    return (
        measurements.pollution, measurements.dew, measurements.temp, measurements.press,
        measurements.wnd_dir, measurements.wnd_spd, measurements.snow, measurements.rain,
    )  # fmt: skip


def _restore(state: dict[str, Any]) -> _State:
    try:
        restored = msgspec.convert(state, _State, str_keys=True)
        for _, _, values in restored.hours:
            msgspec.convert(dict(zip(AIR_QUALITY_MEASUREMENTS, values, strict=True)), AirQualityMeasurements)
        return restored
    except (msgspec.ValidationError, ValueError) as error:
        raise Refused(f"the forecaster's state: {error}") from error
