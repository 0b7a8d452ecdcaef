"""Trained models as plain ONNX graphs, and the directory in which they travel.

The graphs are written node by node from the trained weights: standard operators alone, no converter's leftovers, the
same bytes for the same weights. No graph leaves before it has given the trained model's own answers on real rows.
"""

import datetime as dt
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pm_contracts import model_graph
from pm_contracts.manifest import (
    MANIFEST_FILE,
    METRICS_FILE,
    MODEL_FILE,
    CheckedAnswers,
    Manifest,
    content_version,
    encode_manifest,
)
from pm_contracts.model_kinds import decode_manifest

INPUT, OUTPUT = "rows", "answers"
#: In the graph of a forecast model: what the nets alone add to the answers.
NETS_ANSWERS = "nets_answers"
#: Old enough for every onnxruntime of the last two years.
OPSET, ML_OPSET, IR_VERSION = 18, 3, 10
ML_DOMAIN = "ai.onnx.ml"
#: Rows whose answers travel with the model.
CHECKED_ROWS = 4

_Array = NDArray[np.float32]
_Manifest = TypeVar("_Manifest", bound=Manifest)


class ExportRefused(ValueError):
    """An exported graph that does not answer as the trained model does."""


class Scales(Protocol):
    """The scaling of the features for the nets: `pm_ml.forecast.scaling.Scaling`."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]


def forecast_graph(
    scaling: Scales,
    scaled_limit: float,
    first: tuple[_Array, _Array],
    second: tuple[_Array, _Array],
    third: tuple[_Array, _Array],
    smallest_spread: float,
    target_scale: float,
    nets_share: float,
    trees: Sequence[Mapping[str, Any]],
) -> bytes:
    """The forecast model: an ensemble of small nets, evaluated at once on scaled and cut features, and trees.

    Args:
        scaling: mean and scale, `[features]`; an unknown feature takes its mean.
        scaled_limit: to which scaled features are cut.
        first: weights `[features, members * units]` and biases `[members * units]` of the first layer of all members.
        second: weights `[members, units, units2]` and biases `[members, units2]`.
        third: weights `[members, units2, 2]` and biases `[members, 2]`: change and, before softplus, spread.
        smallest_spread: added to the spread.
        target_scale: what an answer of 1 of the nets is, ug/m3.
        nets_share: of the change; that of the trees is in their leaves already.
        trees: as `fault_graph` takes them, of unscaled features, in ug/m3.

    Returns:
        The ONNX model: `[rows, features]`, NaN where unknown, to `[rows, 2]`, ug/m3: the nets' mean change times
        `nets_share` and the sum of the trees, and the nets' mean spread.
    """
    members, units, units2 = second[0].shape
    # softplus(x) - softplus(-x) = x: so the mean change, too, passes the softplus that each member's spread needs.
    change, raw_spread = third[0][:, :, 0] / members, third[0][:, :, 1]
    own = np.eye(members)[:, None, :]
    third_weights = np.concatenate([change[..., None], -change[..., None], raw_spread[..., None] * own], axis=2)
    mean_bias = third[1][:, 0].mean()
    third_biases = np.concatenate([[mean_bias, -mean_bias], third[1][:, 1]])
    together = np.array([[nets_share, 0], [-nets_share, 0]] + [[0, 1 / members]] * members) * target_scale
    constants: dict[str, NDArray[Any]] = {
        "lowest": np.array(-scaled_limit, dtype=np.float32),
        "highest": np.array(scaled_limit, dtype=np.float32),
        "first_weights": first[0],
        "first_biases": first[1],
        "as_channels": np.array([-1, members * units, 1], dtype=np.int64),
        "second_weights": second[0].transpose(0, 2, 1).reshape(members * units2, units, 1),
        "second_biases": second[1].reshape(-1),
        "as_row": np.array([-1, members * units2], dtype=np.int64),
        "third_weights": third_weights.reshape(members * units2, 2 + members).astype(np.float32),
        "third_biases": third_biases.astype(np.float32),
        "together": together.astype(np.float32),
        "smallest": np.array([0, smallest_spread * target_scale], dtype=np.float32),
        "to_change": np.array([[1, 0]], dtype=np.float32),
    }
    nodes = [
        helper.make_node(
            "Imputer", [INPUT], ["known"], domain=ML_DOMAIN,
            replaced_value_float=float("nan"), imputed_value_floats=scaling.mean.astype(np.float32),
        ),
        helper.make_node(
            "Scaler", ["known"], ["scaled"], domain=ML_DOMAIN,
            offset=scaling.mean.astype(np.float32), scale=(1 / scaling.scale).astype(np.float32),
        ),
        helper.make_node("Clip", ["scaled", "lowest", "highest"], ["cut"]),
        helper.make_node("Gemm", ["cut", "first_weights", "first_biases"], ["first_sums"]),
        helper.make_node("Relu", ["first_sums"], ["first"]),
        # A layer for each member: a convolution whose groups are the members.
        helper.make_node("Reshape", ["first", "as_channels"], ["first_channels"]),
        helper.make_node("Conv", ["first_channels", "second_weights", "second_biases"], ["second_sums"], group=members),
        helper.make_node("Relu", ["second_sums"], ["second_channels"]),
        helper.make_node("Reshape", ["second_channels", "as_row"], ["second"]),
        helper.make_node("Gemm", ["second", "third_weights", "third_biases"], ["third"]),
        helper.make_node("Softplus", ["third"], ["softened"]),
        helper.make_node("Gemm", ["softened", "together", "smallest"], [NETS_ANSWERS]),
        _tree_node(INPUT, "trees_change", trees, 0.0),
        helper.make_node("Gemm", ["trees_change", "to_change", NETS_ANSWERS], [OUTPUT]),
    ]  # fmt: skip
    return _model("forecast", nodes, constants, len(scaling.mean), 2)


class WithoutUse(Protocol):
    """The preparation of measurements for the trees: `pm_ml.faults.model.Preparation`."""

    mean: NDArray[np.float64]
    to_use: NDArray[np.float64]
    from_use: NDArray[np.float64]


def fault_graph(preparation: WithoutUse, trees: Sequence[Mapping[str, Any]], base_margin: float) -> bytes:
    """The fault model: what measurements are beyond what use explains, and trees, a sigmoid.

    Args:
        preparation: of the logarithms: mean `[features]`, to use `[features, directions]` and back.
        trees: as XGBoost's JSON writes them: `left_children` (-1 at a leaf), `right_children`, `split_indices`,
            `split_conditions` (the threshold, or the leaf's value), `default_left` and `sum_hessian` (how much training
            data came by), lists of one item a node.
        base_margin: what all sums begin with.

    Returns:
        The ONNX model: `[rows, features]`, NaN where missing, to `[rows, 1]` probabilities.
    """
    constants: dict[str, NDArray[Any]] = {
        "one": np.array(1.0),
        "mean": preparation.mean[None],
        "to_use": preparation.to_use,
        "from_use": preparation.from_use,
    }
    # Double precision up to the trees: a rounding error there would send a value to the wrong side of a threshold.
    nodes = [
        helper.make_node("Cast", [INPUT], ["measurements"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["measurements", "one"], ["above_zero"]),
        helper.make_node("Log", ["above_zero"], ["logarithms"]),
        helper.make_node("IsNaN", ["logarithms"], ["missing"]),
        helper.make_node("Where", ["missing", "mean", "logarithms"], ["known"]),
        helper.make_node("MatMul", ["known", "to_use"], ["use"]),
        helper.make_node("Gemm", ["use", "from_use", "logarithms"], ["rest"], alpha=-1.0),
        helper.make_node("Cast", ["rest"], ["residuals"], to=TensorProto.FLOAT),
        _tree_node("residuals", "margin", trees, base_margin),
        helper.make_node("Sigmoid", ["margin"], [OUTPUT]),
    ]
    return _model("fault", nodes, constants, len(preparation.mean), 1)


def _tree_node(source: str, target: str, trees: Sequence[Mapping[str, Any]], base_margin: float) -> onnx.NodeProto:
    nodes: dict[str, list[Any]] = {name: [] for name in _NODE_ATTRIBUTES}
    leaves: dict[str, list[Any]] = {"target_treeids": [], "target_nodeids": [], "target_weights": []}
    for number, tree in enumerate(trees):
        for node, left in enumerate(tree["left_children"]):
            leaf = left == -1
            # XGBoost goes left where x < threshold; ONNX goes to the true branch where that holds.
            row = (
                number, node, "LEAF" if leaf else "BRANCH_LT",
                0 if leaf else tree["split_indices"][node],
                0.0 if leaf else tree["split_conditions"][node],
                0 if leaf else left,
                0 if leaf else tree["right_children"][node],
                0 if leaf else int(tree["default_left"][node]),
                tree["sum_hessian"][node],
            )  # fmt: skip
            for name, value in zip(_NODE_ATTRIBUTES, row, strict=True):
                nodes[name].append(value)
            if leaf:
                leaves["target_treeids"].append(number)
                leaves["target_nodeids"].append(node)
                leaves["target_weights"].append(tree["split_conditions"][node])
    return helper.make_node(
        "TreeEnsembleRegressor",
        [source],
        [target],
        domain=ML_DOMAIN,
        n_targets=1,
        base_values=[base_margin],
        target_ids=[0] * len(leaves["target_nodeids"]),
        **nodes,  # type: ignore[arg-type]
        **leaves,  # type: ignore[arg-type]
    )


_NODE_ATTRIBUTES = (
    "nodes_treeids", "nodes_nodeids", "nodes_modes", "nodes_featureids", "nodes_values", "nodes_truenodeids",
    "nodes_falsenodeids", "nodes_missing_value_tracks_true", "nodes_hitrates",
)  # fmt: skip


def compare(model: bytes, rows: _Array, expected: NDArray[np.floating], tolerance: float) -> CheckedAnswers:
    """Ask the graph what the trained model was asked.

    Args:
        model: the ONNX model.
        rows: real inputs, `[rows, features]`.
        expected: the trained model's answers to them, `[rows, outputs]`.
        tolerance: by how much an answer may differ.

    Returns:
        A few of the questions and answers, for the manifest: those with the smallest and largest first answers, and
        between.

    Raises:
        ExportRefused: if an answer differs by more.
    """
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    answers = session.run([OUTPUT], {INPUT: rows})[0]
    if answers.shape != expected.shape:
        raise ExportRefused(f"the exported graph gives {answers.shape}, the trained model {expected.shape}")
    differences = np.abs(answers - expected).max(axis=1)
    worst = int(np.argmax(np.where(np.isnan(differences), np.inf, differences)))
    if not differences[worst] <= tolerance:
        raise ExportRefused(
            f"the exported graph differs from the trained model by {differences[worst]:.3g} in row {worst}, "
            f"and {tolerance:.3g} is allowed"
        )
    order = np.argsort(expected[:, 0], kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, CHECKED_ROWS).astype(int)]
    return CheckedAnswers(
        inputs=[[None if np.isnan(x) else float(x) for x in rows[i]] for i in chosen],
        outputs=[[float(x) for x in expected[i]] for i in chosen],
        tolerance=tolerance,
    )


def describe(kind: type[_Manifest], model: bytes, *, trained_until: dt.datetime, **fields: Any) -> _Manifest:
    """The manifest of a model, its version drawn from all that it says and from the model itself.

    Args:
        kind: the manifest of its kind.
        model: the ONNX model.
        trained_until: event time of the last reading trained on, UTC.
        fields: the others of the manifest.
    """
    unnamed = kind(
        version="0.0.0",
        model_sha256=hashlib.sha256(model).hexdigest(),
        model_bytes=len(model),
        trained_until=trained_until,
        **fields,
    )
    version = content_version(trained_until, model, encode_manifest(unnamed))
    return decode_manifest(encode_manifest(msgspec.structs.replace(unnamed, version=version)))  # type: ignore[return-value]


def write_model(directory: Path, model: bytes, manifest: Manifest, metrics: Mapping[str, Any]) -> None:
    """Write a model directory: the model, its manifest, its metrics.

    Raises:
        Refused: if it is a model that no device would run.
    """
    model_graph.check(model)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MODEL_FILE).write_bytes(model)
    (directory / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
    (directory / METRICS_FILE).write_text(json.dumps(metrics, indent=1, sort_keys=True) + "\n")


def versions(*libraries: str) -> dict[str, str]:
    """The installed versions of libraries, by name."""
    return {name: importlib.metadata.version(name) for name in sorted(libraries)}


def _model(
    name: str, nodes: Sequence[onnx.NodeProto], constants: Mapping[str, NDArray[Any]], inputs: int, outputs: int
) -> bytes:
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["row", inputs])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["row", outputs])],
        [numpy_helper.from_array(np.ascontiguousarray(value), key) for key, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="predictive-maintenance"
    )
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)
