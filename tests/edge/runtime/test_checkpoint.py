"""The state of a component with a model: how often it is written, and what a kill in between leaves.

Not proved here: what is in the state, and the answers after a kill (`tests/edge/components/test_model_components.py`).
"""

from types import SimpleNamespace

import pytest

from pm_contracts import budgets
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.runtime import checkpoint as checkpoint_module
from pm_edge.runtime.checkpoint import Checkpoint
from pm_edge.runtime.component import Component
from pm_edge.runtime.inference import Inference
from pm_edge.runtime.settings import Settings
from pm_edge.runtime.state_file import StateFile


class Bus:
    """A bus that has acknowledged all."""

    def flush(self, _seconds: float) -> bool:
        return True


@pytest.fixture
def checkpoint(tmp_path) -> Checkpoint:
    component = Component("pm.Forecaster", Settings("lindau", {}, tmp_path), Bus())  # type: ignore[arg-type]
    return Checkpoint(component, "forecaster")


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(checkpoint_module, "time", SimpleNamespace(monotonic=lambda: clock.now, time=lambda: clock.now))
    return clock


def test_the_state_of_a_thousand_stations_is_written_at_a_bounded_rate(checkpoint, clock, tmp_path):
    state = {f"air-{number}": {"window": "x" * 13_000} for number in range(1_000)}
    written = 0
    for second in range(0, 600, 2):
        clock.now = float(second)
        checkpoint.note("pm/lindau/air-1/reading", b"{}")
        if checkpoint.is_due:
            assert checkpoint.save(state, checkpoint.begin())
            written += (tmp_path / "state" / "forecaster.json").stat().st_size
    assert 0 < written <= 600 * budgets.STATE_BYTES_PER_SECOND + 14_000_000
    assert checkpoint.load() == state


def test_a_small_state_is_written_with_each_status(checkpoint, clock):
    for second in range(0, 20, 2):
        clock.now = float(second)
        assert checkpoint.is_due
        assert checkpoint.save({"air-1": "x" * 13_000}, checkpoint.begin())


def test_a_journal_that_grows_long_has_the_state_written_before_its_time(checkpoint, clock):
    assert checkpoint.save({"air-1": "x" * 13_000_000}, checkpoint.begin())
    assert not checkpoint.is_due
    for _ in range(budgets.STATE_JOURNAL_BYTES // 100_000 + 1):
        checkpoint.note("pm/lindau/air-1/reading", b"x" * 100_000)
    assert checkpoint.is_due
    checkpoint.begin()
    assert not checkpoint.is_due


class Large(Inference):
    """A component with a large state, which answers nothing."""

    name = "large"

    def begin(self, state, model):
        pass

    def answer(self, reading):
        pass

    def in_use(self):
        return {}

    def state(self):
        return {"machine-01": "x" * 13_000_000}

    def counts(self):
        return {}


def test_a_component_with_a_large_state_saves_it_in_its_time_and_at_its_end(tmp_path, clock, monkeypatch):
    saves: list[int] = []
    monkeypatch.setattr(
        StateFile, "save", lambda file, state: saves.append(len(state)) or setattr(file, "size", 13e6) or 1
    )
    component = Component("pm.Large", Settings("lindau", {}, tmp_path), Bus())  # type: ignore[arg-type]
    large = Large(component, FaultModel)
    for second in range(0, 40, 2):
        clock.now = float(second)
        large._arrived("pm/lindau/machine-01/reading", b"{}")
        large._look_around()
    assert len(saves) == 1
    large._look_around(is_last=True)
    assert len(saves) == 2
    large._arrived("pm/lindau/machine-01/reading", b"x" * 250_000)
    assert sum(path.stat().st_size for path in (tmp_path / "journal").iterdir()) == 0
    assert component.counters.snapshot()["refused"] == 21
