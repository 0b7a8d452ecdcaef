"""The graphs that a device is willing to run: hostile ones are refused with a reason, plain ones pass.

Not proved here: that what passes is harmless when it is loaded (tests/edge/runtime/test_model_trial.py).
"""

import contextlib
import random
import time

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from pm_contracts import model_graph
from pm_contracts.messages import Refused
from tests import crafted_models

WIDTH = 3


@pytest.mark.parametrize("name", crafted_models.REFUSED)
def test_a_hostile_model_is_refused_with_a_reason(name: str) -> None:
    make, reason = crafted_models.REFUSED[name]
    with pytest.raises(Refused, match=rf"model\.onnx: .*(?:{reason})"):
        model_graph.check(make(WIDTH))


@pytest.mark.parametrize("name", crafted_models.PLAIN)
def test_a_plain_model_passes_and_runs(name: str) -> None:
    content = crafted_models.PLAIN[name](WIDTH)
    model_graph.check(content)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"x": np.ones((1, WIDTH), np.float32)})
    assert answer.shape == (1, 1)


@pytest.mark.parametrize("field", ["float_data", "raw_data", "int32_data", "int64_data", "double_data"])
def test_constants_pass_however_they_are_written(field: str) -> None:
    types = {"int32_data": TensorProto.INT32, "int64_data": TensorProto.INT64, "double_data": TensorProto.DOUBLE}
    kind = types.get(field, TensorProto.FLOAT)
    raw = np.array([1, 2, 3], np.float32).tobytes() if field == "raw_data" else [1, 2, -3]
    made = helper.make_tensor("c", kind, [3], raw, raw=field == "raw_data")
    content = crafted_models.written([crafted_models.node("Identity", "x", "y")], [made])
    model_graph.check(content)
    with pytest.raises(Refused, match="'c' has 3 elements, and a shape of 4"):
        model_graph.check(content.replace(b"\x08\x03\x10", b"\x08\x04\x10"))


def test_damaged_files_are_refused_or_pass_and_nothing_else() -> None:
    chance = random.Random(13)
    whole = [make(WIDTH) for make in crafted_models.PLAIN.values()]
    for _ in range(4000):
        content = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 1, 2, 8))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        if chance.random() < 0.2:
            del content[chance.randrange(len(content)) :]
        with contextlib.suppress(Refused):
            model_graph.check(bytes(content))


@pytest.mark.parametrize("byte", [b"\x00", b"\x08", b"\x3a", b"\x80", b"\xff", b"\x3a\x00", b"\x42\x00"])
def test_a_large_file_of_one_kind_of_field_takes_its_limit_and_no_more(byte: bytes) -> None:
    began = time.process_time()
    with pytest.raises(Refused):
        model_graph.check(byte * (32 * 1024 * 1024 // len(byte)))
    assert time.process_time() - began < 60, "a bound for a hang, not a figure"
