"""A site: its things and groups, what its core devices may do, and the deployment of the edge components to them."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws
from pulumi_aws_native import greengrassv2

from pm_components import client_devices, naming, recipes
from pm_components.checking import checked
from pm_components.core_device_host import CoreDeviceHost
from pm_components.core_device_scripts import Nucleus
from pm_components.device_policies import client_device_policy, core_device_policy, serving_policy
from pm_components.edge_components import EdgeComponents, sources
from pm_components.fleet_provisioning import FleetProvisioning, fleet_provisioning
from pm_components.limits import ROLE_ALIAS_LENGTH
from pm_components.permissions import allow, service_role
from pm_components.plain import plain_keys, plain_mapping, plain_text, plain_texts
from pm_components.tagging import tagged_options

CREDENTIAL_SECONDS = 3600
DEFAULT_PYTHON = "/opt/pm/venv/bin/python"
DEFAULT_DATA_DIRECTORY = "/var/lib/pm"


OUTPUTS = (
    "thing_group",
    "model_thing_group",
    "canary_thing_group",
    "device_policy",
    "provisioning_template",
    "token_exchange_role_arn",
    "role_alias",
    "deployment_id",
)


class GreengrassSiteArgs(TypedDict):
    """Arguments of `GreengrassSite`."""

    site: pulumi.Input[str]
    """The site's name, a level of its topics; known while the program runs."""
    core_devices: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Thing names of the site's core devices; known while the program runs."""
    devices: pulumi.Input[Mapping[str, pulumi.Input[str]]]
    """The type (`air_quality` or `machine`) of each device of the site by its name; known while the program runs."""
    artifact_bucket: pulumi.Input[str]
    """Name of the bucket that keeps component artifacts below `components/` and models below `models/`."""
    component_versions: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Version of each edge component by its name, where they are published already; by default the site does it."""
    python: NotRequired[pulumi.Input[str]]
    """Python interpreter on the core devices; default `/opt/pm/venv/bin/python`."""
    data_directory: NotRequired[pulumi.Input[str]]
    """Directory on the core devices for outbox, models and identity; default `/var/lib/pm`."""
    flow_control: NotRequired[pulumi.Input[str]]
    """`aws` (default): the uplink keeps to the limits of AWS IoT Core; `none`: as fast as the endpoint acknowledges."""
    canary_devices: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Core devices that try new models first; default the first of `core_devices`. Known while the program runs."""
    client_devices: NotRequired[pulumi.Input[bool]]
    """Whether devices connect to the core devices by MQTT with certificates of their own; default true. It takes
    AWS's client device components, which nucleus lite does not run. Known while the program runs."""
    configuration: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """A JSON object by component name: merged over what the site sets of that component's configuration. Default
    none. Components known while the program runs."""
    serial_numbers: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Serial number of core devices by thing name: these may enrol themselves with a claim certificate. Default none.
    Known while the program runs."""
    host_instance_type: NotRequired[pulumi.Input[str]]
    """Instance type of an EC2 host that plays the first core device, which then needs a serial number; default none,
    since the plant has hardware of its own. Known while the program runs."""
    host_nucleus: NotRequired[pulumi.Input[Nucleus]]
    """Nucleus of that host, `classic` (default) or `lite`, which goes with `client_devices` false. Known while the
    program runs."""


def canary_group_name(site: str) -> str:
    """The thing group of the core devices of `site` that try new models; the pipeline owns its deployments."""
    return naming.physical_name(site, "canary")


def model_group_name(site: str) -> str:
    """The thing group that models of `site` are deployed to; the pipeline that makes them owns its deployments."""
    return naming.physical_name(site, "model")


class GreengrassSite(pulumi.ComponentResource):
    """One plant: core devices that run the edge components and take models, and the devices behind them.

    Private keys are made on the core device. Its certificate is to be attached to `device_policy` and, exclusively, to
    its thing.
    """

    thing_group: pulumi.Output[str]
    """Thing group of the core devices; the components are deployed to it."""
    model_thing_group: pulumi.Output[str]
    """Thing group of the core devices that models are deployed to."""
    canary_thing_group: pulumi.Output[str]
    """Thing group of the core devices that try new models first."""
    device_policy: pulumi.Output[str]
    """AWS IoT policy for the certificates of the core devices."""
    provisioning_template: pulumi.Output[str]
    """Fleet provisioning template by which core devices enrol themselves; empty where none has a serial number."""
    token_exchange_role_arn: pulumi.Output[str]
    """Role that a core device takes on to fetch artifacts."""
    role_alias: pulumi.Output[str]
    """Role alias of the token exchange role."""
    deployment_id: pulumi.Output[str]
    """The deployment of the edge components."""

    def __init__(self, name: str, args: GreengrassSiteArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        site = plain_text(args["site"], "GreengrassSite.site")
        super().__init__("pm:index:GreengrassSite", name, None, tagged_options(opts, "GreengrassSite", {"Site": site}))
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        cores = plain_texts(args["core_devices"], "GreengrassSite.core_devices")
        devices = plain_mapping(args["devices"], "GreengrassSite.devices")

        self._things(site, cores, devices)
        groups = self._groups(site, cores, _canaries(args, cores))
        role, alias = self._token_exchange(site, args["artifact_bucket"])
        policy = self._core_device_policy(site, alias.arn)
        serves_devices = bool(args.get("client_devices", True))
        if serves_devices:
            self._device_policies(site, groups["code"])
        provisioning = self._provisioning(site, args, policy, alias)
        deployment = self._deployment(site, devices if serves_devices else {}, devices, args, groups["code"])

        self.thing_group = groups["code"].name
        self.model_thing_group = groups["model"].name
        self.canary_thing_group = groups["canary"].name
        self.device_policy = policy.name
        self.provisioning_template = provisioning.template if provisioning else pulumi.Output.from_input("")
        self.token_exchange_role_arn = role
        self.role_alias = alias.alias
        self.deployment_id = deployment.deployment_id
        self.register_outputs({output: getattr(self, output) for output in OUTPUTS})

    def _things(self, site: str, cores: Sequence[str], devices: Mapping[str, str]) -> None:
        """A thing for each core device and each device, of a thing type each."""
        types = {
            kind: aws.iot.ThingType(
                f"{self._name}-{kind.replace('_', '-')}-type",
                name=naming.physical_name(site, kind),
                properties={
                    "description": f"{kind.replace('_', ' ')} of site {site}",
                    "searchable_attributes": ["site"],
                },
                opts=self._child,
            )
            for kind in ("core_device", *sorted(set(devices.values())))
        }
        self._core_things = {
            core: aws.iot.Thing(
                f"{self._name}-{core}-thing",
                name=core,
                thing_type_name=types["core_device"].name,
                attributes={"site": site},
                opts=self._child,
            )
            for core in cores
        }
        for device, kind in devices.items():
            aws.iot.Thing(
                f"{self._name}-{device}-thing",
                name=client_devices.thing_name(site, device),
                thing_type_name=types[kind].name,
                attributes={"site": site, "device": device},
                opts=self._child,
            )

    def _groups(self, site: str, cores: Sequence[str], canaries: Sequence[str]) -> dict[str, aws.iot.ThingGroup]:
        """The groups for code, for models and for trying models out, each with its core devices."""
        purposes = {
            "code": (naming.physical_name(site), "components", cores),
            "model": (model_group_name(site), "models", cores),
            "canary": (canary_group_name(site), "models on trial", canaries),
        }
        groups = {}
        for purpose, (physical, what, members) in purposes.items():
            groups[purpose] = aws.iot.ThingGroup(
                f"{self._name}-{purpose}-group",
                name=physical,
                properties={"description": f"Core devices of site {site}: {what}"},
                opts=self._child,
            )
            for core in members:
                aws.iot.ThingGroupMembership(
                    f"{self._name}-{core}-{purpose}-membership",
                    thing_name=self._core_things[core].name,
                    thing_group_name=groups[purpose].name,
                    opts=self._child,
                )
        return groups

    def _token_exchange(
        self, site: str, artifact_bucket: pulumi.Input[str]
    ) -> tuple[pulumi.Output[str], aws.iot.RoleAlias]:
        """The role that the core devices take on by their certificates, and its alias."""
        bucket_arn = pulumi.Output.concat("arn:", naming.partition(self), ":s3:::", artifact_bucket)
        log_groups = naming.arn("logs", "log-group:/aws/greengrass/*", self)
        statements = [
            allow(
                ["s3:GetObject"], [pulumi.Output.concat(bucket_arn, f"/{kept}/*") for kept in ("components", "models")]
            ),
            allow(
                ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                [log_groups],
            ),
        ]
        role = service_role(
            f"{self._name}-token-exchange",
            "credentials.iot.amazonaws.com",
            statements,
            parent=self,
            physical_name=naming.physical_name(site, "token-exchange"),
        )
        alias = aws.iot.RoleAlias(
            f"{self._name}-role-alias",
            alias=naming.physical_name(site, "token-exchange", maximum=ROLE_ALIAS_LENGTH),
            role_arn=role.arn,
            credential_duration=CREDENTIAL_SECONDS,
            opts=self._child,
        )
        return role.arn, alias

    def _core_device_policy(self, site: str, role_alias_arn: pulumi.Input[str]) -> aws.iot.Policy:
        """What a core device of the site may do at AWS IoT Core and the data plane of Greengrass."""
        document = pulumi.Output.all(head=self._iot_arn(), alias=role_alias_arn).apply(
            lambda known: core_device_policy(site, known["head"], known["alias"])
        )
        return aws.iot.Policy(
            f"{self._name}-policy", name=naming.physical_name(site, "core-device"), policy=document, opts=self._child
        )

    def _device_policies(self, site: str, group: aws.iot.ThingGroup) -> None:
        """What a core device may do for the devices behind it, and what these may do at AWS IoT themselves."""
        serving = aws.iot.Policy(
            f"{self._name}-serving-policy",
            name=naming.physical_name(site, "serving"),
            policy=self._iot_arn().apply(lambda head: serving_policy(site, head)),
            opts=self._child,
        )
        aws.iot.PolicyAttachment(
            f"{self._name}-serving-attachment", policy=serving.name, target=group.arn, opts=self._child
        )
        aws.iot.Policy(
            f"{self._name}-device-policy",
            name=naming.physical_name(site, "device"),
            policy=self._iot_arn().apply(lambda head: client_device_policy(site, head)),
            opts=self._child,
        )

    def _iot_arn(self) -> pulumi.Output[str]:
        return naming.arn("iot", "", self)

    def _provisioning(
        self, site: str, args: GreengrassSiteArgs, policy: aws.iot.Policy, alias: aws.iot.RoleAlias
    ) -> Optional[FleetProvisioning]:
        """How core devices enrol themselves, where any may, and the host that does so, where there is one."""
        serials = plain_mapping(args.get("serial_numbers", {}), "GreengrassSite.serial_numbers")
        provisioning = (
            fleet_provisioning(self._name, site, serials, self._core_things, policy, parent=self) if serials else None
        )
        instance_type = args.get("host_instance_type")
        nucleus = Nucleus(plain_text(args.get("host_nucleus", Nucleus.CLASSIC), "GreengrassSite.host_nucleus"))
        if nucleus is Nucleus.LITE and args.get("client_devices", True):
            raise ValueError(
                "GreengrassSite.host_nucleus: found lite, which runs no client device components, allowed with "
                "client_devices is classic"
            )
        if instance_type is not None:
            core = next(iter(self._core_things))
            if provisioning is None or core not in serials:
                raise ValueError(
                    f"GreengrassSite.host_instance_type: {core} has no serial number to enrol with; serial_numbers has "
                    f"{', '.join(sorted(serials)) or 'none'}"
                )
            CoreDeviceHost(
                f"{self._name}-host",
                {
                    "thing_name": core,
                    "serial_number": serials[core],
                    "provisioning_template": provisioning.template,
                    "role_alias": alias.alias,
                    "artifact_bucket": args["artifact_bucket"],
                    "nucleus": nucleus,
                    "instance_type": instance_type,
                    "python": args.get("python", DEFAULT_PYTHON),
                    "data_directory": args.get("data_directory", DEFAULT_DATA_DIRECTORY),
                },
                opts=self._child,
            )
        return provisioning

    def _deployment(
        self,
        site: str,
        served: Mapping[str, str],
        devices: Mapping[str, str],
        args: GreengrassSiteArgs,
        group: aws.iot.ThingGroup,
    ) -> greengrassv2.Deployment:
        """The one deployment of the code group: every edge component in its version, set up for the site.

        Args:
            site: the site's name.
            served: the devices that connect to the core devices; with any, the components for that are deployed too.
            devices: all devices of the site.
            args: the component's arguments.
            group: the target.
        """
        versions = args.get("component_versions")
        if versions is None:
            published = EdgeComponents(
                f"{self._name}-edge", {"artifact_bucket": args["artifact_bucket"]}, opts=self._child
            )
            versions = published.versions
        endpoint = aws.iot.get_endpoint_output(
            endpoint_type="iot:Data-ATS", opts=pulumi.InvokeOutputOptions(parent=self)
        ).endpoint_address
        values: pulumi.Output[Mapping[str, str]] = pulumi.Output.all(
            python=args.get("python", DEFAULT_PYTHON),
            dataDirectory=args.get("data_directory", DEFAULT_DATA_DIRECTORY),
            flowControl=args.get("flow_control", "aws"),
            endpoint=endpoint,
        )
        own = {
            name: checked(text, functools.partial(recipes.configuration_object, name))
            for name, text in plain_keys(args.get("configuration", {}), "GreengrassSite.configuration").items()
        }
        components = {
            source.name: _specification(source, site, devices, versions, values, own.pop(source.name, {}))
            for source in sources()
        }
        for name, component in client_devices.components(site, served).items() if served else ():
            components[name] = _public_specification(component, own.pop(name, {}))
        if own:
            raise ValueError(
                f"GreengrassSite.configuration: found {', '.join(sorted(own))}, allowed are "
                f"{', '.join(sorted(components))}"
            )
        return greengrassv2.Deployment(
            f"{self._name}-deployment",
            target_arn=group.arn,
            deployment_name=naming.physical_name(site, "components"),
            components=components,
            deployment_policies={
                "failure_handling_policy": greengrassv2.DeploymentPoliciesFailureHandlingPolicy.ROLLBACK,
                "component_update_policy": {
                    # None of the components asks for a delay, so that there is nobody to wait for.
                    "action": greengrassv2.DeploymentComponentUpdatePolicyAction.SKIP_NOTIFY_COMPONENTS,
                    "timeout_in_seconds": 60,
                },
            },
            opts=self._child,
        )


def _canaries(args: GreengrassSiteArgs, cores: Sequence[str]) -> list[str]:
    """The core devices that try new models first, checked."""
    canaries = plain_texts(args.get("canary_devices", list(cores[:1])), "GreengrassSite.canary_devices")
    strangers = sorted(set(canaries) - set(cores))
    if strangers:
        raise ValueError(
            f"GreengrassSite.canary_devices: found {', '.join(strangers)}, allowed are {', '.join(sorted(cores))}"
        )
    return canaries


def _specification(
    source: recipes.ComponentSource,
    site: str,
    devices: Mapping[str, str],
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
                    recipes.site_configuration(source.recipe, site, devices, known[0]), known[1]
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
