"""Ship the models that passed: signed, a component version each, and a deployment to the model group of each site.

Given a model package in place of models, it goes back to that model: core devices take up a model made before the one
that they have by a signed rollback alone.
"""

import datetime as dt
import functools
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import msgspec

from pm_components.functions import model_archive, site_groups
from pm_components.functions.component_recipes import of_model
from pm_components.functions.component_versions import ComponentVersions, deployment_policies
from pm_components.functions.release import core
from pm_components.functions.signed_releases import ReleaseSigner

log = logging.getLogger(__name__)

RECIPES = Path(__file__).parent / "recipes"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The function's settings."""

    artifact_bucket: str
    component_arn: str
    """The prefix of components' ARNs, up to the name."""
    thing_group_arn: str
    """The prefix of thing groups' ARNs, up to the name."""
    thing_groups_key: str
    """Key of the object in the artifact bucket that names the thing groups of each site."""
    data_directory: str
    signing_key: str
    """ARN of the key that signs releases."""


class Release:
    """A release with its clients.

    Args:
        clients: by service: s3, greengrassv2, sagemaker.
        versions: makes component versions.
        signer: signs the releases.
        settings: where to.
        recipes: recipe with placeholders by kind of model.
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        versions: ComponentVersions,
        signer: ReleaseSigner,
        settings: Settings,
        recipes: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._s3 = clients["s3"]
        self._greengrass = clients["greengrassv2"]
        self._sagemaker = clients["sagemaker"]
        self._versions = versions
        self._signer = signer
        self._settings = settings
        self._recipes = recipes

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Release the models of `event` that passed, or go back to the one of the model package `rollback`.

        Returns:
            `versions` by component, `deployments` (site, thing_group, deployment_id) and `released_at`.

        Raises:
            Refused: if an archive is not what it was at the gate, or there is no going back to that model.
            NotPublished: if Greengrass does not take a component version.
        """
        rollback = "rollback" in event
        models = [self._registered(event["rollback"])] if rollback else event["models"]
        sites = site_groups.read(self._s3, self._settings.artifact_bucket, self._settings.thing_groups_key)
        versions = dict(self._publish(model, list(sites), rollback) for model in models if model["passed"])
        deployments = [
            {"site": site, "thing_group": groups.model, "deployment_id": self._deploy(site, groups.model, versions)}
            for site, groups in sorted(sites.items())
        ]
        released_at = dt.datetime.now(dt.UTC).isoformat()
        return {"versions": versions, "deployments": deployments, "released_at": released_at}

    def _registered(self, arn: str) -> dict[str, Any]:
        return core.registered(self._sagemaker.describe_model_package(ModelPackageName=arn))

    def _publish(self, model: Mapping[str, Any], sites: Sequence[str], rollback: bool) -> tuple[str, str]:
        """Make the component version of a model for sites; its name and version."""
        archive = model_archive.judged(self._s3, model)
        files = self._signer.signed(archive, model["made_at"], sites, rollback=rollback)
        return self._versions.publish(of_model(self._recipes[archive.kind], archive.manifest.version), files)

    def _deploy(self, site: str, group: str, versions: Mapping[str, str]) -> str:
        """The deployment that brings `versions` to a site; the present one where it asks for them already."""
        group_arn = self._settings.thing_group_arn + group
        latest = self._greengrass.list_deployments(targetArn=group_arn, historyFilter="LATEST_ONLY")["deployments"]
        current: dict[str, Any] = {}
        if latest:
            present = self._greengrass.get_deployment(deploymentId=latest[0]["deploymentId"])
            current = present.get("components", {})
            stands = present["deploymentStatus"] in ("ACTIVE", "COMPLETED")
            if stands and core.same_versions(current, core.deployed(versions, current, "")):
                return str(latest[0]["deploymentId"])
        answer = self._greengrass.create_deployment(
            targetArn=group_arn,
            deploymentName=f"models of {site}",
            components=core.deployed(versions, current, self._settings.data_directory),
            deploymentPolicies=deployment_policies(),
        )
        log.info("deployment %s brings %s to %s", answer["deploymentId"], dict(versions), site)
        return str(answer["deploymentId"])


@functools.cache
def _release() -> Release:
    clients = {service: boto3.client(service) for service in ("s3", "greengrassv2", "sagemaker")}
    settings = msgspec.json.decode(os.environ["RELEASE"], type=Settings)
    s3, bucket = clients["s3"], settings.artifact_bucket
    return Release(
        clients,
        ComponentVersions(s3, clients["greengrassv2"], bucket, settings.component_arn),
        ReleaseSigner(s3, boto3.client("kms"), bucket, settings.signing_key),
        settings,
        {path.stem: json.loads(path.read_text()) for path in RECIPES.glob("*.json")},
    )


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return _release().handle(event)
