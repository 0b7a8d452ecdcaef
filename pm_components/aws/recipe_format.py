"""The format of Greengrass V2's component recipes: the one parser, for the library and for the sandbox.

The rules are those of AWS's component recipe reference
(https://docs.aws.amazon.com/greengrass/v2/developerguide/component-recipe-reference.html), with the spelling that
Greengrass nucleus lite insists on: keys are case-sensitive there, so that a key in the wrong case is refused
here rather than ignored on a device.
"""

import re
from typing import Any

import yaml

from pm_components.aws.limits import COMPONENT_RECIPE_BYTES
from pm_components.functions.component_recipes import RecipeError, bucket_and_key

FORMAT_VERSION = "2020-01-25"
VERSION_PATTERN = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_NAME_PATTERN = re.compile(r"[a-zA-Z0-9\-_.]{1,128}")

_RECIPE_KEYS = {
    "RecipeFormatVersion": str,
    "ComponentName": str,
    "ComponentVersion": str,
    "ComponentDescription": str,
    "ComponentPublisher": str,
    "ComponentType": str,
    "ComponentConfiguration": dict,
    "ComponentDependencies": dict,
    "Manifests": list,
    "Lifecycle": dict,
}
_REQUIRED_KEYS = ("RecipeFormatVersion", "ComponentName", "ComponentVersion")
_CONFIGURATION_KEYS = {"DefaultConfiguration": dict}
_DEPENDENCY_KEYS = {"VersionRequirement": str, "DependencyType": str}
_MANIFEST_KEYS = {"Name": str, "Platform": dict, "Lifecycle": dict, "Selections": list, "Artifacts": list}
_ARTIFACT_KEYS = {"Uri": str, "Unarchive": str, "Permission": dict, "Digest": str, "Algorithm": str}
_PERMISSION_KEYS = {"Read": str, "Execute": str}
_LIFECYCLE_KEYS = {
    "Setenv": dict,
    "install": (dict, str),
    "run": (dict, str),
    "startup": (dict, str),
    "shutdown": (dict, str),
    "recover": (dict, str),
    "bootstrap": (dict, str),
}
_STEP_KEYS = {
    "Script": str,
    "RequiresPrivilege": (bool, str),
    "Skipif": str,
    "Timeout": (int, str),
    "Setenv": dict,
    "BootstrapOnRollback": bool,
}
_CHOICES = {
    "ComponentType": ("aws.greengrass.generic",),
    "DependencyType": ("HARD", "SOFT"),
    "Unarchive": ("NONE", "ZIP"),
    "Read": ("NONE", "OWNER", "ALL"),
    "Execute": ("NONE", "OWNER", "ALL"),
}


def parse_recipe(content: bytes) -> dict[str, Any]:
    """Parse and check a recipe.

    Args:
        content: JSON or YAML, at most 16,000 bytes.

    Returns:
        The recipe.

    Raises:
        RecipeError: if it is too large, is neither JSON nor YAML, lacks a key, or has a wrong one.
    """
    try:
        text = content.decode()
        if problem := size_problem(text):
            raise RecipeError(f"the recipe has {problem}")
        recipe = yaml.safe_load(text)  # YAML contains JSON.
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"the recipe is neither JSON nor YAML: {error}") from error
    _check_keys(recipe, _RECIPE_KEYS, "the recipe")
    missing = [key for key in _REQUIRED_KEYS if key not in recipe]
    if missing:
        raise RecipeError(f"the recipe lacks {', '.join(missing)}")
    if recipe["RecipeFormatVersion"] != FORMAT_VERSION:
        raise RecipeError(
            f"RecipeFormatVersion is {recipe['RecipeFormatVersion']!r}; only {FORMAT_VERSION!r} is allowed"
        )
    if not _NAME_PATTERN.fullmatch(recipe["ComponentName"]):
        raise RecipeError(f"ComponentName {recipe['ComponentName']!r} must be 1 to 128 of a-z A-Z 0-9 - _ .")
    if not VERSION_PATTERN.fullmatch(recipe["ComponentVersion"]) or len(recipe["ComponentVersion"]) > 64:
        raise RecipeError(f"ComponentVersion {recipe['ComponentVersion']!r} must be a semantic version, such as 1.0.0")
    if not recipe.get("Manifests"):
        raise RecipeError("the recipe needs at least one entry in Manifests")
    _check_keys(recipe.get("ComponentConfiguration", {}), _CONFIGURATION_KEYS, "ComponentConfiguration")
    for name, dependency in recipe.get("ComponentDependencies", {}).items():
        _check_keys(dependency, _DEPENDENCY_KEYS, f"ComponentDependencies.{name}")
        if "VersionRequirement" not in dependency:
            raise RecipeError(f"ComponentDependencies.{name} lacks VersionRequirement")
    for index, manifest in enumerate(recipe["Manifests"]):
        _check_manifest(manifest, f"Manifests[{index}]")
    _check_lifecycle(recipe.get("Lifecycle", {}), "Lifecycle")
    return recipe


def size_problem(text: str) -> str:
    """The error in a recipe's size, for the constructor, the policy pack and the sandbox; empty if there is none."""
    size = len(text.encode())
    return f"{size} bytes, allowed are {COMPONENT_RECIPE_BYTES}" if size > COMPONENT_RECIPE_BYTES else ""


def release(version: str) -> tuple[int, ...]:
    """The numbers of a semantic version, by which versions are ordered."""
    return tuple(int(part) for part in re.split(r"[-+]", version)[0].split("."))


def _check_manifest(manifest: Any, where: str) -> None:
    _check_keys(manifest, _MANIFEST_KEYS, where)
    _check_lifecycle(manifest.get("Lifecycle", {}), f"{where}.Lifecycle")
    for index, artifact in enumerate(manifest.get("Artifacts", [])):
        place = f"{where}.Artifacts[{index}]"
        _check_keys(artifact, _ARTIFACT_KEYS, place)
        _check_keys(artifact.get("Permission", {}), _PERMISSION_KEYS, f"{place}.Permission")
        if "Uri" not in artifact:
            raise RecipeError(f"{place} lacks Uri")
        bucket_and_key(artifact["Uri"])


def _check_lifecycle(lifecycle: dict[str, Any], where: str) -> None:
    _check_keys(lifecycle, _LIFECYCLE_KEYS, where)
    for name, step in lifecycle.items():
        if name == "Setenv" or isinstance(step, str):
            continue
        _check_keys(step, _STEP_KEYS, f"{where}.{name}")
        if "Script" not in step:
            raise RecipeError(f"{where}.{name} lacks Script")


def _check_keys(value: Any, allowed: dict[str, Any], where: str) -> None:
    if not isinstance(value, dict):
        raise RecipeError(f"{where} must be a map, not {type(value).__name__}")
    for key, item in value.items():
        if key not in allowed:
            similar = [name for name in allowed if name.lower() == str(key).lower()]
            if similar:
                raise RecipeError(
                    f"{where}.{key} must be spelled {similar[0]}: keys are case-sensitive on nucleus lite"
                )
            raise RecipeError(f"{where} has the unknown key {key!r}; allowed are {', '.join(allowed)}")
        if not isinstance(item, allowed[key]):
            raise RecipeError(f"{where}.{key} has the wrong type {type(item).__name__}")
        if key in _CHOICES and item not in _CHOICES[key]:
            raise RecipeError(f"{where}.{key} is {item!r}; allowed are {', '.join(_CHOICES[key])}")
