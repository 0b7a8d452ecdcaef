"""Judge the model that a training job left in S3."""

import functools
import os
from typing import Any

import boto3
import msgspec

from pm_components.functions import model_archive
from pm_components.functions.gate.core import FIGURES, Verdict, judge
from pm_contracts.messages import Refused


@functools.cache
def _s3() -> Any:
    return boto3.client("s3")


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The verdict on the model of `event` (kind, model_data, training_job), with what the event named.

    Raises:
        ValueError: for a kind of model that the gate does not know.
    """
    kind = event["kind"]
    if kind not in FIGURES:
        raise ValueError(f"kind {kind!r}, allowed are {', '.join(FIGURES)}")
    try:
        model = model_archive.read(model_archive.fetch(_s3(), event["model_data"]))
        verdict = judge(model, kind, float(os.environ["MINIMUM_SKILL"]))
    except Refused as error:
        verdict = Verdict(kind=kind, passed=False, reasons=[str(error)])
    answer: dict[str, Any] = msgspec.to_builtins(verdict)
    return {**answer, "model_data": event["model_data"], "training_job": event["training_job"]}
