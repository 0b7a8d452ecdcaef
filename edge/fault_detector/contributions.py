"""Why the trees call a reading faulty: exact SHAP values, computed on the device for the rare reading called so.

What a tree says when it knows some of the features alone is the mean over the branches that the others could take,
weighted by how many training readings took each: path-dependent TreeSHAP (Lundberg et al., "From local explanations to
global understanding with explainable AI for trees", Nature Machine Intelligence 2020), as XGBoost's `pred_contribs`. A
leaf then counts with a product of one factor a feature on its path, whose Shapley values have a closed form; the trees
are shallow, so that all leaves are gone through.

All is taken from the ONNX graph: the nodes before the trees give what the trees see, whatever these nodes do, and the
attribute `nodes_hitrates` the training readings (https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md).
"""

import math
from typing import Any

import numpy as np
import onnxruntime
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from pm_contracts.messages import Refused

_TREES = "TreeEnsembleRegressor"
#: Of a feature on a path: whether the reading goes along it, 1 or 0, and the share of training readings that do.
_Factor = tuple[float, float]


class TreeContributions:
    """The SHAP values of one model's trees."""

    def __init__(self, model: bytes) -> None:
        """Take the trees and what comes before them from an ONNX model.

        Raises:
            Refused: where it has no trees, or does not say how many readings each node has seen.
        """
        try:
            parsed = _MODEL.FromString(model)
        except DecodeError as error:
            raise Refused(f"the model is not ONNX: {error}") from error
        place = next((n for n, node in enumerate(parsed.graph.node) if node.op_type == _TREES), None)
        if place is None:
            raise Refused(f"the model has no node {_TREES}")
        trees = parsed.graph.node[place]
        found: dict[str, Any] = {each.name: each.floats or each.ints for each in trees.attribute}
        if len(found.get("nodes_hitrates", ())) != len(found["nodes_treeids"]):
            raise Refused(f"{_TREES} has no nodes_hitrates: how many training readings each node has seen")
        weights = zip(found["target_treeids"], found["target_nodeids"], found["target_weights"], strict=True)
        #: By tree and node.
        self._leaves = {(tree, node): weight for tree, node, weight in weights}
        names = ("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_truenodeids",
                 "nodes_falsenodeids", "nodes_missing_value_tracks_true", "nodes_hitrates")  # fmt: skip
        self._nodes = {each[:2]: each[2:] for each in zip(*(found[name] for name in names), strict=True)}
        self._roots = sorted({(tree, 0) for tree, _ in self._nodes})
        seen = trees.input[0]
        del parsed.graph.node[place:]
        del parsed.graph.output[:]
        parsed.graph.output.add(name=seen)
        self._before = onnxruntime.InferenceSession(parsed.SerializeToString(), providers=["CPUExecutionProvider"])

    def __call__(self, row: NDArray[np.float32]) -> NDArray[np.float64]:
        """By how much each feature moves the sum of the leaves, from what it is on average to what it is here.

        Args:
            row: what the model is asked, `[features]`, NaN where missing.
        """
        (seen,) = self._before.run(None, {self._before.get_inputs()[0].name: row[None]})
        values = np.zeros(seen.shape[1])
        for root in self._roots:
            self._descend(root, seen[0].tolist(), {}, values)
        return values

    def _descend(
        self, at: tuple[int, int], seen: list[float], path: dict[int, _Factor], values: NDArray[np.float64]
    ) -> None:
        if at in self._leaves:
            for feature, share in _shapley_values(path).items():
                values[feature] += self._leaves[at] * share
            return
        feature, threshold, true, false, missing_is_true, readings = self._nodes[at]
        x = seen[feature]
        taken = true if (bool(missing_is_true) if math.isnan(x) else x < threshold) else false
        goes, share = path.get(feature, (1.0, 1.0))
        for child in (true, false):
            below = (at[0], child)
            factor = (goes * (child == taken), share * self._nodes[below][-1] / readings)
            self._descend(below, seen, path | {feature: factor}, values)


def _shapley_values(path: dict[int, _Factor]) -> dict[int, float]:
    """The Shapley values of a product: known features count with the first of their factors, others with the second."""
    count = len(path)
    found = {}
    for feature, (goes, share) in path.items():
        # The coefficient at k sums the products in which k of the other features are known.
        sums = [1.0]
        for other, (other_goes, other_share) in path.items():
            if other != feature:
                sums = [
                    other_share * unknown + other_goes * known
                    for unknown, known in zip([*sums, 0.0], [0.0, *sums], strict=True)
                ]
        orders = (math.factorial(k) * math.factorial(count - 1 - k) / math.factorial(count) for k in range(count))
        found[feature] = (goes - share) * sum(order * total for order, total in zip(orders, sums, strict=True))
    return found


def _model_message() -> Any:
    """The message of ONNX models with the fields that are needed here; protobuf keeps the others as they are.

    The `onnx` package has them all and takes 31 MB. Numbers of fields: https://github.com/onnx/onnx, `onnx/onnx.proto`.
    """
    of = descriptor_pb2.FieldDescriptorProto
    one, many = of.LABEL_OPTIONAL, of.LABEL_REPEATED
    messages: dict[str, dict[str, tuple[int, Any, Any, str]]] = {
        "Attribute": {
            "name": (1, one, of.TYPE_STRING, ""),
            "floats": (7, many, of.TYPE_FLOAT, ""),
            "ints": (8, many, of.TYPE_INT64, ""),
        },
        "Node": {
            "input": (1, many, of.TYPE_STRING, ""),
            "op_type": (4, one, of.TYPE_STRING, ""),
            "attribute": (5, many, of.TYPE_MESSAGE, "Attribute"),
        },
        "Value": {"name": (1, one, of.TYPE_STRING, "")},
        "Graph": {"node": (1, many, of.TYPE_MESSAGE, "Node"), "output": (12, many, of.TYPE_MESSAGE, "Value")},
        "Model": {"graph": (7, one, of.TYPE_MESSAGE, "Graph")},
    }
    file = descriptor_pb2.FileDescriptorProto(name="onnx_in_part.proto", package="onnx_in_part")
    for message, fields in messages.items():
        described = file.message_type.add(name=message)
        for field, (number, label, kind, inside) in fields.items():
            added = described.field.add(name=field, number=number, label=label, type=kind)
            if inside:
                added.type_name = f".{file.package}.{inside}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("onnx_in_part.Model"))


_MODEL = _model_message()
