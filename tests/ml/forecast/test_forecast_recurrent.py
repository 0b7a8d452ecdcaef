"""The recurrent candidate: which hours it reads, that it learns from those it may know, and the same each time.

Not proved here: how well it forecasts the real series; `pm evaluate --data FILE` shows that.
"""

import numpy as np
import pytest

from pm_contracts.forecast_features import FEATURES, LOOK_BACK_HOURS
from pm_ml.forecast import recurrent as forecast_recurrent

ROWS = 600


def test_a_row_is_the_hours_up_to_its_own_and_an_hour_without_one_is_an_average_one() -> None:
    issued = np.array([100, 101, 103, 130])
    inputs = np.zeros((4, len(FEATURES)), dtype=np.float32)
    inputs[:, FEATURES.index("temp")] = [1, 2, 3, 4]
    hours = forecast_recurrent.history(inputs, issued)
    assert hours.shape == (4, LOOK_BACK_HOURS, len(forecast_recurrent.STATE))
    temp = hours[:, :, forecast_recurrent.STATE.index("temp")]
    assert temp[0].tolist() == [0] * 23 + [1]
    assert temp[2].tolist() == [0] * 20 + [1, 2, 0, 3]
    assert temp[3].tolist() == [0] * 23 + [4]
    assert not np.delete(hours, forecast_recurrent.STATE.index("temp"), axis=2).any()


def test_it_learns_from_the_past_alone_and_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"EPOCHS": 4, "BATCH": 32, "LEARNING_RATE": 1e-2}.items():
        monkeypatch.setattr(forecast_recurrent, name, value)
    random = np.random.default_rng(1)
    inputs = random.normal(size=(ROWS, len(FEATURES))).astype(np.float32)
    hours = forecast_recurrent.history(inputs, np.arange(ROWS))
    targets = hours[:, -2, forecast_recurrent.STATE.index("dew")].copy()
    fitted, kept = slice(0, 384), slice(384, 512)
    epochs: list[None] = []
    said = forecast_recurrent.forecast(hours, targets, fitted, kept, 1, lambda: epochs.append(None))
    assert len(epochs) == 4
    assert np.mean((said[512:] - targets[512:]) ** 2) < 0.9 * np.mean(targets[512:] ** 2)
    targets[512:] = np.nan
    again = forecast_recurrent.forecast(hours, targets, fitted, kept, 1, lambda: None)
    assert np.array_equal(said, again)
