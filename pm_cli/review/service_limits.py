"""Use of quotas by a stack's sites, and the dependencies of their components."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pm_components.aws import limits
from pm_components.functions.component_recipes import default_configuration, merged
from pm_components.greengrass_site import lite_limits, nuclei
from pm_components.greengrass_site.public_components import RELEASES
from pm_components.stack.config import Site
from pm_sandbox.recorder import Recording, Registered

#: Subscriptions of a classic nucleus beside those of the shadows that it keeps in step, two a shadow: it was seen to
#: open a second connection for the 20th, so that it has 11 or 12 of its own.
_OWN_SUBSCRIPTIONS = 12
_SUBSCRIPTIONS_A_SHADOW = 2
_LITE = "the source of aws-greengrass-lite 2.6.0, as pm_components/aws/limits.py has it"


class ComponentVersion(NamedTuple):
    """A component that a stack deploys."""

    name: str
    version: str
    dependencies: dict[str, str]
    """The versions that it takes of another component, by its name; `unknown` where AWS does not document them."""


class Use(NamedTuple):
    """A site's use of a quota."""

    quota: str
    used: int
    limit: int
    unit: str
    of: str
    """The user of the quota."""
    source: str
    """Source of the limit."""


def component_versions(recording: Recording) -> list[ComponentVersion]:
    """The components that a stack deploys: its own, and AWS's."""
    found = {}
    for recipe in _recipes(recording):
        wanted = recipe.get("ComponentDependencies", {})
        ranges = {name: str(one["VersionRequirement"]) for name, one in sorted(wanted.items())}
        found[recipe["ComponentName"], recipe["ComponentVersion"]] = ranges
    for deployment in recording.of_type("aws-native:greengrassv2:Deployment").values():
        for name, component in deployment.inputs["components"].items():
            for release in RELEASES.get(name, ()):
                if release.version == component["componentVersion"]:
                    found[name, release.version] = {
                        other: str(takes) if takes else "unknown" for other, takes in release.requires.items()
                    }
            if name == nuclei.COMPONENT:
                found[name, component["componentVersion"]] = {}
    return [ComponentVersion(name, version, ranges) for (name, version), ranges in sorted(found.items())]


def service_limits(recording: Recording, sites: Sequence[Site]) -> dict[str, list[Use]]:
    """Return the use of each quota by each site of a stack."""
    recipes = {recipe["ComponentName"]: recipe for recipe in _recipes(recording)}
    return {site.name: list(_uses(recording, site, recipes)) for site in sites}


def _uses(recording: Recording, site: Site, recipes: Mapping[str, Mapping[str, Any]]) -> Iterator[Use]:
    children = [one for one in recording.resources if one.parent.endswith(f":GreengrassSite::{site.name}")]
    deployments = [one for one in children if one.type == "aws-native:greengrassv2:Deployment"]
    if len(deployments) != 1:
        return  # A program of another shape, which has the site in its configuration and not in a component.
    (deployment,) = deployments
    components: Mapping[str, Any] = deployment.inputs["components"]
    kind = nuclei.NucleusKind(site.nucleus.kind or "classic") if site.nucleus else nuclei.NucleusKind.CLASSIC

    yield _subscriptions(site, kind)
    sizes = {name: len(json.dumps(recipes[name], indent=1)) for name in components if name in recipes}
    largest = max(sizes, key=lambda name: sizes[name])
    source = '"Maximum size of component recipe", AWS IoT Greengrass V2 quotas'
    yield Use("recipe", sizes[largest], limits.COMPONENT_RECIPE_BYTES, "bytes", largest, source)

    held = _held(site, deployment, recipes)
    source = '"Maximum size of deployment document with large configuration support", AWS IoT Greengrass V2 quotas'
    used = lite_limits.document_bytes(held)
    yield Use("deployment", used, limits.DEPLOYMENT_DOCUMENT_BYTES, "bytes", deployment.name, source)
    if kind is nuclei.NucleusKind.LITE:
        for one in lite_limits.uses(held):
            yield Use("nucleus lite", one.used, one.limit, "bytes", one.what, _LITE)

    source = '"Policy document size", AWS IoT Core quotas'
    for policy in sorted((one for one in children if one.type == "aws:iot/policy:Policy"), key=lambda one: one.name):
        text = json.dumps(json.loads(policy.inputs["policy"]), separators=(",", ":"))
        yield Use("policy", len(text), limits.IOT_POLICY_CHARACTERS, "characters", policy.name, source)


def _subscriptions(site: Site, kind: nuclei.NucleusKind) -> Use:
    """Subscriptions of the fullest connection of a core device's nucleus, which opens another when one is full."""
    serves = site.client_devices and kind is nuclei.NucleusKind.CLASSIC
    total = _OWN_SUBSCRIPTIONS + (_SUBSCRIPTIONS_A_SHADOW * len(site.devices) if serves else 0)
    limit = limits.IOT_SUBSCRIPTIONS_PER_CONNECTION
    connections = math.ceil(total / limit)
    of = f"a core device's nucleus: {total} on {connections} connection{'s' if connections > 1 else ''}, inferred"
    source = '"Subscriptions per connection", AWS IoT Core quotas'
    return Use("subscriptions a connection", min(total, limit), limit, "subscriptions", of, source)


def _held(site: Site, deployment: Registered, recipes: Mapping[str, Mapping[str, Any]]) -> lite_limits.LiteDeployment:
    """A site's deployment as a nucleus holds it."""
    held = {}
    for name, component in deployment.inputs["components"].items():
        update = component.get("configurationUpdate", {})
        merge = json.loads(update.get("merge") or "{}")
        defaults = default_configuration(recipes.get(name, {}))
        reset = tuple(update.get("reset") or ())
        held[name] = lite_limits.LiteComponent(component["componentVersion"], merge, reset, merged(defaults, merge))
    group = deployment.inputs["targetArn"].rpartition("/")[2]
    return lite_limits.LiteDeployment(deployment.inputs["deploymentName"], group, max(site.core_devices, key=len), held)


def _recipes(recording: Recording) -> list[dict[str, Any]]:
    """The recipes that a program registers."""
    versions = recording.of_type("aws-native:greengrassv2:ComponentVersion").values()
    return [json.loads(one.inputs["inlineRecipe"]) for one in versions]
