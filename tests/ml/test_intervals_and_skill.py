"""Intervals over a series are the device's own; skills and their intervals are what they say.

Not proved here: that the bootstrap's intervals hold the true skill as often as they say.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm_edge.forecasting.interval import MEMORY as DEVICE_MEMORY
from pm_edge.forecasting.interval import AdaptiveInterval
from pm_ml.forecast.skill import forecast_entry
from pm_ml.intervals import MEMORY, adaptive_half_widths


@given(st.integers(0, 2**32), st.integers(20, 400))
@settings(deadline=None, max_examples=30)
def test_next_hour_intervals_are_those_of_the_device(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    score, spread = random.exponential(size=count) * random.choice([1, 5], count), random.uniform(1, 9, count)
    earlier = random.exponential(size=30)
    issued = np.cumsum(random.integers(1, 4, count))  # with gaps
    found = adaptive_half_widths(score, spread, issued, 1, 0.9, earlier)
    device = AdaptiveInterval(0.9, earlier)
    for row in range(count):
        half_width = device.half_width(spread[row])
        assert found[row] == pytest.approx(half_width)
        device.update(score[row], score[row] * spread[row] <= half_width)
    assert MEMORY == DEVICE_MEMORY


def test_an_outcome_counts_only_once_its_hour_has_come() -> None:
    issued, spread = np.arange(200), np.ones(200)
    calm, wild = np.ones(200), np.where(np.arange(200) >= 100, 50.0, 1.0)
    widths = [adaptive_half_widths(score, spread, issued, 12, 0.9, np.ones(20)) for score in (calm, wild)]
    differing = np.flatnonzero(widths[0] != widths[1])
    assert differing[0] >= 112


def test_coverage_comes_back_after_the_errors_grow() -> None:
    random = np.random.default_rng(1)
    score = random.exponential(size=6000) * np.where(np.arange(6000) < 3000, 1, 4)
    width = adaptive_half_widths(score, np.ones(6000), np.arange(6000), 1, 0.9, random.exponential(size=500))
    assert np.mean(score <= width) == pytest.approx(0.9, abs=0.01)


def test_skills_by_hand() -> None:
    hours = np.arange(400)
    actual = np.where(hours % 2, 10.0, 20.0)
    last = np.where(hours % 2, 20.0, 10.0)
    forecast = actual + 5.0
    actual[::50] = 0.0
    entry = forecast_entry(actual, forecast, last, {"other": actual}, hours)
    error, persistence = forecast - actual, last - actual
    assert entry["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert entry["rmse_skill"] == pytest.approx(1 - entry["rmse"] / np.sqrt(np.mean(persistence**2)))
    assert entry["mae_skill"] == pytest.approx(1 - np.mean(np.abs(error)) / np.mean(np.abs(persistence)))
    assert entry["without_zeros"]["rows"] == 392
    assert entry["without_zeros"]["rmse_skill"] == pytest.approx(0.5)
    assert entry["references"]["persistence"]["rmse_skill"] == 0
    assert entry["references"]["other"]["rmse"] == 0
    low, high = entry["rmse_skill_interval"]
    assert low <= entry["rmse_skill"] <= high


def test_the_interval_of_no_skill_holds_zero() -> None:
    random = np.random.default_rng(2)
    actual, last = random.normal(100, 20, 4000), random.normal(100, 20, 4000)
    entry = forecast_entry(actual, random.permutation(last), last, {}, np.arange(4000))
    low, high = entry["rmse_skill_interval"]
    assert low < 0 < high
    assert high - low < 0.1
