"""The ONNX graphs answer as the trained models do, on rows with missing measurements too; a wrong one does not leave.

Not proved here: that another version of onnxruntime, or another processor, answers the same; for that the device asks
each model the manifest's questions.
"""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from pm_contracts.manifest import FaultManifest
from pm_contracts.model_kinds import decode_manifest
from pm_ml import export
from pm_ml.faults.model import train
from pm_ml.forecast.scaling import SCALED_LIMIT, Scaling


def ask(model: bytes, rows: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model).run(None, {export.INPUT: rows})[0]


def test_the_forecast_graph_is_the_mean_of_its_members_on_scaled_features_and_of_trees_on_plain_ones() -> None:
    random = np.random.default_rng(1)
    members, features, units, second = 3, 5, 4, 2
    shapes = {
        "first": ((features, members * units), (members * units,)),
        "second": ((members, units, second), (members, second)),
        "third": ((members, second, 2), (members, 2)),
    }
    layers: dict[str, Any] = {
        name: tuple(random.normal(size=shape).astype(np.float32) for shape in pair) for name, pair in shapes.items()
    }
    rows = (1000 + 300 * random.normal(size=(7, features))).astype(np.float32)
    scaling = Scaling(rows)
    rows[2, 3] = np.nan
    rows[4, 0] = 1e6
    # Goes left below 1000, and where the fourth feature is unknown.
    tree = {
        "left_children": [1, -1, -1],
        "right_children": [2, -1, -1],
        "split_indices": [3, 0, 0],
        "split_conditions": [1000.0, -7.0, 5.0],
        "default_left": [1, 0, 0],
        "sum_hessian": [2.0, 1.0, 1.0],
    }
    model = export.forecast_graph(
        scaling, SCALED_LIMIT, *layers.values(), 0.1, target_scale=25.0, nets_share=0.5, trees=[tree, tree]
    )

    inputs, answers = scaling(rows.astype(np.float64)), []
    assert inputs[2, 3] == 0
    assert inputs[4, 0] == SCALED_LIMIT
    for member in range(members):
        own = slice(member * units, (member + 1) * units)
        hidden = np.maximum(inputs @ layers["first"][0][:, own] + layers["first"][1][own], 0)
        hidden = np.maximum(hidden @ layers["second"][0][member] + layers["second"][1][member], 0)
        change, raw = (hidden @ layers["third"][0][member] + layers["third"][1][member]).T
        answers.append(25.0 * np.stack([change, np.logaddexp(0, raw) + 0.1], axis=1))
    expected = np.mean(answers, axis=0)
    expected[:, 0] = 0.5 * expected[:, 0] + 2 * np.where(rows[:, 3] >= 1000, 5.0, -7.0)
    np.testing.assert_allclose(ask(model, rows), expected, atol=2e-3)
    one_by_one = np.concatenate([ask(model, row[None]) for row in rows])
    np.testing.assert_allclose(one_by_one, expected, atol=2e-3)


@pytest.fixture(scope="module")
def machines() -> tuple[np.ndarray, np.ndarray]:
    """Readings of 20 counters that follow use, wear that raises three of them, a fifth missing."""
    random = np.random.default_rng(2)
    use, wear = random.normal(size=(3000, 1)), random.exponential(size=(3000, 1))
    effect = np.zeros((1, 20))
    effect[0, [3, 8, 15]] = 0.7
    rows = np.exp(8 + use + wear * effect + 0.3 * random.normal(size=(3000, 20))).astype(np.float32)
    rows[random.random(rows.shape) < 0.2] = np.nan
    rows[0] = np.nan
    return rows, wear[:, 0] > 2.5


def test_the_fault_graph_answers_as_the_trained_model(machines: tuple[np.ndarray, np.ndarray]) -> None:
    rows, faulty = machines
    trained = train(rows[:2000], faulty[:2000], seed=1)
    expected = trained.probabilities(rows)
    assert expected[faulty].mean() > 4 * expected[~faulty].mean(), "there is something to compare"
    trees, base_margin = trained.trees
    model = export.fault_graph(trained.preparation, trees, base_margin)
    np.testing.assert_allclose(ask(model, rows), expected, atol=1e-5)
    one_by_one = np.concatenate([ask(model, rows[i : i + 1]) for i in range(50)])
    np.testing.assert_allclose(one_by_one, expected[:50], atol=1e-5)

    trees[0]["default_left"] = [1 - side for side in trees[0]["default_left"]]
    wrong = export.fault_graph(trained.preparation, trees, base_margin)
    with pytest.raises(export.ExportRefused, match=r"differs from the trained model by .* in row \d+"):
        export.compare(wrong, rows, expected, 1e-5)


def test_the_same_model_is_the_same_bytes_and_version(machines: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    rows, faulty = machines
    written = []
    for name in ("a", "b"):
        trained = train(rows, faulty, seed=1)
        model = export.fault_graph(trained.preparation, *trained.trees)
        manifest = export.describe(
            FaultManifest,
            model,
            trained_from=dt.datetime(2010, 1, 1, tzinfo=dt.UTC),
            trained_until=dt.datetime(2011, 12, 31, tzinfo=dt.UTC),
            trained_rows=len(rows),
            seed=1,
            libraries=export.versions("numpy"),
            checked=export.compare(model, rows, trained.probabilities(rows), 1e-5),
            features=[f"c{i}" for i in range(20)],
            threshold=0.5,
        )
        export.write_model(tmp_path / name, model, manifest, {"validation": {"cost": 1.0}})
        written.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert written[0] == written[1]
    found = decode_manifest(written[0]["manifest.json"])
    assert found.version.startswith("1.111231.")
    found.verify(written[0]["model.onnx"])
    assert json.loads(written[0]["metrics.json"]) == {"validation": {"cost": 1.0}}
