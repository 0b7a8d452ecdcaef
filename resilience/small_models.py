"""Small models of known answers, as a device takes them: a few operators of ONNX with their manifest."""

import datetime as dt
import hashlib
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from pm_contracts.forecast_features import FEATURES
from pm_contracts.manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    CheckedAnswers,
    FaultManifest,
    ForecastManifest,
    Interval,
    Manifest,
    content_version,
    encode_manifest,
)
from pm_contracts.measurements import MACHINE_MEASUREMENTS

#: The measurement by which the fault model knows a fault, and a value that no simulated machine reports.
TELLTALE, BROKEN = MACHINE_MEASUREMENTS[0], 1e12
_DAY = dt.datetime(2010, 1, 2, tzinfo=dt.UTC)

#: A model's files by name.
Files = dict[str, bytes]


def forecast_model(change: float) -> Files:
    """A model that forecasts the latest value plus `change` ug/m3; beyond 500 the device takes that for nonsense."""
    width, answer = len(FEATURES), [change, 10.0]
    nodes = [
        helper.make_node("IsNaN", ["x"], ["unknown"]),  # an unknown feature leaves no NaN in the answer
        helper.make_node("Cast", ["unknown"], ["finite"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["finite", "zeros"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["y"]),
    ]
    content = _graph(nodes, width, 2, {"zeros": _floats(np.zeros((width, 2))), "b": _floats(answer)})
    checked = CheckedAnswers(inputs=[[0.5] * width], outputs=[answer], tolerance=1e-3)
    manifest = ForecastManifest(
        **_common(content, checked),
        horizon_hours=1,
        features=list(FEATURES),
        maximum_change=500.0,
        interval=Interval(level=0.9, scores=[1.0] * 20),
    )
    return _files(manifest, content)


def fault_model() -> Files:
    """A model that is sure of a fault where `TELLTALE` is above 1e9, and sure of none elsewhere."""
    width = len(MACHINE_MEASUREMENTS)
    nodes = [
        helper.make_node("Gather", ["x", "first"], ["told"], axis=1),
        helper.make_node("Greater", ["told", "limit"], ["is_broken"]),
        helper.make_node("Cast", ["is_broken"], ["y"], to=TensorProto.FLOAT),
    ]
    content = _graph(nodes, width, 1, {"limit": _floats([[1e9]]), "first": np.array([0], np.int64)})
    checked = CheckedAnswers(inputs=[[1.0] * width], outputs=[[0.0]], tolerance=1e-6)
    return _files(
        FaultManifest(**_common(content, checked), features=list(MACHINE_MEASUREMENTS), threshold=0.5), content
    )


def _floats(values: Any) -> Any:
    return np.array(values, np.float32)


def _files(manifest: Manifest, content: bytes) -> Files:
    return {MANIFEST_FILE: encode_manifest(manifest), MODEL_FILE: content}


def _common(content: bytes, checked: CheckedAnswers) -> dict[str, Any]:
    return {
        "version": content_version(_DAY, content),
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "model_bytes": len(content),
        "trained_from": _DAY,
        "trained_until": _DAY,
        "trained_rows": 1,
        "seed": 0,
        "libraries": {},
        "checked": checked,
    }


def _graph(nodes: list[Any], width: int, outputs: int, constants: dict[str, Any]) -> bytes:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", outputs])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
