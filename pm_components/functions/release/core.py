"""The contents of a release: one deployment of models for each site."""

import json
from collections.abc import Mapping
from typing import Any


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
