"""The drivers of a model: the same SHAP values on the device as XGBoost's, under meaningful names.

Not proved here: that a measurement that drives a decision is the part that wears.
"""

import functools

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pm_contracts.measurements import MACHINE_MEASUREMENTS
from pm_contracts.messages import Refused
from pm_edge.components.fault_detector.contributions import TreeContributions
from pm_ml import export
from pm_ml.calibration import Calibration
from pm_ml.contributions import flagged, importance, permutation_importance
from pm_ml.faults import model as fault_model

READINGS = 600


@functools.cache
def readings() -> tuple[np.ndarray, np.ndarray]:
    """Machine readings with gaps, of which the fourth measurement and what two others share shows faults."""
    random = np.random.default_rng(5)
    rows = random.lognormal(size=(READINGS, len(MACHINE_MEASUREMENTS))).astype(np.float32)
    faulty = random.random(READINGS) < 0.15
    rows[:, 3] *= np.where(faulty, 20, 1)
    rows[:, [7, 9]] *= np.where(faulty & (random.random(READINGS) < 0.5), 8, 1)[:, None]
    rows[random.random(rows.shape) < 0.1] = np.nan
    return rows, faulty


@functools.cache
def trained(depth: int, rounds: int) -> fault_model.TrainedFaultModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fault_model, "ROUNDS", rounds)
        patch.setattr(fault_model, "PARAMETERS", fault_model.PARAMETERS | {"max_depth": depth})
        return fault_model.train(*readings(), seed=1)


@settings(max_examples=20, deadline=None)
@given(
    depth=st.sampled_from([1, 3, 6]),
    slope=st.sampled_from([1.0, 0.6, 1.9]),
    row=st.integers(0, READINGS - 1),
    missing=st.sets(st.integers(0, len(MACHINE_MEASUREMENTS) - 1), max_size=30),
)
def test_the_device_computes_the_shap_values_of_xgboost(depth: int, slope: float, row: int, missing: set[int]) -> None:
    model = trained(depth, 20).calibrated(Calibration(slope, -0.3))
    asked = readings()[0][row].copy()
    asked[list(missing)] = np.nan
    graph = export.fault_graph(model.preparation, *model.trees)
    found = TreeContributions(graph)(asked)
    np.testing.assert_allclose(found, model.shap_values(asked[None])[0], atol=2e-5)
    # They tell the whole difference from one reading to another.
    other = readings()[0][0]
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    said = session.run(None, {export.INPUT: np.stack([asked, other])})[0][:, 0].astype(np.float64)
    log_odds = np.log(said / (1 - said))
    assert log_odds[0] - log_odds[1] == pytest.approx(found.sum() - TreeContributions(graph)(other).sum(), abs=1e-4)


def test_a_model_that_cannot_be_explained_is_refused() -> None:
    model = trained(1, 20)
    graph = export.fault_graph(model.preparation, *model.trees)
    with pytest.raises(Refused, match="not ONNX"):
        TreeContributions(b"\xff" * 20)
    with pytest.raises(Refused, match="has no node TreeEnsembleRegressor"):
        TreeContributions(graph.replace(b"TreeEnsembleRegressor", b"TreeEnsembleRegresses"))
    with pytest.raises(Refused, match="no nodes_hitrates"):
        TreeContributions(graph.replace(b"nodes_hitrates", b"nodes_hitratez"))


def test_what_shows_faults_is_named_first() -> None:
    model, (rows, faulty) = trained(3, 20), readings()
    (first, most), (_, second), *_ = importance(model.shap_values, rows)
    assert first == MACHINE_MEASUREMENTS[3]
    assert most > 2 * second
    probability = model.probabilities(rows)[:, 0].astype(np.float64)
    told = flagged(
        model.shap_values, rows, probability, 0.3, faulty, ["m"] * READINGS, [str(n) for n in range(READINGS)]
    )
    assert [each.probability for each in told] == sorted((each.probability for each in told), reverse=True)
    assert all(each.probability >= 0.3 for each in told)
    assert told[0].contributions[0][0] == MACHINE_MEASUREMENTS[3]
    assert all(value > 0 for each in told for _, value in each.contributions)
    assert flagged(model.shap_values, rows, probability, 1.1, faulty, ["m"] * READINGS, ["1"] * READINGS) == []


def test_a_feature_that_a_model_needs_grows_the_error() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    found = permutation_importance(
        lambda some: 3.0 * some[:, 1] + some[:, 2], rows, 3.0 * rows[:, 1] + rows[:, 2], "abc"
    )
    assert [name for name, _ in found] == ["b", "c", "a"]
    assert found[0][1] == pytest.approx(3 * np.sqrt(2), rel=0.1)
    assert found[2][1] == 0
