"""A site in the registry of AWS IoT: its things with their types, and the groups of its core devices."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.group_names import canary_group_name, code_group_name, model_group_name
from pm_contracts.site_devices import thing_name


class SiteGroups(NamedTuple):
    """The thing groups of a site's core devices, by who owns their deployments."""

    code: aws.iot.ThingGroup
    """The group of the components' deployment: the site's."""
    model: aws.iot.ThingGroup
    """The group of the models' deployment: the pipeline's."""
    canary: aws.iot.ThingGroup
    """The group of the challengers' deployment: the pipeline's."""


def site_things(
    name: str, site: str, cores: Sequence[str], devices: Mapping[str, str], *, parent: pulumi.Resource
) -> dict[str, aws.iot.Thing]:
    """A thing for each core device and each device, of a thing type each; gives those of the core devices by name.

    Args:
        name: logical name.
        site: the site's name.
        cores: thing names of the core devices.
        devices: the type of each device by its name.
        parent: the component that they belong to.
    """
    options = pulumi.ResourceOptions(parent=parent)
    types = {
        kind: aws.iot.ThingType(
            f"{name}-{kind.replace('_', '-')}-type",
            name=naming.physical_name(name, kind),
            properties={
                "description": f"{kind.replace('_', ' ')} of site {site}",
                "searchable_attributes": ["site"],
            },
            opts=options,
        )
        for kind in ("core_device", *sorted(set(devices.values())))
    }
    for device, kind in devices.items():
        aws.iot.Thing(
            f"{name}-{device}-thing",
            name=thing_name(site, device),
            thing_type_name=types[kind].name,
            attributes={"site": site, "device": device},
            opts=options,
        )
    return {
        core: aws.iot.Thing(
            f"{name}-{core}-thing",
            name=core,
            thing_type_name=types["core_device"].name,
            attributes={"site": site},
            opts=options,
        )
        for core in cores
    }


def site_groups(
    name: str, site: str, cores: Mapping[str, aws.iot.Thing], canaries: Sequence[str], *, parent: pulumi.Resource
) -> SiteGroups:
    """The groups for code, for models and for trying models out, each with its core devices.

    Args:
        name: logical name.
        site: the site's name.
        cores: the things of the core devices by name.
        canaries: those that try new models first.
        parent: the component that they belong to.
    """
    options = pulumi.ResourceOptions(parent=parent)

    def group(purpose: str, physical: str, what: str, members: Sequence[str]) -> aws.iot.ThingGroup:
        made = aws.iot.ThingGroup(
            f"{name}-{purpose}-group",
            name=physical,
            properties={"description": f"Core devices of site {site}: {what}"},
            opts=options,
        )
        for core in members:
            aws.iot.ThingGroupMembership(
                f"{name}-{core}-{purpose}-membership",
                thing_name=cores[core].name,
                thing_group_name=made.name,
                opts=options,
            )
        return made

    return SiteGroups(
        code=group("code", code_group_name(site), "components", list(cores)),
        model=group("model", model_group_name(site), "models", list(cores)),
        canary=group("canary", canary_group_name(site), "models on trial", canaries),
    )
