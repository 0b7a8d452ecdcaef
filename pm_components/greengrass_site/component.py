"""A site: its things and groups, what its core devices may do, and the deployment of the edge components to them."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, Optional, cast

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.limits import ROLE_ALIAS_LENGTH
from pm_components.aws.permissions import allow, service_role
from pm_components.aws.plain import plain_keys, plain_mapping, plain_text, plain_texts
from pm_components.aws.settings import with_defaults
from pm_components.aws.tagging import OwnershipArgs, tagged_options
from pm_components.greengrass_site.core_device_host import CoreDeviceHost
from pm_components.greengrass_site.device_policies import (
    client_device_policy,
    connection_problem,
    core_device_policy,
    serving_policy,
)
from pm_components.greengrass_site.edge_components import EdgeComponents
from pm_components.greengrass_site.fleet_provisioning import FleetProvisioning, fleet_provisioning
from pm_components.greengrass_site.nuclei import Nucleus, NucleusKind
from pm_components.greengrass_site.nucleus_args import stated_nucleus
from pm_components.greengrass_site.settings import GreengrassSiteSettings, GreengrassSiteSettingsArgs
from pm_components.greengrass_site.site_deployment import SiteSettings, site_deployment
from pm_components.greengrass_site.site_registry import SiteGroups, site_groups, site_things

CREDENTIAL_SECONDS = 3600

OUTPUTS = (
    "thing_group",
    "model_thing_group",
    "canary_thing_group",
    "device_policy",
    "serving_policy",
    "provisioning_template",
    "token_exchange_role_arn",
    "role_alias",
    "nucleus",
    "deployment_id",
    "component_versions",
)


class GreengrassSiteArgs(GreengrassSiteSettingsArgs):
    """Arguments of `GreengrassSite`."""

    site: NotRequired[pulumi.Input[str]]
    """The site's name, a level of its topics; known while the program runs. By default the component's own name."""
    core_devices: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Thing names of the site's core devices; known while the program runs. By default one, named `{site}-core`."""
    devices: pulumi.Input[Mapping[str, pulumi.Input[str]]]
    """The type (`air_quality` or `machine`) of each device of the site by its name; known while the program runs."""
    artifact_bucket: pulumi.Input[str]
    """Name of the bucket that keeps component artifacts below `components/` and models below `models/`."""
    component_versions: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Version of each edge component by its name, where they are published already; by default the site does it."""
    model_public_keys: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """Public keys in PEM, two at most: core devices use models that one of them has signed, and no others. By default
    none, and so no model."""
    alarm_topic_arns: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """SNS topics that hear when that host has ended and its name could not be freed; default none."""
    ownership: NotRequired[OwnershipArgs]
    """The owner of its resources: their tags Tier, Owner and CostCentre. By default they have none of these. Known
    while the program runs, its values need not be."""


class GreengrassSite(pulumi.ComponentResource):
    """One plant: core devices that run the edge components and take models, and the devices behind them.

    Private keys are made on the core device. Its certificate is to bear the thing's name as its common name, and to be
    attached to its thing, to `device_policy` and, where there is one, to `serving_policy`.
    """

    thing_group: pulumi.Output[str]
    """Thing group of the core devices; the components are deployed to it."""
    model_thing_group: pulumi.Output[str]
    """Thing group of the core devices that models are deployed to."""
    canary_thing_group: pulumi.Output[str]
    """Thing group of the core devices that try new models first."""
    device_policy: pulumi.Output[str]
    """AWS IoT policy for the certificates of the core devices."""
    serving_policy: pulumi.Output[str]
    """AWS IoT policy for the same certificates, beside `device_policy`: what serving devices takes. Empty where no
    devices connect to the core devices."""
    provisioning_template: pulumi.Output[str]
    """Fleet provisioning template by which core devices enrol themselves; empty if none has a serial number."""
    token_exchange_role_arn: pulumi.Output[str]
    """Role that a core device takes on to fetch artifacts."""
    role_alias: pulumi.Output[str]
    """Role alias of the token exchange role."""
    nucleus: pulumi.Output[Mapping[str, str]]
    """`kind` and `version` of the nucleus that the site is made for."""
    deployment_id: pulumi.Output[str]
    """The deployment of the edge components."""
    component_versions: pulumi.Output[Mapping[str, str]]
    """The version of each edge component by its name, for the argument `component_versions` of another site."""

    def __init__(self, name: str, args: GreengrassSiteArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        args = with_defaults(args, GreengrassSiteSettings())
        site = plain_text(args.get("site", name), "GreengrassSite.site")
        super().__init__(
            "pm:index:GreengrassSite",
            name,
            None,
            tagged_options(opts, "GreengrassSite", args.get("ownership"), {"Site": site}),
        )
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        cores = plain_texts(args.get("core_devices", [f"{site}-core"]), "GreengrassSite.core_devices")
        devices = plain_mapping(args["devices"], "GreengrassSite.devices")
        if problem := connection_problem(cores):
            raise ValueError(f"GreengrassSite.core_devices: {problem}")
        if both := sorted(set(cores) & set(devices)):
            raise ValueError(
                f"GreengrassSite.devices: found {', '.join(both)}, which core_devices has too, allowed is a "
                "name of its own for each"
            )

        nucleus = stated_nucleus(args["nucleus"], "GreengrassSite.nucleus")
        serves_devices = bool(args["client_devices"])
        if nucleus.kind is NucleusKind.LITE and serves_devices:
            raise ValueError(
                "GreengrassSite.nucleus: found lite, which runs no client device components, allowed with "
                "client_devices is classic"
            )

        things = site_things(name, site, cores, devices, parent=self)
        groups = site_groups(name, site, things, _canaries(args, cores), parent=self)
        role, alias = self._token_exchange(args["artifact_bucket"])
        policy = self._core_device_policy(site, alias.arn)
        serving = self._device_policies(site, cores) if serves_devices else None
        policies = [policy, serving] if serving else [policy]
        provisioning = self._provisioning(site, args, nucleus, things, policies, alias, groups)
        settings = SiteSettings(
            site=site,
            core_devices=cores,
            devices=devices,
            serves_devices=serves_devices,
            nucleus=nucleus,
            values={
                "python": args["python"],
                "dataDirectory": args["data_directory"],
                "flowControl": args["flow_control"],
            },
            own=plain_keys(args["configuration"], "GreengrassSite.configuration"),
        )
        versions = self._versions(args)
        deployment = site_deployment(
            name,
            settings,
            versions,
            args["artifact_bucket"],
            args.get("model_public_keys", []),
            groups.code,
            parent=self,
        )

        self.thing_group = groups.code.name
        self.model_thing_group = groups.model.name
        self.canary_thing_group = groups.canary.name
        self.device_policy = policy.name
        self.serving_policy = serving.name if serving else pulumi.Output.from_input("")
        self.provisioning_template = provisioning.template if provisioning else pulumi.Output.from_input("")
        self.token_exchange_role_arn = role
        self.role_alias = alias.alias
        self.nucleus = pulumi.Output.from_input({"kind": str(nucleus.kind), "version": nucleus.version})
        self.deployment_id = deployment.deployment_id
        self.component_versions = cast("pulumi.Output[Mapping[str, str]]", pulumi.Output.from_input(versions))
        self.register_outputs({output: getattr(self, output) for output in OUTPUTS})

    def _token_exchange(self, artifact_bucket: pulumi.Input[str]) -> tuple[pulumi.Output[str], aws.iot.RoleAlias]:
        """The role that the core devices take on by their certificates, and its alias."""
        bucket_arn = pulumi.Output.concat("arn:", naming.partition(self), ":s3:::", artifact_bucket)
        log_groups = naming.arn("logs", "log-group:/aws/greengrass/*", self)
        statements = [
            # The nucleus asks in which region a bucket is before it fetches from it.
            allow(["s3:GetBucketLocation"], [bucket_arn]),
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
        )
        alias = aws.iot.RoleAlias(
            f"{self._name}-role-alias",
            alias=naming.physical_name(self._name, "token-exchange", maximum=ROLE_ALIAS_LENGTH),
            role_arn=role.arn,
            credential_duration=CREDENTIAL_SECONDS,
            opts=self._child,
        )
        return role.arn, alias

    def _core_device_policy(self, site: str, role_alias_arn: pulumi.Input[str]) -> aws.iot.Policy:
        """The rights of the site's core devices at AWS IoT Core and the data plane of Greengrass."""
        document = pulumi.Output.all(head=self._iot_arn(), alias=role_alias_arn).apply(
            lambda known: core_device_policy(site, known["head"], known["alias"])
        )
        return aws.iot.Policy(
            f"{self._name}-policy",
            name=naming.physical_name(self._name, "core-device"),
            policy=document,
            opts=self._child,
        )

    def _device_policies(self, site: str, cores: Sequence[str]) -> aws.iot.Policy:
        """Make the policies of core devices for the devices behind them, which is returned, and of these devices."""
        serving = aws.iot.Policy(
            f"{self._name}-serving-policy",
            name=naming.physical_name(self._name, "serving"),
            policy=self._iot_arn().apply(lambda head: serving_policy(site, cores, head)),
            opts=self._child,
        )
        aws.iot.Policy(
            f"{self._name}-device-policy",
            name=naming.physical_name(self._name, "device"),
            policy=self._iot_arn().apply(lambda head: client_device_policy(site, head)),
            opts=self._child,
        )
        return serving

    def _iot_arn(self) -> pulumi.Output[str]:
        return naming.arn("iot", "", self)

    def _provisioning(
        self,
        site: str,
        args: GreengrassSiteArgs,
        nucleus: Nucleus,
        things: Mapping[str, aws.iot.Thing],
        policies: Sequence[aws.iot.Policy],
        alias: aws.iot.RoleAlias,
        groups: SiteGroups,
    ) -> Optional[FleetProvisioning]:
        """The enrolment of core devices, if any may enrol, and the host that does so, if there is one."""
        serials = plain_mapping(args["serial_numbers"], "GreengrassSite.serial_numbers")
        provisioning = fleet_provisioning(self._name, site, serials, things, policies, parent=self) if serials else None
        instance_type = args.get("host_instance_type")
        if instance_type is not None:
            core = next(iter(things))
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
                    "thing_groups": [
                        groups.code.name,
                        groups.model.name,
                        *([groups.canary.name] if core in _canaries(args, list(things)) else []),
                    ],
                    "artifact_bucket": args["artifact_bucket"],
                    "nucleus": {"kind": nucleus.kind, "version": nucleus.version},
                    "instance_type": instance_type,
                    "checksums": args["host_checksums"],
                    "python": args["python"],
                    "data_directory": args["data_directory"],
                    "alarm_topic_arns": args.get("alarm_topic_arns", []),
                },
                opts=self._child,
            )
        return provisioning

    def _versions(self, args: GreengrassSiteArgs) -> pulumi.Input[Mapping[str, pulumi.Input[str]]]:
        """The version of each component: those that are published already, or of a publication of its own."""
        versions = args.get("component_versions")
        if versions is not None:
            return versions
        return EdgeComponents(
            f"{self._name}-edge", {"artifact_bucket": args["artifact_bucket"]}, opts=self._child
        ).versions


def _canaries(args: GreengrassSiteArgs, cores: Sequence[str]) -> list[str]:
    """The core devices that try new models first, checked."""
    canaries = plain_texts(args.get("canary_devices", list(cores[:1])), "GreengrassSite.canary_devices")
    strangers = sorted(set(canaries) - set(cores))
    if strangers:
        raise ValueError(
            f"GreengrassSite.canary_devices: found {', '.join(strangers)}, allowed are {', '.join(sorted(cores))}"
        )
    return canaries
