"""The deployment of every edge component to a site's core devices, configured for the site."""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pulumi
import pulumi_aws as aws
from pulumi_aws_native import greengrassv2

from pm_components.aws import naming, recipes
from pm_components.aws.checking import checked
from pm_components.aws.lookups import looked_up
from pm_components.functions.component_recipes import default_configuration, merged
from pm_components.greengrass_site import client_devices, lite_limits, nuclei, public_components
from pm_components.greengrass_site.edge_components import publish, sources
from pm_contracts import model_signature

_UPDATE_SECONDS = 60
#: Stand-ins for what is not known while the program runs, where a site is held to nucleus lite's limits: the longest
#: version of ours, thing group and endpoint.
_LONGEST_VERSION = "1.999999.999999"
_LONGEST_GROUP = "g" * 64
_LONGEST_ENDPOINT = f"{'e' * 14}-ats.iot.ap-southeast-1.amazonaws.com"


class SiteSettings(NamedTuple):
    """The settings of the components."""

    site: str
    core_devices: Sequence[str]
    """Thing names of the core devices."""
    devices: Mapping[str, str]
    """The type of each device of the site by its name."""
    serves_devices: bool
    """True if the devices connect to the core devices: the components for that are then deployed too."""
    nucleus: nuclei.Nucleus
    """The nucleus of the core devices."""
    values: Mapping[str, pulumi.Input[str]]
    """Configuration values by key, the same for every component that has the key."""
    own: Mapping[str, pulumi.Input[str]]
    """A JSON object by component: merged over what the site sets of its configuration."""


class _Known(NamedTuple):
    """The sources of the configuration of a site's components, once they are known."""

    values: Mapping[str, str]
    own: Mapping[str, Mapping[str, Any]]
    """By component: what is merged over what the site sets."""


def site_deployment(
    name: str,
    settings: SiteSettings,
    versions: pulumi.Input[Mapping[str, pulumi.Input[str]]],
    artifact_bucket: pulumi.Input[str],
    model_keys: pulumi.Input[Sequence[pulumi.Input[str]]],
    group: aws.iot.ThingGroup,
    *,
    parent: pulumi.Resource,
) -> greengrassv2.Deployment:
    """The deployment `{name}-deployment`, the one of its group, and the site's devices and keys that it brings.

    Args:
        name: logical name.
        settings: what the components are set up with.
        versions: the version of each component by its name.
        artifact_bucket: name of the bucket that keeps the lists of devices and keys.
        model_keys: public keys in PEM that models are to be signed by.
        group: the target.
        parent: the component that it belongs to.

    Raises:
        RecipeError: if a component depends on one that the deployment does not name.
        ValueError: if something is set of a component that is not deployed, a component that the devices need is not
            known to run on the nucleus, or nucleus lite has no room for the site.
    """
    devices = recipes.site_devices(settings.site, settings.devices)
    ours = [devices, *sources()]
    public = _public_components(settings)
    names = {source.name for source in ours} | public.keys()
    if strangers := sorted(settings.own.keys() - names):
        raise ValueError(
            f"GreengrassSite.configuration: found {', '.join(strangers)}, allowed are {', '.join(sorted(names))}"
        )
    own = {
        component: checked(text, functools.partial(recipes.configuration_object, component))
        for component, text in settings.own.items()
    }
    endpoint = looked_up(aws.iot.get_endpoint_output, parent, endpoint_type="iot:Data-ATS").endpoint_address
    check = functools.partial(_fitting, name, settings, ours)
    # At once, as far as it is known; and again when all of it is.
    checked({**settings.values, **own}, lambda given: check(_given(settings, given, _LONGEST_ENDPOINT)))
    known: pulumi.Output[_Known] = pulumi.Output.all(**settings.values, **own, endpoint=endpoint).apply(
        lambda given: check(_given(settings, given, given["endpoint"]))
    )
    published: pulumi.Output[Any] = pulumi.Output.from_input(versions)
    keys: pulumi.Output[Any] = pulumi.Output.from_input(model_keys)
    trusted = keys.apply(lambda pems: {model_signature.KEYS_FILE: model_signature.encode_keys(pems)})
    listed = publish(name, devices, artifact_bucket, parent=parent, more=trusted)
    components = {
        source.name: greengrassv2.DeploymentComponentDeploymentSpecificationArgs(
            component_version=listed if source is devices else _version(published, source.name),
            configuration_update=_update(source, settings.site, known),
        )
        for source in ours
    }
    for component, one in public.items():
        components[component] = _public_specification(one, own.get(component, {}))
    recipes.require_roots((source.recipe for source in ours), components)
    return greengrassv2.Deployment(
        f"{name}-deployment",
        target_arn=group.arn,
        deployment_name=_deployment_name(name),
        components=components,
        deployment_policies={
            "failure_handling_policy": greengrassv2.DeploymentPoliciesFailureHandlingPolicy.ROLLBACK,
            "component_update_policy": {
                # None of the components asks for a delay, so that there is nobody to wait for.
                "action": greengrassv2.DeploymentComponentUpdatePolicyAction.SKIP_NOTIFY_COMPONENTS,
                "timeout_in_seconds": _UPDATE_SECONDS,
            },
        },
        # Cloud Control cancels a deployment before it deletes it, and one that another has taken the place of cannot be
        # cancelled any more: the old one goes first. Core devices keep what it installed ("Cancel deployments", AWS IoT
        # Greengrass V2 developer guide; DeleteHandler of AWS::GreengrassV2::Deployment).
        opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
    )


def _deployment_name(name: str) -> str:
    return naming.physical_name(name, "components")


def _given(settings: SiteSettings, given: Mapping[str, Any], endpoint: str) -> _Known:
    """The values and the changes by component, out of one mapping of both."""
    values = {key: given[key] for key in settings.values}
    return _Known({**values, "endpoint": endpoint}, {component: given[component] for component in settings.own})


def _fitting(name: str, settings: SiteSettings, ours: Sequence[recipes.ComponentSource], known: _Known) -> _Known:
    """`known`, checked: where the site runs nucleus lite, its deployment fits.

    Raises:
        ValueError: if it does not; the text names what does not, with its size.
    """
    if settings.nucleus.kind is nuclei.NucleusKind.LITE:
        components = {}
        for source in ours:
            update = _site_update(source, settings.site, known)
            configuration = merged(default_configuration(source.recipe), update.merge)
            components[source.name] = lite_limits.LiteComponent(
                _LONGEST_VERSION, update.merge, tuple(update.reset), configuration
            )
        deployment = lite_limits.LiteDeployment(
            name=_deployment_name(name),
            thing_group=_LONGEST_GROUP,
            thing_name=max(settings.core_devices, key=len, default=""),
            components=components,
        )
        if problems := lite_limits.problems(deployment):
            raise ValueError(f"GreengrassSite {name}: {'; '.join(problems)}")
    return known


def _site_update(source: recipes.ComponentSource, site: str, known: _Known) -> recipes.ConfigurationUpdate:
    """The changes of the site's deployment to a component's configuration."""
    update = recipes.site_configuration(source.recipe, site, known.values)
    return update._replace(merge=merged(update.merge, known.own.get(source.name, {})))


def _version(published: pulumi.Output[Any], component: str) -> pulumi.Output[str]:
    return published.apply(lambda versions: str(versions[component]))


def _update(
    source: recipes.ComponentSource, site: str, known: pulumi.Output[_Known]
) -> greengrassv2.DeploymentComponentConfigurationUpdateArgs:
    update = known.apply(lambda found: _site_update(source, site, found))
    return greengrassv2.DeploymentComponentConfigurationUpdateArgs(
        merge=update.apply(lambda found: _json(found.merge)), reset=update.apply(lambda found: found.reset)
    )


def _public_components(settings: SiteSettings) -> dict[str, client_devices.PublicComponent]:
    """AWS's own components in the deployment."""
    nucleus = settings.nucleus
    found: dict[str, client_devices.PublicComponent] = {}
    if nucleus.is_deployed:
        found[nuclei.COMPONENT] = client_devices.PublicComponent(nucleus.version, {})
    if settings.serves_devices and settings.devices:
        try:
            releases = public_components.chosen(nucleus.version)
        except public_components.NotDocumented as error:
            raise ValueError(f"GreengrassSite.nucleus.version: {error}; or set client_devices to false") from error
        found |= client_devices.components(settings.site, settings.devices, releases)
    return found


def _public_specification(
    component: client_devices.PublicComponent, own: pulumi.Input[Mapping[str, Any]]
) -> greengrassv2.DeploymentComponentDeploymentSpecificationArgs:
    """One of AWS's components in the deployment."""
    merge = pulumi.Output.from_input(own).apply(lambda known: _json(merged(component.configuration, known)))
    return greengrassv2.DeploymentComponentDeploymentSpecificationArgs(
        component_version=component.version,
        configuration_update=greengrassv2.DeploymentComponentConfigurationUpdateArgs(merge=merge),
    )


def _json(configuration: Mapping[str, Any]) -> str:
    return json.dumps(configuration, sort_keys=True, separators=(",", ":"))
