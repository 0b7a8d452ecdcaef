"""A site: its things and groups, what its core devices may do, and the deployment of the edge components to them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws
from pulumi_aws_native import greengrassv2

from pm_components import naming, recipes
from pm_components.edge_components import FOLDERS, EdgeComponents
from pm_components.limits import ROLE_ALIAS_LENGTH
from pm_components.permissions import POLICY_VERSION, Statement, allow, service_role
from pm_components.plain import plain_mapping, plain_text, plain_texts
from pm_components.tagging import tagged_options
from pm_contracts import topics

CREDENTIAL_SECONDS = 3600
_THING = "${iot:Connection.Thing.ThingName}"
#: What ends the client id of a core device's uplink, after its thing's name.
UPLINK_SUFFIX = "-uplink"


OUTPUTS = (
    "thing_group",
    "model_thing_group",
    "device_policy",
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
    device_policy: pulumi.Output[str]
    """AWS IoT policy for the certificates of the core devices."""
    token_exchange_role_arn: pulumi.Output[str]
    """Role that a core device takes on to fetch artifacts."""
    role_alias: pulumi.Output[str]
    """Role alias of the token exchange role."""
    deployment_id: pulumi.Output[str]
    """The deployment of the edge components."""

    def __init__(self, name: str, args: GreengrassSiteArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__("pm:index:GreengrassSite", name, None, tagged_options(opts, "GreengrassSite"))
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        site = plain_text(args["site"], "GreengrassSite.site")
        cores = plain_texts(args["core_devices"], "GreengrassSite.core_devices")
        devices = plain_mapping(args["devices"], "GreengrassSite.devices")

        self._things(site, cores, devices)
        code_group, model_group = self._groups(site, cores)
        role, alias = self._token_exchange(site, args["artifact_bucket"])
        policy = self._device_policy(site, alias.arn)
        deployment = self._deployment(site, devices, args, code_group)

        self.thing_group = code_group.name
        self.model_thing_group = model_group.name
        self.device_policy = policy.name
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
                name=f"{site}-{device}",
                thing_type_name=types[kind].name,
                attributes={"site": site, "device": device},
                opts=self._child,
            )

    def _groups(self, site: str, cores: Sequence[str]) -> tuple[aws.iot.ThingGroup, aws.iot.ThingGroup]:
        """The groups for code, for models and for trying a model out; a core device is in the first two."""
        groups = {
            purpose: aws.iot.ThingGroup(
                f"{self._name}-{purpose}-group",
                name=physical,
                properties={"description": f"Core devices of site {site}: {what}"},
                opts=self._child,
            )
            for purpose, physical, what in (
                ("code", naming.physical_name(site), "components"),
                ("model", model_group_name(site), "models"),
                ("canary", naming.physical_name(site, "canary"), "models on trial"),
            )
        }
        for core in cores:
            for purpose in ("code", "model"):
                aws.iot.ThingGroupMembership(
                    f"{self._name}-{core}-{purpose}-membership",
                    thing_name=self._core_things[core].name,
                    thing_group_name=groups[purpose].name,
                    opts=self._child,
                )
        return groups["code"], groups["model"]

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

    def _device_policy(self, site: str, role_alias_arn: pulumi.Input[str]) -> aws.iot.Policy:
        """What a core device of the site may do at AWS IoT Core and the data plane of Greengrass."""
        head = naming.arn("iot", "", self)
        document = pulumi.Output.all(head=head, alias=role_alias_arn).apply(
            lambda known: device_policy_document(site, known["head"], known["alias"])
        )
        return aws.iot.Policy(
            f"{self._name}-policy", name=naming.physical_name(site, "core-device"), policy=document, opts=self._child
        )

    def _deployment(
        self, site: str, devices: Mapping[str, str], args: GreengrassSiteArgs, group: aws.iot.ThingGroup
    ) -> greengrassv2.Deployment:
        """The one deployment of the code group: every edge component in its version, set up for the site."""
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
            python=args.get("python", "/opt/pm/venv/bin/python"),
            dataDirectory=args.get("data_directory", "/var/lib/pm"),
            flowControl=args.get("flow_control", "aws"),
            endpoint=endpoint,
        )
        components = {
            source.name: _specification(source, site, devices, versions, values)
            for source in (recipes.load(folder) for folder in FOLDERS)
        }
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


def _specification(
    source: recipes.ComponentSource,
    site: str,
    devices: Mapping[str, str],
    versions: pulumi.Input[Mapping[str, pulumi.Input[str]]],
    values: pulumi.Output[Mapping[str, str]],
) -> greengrassv2.DeploymentComponentDeploymentSpecificationArgs:
    """A component in the deployment: its version, and what the site sets of its configuration."""
    known_versions: pulumi.Output[Any] = pulumi.Output.from_input(versions)
    return greengrassv2.DeploymentComponentDeploymentSpecificationArgs(
        component_version=known_versions.apply(lambda known: str(known[source.name])),
        configuration_update=greengrassv2.DeploymentComponentConfigurationUpdateArgs(
            merge=values.apply(
                lambda known: json.dumps(
                    recipes.site_configuration(source.recipe, site, devices, known), sort_keys=True
                )
            )
        ),
    )


def device_policy_document(site: str, iot_arn: str, role_alias_arn: str) -> str:
    """The AWS IoT policy of a site's core devices, JSON.

    Policy variables hold each to its own client ids, jobs and shadows. AWS fills them for the uplink too, whose client
    id is no thing's name, where the certificate is attached to its thing exclusively ("Thing policy variables", AWS IoT
    developer guide).

    Args:
        site: the site, whose topics they may publish on.
        iot_arn: what ARNs of AWS IoT resources begin with, as `arn:aws:iot:eu-central-1:123456789012:`.
        role_alias_arn: the alias of the token exchange role.
    """
    own = f"$aws/things/{_THING}"
    commands = topics.command_topic(site, "")
    site_topics = f"{topics.ROOT}/{site}/*"
    statements: list[Statement] = [
        allow(["iot:Connect"], [f"{iot_arn}client/{_THING}", f"{iot_arn}client/{_THING}{UPLINK_SUFFIX}"]),
        # What it hears is bounded by what it may subscribe to.
        allow(
            ["iot:Publish", "iot:Receive"],
            [
                f"{iot_arn}topic/{topic}"
                for topic in (site_topics, f"{own}/jobs/*", f"{own}/shadow/*", f"{own}/greengrassv2/health/json")
            ],
        ),
        allow(
            ["iot:Subscribe"],
            [f"{iot_arn}topicfilter/{topic}*" for topic in (commands, f"{own}/jobs/", f"{own}/shadow/")],
        ),
        allow(["iot:AssumeRoleWithCertificate"], [role_alias_arn]),
        allow(
            [
                "greengrass:GetComponentVersionArtifact",
                "greengrass:ResolveComponentCandidates",
                "greengrass:GetDeploymentConfiguration",
                "greengrass:ListThingGroupsForCoreDevice",
            ],
            ["*"],
        ),
    ]
    return json.dumps({"Version": POLICY_VERSION, "Statement": statements}, separators=(",", ":"))
