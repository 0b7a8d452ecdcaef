"""The reasons for a fault: exact SHAP values, computed on the device for the rare reading that is called faulty.

What a tree says when it knows some of the features alone is the mean over the branches that the others could take,
weighted by how many training readings took each: path-dependent TreeSHAP (Lundberg et al., "From local explanations to
global understanding with explainable AI for trees", Nature Machine Intelligence 2020), as XGBoost's `pred_contribs`. A
leaf then counts with a product of one factor a feature on its path, whose Shapley values have a closed form; the trees
are shallow, so that all leaves are gone through, many at once.

All is taken from the ONNX graph: the nodes before the trees give what the trees see, whatever these nodes do, and the
attribute `nodes_hitrates` the training readings (https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from pm_contracts.messages import Refused

_TREES = "TreeEnsembleRegressor"
#: Steps of computation for one explanation, a second or two on a small device: a thousand times those of our model. For
#: a leaf they are as many as the features on its path to the power of three.
_MAXIMUM_STEPS = 50_000_000
_Array = NDArray[np.float64]


class _Step(NamedTuple):
    """The condition of a leaf's path on one feature, all its splits on the feature taken together."""

    lowest: float = -math.inf  #: the path is taken from it on ...
    below: float = math.inf  #: ... and below this
    missing: bool = True  #: whether the path is taken where the feature is missing
    share: float = 1.0  #: of the training readings that took it

    def narrowed(self, threshold: float, is_below: bool, missing: bool, share: float) -> "_Step":
        """The step with one more split: the feature is below the threshold, or it is not."""
        lowest, below = (
            (self.lowest, min(self.below, threshold)) if is_below else (max(self.lowest, threshold), self.below)
        )
        return _Step(lowest, below, self.missing and missing, self.share * share)


_Path = dict[int, _Step]


class _Leaves(NamedTuple):
    """Leaves whose paths ask about the same number of features: arrays `[leaves, features]`, weights `[leaves]`."""

    feature: NDArray[np.int64]
    lowest: NDArray[np.float32]
    below: NDArray[np.float32]
    missing: NDArray[np.bool_]
    share: _Array
    weight: _Array


class TreeContributions:
    """The SHAP values of one model's trees."""

    def __init__(self, model: bytes) -> None:
        """Take the trees and what comes before them from an ONNX model.

        Raises:
            Refused: if it has no trees, they are too large, or it does not say how many readings each node has seen.
        """
        try:
            parsed = _MODEL.FromString(model)
        except DecodeError as error:
            raise Refused(f"the model is not ONNX: {error}") from error
        place = next((n for n, node in enumerate(parsed.graph.node) if node.op_type == _TREES), None)
        if place is None:
            raise Refused(f"the model has no node {_TREES}")
        trees = parsed.graph.node[place]
        self._groups = _leaves({each.name: each.floats or each.ints for each in trees.attribute})
        seen = trees.input[0]
        del parsed.graph.node[place:]
        del parsed.graph.output[:]
        parsed.graph.output.add(name=seen)
        self._before = onnxruntime.InferenceSession(parsed.SerializeToString(), providers=["CPUExecutionProvider"])

    def __call__(self, row: NDArray[np.float32]) -> _Array:
        """By how much each feature moves the sum of the leaves, from what it is on average to what it is here.

        Args:
            row: what the model is asked, `[features]`, NaN where missing.
        """
        (seen,) = self._before.run(None, {self._before.get_inputs()[0].name: row[None]})
        values = np.zeros(seen.shape[1])
        for leaves in self._groups:
            x = seen[0][leaves.feature]
            taken = np.where(np.isnan(x), leaves.missing, (leaves.lowest <= x) & (x < leaves.below)).astype(np.float64)
            shares = leaves.weight[:, None] * _shapley_values(taken, leaves.share)
            np.add.at(values, leaves.feature, shares)
        return values


def _leaves(attributes: Mapping[str, Sequence[Any]]) -> list[_Leaves]:
    if len(attributes.get("nodes_hitrates", ())) != len(attributes["nodes_treeids"]):
        raise Refused(f"{_TREES} has no nodes_hitrates: how many training readings each node has seen")
    weights = zip(*(attributes[f"target_{name}"] for name in ("treeids", "nodeids", "weights")), strict=True)
    weight_of = {(tree, node): weight for tree, node, weight in weights}
    names = ("treeids", "nodeids", "featureids", "values", "truenodeids", "falsenodeids", "missing_value_tracks_true",
             "hitrates")  # fmt: skip
    nodes = {(tree, node): rest for tree, node, *rest in zip(*(attributes[f"nodes_{n}"] for n in names), strict=True)}
    found: dict[int, list[tuple[_Path, float]]] = {}
    steps = 0

    def descend(tree: int, node: int, path: _Path) -> None:
        nonlocal steps
        if (tree, node) in weight_of:
            steps += max(len(path), 1) ** 3
            if steps > _MAXIMUM_STEPS:
                raise Refused(f"{_TREES} is too large to be explained")
            found.setdefault(len(path), []).append((path, weight_of[tree, node]))
            return
        feature, threshold, true, false, missing_is_true, readings = nodes[tree, node]
        for child in (true, false):
            step = path.get(feature, _Step()).narrowed(
                threshold, child == true, bool(missing_is_true) == (child == true), nodes[tree, child][-1] / readings
            )
            descend(tree, child, path | {feature: step})

    for tree in sorted({tree for tree, _ in nodes}):
        descend(tree, 0, {})
    return [
        _Leaves(
            np.array([list(path) for path, _ in leaves]),
            np.array([[step.lowest for step in path.values()] for path, _ in leaves], dtype=np.float32),
            np.array([[step.below for step in path.values()] for path, _ in leaves], dtype=np.float32),
            np.array([[step.missing for step in path.values()] for path, _ in leaves]),
            np.array([[step.share for step in path.values()] for path, _ in leaves]),
            np.array([weight for _, weight in leaves]),
        )
        for features, leaves in found.items()
        if features
    ]


def _shapley_values(taken: _Array, share: _Array) -> _Array:
    """The Shapley values of products, `[leaves, features]`.

    Args:
        taken: the factor of a feature that is known: 1 where the reading takes the leaf's path, 0 if it does not.
        share: its factor while it is not known.
    """
    count = taken.shape[1]
    values = np.empty_like(taken)
    for feature in range(count):
        # The coefficient at k sums the products in which k of the other features are known.
        sums = [np.ones(len(taken))]
        for other in set(range(count)) - {feature}:
            unknown, known = share[:, other], taken[:, other]
            zero = np.zeros(len(taken))
            sums = [unknown * a + known * b for a, b in zip([*sums, zero], [zero, *sums], strict=True)]
        orders = [math.factorial(k) * math.factorial(count - 1 - k) / math.factorial(count) for k in range(count)]
        total = sum(order * each for order, each in zip(orders, sums, strict=True))
        values[:, feature] = (taken[:, feature] - share[:, feature]) * total
    return values


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
