"""The models on a device: verified, loaded into onnxruntime, and never trusted unread.

`load_model` verifies the file against its manifest, loads it, asks it the manifest's own questions and looks how long
it takes for them, all of it in a process of its own first; a model that fails any of this is refused with a reason.
"""

import functools
import logging
import math
import struct
from abc import ABC
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, thread_time
from typing import ClassVar, TypeVar

import numpy as np
import onnxruntime

from pm_contracts.manifest import (
    MANIFEST_FILE,
    MAXIMUM_MANIFEST_BYTES,
    MAXIMUM_MODEL_BYTES,
    MODEL_FILE,
    Manifest,
)
from pm_contracts.messages import Refused
from pm_contracts.model_kinds import ModelKind, decode_manifest
from pm_edge.runtime import quarantine
from pm_edge.runtime.files import read_limited

#: Answers of which the fastest must keep to the manifest's time; the first one of a session sets it up as well.
_TIMED_ANSWERS = 3
_NAN = math.nan

_log = logging.getLogger(__name__)


class Model(ABC):
    """A loaded model: the manifest and one session of onnxruntime. One thread at a time may ask it.

    A subclass says what the models of one kind are asked, and which of their answers are nonsense.

    Attributes:
        version: Of the model.
        too_slow: Whether the latest answer took more time than the manifest allows. It is the processor's time in this
            thread, which does all the work, so that a busy device is not the model's fault.
    """

    kind: ClassVar[ModelKind]
    #: Columns of the answer.
    outputs: ClassVar[int]

    def __init__(self, manifest: Manifest, content: bytes) -> None:
        """Load the model in `content`, which the manifest describes.

        Raises:
            Refused: if onnxruntime cannot load it, or it does not answer as its manifest says.
        """
        self.version = manifest.version
        self.too_slow = False
        self._allowed_seconds = manifest.maximum_answer_milliseconds / 1000
        try:
            self._session = onnxruntime.InferenceSession(content, _options(), providers=["CPUExecutionProvider"])
        except Exception as error:  # as in `ask`
            raise Refused(f"{MODEL_FILE} cannot be loaded: {error}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        width = len(manifest.features)
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or inputs[0].shape[1:] != [width]:
            raise Refused(f"{MODEL_FILE} must take one float input of {width} columns, and takes {_shapes(inputs)}")
        if len(outputs) != 1 or outputs[0].type != "tensor(float)" or outputs[0].shape[1:] != [self.outputs]:
            raise Refused(f"{MODEL_FILE} must give one output of {self.outputs} columns, and gives {_shapes(outputs)}")
        # One row's question and answer stay where they are: onnxruntime reads and writes these arrays themselves.
        self._question, self._answer = np.zeros((1, width), np.float32), np.zeros((1, self.outputs), np.float32)
        self._write = functools.partial(struct.Struct(f"{width}f").pack_into, self._question.data, 0)
        self._binding = self._session.io_binding()
        for bind, name, array in (
            (self._binding.bind_input, inputs[0].name, self._question),
            (self._binding.bind_output, outputs[0].name, self._answer),
        ):
            bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self._check(manifest)

    def ask(self, values: Sequence[float]) -> list[float]:
        """The answer to one row, timed; NaN, which is nonsense, where there is none."""
        try:
            return self._ask(values)
        except Exception as error:  # onnxruntime's own exceptions share no narrower base
            _log.warning("model %s cannot answer: %s", self.version, error)
            self.too_slow = False
            return [_NAN] * self.outputs

    def _ask(self, values: Sequence[float]) -> list[float]:
        self._write(*values)
        began = perf_counter()
        self._session.run_with_iobinding(self._binding)
        # The clock costs a tenth of what the processor's time does, and never shows less.
        self.too_slow = (
            perf_counter() - began > self._allowed_seconds and self._processor_seconds() > self._allowed_seconds
        )
        return self._answer.tolist()[0]

    def _processor_seconds(self) -> float:
        """The processor's time that an answer to the same row takes."""
        began = thread_time()
        self._session.run_with_iobinding(self._binding)
        return thread_time() - began

    def _check(self, manifest: Manifest) -> None:
        checked = manifest.checked
        if any(len(row) != len(manifest.features) for row in checked.inputs):
            raise Refused(f"{MANIFEST_FILE}: checked.inputs must have {len(manifest.features)} columns")
        expected = np.array(checked.outputs)
        if expected.shape != (len(checked.inputs), self.outputs):
            raise Refused(f"{MANIFEST_FILE}: checked.outputs must be {len(checked.inputs)} x {self.outputs}")
        questions = [numbers(row) for row in checked.inputs]
        try:
            answers = [self._ask(question) for question in questions]
        except Exception as error:  # as in `ask`
            raise Refused(f"{MODEL_FILE} cannot answer: {error}") from error
        difference = float(np.max(np.abs(np.array(answers) - expected)))
        if not difference <= checked.tolerance:  # so that NaN is refused too
            raise Refused(
                f"{MODEL_FILE} answers the manifest's questions otherwise here than where it was trained: "
                f"they differ by {difference:.3g}, and {checked.tolerance:.3g} is allowed"
            )
        for _ in range(_TIMED_ANSWERS):
            self._ask(questions[0])
            if not self.too_slow:
                return
        allowed = f"{manifest.maximum_answer_milliseconds:g} ms of processor time"
        raise Refused(f"{MODEL_FILE} takes more than {allowed} for an answer, and {MANIFEST_FILE} allows no more")


_OneModel = TypeVar("_OneModel", bound=Model)


def load_model(
    directory: Path, as_type: type[_OneModel], accept: Callable[[bytes, bytes], object] | None = None
) -> _OneModel:
    """The model in `directory`, verified.

    Args:
        directory: with the model file and its manifest.
        as_type: the models of one kind.
        accept: called with the contents of manifest and model before either is parsed; it raises `Refused` for a model
            that is not to be used. None for a model made here, which nobody has signed.

    Raises:
        Refused: if a file cannot be read, is not what the manifest says, or the model does not answer as it should.
    """
    described = read_limited(directory / MANIFEST_FILE, MAXIMUM_MANIFEST_BYTES)
    content = read_limited(directory / MODEL_FILE, MAXIMUM_MODEL_BYTES)
    if accept is not None:
        accept(described, content)
    manifest = decode_manifest(described)
    manifest.verify(content)
    if not isinstance(manifest, as_type.kind.manifest):
        raise Refused(f"{MANIFEST_FILE}: a model of another kind than {as_type.kind.name!r}")
    quarantine.examine(described, content, as_type)
    return as_type(manifest, content)


def numbers(values: Sequence[float | None]) -> list[float]:
    """The values, NaN where None."""
    return [_NAN if value is None else value for value in values]


def _options() -> onnxruntime.SessionOptions:
    # One row at a time through a small net: a second thread costs more than it brings.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False  # for one row, asking it takes longer than asking the system
    options.log_severity_level = 4  # what goes wrong is raised, and told by whoever catches it
    return options


def _shapes(values: Sequence[onnxruntime.NodeArg]) -> str:
    return ", ".join(f"{value.type}{value.shape}" for value in values) or "none"
