"""Greengrass component versions made from the folders below `edge/`: recipe, artifact and a version from the content.

A recipe file holds placeholders where only the library knows better: the version, the artifact's bucket and key, and in
`accessControl` the site and its devices (`pm/SITE/MACHINE_DEVICE/reading`), which differ from site to site and come
therefore with the deployment and not with the component.
"""

import ast
import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pm_components import archives, packaging
from pm_components.limits import COMPONENT_RECIPE_BYTES
from pm_contracts.measurements import AIR_QUALITY, MACHINE

EDGE = packaging.ROOT / "edge"

ARTIFACT_PREFIX = "s3://BUCKET/KEY/"
CODE_ARTIFACT = "component.zip"
"""The artifact of a component that runs code of ours; a model's artifact comes from the pipeline."""
VERSION_PLACEHOLDER = "0.0.0"
_SITE = "SITE"
#: What stands for a device's name in a topic of `accessControl`, and the device types it stands for.
_DEVICES = {
    "AIR_QUALITY_DEVICE": (AIR_QUALITY,),
    "MACHINE_DEVICE": (MACHINE,),
    "DEVICE": (AIR_QUALITY, MACHINE),
}


class RecipeError(ValueError):
    """A recipe file that cannot be published; the text names the file, what was found and what is allowed."""


class ComponentSource(NamedTuple):
    """A component as the folder below `edge/` has it: its recipe with placeholders, and the files that it runs."""

    folder: str
    recipe: dict[str, Any]
    files: dict[str, bytes]

    @property
    def name(self) -> str:
        """The component's name."""
        return str(self.recipe["ComponentName"])

    @property
    def version(self) -> str:
        """The version, which changes when the recipe or a file of the artifact changes, and only then."""
        recipe = json.dumps(self.recipe, sort_keys=True).encode()
        return archives.content_version(archives.digest({**self.files, "recipe.json": recipe}))

    @property
    def artifact_name(self) -> str:
        """The artifact's file name, empty where the component has none."""
        return artifact_name(self.recipe)

    def artifact_key(self, publication: str) -> str:
        """Where the artifact lies in the artifact bucket; a version that `publication` makes has a key of its own."""
        return f"components/{publication}/{self.name}/{self.version}/{self.artifact_name}"

    def artifact(self) -> bytes:
        """The artifact, a ZIP archive that is the same for the same files."""
        return archives.zip_bytes(self.files)


def load(folder: str) -> ComponentSource:
    """The component of `edge/{folder}`.

    Raises:
        RecipeError: where the recipe lacks a placeholder that the library fills in, or is no recipe at all.
        FileNotFoundError: where there is no recipe.
    """
    path = EDGE / folder / "recipe.yaml"
    recipe = yaml.safe_load(path.read_text())
    if not isinstance(recipe, dict) or "ComponentName" not in recipe:
        raise RecipeError(f"{path}: found no ComponentName, a Greengrass recipe has one")
    if recipe.get("ComponentVersion") != VERSION_PLACEHOLDER:
        raise RecipeError(
            f"{path}: ComponentVersion is {recipe.get('ComponentVersion')!r}, allowed is {VERSION_PLACEHOLDER!r}: "
            "the library derives it from the content"
        )
    name = artifact_name(recipe, path)
    if name != CODE_ARTIFACT:
        return ComponentSource(folder, recipe, {})
    if not (EDGE / folder / "__main__.py").exists():
        raise RecipeError(f"{path}: it runs {name}, and there is no __main__.py beside it")
    return ComponentSource(folder, recipe, archives.read_files(artifact_files(folder)))


def artifact_name(recipe: Mapping[str, Any], path: Path | None = None) -> str:
    """The file name of a recipe's artifact, empty where it has none.

    Raises:
        RecipeError: for more than one artifact, or one that is not at the placeholder.
    """
    uris = sorted({artifact["Uri"] for artifact in _artifacts(recipe)})
    if len(uris) > 1 or any(not uri.startswith(ARTIFACT_PREFIX) for uri in uris):
        raise RecipeError(f"{path or 'recipe'}: artifacts {uris}, allowed is one at most, at {ARTIFACT_PREFIX}NAME")
    return uris[0].removeprefix(ARTIFACT_PREFIX) if uris else ""


def artifact_files(folder: str) -> dict[str, Path]:
    """What the component runs, by path: its folder, the folders of `edge` that these import, and the contracts."""
    folders: list[str] = []
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        if current not in folders:
            folders.append(current)
            waiting += sorted(_imported_folders(EDGE / current))
    files = {"edge/__init__.py": EDGE / "__init__.py"}
    for found in folders:
        below = packaging.files_below(EDGE / found)
        files |= packaging.below(f"edge/{found}", {path: file for path, file in below.items() if path != "recipe.yaml"})
    return files | packaging.below("pm_contracts", packaging.files_below(packaging.ROOT / "pm_contracts"))


def published(recipe: Mapping[str, Any], version: str, artifact_uri: str) -> str:
    """The recipe as it is registered, JSON.

    Args:
        recipe: with placeholders.
        version: the component's version.
        artifact_uri: `s3://bucket/key` of the artifact; not used where the recipe has none.

    Raises:
        RecipeError: where the text is longer than Greengrass takes.
    """
    filled = copy.deepcopy(dict(recipe))
    filled["ComponentVersion"] = version
    for artifact in _artifacts(filled):
        artifact["Uri"] = artifact_uri
    text = json.dumps(filled, indent=1)
    if problem := size_problem(text):
        raise RecipeError(f"recipe of {recipe['ComponentName']}: {problem}")
    return text


def size_problem(text: str) -> str:
    """What is wrong with a recipe's size, for the constructor and the policy pack; empty where nothing is."""
    size = len(text.encode())
    return f"{size} bytes, allowed are {COMPONENT_RECIPE_BYTES}" if size > COMPONENT_RECIPE_BYTES else ""


def site_configuration(
    recipe: Mapping[str, Any], site: str, device_types: Mapping[str, str], values: Mapping[str, str]
) -> dict[str, Any]:
    """What a deployment merges into the component's default configuration for one site.

    Args:
        recipe: with placeholders.
        site: the site's name.
        device_types: the type of each device by its name.
        values: configuration values by key; those that the component has no key for are left out.
    """
    configuration = recipe.get("ComponentConfiguration", {}).get("DefaultConfiguration", {})
    devices = ",".join(f"{name}={type_}" for name, type_ in sorted(device_types.items()))
    merged: dict[str, Any] = {
        key: value for key, value in {**values, "site": site, "devices": devices}.items() if key in configuration
    }
    if "accessControl" in configuration:
        merged["accessControl"] = copy.deepcopy(configuration["accessControl"])
        for service in merged["accessControl"].values():
            for policy in service.values():
                policy["resources"] = _site_topics(policy["resources"], site, device_types)
    return merged


def configuration_object(component: str, text: str) -> dict[str, Any]:
    """What someone sets of a component's configuration, given as JSON.

    Raises:
        RecipeError: where `text` is no JSON object.
    """
    try:
        configuration = json.loads(text)
    except ValueError as error:
        raise RecipeError(f"configuration of {component}: found {text!r}, allowed is JSON ({error})") from error
    if not isinstance(configuration, dict):
        raise RecipeError(f"configuration of {component}: found {text!r}, allowed is a JSON object")
    return configuration


def merged_configuration(site: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """What a deployment merges into a component's configuration, JSON: the site's, with `own` over it.

    Objects within `own` are merged key by key; all else replaces what is there.
    """
    return json.dumps(_merged(site, own), sort_keys=True)


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in change.items():
        inner = result.get(key)
        result[key] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return result


def _site_topics(topics: Sequence[str], site: str, device_types: Mapping[str, str]) -> list[str]:
    """`topics` with the site's name and one line for each device that a placeholder stands for."""
    filled: list[str] = []
    for topic in topics:
        levels = [site if level == _SITE else level for level in topic.split("/")]
        placeholder = next((level for level in levels if level in _DEVICES), None)
        if placeholder is None:
            filled.append("/".join(levels))
            continue
        names = sorted(name for name, type_ in device_types.items() if type_ in _DEVICES[placeholder])
        filled += ["/".join(name if level == placeholder else level for level in levels) for name in names]
    return filled


def _artifacts(recipe: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for manifest in recipe.get("Manifests", []):
        yield from manifest.get("Artifacts", [])


def _imported_folders(directory: Path) -> set[str]:
    """The folders of `edge` that the modules in `directory` import."""
    found: set[str] = set()
    for file in directory.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(), str(file))):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            parts = [module.split(".") for module in modules]
            found |= {part[1] for part in parts if part[0] == "edge" and len(part) > 1 and (EDGE / part[1]).is_dir()}
    return found
