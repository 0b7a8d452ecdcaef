"""Ship the models that passed: a component version each, and a deployment to the model group of each site."""

import datetime as dt
import functools
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import msgspec

from pm_components.functions import model_archive, site_groups
from pm_components.functions.component_recipes import of_model
from pm_components.functions.component_versions import ComponentVersions, deployment_policies
from pm_components.functions.release import core

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


class Release:
    """A release with its clients.

    Args:
        s3: client that reads training output, and which sites there are.
        greengrass: client of `greengrassv2`.
        versions: makes component versions.
        settings: where to.
        recipes: recipe with placeholders by kind of model.
    """

    def __init__(
        self,
        s3: Any,
        greengrass: Any,
        versions: ComponentVersions,
        settings: Settings,
        recipes: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._s3 = s3
        self._greengrass = greengrass
        self._versions = versions
        self._settings = settings
        self._recipes = recipes

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Release the models of `event` that passed.

        Returns:
            `versions` by component, `deployments` (site, thing_group, deployment_id) and `released_at`.

        Raises:
            Refused: if an archive is not what it was at the gate.
            NotPublished: if Greengrass does not take a component version.
        """
        versions = dict(self._publish(model) for model in event["models"] if model["passed"])
        sites = site_groups.read(self._s3, self._settings.artifact_bucket, self._settings.thing_groups_key)
        deployments = [
            {"site": site, "thing_group": groups.model, "deployment_id": self._deploy(site, groups.model, versions)}
            for site, groups in sorted(sites.items())
        ]
        released_at = dt.datetime.now(dt.UTC).isoformat()
        return {"versions": versions, "deployments": deployments, "released_at": released_at}

    def _publish(self, model: Mapping[str, Any]) -> tuple[str, str]:
        """Make the component version of a model; its name and version."""
        archive = model_archive.read(model_archive.fetch(self._s3, model["model_data"]))
        return self._versions.publish(of_model(self._recipes[archive.kind], archive.manifest.version), archive.files)

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
    s3, greengrass = boto3.client("s3"), boto3.client("greengrassv2")
    settings = msgspec.json.decode(os.environ["RELEASE"], type=Settings)
    return Release(
        s3,
        greengrass,
        ComponentVersions(s3, greengrass, settings.artifact_bucket, settings.component_arn),
        settings,
        {path.stem: json.loads(path.read_text()) for path in RECIPES.glob("*.json")},
    )


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return _release().handle(event)
