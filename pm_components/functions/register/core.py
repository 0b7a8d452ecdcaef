"""The registry's entry of a trained model."""

import uuid
from collections.abc import Mapping
from typing import Any

from pm_components.functions import registry_texts

#: "CustomerMetadataProperties" of CreateModelPackage, Amazon SageMaker API reference.
_METADATA_ENTRIES = 50
_LEFT_OUT = "figures_left_out"
#: Names of what says which model it is, and by which file; a rollback asks for the latter.
_IDENTITY = ("kind", "version", "version_id", "sha256", "made_at", "training_job", "champion")


def model_package(verdict: Mapping[str, Any], group: str, image_uri: str) -> dict[str, Any]:
    """The request that registers a model with the gate's verdict on it.

    Args:
        verdict: what the gate answered: kind, model_data, training_job, version, passed, on_trial, reasons, metrics,
            champion; of an archive that could be fetched version_id, sha256 and made_at.
        group: the model package group.
        image_uri: the container image that the model was trained in.
    """
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": registry_texts.description("; ".join(verdict["reasons"])),
        "ModelApprovalStatus": approval(verdict["passed"], verdict["on_trial"]),
        "InferenceSpecification": {
            "Containers": [{"Image": image_uri, "ModelDataUrl": verdict["model_data"]}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "CustomerMetadataProperties": _metadata(verdict),
        # A repeated call registers nothing new.
        "ClientToken": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{verdict['model_data']}?{verdict.get('version_id', '')}")),
    }


def _metadata(verdict: Mapping[str, Any]) -> dict[str, str]:
    """The model and as many of its figures as there is room for, with the number of those left out."""
    identity = {name: verdict[name] for name in _IDENTITY if verdict.get(name)}
    figures = sorted(_numbers(verdict["metrics"]).items())
    room = _METADATA_ENTRIES - len(identity)
    if len(figures) > room:
        figures = [*figures[: room - 1], (_LEFT_OUT, str(len(figures) - room + 1))]
    return {registry_texts.key(name): registry_texts.value(text) for name, text in (*identity.items(), *figures)}


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
