"""An interrupted training, gone on with, ends with the bytes of one that was not.

Not proved here: that AWS brings the folder of checkpoints back after a spot interruption.
"""

from pathlib import Path

import numpy as np
import pytest

from ml import forecast_model
from ml.checkpoints import Checkpoints, identity


class Interrupted(Exception):
    pass


def after(times: int):
    """Something to be called that many times, and then to be interrupted by."""
    left = iter(range(times))

    def count() -> None:
        if next(left, None) is None:
            raise Interrupted

    return count


def test_another_run_does_not_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    one = Checkpoints(tmp_path / "kept", identity(np.arange(3), {"seed": 1}))
    other = Checkpoints(tmp_path / "kept", identity(np.arange(3), {"seed": 2}))
    one.save("trees", b"first")
    one.save("trees", b"second")
    assert (one.load("trees"), other.load("trees"), one.load("nets")) == (b"second", None, None)
    one.clear()
    assert one.load("trees") is None


def test_arrays_count_by_their_contents() -> None:
    rows = np.zeros((4, 2))
    changed = rows.copy()
    changed[3, 1] = 1e-9
    assert identity(rows) == identity(np.asfortranarray(rows))
    assert identity(rows) != identity(changed)


@pytest.fixture(scope="module")
def hours() -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(700, 6)).astype(np.float32)
    targets = (inputs[:, 0] * inputs[:, 1] + 0.3 * random.normal(size=700)).astype(np.float32)
    return inputs[:500], targets[:500], inputs[500:], targets[500:]


def as_bytes(model: forecast_model.TrainedForecaster) -> list[bytes]:
    return [array.tobytes() for pair in model.weights for array in pair]


def test_nets_interrupted_twice(hours: tuple[np.ndarray, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast_model, "EPOCHS", 12)
    monkeypatch.setattr(forecast_model, "LEARNING_RATE", 0.05)  # so high that both callbacks have something to do
    all_epochs: list[int] = []
    whole = forecast_model.train(*hours, 3, lambda: all_epochs.append(1))
    assert 5 < len(all_epochs) < 12  # stopped early
    kept = Checkpoints(tmp_path, b"x" * 32)
    for epochs in (2, len(all_epochs)):  # the second interruption comes when training has just ended
        with pytest.raises(Interrupted):
            forecast_model.train(*hours, 3, after(epochs - 1), kept)
    told: list[int] = []
    resumed = forecast_model.train(*hours, 3, lambda: told.append(1), kept)
    assert as_bytes(whole) == as_bytes(resumed)
    assert len(told) == len(all_epochs)
