"""What the registry keeps of a trained model."""

import uuid
from collections.abc import Mapping
from typing import Any

#: "CustomerMetadataProperties" of CreateModelPackage, Amazon SageMaker API reference: 50 entries, values of 256.
_METADATA_ENTRIES = 50
_METADATA_CHARACTERS = 256
_DESCRIPTION_CHARACTERS = 1024


def model_package(verdict: Mapping[str, Any], group: str, image_uri: str) -> dict[str, Any]:
    """The request that registers a model with the gate's verdict on it.

    Args:
        verdict: what the gate answered: kind, model_data, training_job, version, passed, on_trial, reasons, metrics,
            champion.
        group: the model package group.
        image_uri: the container image that the model was trained in.
    """
    metadata = {
        "version": verdict["version"],
        "training_job": verdict["training_job"],
        "champion": verdict["champion"],
        **_numbers(verdict["metrics"]),
    }
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": "; ".join(verdict["reasons"])[:_DESCRIPTION_CHARACTERS],
        "ModelApprovalStatus": approval(verdict["passed"], verdict["on_trial"]),
        "InferenceSpecification": {
            "Containers": [{"Image": image_uri, "ModelDataUrl": verdict["model_data"]}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "CustomerMetadataProperties": {
            key: str(value)[:_METADATA_CHARACTERS]
            for key, value in sorted(metadata.items())[:_METADATA_ENTRIES]
            if value
        },
        # A repeated call registers nothing new.
        "ClientToken": str(uuid.uuid5(uuid.NAMESPACE_URL, verdict["model_data"])),
    }


def approval(passed: bool, on_trial: bool) -> str:
    """The approval status of a model: who passed the gate and is to be tried first waits for the trial."""
    if not passed:
        return "Rejected"
    return "PendingManualApproval" if on_trial else "Approved"


def _numbers(metrics: Mapping[str, Any]) -> dict[str, str]:
    """The figures among the metrics, as text; figures of parts get the part's name before theirs."""
    found: dict[str, str] = {}
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{inner}": text for inner, text in _numbers(value).items()}
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[key] = f"{value:.6g}"
    return found
