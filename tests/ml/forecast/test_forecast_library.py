"""The forecasting library in the protocol: asked an hour ahead, from what is known, by the rules of our own forecasts.

Not proved here: its figures on the real series; `pm evaluate --data FILE` shows them.
"""

import dataclasses

import numpy as np
import pytest

from pm_ml.forecast import library as forecast_library
from pm_ml.forecast.protocol import Series


@pytest.fixture(scope="module")
def hours() -> Series:
    """A series whose changes go on by half, with one hour in fifty missing."""
    random = np.random.default_rng(1)
    change = np.zeros(6000)
    for hour in range(1, len(change)):
        change[hour] = 0.5 * change[hour - 1] + random.normal()
    value = 500 + np.cumsum(change)
    issued = np.flatnonzero(random.random(len(value) - 1) > 0.02)
    return Series(1, issued, np.zeros((len(issued), 1)), value[issued], value[issued + 1], value[issued], (3000, 4500))


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast_library, "FITTED_HOURS", 1000)
    monkeypatch.setattr(forecast_library, "MOST_LAGS", 1)


def test_a_series_with_momentum_is_forecast_better_than_persistence_by_arima(hours: Series) -> None:
    told = []
    judged = forecast_library.judge(hours, lambda: told.append(1))
    assert set(judged) == {"ETS", "ARIMA"}
    assert len(told) == 2
    # The best forecast leaves the noise alone: 1 - 1 / sqrt(1 / (1 - 0.5**2)) = 13 %, less what the gaps take.
    assert 0.08 < judged["ARIMA"]["test"]["rmse_skill"] < 0.16
    assert judged["ARIMA"]["test"]["rows"] == hours.rows("test").stop - hours.rows("test").start


def test_no_forecast_knows_its_hour(hours: Series) -> None:
    later = dataclasses.replace(hours, value=np.where(hours.issued > 4000, 0.0, hours.value))
    one, other = (forecast_library.forecasts(each, lambda: None) for each in (hours, later))
    known = hours.issued <= 4000
    for name in one:
        assert np.array_equal(one[name].values[known], other[name].values[known])
        assert not np.array_equal(one[name].values, other[name].values)


def test_other_horizons_are_refused(hours: Series) -> None:
    with pytest.raises(ValueError, match="the next hour"):
        forecast_library.judge(dataclasses.replace(hours, horizon=12), lambda: None)
