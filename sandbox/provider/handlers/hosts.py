"""EC2: a network, and an instance in it. The emulator keeps them and boots nothing."""

from typing import Any

from sandbox.provider.inputs import Inputs, pascal, tag_list
from sandbox.provider.registry import Context, Made, handles


def _tagged(inputs: Inputs, kind: str) -> dict[str, Any]:
    """The argument that tags a resource as it is made; empty where it has no tags."""
    tags = tag_list(inputs)
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}


@handles("aws:ec2/vpc:Vpc")
def vpc(inputs: Inputs, context: Context) -> Made:
    """A network."""
    client = context.client("ec2")
    made = client.create_vpc(CidrBlock=inputs.need("cidrBlock"), **_tagged(inputs, "vpc"))["Vpc"]["VpcId"]
    for key in ("enableDnsSupport", "enableDnsHostnames"):
        if key in inputs:
            client.modify_vpc_attribute(VpcId=made, **pascal({key: {"value": inputs.get(key)}}))
    return made, {"arn": context.arn("ec2", f"vpc/{made}")}


@handles("aws:ec2/internetGateway:InternetGateway")
def internet_gateway(inputs: Inputs, context: Context) -> Made:
    """A network's way out."""
    client = context.client("ec2")
    made = client.create_internet_gateway(**_tagged(inputs, "internet-gateway"))["InternetGateway"]["InternetGatewayId"]
    client.attach_internet_gateway(InternetGatewayId=made, VpcId=inputs.need("vpcId"))
    return made, {"arn": context.arn("ec2", f"internet-gateway/{made}")}


@handles("aws:ec2/subnet:Subnet")
def subnet(inputs: Inputs, context: Context) -> Made:
    """A part of a network."""
    client = context.client("ec2")
    made = client.create_subnet(
        VpcId=inputs.need("vpcId"), CidrBlock=inputs.need("cidrBlock"), **_tagged(inputs, "subnet")
    )["Subnet"]["SubnetId"]
    if "mapPublicIpOnLaunch" in inputs:
        client.modify_subnet_attribute(SubnetId=made, MapPublicIpOnLaunch={"Value": inputs.get("mapPublicIpOnLaunch")})
    return made, {"arn": context.arn("ec2", f"subnet/{made}")}


@handles("aws:ec2/routeTable:RouteTable")
def route_table(inputs: Inputs, context: Context) -> Made:
    """A table of routes to gateways."""
    client = context.client("ec2")
    made = client.create_route_table(VpcId=inputs.need("vpcId"), **_tagged(inputs, "route-table"))["RouteTable"]
    for route in inputs.blocks("routes"):
        client.create_route(
            RouteTableId=made["RouteTableId"],
            DestinationCidrBlock=route.need("cidrBlock"),
            GatewayId=route.need("gatewayId"),
        )
    return made["RouteTableId"], {"arn": context.arn("ec2", f"route-table/{made['RouteTableId']}")}


@handles("aws:ec2/routeTableAssociation:RouteTableAssociation")
def route_table_association(inputs: Inputs, context: Context) -> Made:
    """The routes of a subnet."""
    made = context.client("ec2").associate_route_table(
        RouteTableId=inputs.need("routeTableId"), SubnetId=inputs.need("subnetId")
    )
    return made["AssociationId"], {}


@handles("aws:ec2/securityGroup:SecurityGroup")
def security_group(inputs: Inputs, context: Context) -> Made:
    """A firewall. Pulumi's provider takes away the rule that AWS gives a new one, which lets all out; so do we."""
    client = context.client("ec2")
    made = client.create_security_group(
        GroupName=inputs.need("name"),
        Description=inputs.need("description"),
        VpcId=inputs.need("vpcId"),
        **_tagged(inputs, "security-group"),
    )["GroupId"]
    (group,) = client.describe_security_groups(GroupIds=[made])["SecurityGroups"]
    if group["IpPermissionsEgress"]:
        client.revoke_security_group_egress(GroupId=made, IpPermissions=group["IpPermissionsEgress"])
    for key, authorize in (
        ("ingress", client.authorize_security_group_ingress),
        ("egress", client.authorize_security_group_egress),
    ):
        rules = [_permission(rule) for rule in inputs.blocks(key)]
        if rules:
            authorize(GroupId=made, IpPermissions=rules)
    return made, {"arn": context.arn("ec2", f"security-group/{made}")}


def _permission(rule: Inputs) -> dict[str, Any]:
    description = rule.renamed(description="Description")
    return {
        "IpProtocol": rule.need("protocol"),
        "FromPort": rule.need("fromPort"),
        "ToPort": rule.need("toPort"),
        "IpRanges": [{"CidrIp": block, **description} for block in rule.get("cidrBlocks", [])],
    }


@handles(
    "aws:ec2/instance:Instance",
    userDataReplaceOnChange="says when to replace the instance, and the sandbox makes it once",
    associatePublicIpAddress="the emulator's instances have no network to be public in",
)
def instance(inputs: Inputs, context: Context) -> Made:
    """An instance with one network interface; boto3 encodes the user data."""
    arguments: dict[str, Any] = inputs.renamed(
        subnetId="SubnetId", userData="UserData", vpcSecurityGroupIds="SecurityGroupIds"
    )
    if "iamInstanceProfile" in inputs:
        arguments["IamInstanceProfile"] = {"Name": inputs.get("iamInstanceProfile")}
    if "metadataOptions" in inputs:
        arguments["MetadataOptions"] = pascal(inputs.get("metadataOptions"))
    if disk := inputs.block("rootBlockDevice"):
        storage = disk.renamed(encrypted="Encrypted", volumeType="VolumeType", volumeSize="VolumeSize")
        arguments["BlockDeviceMappings"] = [{"DeviceName": "/dev/xvda", "Ebs": storage}]
    made = context.client("ec2").run_instances(
        ImageId=inputs.need("ami"),
        InstanceType=inputs.need("instanceType"),
        MinCount=1,
        MaxCount=1,
        **_tagged(inputs, "instance"),
        **arguments,
    )["Instances"][0]
    return made["InstanceId"], {"arn": context.arn("ec2", f"instance/{made['InstanceId']}")}
