"""Greengrass component versions from the folders of `pm_edge/components/`: recipe, artifact, and a version by content.

A recipe file holds placeholders where only the library knows better: the version, the artifact's bucket and key, and in
`accessControl` the site (`pm/SITE/*/reading`), which comes with the deployment and not with the component.
"""

import ast
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pm_components.aws import archives, packaging
from pm_components.aws.recipe_format import parse_recipe, size_problem
from pm_components.functions import component_recipes
from pm_components.functions.component_recipes import (
    VERSION_PLACEHOLDER,
    Published,
    RecipeError,
    default_configuration,
)
from pm_contracts import site_devices as site_devices_contract

EDGE = packaging.ROOT / "pm_edge"
COMPONENTS = "components"
"""The folder of `pm_edge/` that holds them."""

CODE_ARTIFACT = "component.zip"
"""The artifact of a component that runs code of ours; a model's artifact comes from the pipeline."""
SITE_DEVICES = "site_devices"
"""The folder of the component that brings a site's list of devices."""
_SITE = "SITE"


class ComponentSource(NamedTuple):
    """A component as its folder has it: its recipe with placeholders, and the files that it runs."""

    folder: str
    recipe: dict[str, Any]
    files: dict[str, bytes]

    @property
    def name(self) -> str:
        """The component's name."""
        return str(self.recipe["ComponentName"])

    @property
    def artifact_name(self) -> str:
        """The artifact's file name, empty if the component has none."""
        return component_recipes.artifact_name(self.recipe)

    def artifact_key(self, prefix: str) -> str:
        """The key of the artifact in its bucket, `prefix` being that of all that the publisher keeps there."""
        return component_recipes.artifact_key(self.recipe, prefix, self.artifact())

    def published(self, bucket: str, prefix: str) -> Published:
        """The recipe as it is registered, and the version that follows from it; see `component_recipes.published`.

        Raises:
            RecipeError: if the text is longer than Greengrass takes.
        """
        made = component_recipes.published(self.recipe, bucket, prefix, self.artifact())
        if problem := size_problem(made.recipe):
            raise RecipeError(f"recipe of {self.name}: {problem}")
        return made

    def artifact(self) -> bytes:
        """The artifact, a ZIP archive that is the same for the same files."""
        return component_recipes.zipped(self.files)


def load(folder: str) -> ComponentSource:
    """The component of `pm_edge/components/{folder}`.

    Raises:
        RecipeError: if the recipe lacks a placeholder that the library fills in, or Greengrass would refuse it.
        FileNotFoundError: if there is no recipe.
    """
    path = EDGE / COMPONENTS / folder / "recipe.yaml"
    try:
        recipe = parse_recipe(path.read_bytes())
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
    if recipe["ComponentVersion"] != VERSION_PLACEHOLDER:
        raise RecipeError(
            f"{path}: ComponentVersion is {recipe['ComponentVersion']!r}, allowed is {VERSION_PLACEHOLDER!r}: "
            "the library derives it from the content"
        )
    name = component_recipes.artifact_name(recipe, path)
    if name != CODE_ARTIFACT:
        return ComponentSource(folder, recipe, {})
    if not path.with_name("__main__.py").exists():
        raise RecipeError(f"{path}: it runs {name}, and there is no __main__.py beside it")
    return ComponentSource(folder, recipe, archives.read_files(artifact_files(folder)))


def site_devices(site: str, devices: Mapping[str, str]) -> ComponentSource:
    """The component that brings the list of a site's devices to its core devices.

    Args:
        site: the site's name.
        devices: the type of each device by its name.

    Raises:
        Refused: for a name or a type that the contract does not have.
    """
    source = load(SITE_DEVICES)
    return source._replace(files={site_devices_contract.FILE_NAME: site_devices_contract.encode(site, devices)})


def artifact_files(folder: str) -> dict[str, Path]:
    """Files that the component runs, by path: its folder's, what these import of `pm_edge`, and the contracts."""
    waiting = sorted((EDGE / COMPONENTS / folder).rglob("*.py"))
    found: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += sorted(_imported_files(file))
    code = {file.relative_to(EDGE.parent).as_posix(): file for file in sorted(found)}
    return code | packaging.below("pm_contracts", packaging.files_below(packaging.ROOT / "pm_contracts"))


def require_roots(templates: Iterable[Mapping[str, Any]], deployed: Collection[str]) -> None:
    """Refuse a deployment that leaves open in which version a dependency comes.

    Greengrass takes the newest of all versions in account and region, those of other stacks, too, where a recipe allows
    it and no deployment of the device names another.

    Args:
        templates: the recipes of the deployment's components.
        deployed: all components that the deployment names.

    Raises:
        RecipeError: if a dependency is not among them.
    """
    for template in templates:
        if missing := sorted(set(component_recipes.dependencies(template)) - set(deployed)):
            raise RecipeError(
                f"recipe of {template['ComponentName']}: depends on {', '.join(missing)}, and its deployment names "
                f"{', '.join(sorted(deployed))}: let it name the version of what it depends on, too"
            )


class ConfigurationUpdate(NamedTuple):
    """The changes of a deployment to a component's configuration, as small as possible: lite has room for little."""

    merge: dict[str, Any]
    """Values that differ from the recipe's defaults."""
    reset: list[str]
    """JSON pointers of what goes back to the default, where an earlier deployment has set it: a nucleus keeps that."""


def site_configuration(recipe: Mapping[str, Any], site: str, values: Mapping[str, str]) -> ConfigurationUpdate:
    """Return the changes of a deployment to the component's configuration for one site.

    Args:
        recipe: with placeholders.
        site: the site's name.
        values: configuration values by key; those that the component has no key for are left out.
    """
    defaults = default_configuration(recipe)
    wanted = {key: value for key, value in {**values, "site": site}.items() if key in defaults}
    merge: dict[str, Any] = {key: value for key, value in wanted.items() if value != defaults[key]}
    if "accessControl" in defaults:
        # Objects are merged key by key, and the nucleus has operations and descriptions from the recipe.
        merge["accessControl"] = {
            service: {
                name: {"resources": [_site_topic(topic, site) for topic in policy["resources"]]}
                for name, policy in policies.items()
            }
            for service, policies in defaults["accessControl"].items()
        }
    return ConfigurationUpdate(merge, [f"/{key}" for key in sorted(wanted.keys() - merge.keys())])


def configuration_object(component: str, text: str) -> dict[str, Any]:
    """The changes to a component's configuration, given as JSON.

    Raises:
        RecipeError: if `text` is no JSON object.
    """
    try:
        configuration = json.loads(text)
    except ValueError as error:
        raise RecipeError(f"configuration of {component}: found {text!r}, allowed is JSON ({error})") from error
    if not isinstance(configuration, dict):
        raise RecipeError(f"configuration of {component}: found {text!r}, allowed is a JSON object")
    return configuration


def _site_topic(topic: str, site: str) -> str:
    """`topic` with the site's name."""
    return "/".join(site if level == _SITE else level for level in topic.split("/"))


def _imported_files(file: Path) -> set[Path]:
    """Files of `pm_edge` that a module imports, itself and its packages included."""
    names = [file.relative_to(EDGE.parent).with_suffix("").as_posix().replace("/", ".")]
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    found: set[Path] = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == EDGE.name:
            modules = [EDGE.parent.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
            found |= {path for module in modules for path in (module / "__init__.py", module.with_suffix(".py"))}
    return {path for path in found if path.is_file()}
