"""Judge the model that a training job left in S3, beside the champion of the registry."""

import functools
import os
from collections.abc import Mapping
from typing import Any

import boto3
import msgspec

from pm_components.functions import model_archive
from pm_components.functions.gate.core import Champion, Policy, Verdict, judge
from pm_contracts.messages import Refused
from pm_contracts.model_kinds import MODEL_KINDS

_VALIDATION = "validation."


class Gate:
    """The gate with its clients.

    Args:
        s3: client that reads training output.
        sagemaker: client that reads the registry.
        groups: model package group by kind of model.
        policy: what is asked of a model.
    """

    def __init__(self, s3: Any, sagemaker: Any, groups: Mapping[str, str], policy: Policy) -> None:
        self._s3 = s3
        self._sagemaker = sagemaker
        self._groups = groups
        self._policy = policy

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The verdict on the model of `event` (kind, model_data, training_job), with what the event named.

        It says by version id and SHA-256 on which file it is: another may lie at `model_data` by the time of release.

        Raises:
            ValueError: for a kind of model that the gate does not know.
        """
        kind = event["kind"]
        if kind not in MODEL_KINDS:
            raise ValueError(f"kind {kind!r}, allowed are {', '.join(MODEL_KINDS)}")
        judged = {"model_data": event["model_data"], "training_job": event["training_job"]}
        try:
            stored = model_archive.fetch(self._s3, event["model_data"])
            judged |= {"version_id": stored.version_id, "sha256": stored.sha256, "made_at": stored.made_at}
            model = model_archive.read(stored.content)
        except Refused as error:
            verdict = Verdict(kind=kind, passed=False, reasons=[str(error)])
        else:
            verdict = judge(model, kind, self._policy, self.champion(kind))
        return {**msgspec.to_builtins(verdict), **judged}

    def champion(self, kind: str) -> Champion | None:
        """The model of a kind that was approved last; None before the first."""
        found = self._sagemaker.list_model_packages(
            ModelPackageGroupName=self._groups[kind],
            ModelApprovalStatus="Approved",
            SortBy="CreationTime",
            SortOrder="Descending",
            MaxResults=1,
        )["ModelPackageSummaryList"]
        if not found:
            return None
        arn = str(found[0]["ModelPackageArn"])
        kept = self._sagemaker.describe_model_package(ModelPackageName=arn).get("CustomerMetadataProperties", {})
        return Champion(
            arn=arn,
            version=kept.get("version", arn.rpartition("/")[2]),
            figures={
                name.removeprefix(_VALIDATION): _number(text)
                for name, text in kept.items()
                if name.startswith(_VALIDATION)
            },
        )


def _number(text: str) -> float | None:
    """A figure as the registry keeps it, as text."""
    try:
        return float(text)
    except ValueError:
        return None


@functools.cache
def _gate() -> Gate:
    return Gate(
        boto3.client("s3"),
        boto3.client("sagemaker"),
        msgspec.json.decode(os.environ["MODEL_PACKAGE_GROUPS"], type=dict[str, str]),
        msgspec.json.decode(os.environ["GATE"], type=Policy),
    )


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return _gate().handle(event)
