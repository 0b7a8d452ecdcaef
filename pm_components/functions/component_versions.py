"""Component versions of AWS IoT Greengrass, made by a function: artifact, recipe, and the wait until deployable."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from pm_components.functions.component_recipes import artifact_key, published, publisher, zipped

#: Prefix of the artifacts' keys in the artifact bucket.
_PREFIX = "models"
_PUBLISH_SECONDS = 60
_UPDATE_SECONDS = 60

log = logging.getLogger(__name__)


class NotPublished(RuntimeError):
    """A component version that Greengrass does not make deployable; the text says what it answers."""


def deployment_policies() -> dict[str, Any]:
    """A device on which a component fails goes back to what it had."""
    return {
        "failureHandlingPolicy": "ROLLBACK",
        "componentUpdatePolicy": {"action": "SKIP_NOTIFY_COMPONENTS", "timeoutInSeconds": _UPDATE_SECONDS},
    }


class ComponentVersions:
    """Makes component versions.

    Args:
        s3: client that writes artifacts.
        greengrass: client of `greengrassv2`.
        bucket: the artifact bucket.
        component_arn: what the ARNs of components begin with, up to the name.
        wait: called with seconds between two looks at a component version.
    """

    def __init__(
        self, s3: Any, greengrass: Any, bucket: str, component_arn: str, wait: Callable[[float], None] = time.sleep
    ) -> None:
        self._s3 = s3
        self._greengrass = greengrass
        self._bucket = bucket
        self._component_arn = component_arn
        self._wait = wait

    def publish(self, template: Mapping[str, Any], files: Mapping[str, bytes]) -> tuple[str, str]:
        """Make a version of the component with `files` as its artifact, unless it is there: a version never changes.

        Args:
            template: the recipe with placeholders for version and artifact.
            files: the artifact's, by path in it.

        Returns:
            The component's name and version.

        Raises:
            NotPublished: if Greengrass does not take it, or somebody else has the version.
        """
        name, artifact = str(template["ComponentName"]), zipped(files)
        made = published(template, self._bucket, _PREFIX, artifact)
        arn = f"{self._component_arn}{name}:versions:{made.version}"
        present = self._described(arn)
        if present is None:
            key = artifact_key(template, _PREFIX, artifact)
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=artifact, ContentType="application/zip")
            self._greengrass.create_component_version(inlineRecipe=made.recipe.encode())
        elif present["publisher"] != (own := publisher(template, self._bucket, _PREFIX)):
            raise NotPublished(f"{arn}: found one of {present['publisher']}, allowed is one of {own}")
        self._wait_until_deployable(arn)
        log.info("component %s version %s is deployable", name, made.version)
        return name, made.version

    def _described(self, arn: str) -> dict[str, Any] | None:
        """Describe a version; None if there is no such version."""
        try:
            described: dict[str, Any] = self._greengrass.describe_component(arn=arn)
        except self._greengrass.exceptions.ResourceNotFoundException:
            return None
        return described

    def _wait_until_deployable(self, arn: str) -> None:
        for _ in range(_PUBLISH_SECONDS):
            status = (self._described(arn) or {}).get("status", {})
            if status.get("componentState") == "DEPLOYABLE":
                return
            if status.get("componentState") in ("FAILED", "DEPRECATED"):
                break
            self._wait(1)
        raise NotPublished(
            f"{arn}: {status.get('componentState')} {status.get('message', '')} {status.get('errors', '')}"
        )
