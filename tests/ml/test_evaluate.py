"""The figures, against their definitions worked out the slow way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm_ml import evaluate

readings = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0])), min_size=2, max_size=40)


@given(readings)
def test_no_threshold_costs_less_than_the_cheapest(given_readings: list[tuple[bool, float]]) -> None:
    faulty = np.array([truth for truth, _ in given_readings])
    probability = np.array([p for _, p in given_readings])
    threshold = evaluate.cheapest_threshold(faulty, probability)
    assert 0 <= threshold <= 1
    cost = evaluate.fault_cost(faulty, probability >= threshold)
    every = [evaluate.fault_cost(faulty, probability >= t) for t in (0.0, 0.05, 0.15, 0.3, 0.7, 0.95, 1.0, 1.1)]
    # A threshold is a probability, so that readings of probability 1 are always called.
    possible = every[:-1]
    assert cost <= min(possible)


def test_fault_figures() -> None:
    faulty = np.array([True, True, True, False, False, False, False])
    figures = evaluate.fault_figures(faulty, np.array([0.9, 0.8, 0.1, 0.85, 0.2, 0.1, 0.0]), 0.5)
    assert figures["cost"] == 1 * 500 + 1 * 10
    assert figures["never_alarm_cost"] == 1500
    assert figures["always_alarm_cost"] == 40
    assert figures["precision"] == figures["recall"] == pytest.approx(2 / 3)
    # Ranked: faulty, healthy, faulty, healthy, faulty (0.1, first of two), so 1, 2/3 and 3/5 on the way.
    assert figures["average_precision"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_forecast_figures() -> None:
    actual, forecast = np.array([10.0, 20.0, 0.0, 40.0]), np.array([11.0, 19.0, 10.0, 38.0])
    last = np.array([12.0, 10.0, 20.0, 0.0])
    figures = evaluate.forecast_figures(actual, forecast, last, np.array([1.0, 0.5, 20.0, 2.0]))
    assert figures["rmse"] == pytest.approx(np.sqrt((1 + 1 + 100 + 4) / 4))
    assert figures["persistence_rmse"] == pytest.approx(np.sqrt((4 + 100 + 400 + 1600) / 4))
    assert figures["skill"] == pytest.approx(1 - figures["rmse"] / figures["persistence_rmse"])
    assert figures["skill_without_zeros"] == pytest.approx(1 - np.sqrt(1) / np.sqrt(52))
    assert figures["coverage"] == 0.75
    assert figures["interval_width"] == pytest.approx(2 * 23.5 / 4)


def test_persistence_has_no_skill() -> None:
    actual, last = np.array([1.0, 5.0, 2.0]), np.array([3.0, 1.0, 5.0])
    assert evaluate.forecast_figures(actual, last, last)["skill"] == 0.0


def test_rounding_keeps_eight_digits() -> None:
    assert evaluate.rounded({"a": {"b": 123.4567890123, "c": 3.0}}) == {"a": {"b": 123.45679, "c": 3.0}}
