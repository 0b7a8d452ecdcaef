"""Register a trained model in its model package group, with the gate's verdict as its approval."""

import functools
import os
from typing import Any

import boto3
import msgspec

from pm_components.functions.register.core import model_package


@functools.cache
def _sagemaker() -> Any:
    return boto3.client("sagemaker")


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Register the model of the gate's verdict, and answer the verdict with the model package's ARN.

    Raises:
        KeyError: for a kind of model that has no group.
    """
    groups = msgspec.json.decode(os.environ["MODEL_PACKAGE_GROUPS"], type=dict[str, str])
    request = model_package(event, groups[event["kind"]], os.environ["IMAGE_URI"])
    answer = _sagemaker().create_model_package(**request)
    return {**event, "model_package_arn": answer["ModelPackageArn"]}
