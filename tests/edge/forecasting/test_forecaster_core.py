"""The forecaster's core: what it answers, and what it does with gaps, late, repeated and absurd input.

Not proved here: that the features are those of training (tests/ml), and that a trained model forecasts well (tests/ml).
"""

import datetime as dt
import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from pm_contracts import event_times
from pm_contracts.forecast_features import LOOK_BACK_HOURS, MEMORY_HOURS
from pm_contracts.manifest import ForecastManifest
from pm_contracts.measurements import AirQualityMeasurements
from pm_contracts.messages import PERSISTENCE, AirQualityReading, Forecast, Outcome, Refused, encode
from pm_edge.forecasting.core import Forecaster
from pm_edge.forecasting.interval import AdaptiveInterval
from pm_edge.forecasting.model import ForecastModel
from pm_edge.runtime.model_in_use import PATIENCE

START = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)
ForecastFiles = Callable[..., tuple[ForecastManifest, bytes]]


def reading(
    hour: int, pollution: float | None = 50.0, sequence: int | None = None, minute: int = 0, **other: Any
) -> Any:
    weather = {"dew": 1.0, "temp": 5.0, "press": 1010.0, "wnd_dir": 1.0, "wnd_spd": 3.0, "snow": 0.0, "rain": 0.0}
    return AirQualityReading(
        site="lindau",
        device="air-1",
        sequence=hour if sequence is None else sequence,
        event_time=START + dt.timedelta(hours=hour, minutes=minute),
        measurements=AirQualityMeasurements(pollution=pollution, **(weather | other)),
    )


@pytest.fixture
def model(constant_forecast_model: ForecastFiles) -> ForecastModel:
    return ForecastModel(*constant_forecast_model(5.0))


def observe(forecaster: Forecaster, *readings: AirQualityReading) -> list[Forecast | Outcome]:
    return [answer for each in readings for answer in forecaster.observe(each)]


def test_persistence_answers_before_there_is_a_model() -> None:
    first, outcome, second = observe(Forecaster("lindau", "air-1"), reading(0, 50.0), reading(1, 60.0))
    assert isinstance(first, Forecast)
    assert not isinstance(first, Outcome)
    assert (first.value, first.last_value, first.model_version) == (50.0, 50.0, PERSISTENCE)
    assert (first.lower, first.upper) == (0.0, 2000.0), "one hour says nothing about the error yet"
    assert (first.issued_at, first.target_time) == (START, START + dt.timedelta(hours=1))
    assert isinstance(outcome, Outcome)
    assert (outcome.value, outcome.actual, outcome.inside_interval) == (50.0, 60.0, True)
    assert outcome.issued_at == first.issued_at
    assert isinstance(second, Forecast)
    assert second.value == 60.0


def test_a_model_answers_once_the_look_back_is_complete(model: ForecastModel) -> None:
    forecaster = Forecaster("lindau", "air-1", model)
    answers = observe(forecaster, *(reading(hour) for hour in range(LOOK_BACK_HOURS)))
    forecasts = [answer for answer in answers if not isinstance(answer, Outcome)]
    assert [forecast.model_version for forecast in forecasts] == [PERSISTENCE] * 23 + [model.version]
    assert forecasts[-1].value == pytest.approx(55.0)
    # The manifest's scores are 0.1 to 4.0, of which ceil(41 x 0.9) = the 37th is 3.7; the spread is 10.
    assert forecasts[-1].upper == pytest.approx(55.0 + 37.0, rel=1e-5)
    assert forecasts[-1].lower == pytest.approx(55.0 - 37.0, rel=1e-4)


def test_the_interval_keeps_its_promise_when_the_series_changes(model: ForecastModel) -> None:
    noise = random.Random(1)
    inside = []
    forecaster = Forecaster("lindau", "air-1", model)
    for hour in range(6000):
        wild = 2.0 if hour < 3000 else 40.0
        answers = forecaster.observe(reading(hour, 300 + noise.gauss(0, wild)))
        inside += [answer.inside_interval for answer in answers if isinstance(answer, Outcome)]
    assert sum(inside) / len(inside) == pytest.approx(0.9, abs=0.01)
    assert sum(inside[3500:]) / len(inside[3500:]) == pytest.approx(0.9, abs=0.015)


def test_zero_is_a_report_and_null_is_none(model: ForecastModel) -> None:
    forecaster = Forecaster("lindau", "air-1", model)
    answers = observe(forecaster, reading(0, 50.0), reading(1, None), reading(2, 0.0))
    kinds = [type(answer).__name__ for answer in answers]
    assert kinds == ["Forecast", "Forecast", "Outcome", "Forecast"], "nothing came true at the hour without a value"
    assert isinstance(answers[1], Forecast)
    assert answers[1].last_value == 50.0, "the value before is held"
    assert isinstance(answers[2], Outcome)
    assert answers[2].actual == 0.0
    assert forecaster.counters["unknown_values"] == 1


def test_a_gap_is_filled_for_six_hours_and_then_breaks_the_look_back(model: ForecastModel) -> None:
    def version_after_gap(hours: int) -> str:
        forecaster = Forecaster("lindau", "air-1", model)
        observe(forecaster, *(reading(hour) for hour in range(30)))
        (forecast,) = forecaster.observe(reading(30 + hours))
        assert forecaster.counters["filled_hours"] == hours
        return forecast.model_version

    assert version_after_gap(6) == model.version
    assert version_after_gap(7) == PERSISTENCE
    assert version_after_gap(10 * MEMORY_HOURS) == PERSISTENCE


def test_a_late_reading_brings_its_outcome_and_no_forecast() -> None:
    forecaster = Forecaster("lindau", "air-1")
    observe(forecaster, reading(0), reading(2))
    (outcome,) = forecaster.observe(reading(1, 57.0))
    assert isinstance(outcome, Outcome)
    assert (outcome.issued_at, outcome.actual) == (START, 57.0)
    assert forecaster.counters["late"] == 1
    assert forecaster.observe(reading(1, 57.0)) == []
    assert forecaster.counters["repeated"] == 1


def test_a_repeated_reading_changes_nothing(model: ForecastModel) -> None:
    forecaster = Forecaster("lindau", "air-1", model)
    observe(forecaster, *(reading(hour, 40.0 + hour) for hour in range(30)))
    before = forecaster.state()
    assert forecaster.observe(reading(29, 69.0)) == []
    assert forecaster.observe(reading(10, 50.0)) == []
    assert forecaster.state() == before
    assert forecaster.counters["repeated"] == 2


def test_a_reading_belongs_to_its_hour_whatever_the_minute() -> None:
    first, outcome, _ = observe(Forecaster("lindau", "air-1"), reading(0, minute=7), reading(1, minute=52))
    assert first.target_time == START + dt.timedelta(hours=1)
    assert isinstance(outcome, Outcome)
    assert outcome.target_time == START + dt.timedelta(hours=1)


def test_a_reading_too_late_to_matter_is_counted_only() -> None:
    forecaster = Forecaster("lindau", "air-1")
    observe(forecaster, *(reading(hour) for hour in range(MEMORY_HOURS + 1)))
    before = forecaster.state()
    assert forecaster.observe(reading(0, sequence=9999)) == []
    assert forecaster.counters["too_late"] == 1
    assert forecaster.state() == before


def test_a_clock_far_ahead_does_not_silence_the_station() -> None:
    forecaster = Forecaster("lindau", "air-1")
    observe(forecaster, reading(0), reading(24 * 365 * 50))
    silent = observe(forecaster, *(reading(hour) for hour in range(1, event_times.PATIENCE)))
    assert silent == []
    (forecast,) = forecaster.observe(reading(event_times.PATIENCE))
    assert forecast.issued_at == START + dt.timedelta(hours=event_times.PATIENCE)
    assert forecaster.counters["restarts"] == 1
    assert forecaster.counters["readings"] == 2 + event_times.PATIENCE


def test_a_restart_from_the_state_goes_on_as_if_nothing_had_been(model: ForecastModel) -> None:
    noise = random.Random(2)
    readings = [
        reading(hour, noise.choice([None, 0.0, noise.uniform(1, 300)]), temp=noise.uniform(-9, 9))
        for hour in range(400)
        if noise.random() < 0.97
    ]
    through = Forecaster("lindau", "air-1", model)
    observe(through, *readings[:300])
    restarted = Forecaster("lindau", "air-1", model, json.loads(json.dumps(through.state())))
    expected = observe(through, *readings[300:])
    assert len(expected) > 100
    assert [encode(answer) for answer in observe(restarted, *readings[300:])] == [encode(answer) for answer in expected]


@pytest.mark.parametrize("state", [{}, {"hours": 3}, {"hours": [[1, 2]]}])
def test_a_state_that_is_none_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="the forecaster's state: "):
        Forecaster("lindau", "air-1", None, state)


@pytest.mark.parametrize("measurements", [[1.0], [1.0] * 9, [-5.0] + [1.0] * 7, [1.0] * 5 + [-2.0, 0.0, 0.0]])
def test_a_state_with_an_hour_that_no_station_reports_is_refused(measurements: list[float]) -> None:
    state = Forecaster("lindau", "air-1").state() | {"hours": [[1, 1, measurements]]}
    with pytest.raises(Refused, match="the forecaster's state: "):
        Forecaster("lindau", "air-1", None, state)


def test_a_new_model_is_used_from_the_next_reading_on_without_losing_the_window(
    model: ForecastModel, constant_forecast_model: ForecastFiles
) -> None:
    forecaster = Forecaster("lindau", "air-1", model)
    observe(forecaster, *(reading(hour) for hour in range(30)))
    other = ForecastModel(*constant_forecast_model(-5.0))
    forecaster.models.use(other)
    outcome, forecast = forecaster.observe(reading(30))
    assert (outcome.model_version, outcome.value) == (model.version, pytest.approx(55.0))
    assert (forecast.model_version, forecast.value) == (other.version, pytest.approx(45.0))


def test_a_model_that_answers_nonsense_is_given_up_for_the_one_before(
    model: ForecastModel, constant_forecast_model: ForecastFiles
) -> None:
    forecaster = Forecaster("lindau", "air-1", model)
    observe(forecaster, *(reading(hour) for hour in range(30)))
    forecaster.models.use(ForecastModel(*constant_forecast_model(900.0)))
    answers = observe(forecaster, *(reading(hour) for hour in range(30, 30 + PATIENCE + 1)))
    forecasts = [answer for answer in answers if not isinstance(answer, Outcome)]
    assert [(each.model_version, each.value) for each in forecasts] == [(model.version, 55.0)] * (PATIENCE + 1)
    assert forecaster.counters["nonsense_answers"] == PATIENCE
    assert forecaster.counters["models_given_up"] == 1
    assert forecaster.models.current is model


def test_without_a_model_before_it_nonsense_is_answered_by_persistence(constant_forecast_model: ForecastFiles) -> None:
    forecaster = Forecaster("lindau", "air-1", ForecastModel(*constant_forecast_model(900.0)))
    answers = observe(forecaster, *(reading(hour) for hour in range(30)))
    assert {answer.model_version for answer in answers} == {PERSISTENCE}
    assert forecaster.counters["models_given_up"] == 1


def test_the_intervals_of_a_model_go_on_where_it_answers_for_the_next_one(
    model: ForecastModel, constant_forecast_model: ForecastFiles
) -> None:
    def widths(forecaster: Forecaster) -> list[float]:
        answers = observe(forecaster, *(reading(hour) for hour in range(30, 34)))
        return [answer.upper - answer.lower for answer in answers if not isinstance(answer, Outcome)]

    alone, beside = Forecaster("lindau", "air-1", model), Forecaster("lindau", "air-1", model)
    for forecaster in (alone, beside):
        observe(forecaster, *(reading(hour) for hour in range(30)))
    beside.models.use(ForecastModel(*constant_forecast_model(900.0)))
    assert widths(beside) == widths(alone), "outcomes that it learned from are not forgotten"


def test_a_model_that_is_too_slow_is_given_up_and_says_why(
    model: ForecastModel, constant_forecast_model: ForecastFiles
) -> None:
    forecaster = Forecaster("lindau", "air-1", model)
    observe(forecaster, *(reading(hour) for hour in range(30)))
    slow = ForecastModel(*constant_forecast_model(9.0))
    slow._allowed_seconds = 0.0
    forecaster.models.use(slow)
    answers = observe(forecaster, *(reading(hour) for hour in range(30, 30 + PATIENCE + 1)))
    versions = [answer.model_version for answer in answers if not isinstance(answer, Outcome)]
    assert versions == [slow.version] * PATIENCE + [model.version], "slow answers are answers still"
    assert forecaster.models.given_up == (slow.version, f"{PATIENCE} bad answers in a row, the latest too slow")
    assert forecaster.counters["slow_answers"] == PATIENCE
    forecaster.models.go_back_to(model)
    assert forecaster.model_version == model.version
    forecaster.models.go_back_to(None)
    assert forecaster.model_version == PERSISTENCE


def test_a_forecast_stays_within_what_a_station_can_report(constant_forecast_model: ForecastFiles) -> None:
    forecaster = Forecaster("lindau", "air-1", ForecastModel(*constant_forecast_model(-400.0)))
    answers = observe(forecaster, *(reading(hour, 20.0) for hour in range(LOOK_BACK_HOURS)))
    assert (answers[-1].value, answers[-1].lower) == (0.0, 0.0)


def test_an_interval_of_too_few_scores_is_infinite_and_then_the_widest_seen() -> None:
    interval = AdaptiveInterval(0.9)
    for score in range(1, 9):
        assert interval.half_width(1.0) == math.inf
        interval.update(float(score), inside=True)
    assert interval.half_width(1.0) == math.inf
    interval.update(9.0, inside=True)
    assert interval.half_width(2.0) == 18.0
