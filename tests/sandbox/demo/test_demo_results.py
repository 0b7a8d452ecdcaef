"""The demo's figures follow from the rows of the lake, by arithmetic that a person can redo.

Does not prove that the rows are right; the end-to-end test does.
"""

import datetime as dt
import math

import pytest

from pm_sandbox.demo.results import Live, fault_figures, forecast_figures

DAY0 = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)


def day(number: float) -> dt.datetime:
    return DAY0 + dt.timedelta(days=number)


def outcome(value: float, actual: float, last: float, half: float = 5.0) -> dict:
    return {"value": value, "actual": actual, "last_value": last, "lower": value - half, "upper": value + half,
            "model_version": "1.0.1"}  # fmt: skip


def test_forecast_figures_are_those_of_the_definition():
    figures = forecast_figures([outcome(10, 13, 9), outcome(20, 16, 24), outcome(30, 30, 30)])
    rmse, persistence = math.sqrt((9 + 16) / 3), math.sqrt((16 + 64) / 3)
    assert figures["rmse"] == pytest.approx(rmse, abs=1e-3)
    assert figures["persistence_rmse"] == pytest.approx(persistence, abs=1e-3)
    assert figures["skill"] == pytest.approx(1 - rmse / persistence, abs=1e-4)
    assert figures["interval_coverage"] == 1.0
    assert figures["by_model_version"] == {"1.0.1": 3}
    assert forecast_figures([outcome(10, 16, 9), outcome(10, 11, 9)])["interval_coverage"] == 0.5


def test_a_live_span_without_outcomes_has_no_skill():
    assert forecast_figures([])["skill"] is None


def score(machine: str, when: float, faulty: bool) -> dict:
    return {"device": machine, "event_time": day(when), "faulty": faulty, "probability": 0.5, "threshold": 0.4}


def alert(machine: str, when: float, state: str = "active", cause: str = "fault") -> dict:
    return {"device": machine, "raised_at": day(when), "state": state, "cause": cause}


def test_a_fault_is_detected_between_its_onset_and_its_failure_and_an_alert_elsewhere_is_false():
    injected = {"m-1": [(day(10), day(20), "valves"), (day(50), day(60), "pipes")], "m-2": [(day(5), day(9), "pipes")]}
    live = Live(
        outcomes=[],
        fault_scores=[
            score("m-1", 9, False), score("m-1", 16, True), score("m-1", 17, True),  # found, 4 days before it failed
            score("m-1", 61, True),  # too late for the second fault
            score("m-2", 7, False),  # missed
            score("m-3", 7, True),  # nothing was wrong
        ],
        alerts=[
            alert("m-1", 16), alert("m-1", 25, "cleared"), alert("m-1", 61), alert("m-3", 7),
            alert("air-1", 3, cause="forecast_quality"),
        ],
        redelivered={},
    )  # fmt: skip
    figures = fault_figures(injected, live)
    assert (figures["injected"], figures["detected"]) == (3, 1)
    assert (figures["alerts"], figures["false_alarms"]) == (3, 2)
    assert figures["median_days_before_failure"] == 4
