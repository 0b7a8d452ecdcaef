"""The contents of a release: one deployment of models for each site; and the model of one that goes back."""

import json
from collections.abc import Mapping
from typing import Any

from pm_contracts.messages import Refused


def deployed(
    versions: Mapping[str, str], current: Mapping[str, Mapping[str, Any]], data_directory: str
) -> dict[str, dict[str, Any]]:
    """The components of a site's next deployment of models.

    A deployment replaces the one before it, so that it lists the other model too, in the version that is there.

    Args:
        versions: released now, by component.
        current: the components of the group's present deployment; empty if there is none.
        data_directory: where the core devices keep models.
    """
    kept = {name: str(component["componentVersion"]) for name, component in current.items()}
    merge = json.dumps({"dataDirectory": data_directory})
    return {
        name: {"componentVersion": version, "configurationUpdate": {"merge": merge}}
        for name, version in sorted({**kept, **versions}.items())
    }


def same_versions(one: Mapping[str, Mapping[str, Any]], other: Mapping[str, Mapping[str, Any]]) -> bool:
    """True if two deployments ask for the same versions of the same components."""
    return {name: component["componentVersion"] for name, component in one.items()} == {
        name: component["componentVersion"] for name, component in other.items()
    }


def registered(package: Mapping[str, Any]) -> dict[str, Any]:
    """The gate's verdict on a model that was approved, as far as it says which file it is on.

    Args:
        package: the answer of DescribeModelPackage.

    Raises:
        Refused: if the model is not approved, or was registered without its file's version and SHA-256.
    """
    arn = package["ModelPackageArn"]
    if (status := package["ModelApprovalStatus"]) != "Approved":
        raise Refused(f"{arn} is {status}, allowed is Approved")
    kept = package.get("CustomerMetadataProperties", {})
    if missing := [name for name in ("kind", "version_id", "sha256", "made_at") if name not in kept]:
        raise Refused(f"{arn} has no {', '.join(missing)} in its metadata, allowed are models registered with them")
    (container,) = package["InferenceSpecification"]["Containers"]
    return {**kept, "model_data": container["ModelDataUrl"], "passed": True}
