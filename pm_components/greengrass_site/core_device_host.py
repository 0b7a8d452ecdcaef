"""`CoreDeviceHost`: an EC2 instance that plays a core device, for a factory without hardware of its own."""

import base64
from collections.abc import Mapping, Sequence
from typing import NotRequired, Optional

import pulumi
import pulumi_aws as aws

from pm_components.aws import archives, naming, packaging
from pm_components.aws.permissions import allow, service_role
from pm_components.aws.plain import plain_list, plain_mapping
from pm_components.aws.settings import with_defaults
from pm_components.aws.tagging import OwnershipArgs, tagged_options
from pm_components.greengrass_site.core_device_scripts import user_data
from pm_components.greengrass_site.core_device_termination import host_termination
from pm_components.greengrass_site.host_downloads import checked_downloads
from pm_components.greengrass_site.nuclei import NucleusKind
from pm_components.greengrass_site.nucleus_args import stated_nucleus
from pm_components.greengrass_site.settings import CoreDeviceHostSettings, CoreDeviceHostSettingsArgs

#: Parameters of AWS and Debian that name the latest image: "Calling the AMI public parameter for Amazon Linux 2023",
#: AWS Systems Manager user guide; https://wiki.debian.org/Cloud/AmazonEC2Image/Bookworm.
_IMAGE_PARAMETERS = {
    NucleusKind.CLASSIC: "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
    NucleusKind.LITE: "/aws/service/debian/release/12/latest/amd64",
}
_NETWORK = "10.71.0.0/28"
_DISK_GIBIBYTES = 16
#: Of the volume for outbox, models and what the components remember.
_DATA_GIBIBYTES = 8
#: Device name of the root volume in both images.
_ROOT_DEVICE = "/dev/xvda"
#: Outbound ports that a core device needs, all for TLS: "Allow device traffic through a proxy or
#: firewall", AWS IoT Greengrass V2 developer guide.
_OUTBOUND_PORTS = {
    443: "AWS APIs, packages and artifacts",
    8443: "deployments of AWS IoT Greengrass",
    8883: "MQTT over TLS to AWS IoT Core",
}


class CoreDeviceHostArgs(CoreDeviceHostSettingsArgs):
    """Arguments of `CoreDeviceHost`."""

    thing_name: pulumi.Input[str]
    """The thing that it is."""
    serial_number: pulumi.Input[str]
    """The serial number that it enrols with."""
    provisioning_template: pulumi.Input[str]
    """The fleet provisioning template that it enrols by."""
    role_alias: pulumi.Input[str]
    """Role alias of the token exchange role."""
    thing_groups: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Names of the thing groups that it is in, whose deployments an instance that takes another one's place carries out
    again. The list is known while the program runs, the names need not be."""
    artifact_bucket: pulumi.Input[str]
    """Name of the bucket that keeps the list of its Python packages, below `hosts/`."""
    checksums: pulumi.Input[Mapping[str, pulumi.Input[str]]]
    """SHA-256 of what its instances download and run as root: `nucleus`, and `provisioning_plugin` with `classic` or
    `session_manager_agent` with `lite`. An instance runs nothing else. Known while the program runs."""
    alarm_topic_arns: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """SNS topics that hear when the name of an instance that has ended could not be freed; default none."""
    ownership: NotRequired[OwnershipArgs]
    """The owner of its resources: their tags Tier, Owner and CostCentre. By default they have none of these. Known
    while the program runs, its values need not be."""


class CoreDeviceHost(pulumi.ComponentResource):
    """An instance with a Greengrass nucleus, in a network of its own that nobody can reach from outside.

    No inbound rule: who has to log in uses Session Manager. It may ask for a claim that lives for minutes, makes its
    private key itself, and enrols by the site's template; what it may do as a core device, it may by its certificate.

    An instance that is lost, or whose script has changed, is replaced: an Auto Scaling group keeps one. When it ends,
    its certificate is deactivated and detached; only then may the next one enrol under the thing's name. What is
    collected and not yet sent is on a volume that outlives the instances, and is deleted with a last snapshot.
    """

    auto_scaling_group: pulumi.Output[str]
    """The Auto Scaling group that keeps the instance; `aws autoscaling describe-auto-scaling-groups` tells which it is,
    to log in with `aws ssm start-session --target`."""

    def __init__(self, name: str, args: CoreDeviceHostArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(
            "pm:index:CoreDeviceHost", name, None, tagged_options(opts, "CoreDeviceHost", args.get("ownership"))
        )
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        args = with_defaults(args, CoreDeviceHostSettings())
        groups = plain_list(args["thing_groups"], "CoreDeviceHost.thing_groups")
        subnet, security_group = self._network()
        volume = aws.ebs.Volume(
            f"{name}-data",
            availability_zone=subnet.availability_zone,
            type="gp3",
            size=_DATA_GIBIBYTES,
            encrypted=True,
            final_snapshot=True,
            tags={"Name": naming.physical_name(name, "data")},
            opts=self._child,
        )
        template = self._template(args, security_group, volume)
        physical = naming.physical_name(name)
        group = aws.autoscaling.Group(
            f"{name}-group",
            name=physical,
            min_size=1,
            max_size=1,
            desired_capacity=1,
            vpc_zone_identifiers=[subnet.id],
            launch_template={
                "id": template.id,
                "version": template.latest_version.apply(lambda known: str(int(known))),
            },
            health_check_type="EC2",
            # The one instance ends, and the next takes its place, never one beside the other: "Instance maintenance
            # policies", Amazon EC2 Auto Scaling user guide.
            instance_maintenance_policy={"min_healthy_percentage": 0, "max_healthy_percentage": 100},
            instance_refresh={
                "strategy": "Rolling",
                "preferences": {"min_healthy_percentage": 0, "max_healthy_percentage": 100},
            },
            tags=[{"key": "Name", "value": physical, "propagate_at_launch": True}],
            opts=self._child,
        )
        host_termination(
            name,
            args["thing_name"],
            groups,
            group,
            physical,
            parent=self,
            alarm_topic_arns=args.get("alarm_topic_arns"),
        )
        self.auto_scaling_group = group.name
        self.register_outputs({"auto_scaling_group": self.auto_scaling_group})

    def _template(
        self, args: CoreDeviceHostArgs, security_group: aws.ec2.SecurityGroup, volume: aws.ebs.Volume
    ) -> aws.ec2.LaunchTemplate:
        """The launch template of the host's instances."""
        name = self._name
        packages = self._packages(args["artifact_bucket"])
        profile = self._profile(args, volume)
        nucleus = stated_nucleus(args["nucleus"], "CoreDeviceHost.nucleus")
        checksums = plain_mapping(args["checksums"], "CoreDeviceHost.checksums")
        downloads = checked_downloads(nucleus, checksums, "CoreDeviceHost.checksums")
        image = aws.ssm.get_parameter_output(
            name=_IMAGE_PARAMETERS[nucleus.kind], opts=pulumi.InvokeOutputOptions(parent=self)
        )
        script = pulumi.Output.all(
            thing_name=args["thing_name"],
            serial_number=args["serial_number"],
            template=args["provisioning_template"],
            role_alias=args["role_alias"],
            region=naming.region(self),
            packages=pulumi.Output.concat("s3://", packages.bucket, "/", packages.key),
            volume=volume.id,
            python=args["python"],
            data_directory=args["data_directory"],
        ).apply(
            lambda known: user_data(
                nucleus, unused=packaging.patterns(packaging.EDGE_UNUSED), downloads=downloads, **known
            )
        )
        # A name of its own for each nucleus: one that has become another would keep its image, as said below.
        words = ("template",) if nucleus.kind is NucleusKind.CLASSIC else (str(nucleus.kind), "template")
        return aws.ec2.LaunchTemplate(
            "-".join((name, *words)),
            name=naming.physical_name(name, *words),
            image_id=image.value,
            instance_type=args["instance_type"],
            iam_instance_profile={"name": profile.name},
            network_interfaces=[
                {
                    "associate_public_ip_address": "true",  # the way out; a NAT gateway costs more than the instance
                    "security_groups": [security_group.id],
                }
            ],
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
            },
            block_device_mappings=[
                {
                    "device_name": _ROOT_DEVICE,
                    "ebs": {
                        "encrypted": "true",
                        "volume_type": "gp3",
                        "volume_size": _DISK_GIBIBYTES,
                        "delete_on_termination": "true",
                    },
                }
            ],
            user_data=script.apply(lambda text: base64.b64encode(text.encode()).decode()),
            # A newer image is no reason to replace a core device.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["imageId"]),
        )

    def _network(self) -> tuple[aws.ec2.Subnet, aws.ec2.SecurityGroup]:
        """A network with one subnet, a way out, and no way in."""
        vpc = aws.ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=_NETWORK,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": naming.physical_name(self._name)},
            opts=self._child,
        )
        gateway = aws.ec2.InternetGateway(f"{self._name}-gateway", vpc_id=vpc.id, opts=self._child)
        subnet = aws.ec2.Subnet(
            f"{self._name}-subnet",
            vpc_id=vpc.id,
            cidr_block=_NETWORK,
            map_public_ip_on_launch=False,
            opts=self._child,
        )
        table = aws.ec2.RouteTable(
            f"{self._name}-routes",
            vpc_id=vpc.id,
            routes=[{"cidr_block": "0.0.0.0/0", "gateway_id": gateway.id}],
            opts=self._child,
        )
        aws.ec2.RouteTableAssociation(
            f"{self._name}-route-association", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )
        group = aws.ec2.SecurityGroup(
            f"{self._name}-security-group",
            name=naming.physical_name(self._name),
            description="A core device: nothing comes in, TLS goes out",
            vpc_id=vpc.id,
            ingress=[],
            egress=[
                {
                    "description": purpose,
                    "protocol": "tcp",
                    "from_port": port,
                    "to_port": port,
                    "cidr_blocks": ["0.0.0.0/0"],
                }
                for port, purpose in _OUTBOUND_PORTS.items()
            ],
            opts=self._child,
        )
        return subnet, group

    def _packages(self, bucket: pulumi.Input[str]) -> aws.s3.BucketObjectv2:
        file = packaging.EDGE_PACKAGES
        version = archives.version({"requirements.txt": file.read_bytes()})
        return aws.s3.BucketObjectv2(
            f"{self._name}-packages",
            bucket=bucket,
            # An object of its own: hosts of other sites or stacks may share the bucket, and one of them may go.
            key=f"hosts/{naming.physical_name(self._name)}/{version}/requirements.txt",
            source=pulumi.FileAsset(str(file)),
            content_type="text/plain",
            opts=self._child,
        )

    def _profile(self, args: CoreDeviceHostArgs, volume: aws.ebs.Volume) -> aws.iam.InstanceProfile:
        """The instance's permissions besides those of a core device: enrol, attach its volume, read its packages."""
        bucket_arn = pulumi.Output.concat("arn:", naming.partition(self), ":s3:::", args["artifact_bucket"])
        template = naming.arn("iot", pulumi.Output.concat("provisioningtemplate/", args["provisioning_template"]), self)
        role = service_role(
            self._name,
            "ec2.amazonaws.com",
            [
                allow(["iot:CreateProvisioningClaim"], [template]),
                allow(["iot:DescribeEndpoint"], ["*"]),
                # Whether the name is free yet.
                allow(
                    ["iot:ListThingPrincipals"],
                    [naming.arn("iot", pulumi.Output.concat("thing/", args["thing_name"]), self)],
                ),
                allow(["ec2:AttachVolume"], [volume.arn]),
                allow(
                    ["ec2:AttachVolume"],
                    [naming.arn("ec2", "instance/*", self)],
                    {"StringEquals": {"aws:ResourceTag/Name": naming.physical_name(self._name)}},
                ),
                allow(
                    ["s3:GetObject"], [pulumi.Output.concat(bucket_arn, f"/hosts/{naming.physical_name(self._name)}/*")]
                ),
            ],
            parent=self,
        )
        attachment = aws.iam.RolePolicyAttachment(
            f"{self._name}-session-manager",
            role=role.role.name,
            policy_arn=pulumi.Output.concat(
                "arn:", naming.partition(self), ":iam::aws:policy/AmazonSSMManagedInstanceCore"
            ),
            opts=self._child,
        )
        return aws.iam.InstanceProfile(
            f"{self._name}-profile",
            name=naming.physical_name(self._name),
            # The instance must not start before it may enrol: the ARN is known once the role may.
            role=pulumi.Output.all(role.role.name, role.arn).apply(lambda known: str(known[0])),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[attachment]),
        )
