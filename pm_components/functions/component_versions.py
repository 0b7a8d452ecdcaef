"""Component versions of AWS IoT Greengrass, made by a function: artifact, recipe, and the wait until deployable."""

import copy
import io
import json
import logging
import time
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

ARTIFACT_PREFIX = "s3://BUCKET/KEY/"
"""What the address of an artifact begins with in a recipe that is not filled in."""
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644
_PUBLISH_SECONDS = 60
_UPDATE_SECONDS = 60

log = logging.getLogger(__name__)


class NotPublished(RuntimeError):
    """A component version that Greengrass does not make deployable; the text says what it answers."""


def zipped(files: Mapping[str, bytes]) -> bytes:
    """An artifact of `files`, the same bytes for the same files.

    It is not compressed, since how well depends on the version of zlib.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.external_attr = _MODE << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def artifact_key(template: Mapping[str, Any], version: str) -> str:
    """Where the artifact of a version lies in the artifact bucket, named as the recipe names it.

    Raises:
        ValueError: where the recipe has not one artifact at the placeholder.
    """
    uris = sorted({artifact["Uri"] for manifest in template["Manifests"] for artifact in manifest.get("Artifacts", [])})
    if len(uris) != 1 or not uris[0].startswith(ARTIFACT_PREFIX):
        raise ValueError(f"artifacts {uris} of {template['ComponentName']}, allowed is one, at {ARTIFACT_PREFIX}NAME")
    return f"models/{template['ComponentName']}/{version}/{uris[0].removeprefix(ARTIFACT_PREFIX)}"


def recipe(template: Mapping[str, Any], version: str, artifact_uri: str) -> str:
    """The recipe of a version, JSON.

    Args:
        template: the recipe with placeholders for version and artifact.
        version: the component's version.
        artifact_uri: `s3://bucket/key` of the artifact.
    """
    filled = copy.deepcopy(dict(template))
    filled["ComponentVersion"] = version
    for manifest in filled["Manifests"]:
        for entry in manifest["Artifacts"]:
            entry["Uri"] = artifact_uri
    return json.dumps(filled, indent=1)


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

    def publish(self, template: Mapping[str, Any], version: str, files: Mapping[str, bytes]) -> str:
        """Make a version of the component with `files` as its artifact, unless it is there: a version never changes.

        Returns:
            The component's name.

        Raises:
            NotPublished: where Greengrass does not take it.
        """
        name = str(template["ComponentName"])
        arn = f"{self._component_arn}{name}:versions:{version}"
        if self._state(arn) is None:
            key = artifact_key(template, version)
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=zipped(files), ContentType="application/zip")
            text = recipe(template, version, f"s3://{self._bucket}/{key}")
            self._greengrass.create_component_version(inlineRecipe=text.encode())
        self._wait_until_deployable(arn)
        log.info("component %s version %s is deployable", name, version)
        return name

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
