"""Ship the models that passed: a component version each, and a deployment to the model group of each site."""

import datetime as dt
import functools
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import msgspec

from pm_components.functions import model_archive
from pm_components.functions.release import core

log = logging.getLogger(__name__)

RECIPES = Path(__file__).parent / "recipes"
_PUBLISH_SECONDS = 60


class NotPublished(RuntimeError):
    """A component version that Greengrass does not make deployable; the text says what it answers."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the function is set up with."""

    artifact_bucket: str
    component_arn: str
    """What the ARNs of components begin with, up to the name."""
    thing_groups: dict[str, str]
    """ARN of the thing group that takes models, by site."""
    data_directory: str


class Release:
    """A release with its clients.

    Args:
        s3: client that reads training output and writes artifacts.
        greengrass: client of `greengrassv2`.
        settings: where to, and for whom.
        recipes: recipe with placeholders by kind of model.
        wait: called with seconds between two looks at a component version.
    """

    def __init__(
        self,
        s3: Any,
        greengrass: Any,
        settings: Settings,
        recipes: Mapping[str, Mapping[str, Any]],
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._s3 = s3
        self._greengrass = greengrass
        self._settings = settings
        self._recipes = recipes
        self._wait = wait

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Release the models of `event` that passed.

        Returns:
            `versions` by component, `deployments` (site, thing_group, deployment_id) and `released_at`.

        Raises:
            Refused: where an archive is not what it was at the gate.
            NotPublished: where Greengrass does not take a component version.
        """
        versions = dict(self._publish(model) for model in event["models"] if model["passed"])
        deployments = [
            {"site": site, "thing_group": arn.rsplit("/", 1)[-1], "deployment_id": self._deploy(site, arn, versions)}
            for site, arn in sorted(self._settings.thing_groups.items())
        ]
        released_at = dt.datetime.now(dt.UTC).isoformat()
        return {"versions": versions, "deployments": deployments, "released_at": released_at}

    def _publish(self, model: Mapping[str, Any]) -> tuple[str, str]:
        """Make the component version of a model, unless it is there: a version never changes."""
        archive = model_archive.read(model_archive.fetch(self._s3, model["model_data"]))
        template = self._recipes[archive.kind]
        name, version = str(template["ComponentName"]), archive.manifest.version
        arn = f"{self._settings.component_arn}{name}:versions:{version}"
        if self._state(arn) is None:
            key = core.artifact_key(name, version)
            self._s3.put_object(
                Bucket=self._settings.artifact_bucket,
                Key=key,
                Body=core.artifact(archive),
                ContentType="application/zip",
            )
            text = core.recipe(template, version, f"s3://{self._settings.artifact_bucket}/{key}")
            self._greengrass.create_component_version(inlineRecipe=text.encode())
        self._wait_until_deployable(arn)
        log.info("component %s version %s is deployable", name, version)
        return name, version

    def _state(self, arn: str) -> dict[str, Any] | None:
        try:
            status: dict[str, Any] = self._greengrass.describe_component(arn=arn)["status"]
        except self._greengrass.exceptions.ResourceNotFoundException:
            return None
        return status

    def _wait_until_deployable(self, arn: str) -> None:
        for _ in range(_PUBLISH_SECONDS):
            status = self._state(arn) or {}
            if status.get("componentState") == "DEPLOYABLE":
                return
            if status.get("componentState") in ("FAILED", "DEPRECATED"):
                break
            self._wait(1)
        raise NotPublished(
            f"{arn}: {status.get('componentState')} {status.get('message', '')} {status.get('errors', '')}"
        )

    def _deploy(self, site: str, group_arn: str, versions: Mapping[str, str]) -> str:
        """The deployment that brings `versions` to a site; the present one where it asks for them already."""
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
            deploymentPolicies=core.policies(),
        )
        log.info("deployment %s brings %s to %s", answer["deploymentId"], dict(versions), site)
        return str(answer["deploymentId"])


@functools.cache
def _release() -> Release:
    return Release(
        boto3.client("s3"),
        boto3.client("greengrassv2"),
        msgspec.json.decode(os.environ["RELEASE"], type=Settings),
        {path.stem: json.loads(path.read_text()) for path in RECIPES.glob("*.json")},
    )


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return _release().handle(event)
