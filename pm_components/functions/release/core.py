"""What a release consists of: a component version for each model, and one deployment for each site."""

import copy
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

from pm_components.functions.model_archive import ModelArchive

ARTIFACT_NAME = "model.zip"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644
_UPDATE_SECONDS = 60


def artifact(model: ModelArchive) -> bytes:
    """The component's artifact: the model's files in a ZIP archive, the same bytes for the same files.

    It is not compressed, since how well depends on the version of zlib.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(model.files.items()):
            entry = zipfile.ZipInfo(name, _ZIP_EPOCH)
            entry.external_attr = _MODE << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def artifact_key(component: str, version: str) -> str:
    """Where a model's artifact lies in the artifact bucket."""
    return f"models/{component}/{version}/{ARTIFACT_NAME}"


def recipe(template: Mapping[str, Any], version: str, artifact_uri: str) -> str:
    """The recipe of a model component's version, JSON.

    Args:
        template: the recipe with placeholders for version and artifact.
        version: the model's version.
        artifact_uri: `s3://bucket/key` of the artifact.
    """
    filled = copy.deepcopy(dict(template))
    filled["ComponentVersion"] = version
    for manifest in filled["Manifests"]:
        for entry in manifest["Artifacts"]:
            entry["Uri"] = artifact_uri
    return json.dumps(filled, indent=1)


def deployed(
    versions: Mapping[str, str], current: Mapping[str, Mapping[str, Any]], data_directory: str
) -> dict[str, dict[str, Any]]:
    """The components of a site's next deployment of models.

    A deployment replaces the one before it, so that it lists the other model too, in the version that is there.

    Args:
        versions: released now, by component.
        current: the components of the group's present deployment; empty where there is none.
        data_directory: where the core devices keep models.
    """
    kept = {name: str(component["componentVersion"]) for name, component in current.items()}
    merge = json.dumps({"dataDirectory": data_directory})
    return {
        name: {"componentVersion": version, "configurationUpdate": {"merge": merge}}
        for name, version in sorted({**kept, **versions}.items())
    }


def same_versions(one: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether two deployments ask for the same versions of the same components."""
    return {name: component["componentVersion"] for name, component in one.items()} == {
        name: component["componentVersion"] for name, component in other.items()
    }


def policies() -> dict[str, Any]:
    """A device on which the models' components fail goes back to those it had."""
    return {
        "failureHandlingPolicy": "ROLLBACK",
        "componentUpdatePolicy": {"action": "SKIP_NOTIFY_COMPONENTS", "timeoutInSeconds": _UPDATE_SECONDS},
    }
