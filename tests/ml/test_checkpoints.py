"""An interrupted training, gone on with, ends with the bytes of one that was not.

Not proved here: that AWS brings the folder of checkpoints back after a spot interruption.
"""

from pathlib import Path

import numpy as np
import pytest

from pm_ml.checkpoints import Checkpoints, identity
from pm_ml.faults import model as fault_model
from pm_ml.forecast import model as forecast_model


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


@pytest.fixture(scope="module")
def readings() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measurements, verdicts and machines; more than one batch."""
    random = np.random.default_rng(0)
    faulty = random.random(2400) < 0.1
    rows = random.lognormal(size=(len(faulty), 12)).astype(np.float32)
    rows[:, 3] *= np.where(faulty, 4, 1)
    rows[random.random(rows.shape) < 0.05] = np.nan
    return rows, faulty, np.array([f"m{number % 7}" for number in range(len(faulty))])


class Limited(Checkpoints):
    """Checkpoints of a run that is interrupted as it has saved so many."""

    def __init__(self, directory: Path, saves: int) -> None:
        super().__init__(directory, b"x" * 32)
        self._count = after(saves - 1)

    def save(self, name: str, content: bytes) -> None:
        super().save(name, content)
        self._count()


@pytest.mark.parametrize("saves", [1, 2, 4, 5])
def test_trees_interrupted_after_some_rounds(
    readings: tuple[np.ndarray, ...], saves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fault_model, "ROUNDS", 40)
    monkeypatch.setattr(fault_model, "ROUNDS_PER_CHECKPOINT", 15)
    monkeypatch.setattr(fault_model, "FOLDS", 2)
    whole = fault_model.unseen_margins(*readings, seed=3)
    with pytest.raises(Interrupted):
        fault_model.unseen_margins(*readings, 3, checkpoints=Limited(tmp_path, saves))
    resumed = fault_model.unseen_margins(*readings, 3, checkpoints=Checkpoints(tmp_path, b"x" * 32))
    assert whole.tobytes() == resumed.tobytes()


def test_what_does_not_fit_into_memory_gives_the_same_trees(
    readings: tuple[np.ndarray, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fault_model, "ROUNDS", 40)
    monkeypatch.setattr(fault_model, "BATCH_ROWS", 500)
    rows, faulty, _ = readings
    on_disk = np.memmap(tmp_path / "rows.float32", dtype=np.float32, mode="w+", shape=rows.shape)
    on_disk[:] = rows
    chosen = np.arange(len(rows)) % 3 > 0
    one, other = (fault_model.train(each, faulty, 3, chosen) for each in (rows, on_disk))
    assert one.trees == other.trees
    assert one.margins(rows).tobytes() == other.margins(on_disk).tobytes()
    del other
    assert [file.name for file in tmp_path.iterdir()] == ["rows.float32"]


def test_batches_of_another_size_give_trees_that_say_the_same(
    readings: tuple[np.ndarray, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, faulty, _ = readings
    whole = fault_model.train(rows, faulty, 3).margins(rows)
    monkeypatch.setattr(fault_model, "BATCH_ROWS", 500)
    batches = fault_model.train(rows, faulty, 3).margins(rows)
    # Sums of batches round differently in the last digit, which may move a reading across a threshold of the trees.
    assert np.mean(np.abs(whole - batches) > 1e-3) < 0.01
