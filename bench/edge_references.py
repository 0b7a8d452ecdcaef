"""The models of the original's path, made of the ONNX files that we ship, so that both sides have the same weights."""

import json
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import xgboost
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from pm_ml.export import INPUT
from pm_sandbox.surroundings import OWN_KERAS_SETTINGS

_Array = NDArray[np.float64]
#: Parent of a root, as XGBoost writes it.
_NOBODY = 2**31 - 1


def nets_in_keras(file: Path) -> tuple[Any, _Array, _Array]:
    """The nets of a forecast model as the Keras model that they were exported from.

    Returns:
        The Keras model, which gives each member's change and raw spread, and what its inputs are scaled with: offset,
        factor.
    """
    os.environ |= OWN_KERAS_SETTINGS  # read when Keras is imported; TensorFlow is not installed
    import keras

    graph = onnx.load(file).graph
    weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    scales = _attributes(graph, "Scaler")
    features, first_units = weights["first_weights"].shape
    third_units, columns = weights["third_weights"].shape
    members = columns - 2  # two of them carry the mean change; see `pm_ml.export.forecast_graph`
    units, second_units = first_units // members, third_units // members
    third_weights = weights["third_weights"].reshape(members, second_units, columns)
    own = np.arange(members)
    rows = keras.Input((features,))
    first = keras.layers.Dense(members * units, activation="relu")
    second = keras.layers.EinsumDense("bmi,mio->bmo", (members, second_units), bias_axes="mo", activation="relu")
    third = keras.layers.EinsumDense("bmi,mio->bmo", (members, 2), bias_axes="mo")
    net = keras.Model(rows, third(second(keras.layers.Reshape((members, units))(first(rows)))))
    first.set_weights([weights["first_weights"], weights["first_biases"]])
    second_weights = weights["second_weights"].reshape(members, second_units, units).transpose(0, 2, 1)
    second.set_weights([second_weights, weights["second_biases"].reshape(members, second_units)])
    change_biases = np.full(members, weights["third_biases"][0])
    third.set_weights(
        [
            np.stack([third_weights[..., 0] * members, third_weights[own, :, 2 + own]], axis=2),
            np.stack([change_biases, weights["third_biases"][2:]], axis=1),
        ]
    )
    return net, np.array(scales["offset"]), np.array(scales["scale"])


def nets_factor(file: Path) -> float:
    """The weight of the nets' mean change in the forecast, ug/m3."""
    (together,) = (each for each in onnx.load(file).graph.initializer if each.name == "together")
    return float(numpy_helper.to_array(together)[0, 0])


def trees_in_xgboost(file: Path, objective: str) -> xgboost.Booster:
    """The trees of one of our models as an XGBoost model, in the format of its JSON files.

    Args:
        file: the ONNX model.
        objective: `reg:squarederror` or `binary:logistic`.
    """
    of = _attributes(onnx.load(file).graph, "TreeEnsembleRegressor")
    leaves = dict(zip(zip(of["target_treeids"], of["target_nodeids"], strict=True), of["target_weights"], strict=True))
    nodes: defaultdict[int, list[int]] = defaultdict(list)
    for position, tree in enumerate(of["nodes_treeids"]):
        nodes[tree].append(position)
    features = max(of["nodes_featureids"]) + 1
    trees = []
    for number, positions in sorted(nodes.items()):
        is_leaf = [(number, node) in leaves for node in range(len(positions))]
        parents = [_NOBODY] * len(positions)
        for node, position in enumerate(positions):
            if not is_leaf[node]:
                parents[of["nodes_truenodeids"][position]] = parents[of["nodes_falsenodeids"][position]] = node

        def column(name: str, at: list[int] = positions) -> list[Any]:
            return [of[name][position] for position in at]

        def branch(name: str, leaf: list[bool] = is_leaf, at: list[int] = positions) -> list[int]:
            return [-1 if ends else of[name][position] for ends, position in zip(leaf, at, strict=True)]

        nothing = [0.0] * len(positions)
        trees.append(
            {
                "id": number,
                "left_children": branch("nodes_truenodeids"),
                "right_children": branch("nodes_falsenodeids"),
                "parents": parents,
                "split_indices": column("nodes_featureids"),
                "split_conditions": [
                    leaves.get((number, node), value) for node, value in enumerate(column("nodes_values"))
                ],
                "split_type": [0] * len(positions),
                "default_left": column("nodes_missing_value_tracks_true"),
                "base_weights": nothing,
                "loss_changes": nothing,
                "sum_hessian": column("nodes_hitrates"),
                **{key: [] for key in ("categories", "categories_nodes", "categories_segments", "categories_sizes")},
                "tree_param": {
                    "num_deleted": "0",
                    "num_feature": str(features),
                    "num_nodes": str(len(positions)),
                    "size_leaf_vector": "1",
                },
            }
        )
    begin = of["base_values"][0]
    if objective == "binary:logistic":
        begin = 1 / (1 + math.exp(-begin))  # XGBoost writes it as a probability
    document = {
        "version": [int(each) for each in xgboost.__version__.split(".")],
        "learner": {
            "attributes": {},
            "feature_names": [],
            "feature_types": [],
            "gradient_booster": {
                "name": "gbtree",
                "model": {
                    "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(len(trees))},
                    "iteration_indptr": list(range(len(trees) + 1)),
                    "tree_info": [0] * len(trees),
                    "trees": trees,
                    "cats": {"enc": [], "feature_segments": [], "sorted_idx": []},
                },
            },
            "learner_model_param": {
                "base_score": f"[{begin!r}]",
                "boost_from_average": "0",
                "num_class": "0",
                "num_feature": str(features),
                "num_target": "1",
            },
            "objective": {"name": objective, "reg_loss_param": {"scale_pos_weight": "1"}},
        },
    }
    return xgboost.Booster(params={"nthread": 1}, model_file=bytearray(json.dumps(document).encode()))


def what_trees_see(file: Path, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows as they come to the trees of a model, which may prepare them first."""
    model = onnx.load(file)
    (trees,) = (node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")
    del model.graph.output[:]
    model.graph.output.add(name=trees.input[0])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (seen,) = session.run(None, {INPUT: rows})
    return np.asarray(seen, dtype=np.float32)


def _attributes(graph: onnx.GraphProto, operator: str) -> dict[str, Any]:
    (node,) = (each for each in graph.node if each.op_type == operator)
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
