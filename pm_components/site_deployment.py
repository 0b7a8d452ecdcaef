"""What a site's core devices run: one deployment of every edge component, set up for the site."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import pulumi
import pulumi_aws as aws
from pulumi_aws_native import greengrassv2

from pm_components import client_devices, naming, nuclei, public_components, recipes
from pm_components.checking import checked
from pm_components.edge_components import sources

_UPDATE_SECONDS = 60


class SiteSettings(NamedTuple):
    """What the components are set up with."""

    site: str
    devices: Mapping[str, str]
    """The type of each device of the site by its name."""
    serves_devices: bool
    """Whether the devices connect to the core devices: the components for that are then deployed too."""
    nucleus: nuclei.Nucleus
    """The nucleus of the core devices."""
    values: Mapping[str, pulumi.Input[str]]
    """Configuration values by key, the same for every component that has the key."""
    own: Mapping[str, pulumi.Input[str]]
    """A JSON object by component: merged over what the site sets of its configuration."""


def site_deployment(
    name: str,
    settings: SiteSettings,
    versions: pulumi.Input[Mapping[str, pulumi.Input[str]]],
    group: aws.iot.ThingGroup,
    *,
    parent: pulumi.Resource,
) -> greengrassv2.Deployment:
    """The deployment `{name}-deployment`, the one of its group.

    Args:
        name: logical name.
        settings: what the components are set up with.
        versions: the version of each component by its name.
        group: the target.
        parent: the component that it belongs to.

    Raises:
        ValueError: where something is set of a component that is not deployed, or a component that the devices need is
            not known to run on the nucleus.
    """
    own = {
        component: checked(text, functools.partial(recipes.configuration_object, component))
        for component, text in settings.own.items()
    }
    endpoint = aws.iot.get_endpoint_output(
        endpoint_type="iot:Data-ATS", opts=pulumi.InvokeOutputOptions(parent=parent)
    ).endpoint_address
    values: pulumi.Output[Mapping[str, str]] = pulumi.Output.all(**settings.values, endpoint=endpoint)
    components = {
        source.name: _specification(source, settings, versions, values, own.pop(source.name, {}))
        for source in sources()
    }
    for component, public in _public_components(settings).items():
        components[component] = _public_specification(public, own.pop(component, {}))
    if own:
        raise ValueError(
            f"GreengrassSite.configuration: found {', '.join(sorted(own))}, allowed are {', '.join(sorted(components))}"
        )
    return greengrassv2.Deployment(
        f"{name}-deployment",
        target_arn=group.arn,
        deployment_name=naming.physical_name(name, "components"),
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


def _specification(
    source: recipes.ComponentSource,
    settings: SiteSettings,
    versions: pulumi.Input[Mapping[str, pulumi.Input[str]]],
    values: pulumi.Output[Mapping[str, str]],
    own: pulumi.Input[Mapping[str, Any]],
) -> greengrassv2.DeploymentComponentDeploymentSpecificationArgs:
    """A component in the deployment: its version, and what the site sets of its configuration."""
    known_versions: pulumi.Output[Any] = pulumi.Output.from_input(versions)
    return greengrassv2.DeploymentComponentDeploymentSpecificationArgs(
        component_version=known_versions.apply(lambda known: str(known[source.name])),
        configuration_update=greengrassv2.DeploymentComponentConfigurationUpdateArgs(
            merge=pulumi.Output.all(values, own).apply(
                lambda known: recipes.merged_configuration(
                    recipes.site_configuration(source.recipe, settings.site, settings.devices, known[0]), known[1]
                )
            )
        ),
    )


def _public_specification(
    component: client_devices.PublicComponent, own: pulumi.Input[Mapping[str, Any]]
) -> greengrassv2.DeploymentComponentDeploymentSpecificationArgs:
    """One of AWS's components in the deployment."""
    merge = pulumi.Output.from_input(own).apply(
        lambda known: recipes.merged_configuration(component.configuration, known)
    )
    return greengrassv2.DeploymentComponentDeploymentSpecificationArgs(
        component_version=component.version,
        configuration_update=greengrassv2.DeploymentComponentConfigurationUpdateArgs(merge=merge),
    )
