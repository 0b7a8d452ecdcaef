"""EC2: a network, its ways out and its parts."""

from typing import Any

from pm_sandbox.provider.changes import changed, tags_of
from pm_sandbox.provider.handlers.ec2_tags import tagged, update_ec2_tags
from pm_sandbox.provider.inputs import Inputs, pascal, told
from pm_sandbox.provider.registry import Context, Made, deletes, handles, reads, updates


@handles("aws:ec2/vpc:Vpc")
def vpc(inputs: Inputs, context: Context) -> Made:
    """A network."""
    client = context.client("ec2")
    made = client.create_vpc(CidrBlock=inputs.need("cidrBlock"), **tagged(inputs, "vpc"))["Vpc"]["VpcId"]
    for key in ("enableDnsSupport", "enableDnsHostnames"):
        if key in inputs:
            client.modify_vpc_attribute(VpcId=made, **pascal({key: {"value": inputs.get(key)}}))
    return made, {"arn": context.arn("ec2", f"vpc/{made}")}


@reads("aws:ec2/vpc:Vpc")
def read_vpc(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A network."""
    client = context.client("ec2")
    (found,) = client.describe_vpcs(VpcIds=[id_])["Vpcs"]
    flags = {
        key: client.describe_vpc_attribute(VpcId=id_, Attribute=key)[key[:1].upper() + key[1:]]["Value"]
        for key in ("enableDnsSupport", "enableDnsHostnames")
    }
    return {"cidrBlock": found["CidrBlock"], **flags, "tags": tags_of(found.get("Tags"))}


@updates("aws:ec2/vpc:Vpc")
def update_vpc(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A network's names and tags."""
    for key in changed(olds, news, "enableDnsSupport", "enableDnsHostnames"):
        value = news.get(key, key == "enableDnsSupport")
        context.client("ec2").modify_vpc_attribute(VpcId=id_, **pascal({key: {"value": value}}))
    update_ec2_tags(id_, olds, news, context)
    return {}


@deletes("aws:ec2/vpc:Vpc")
def delete_vpc(id_: str, state: dict[str, Any], context: Context) -> None:
    """A network, unless something is in it."""
    context.client("ec2").delete_vpc(VpcId=id_)


@handles("aws:ec2/internetGateway:InternetGateway")
def internet_gateway(inputs: Inputs, context: Context) -> Made:
    """A network's way out."""
    client = context.client("ec2")
    made = client.create_internet_gateway(**tagged(inputs, "internet-gateway"))["InternetGateway"]["InternetGatewayId"]
    client.attach_internet_gateway(InternetGatewayId=made, VpcId=inputs.need("vpcId"))
    return made, {"arn": context.arn("ec2", f"internet-gateway/{made}")}


@reads("aws:ec2/internetGateway:InternetGateway")
def read_internet_gateway(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A way out, and of which network it is."""
    (found,) = context.client("ec2").describe_internet_gateways(InternetGatewayIds=[id_])["InternetGateways"]
    networks = [one["VpcId"] for one in found.get("Attachments", [])]
    return {"vpcId": networks[0] if networks else None, "tags": tags_of(found.get("Tags"))}


@updates("aws:ec2/internetGateway:InternetGateway")
def update_internet_gateway(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A way out of another network."""
    client = context.client("ec2")
    if changed(olds, news, "vpcId"):
        if olds.get("vpcId"):
            client.detach_internet_gateway(InternetGatewayId=id_, VpcId=olds["vpcId"])
        client.attach_internet_gateway(InternetGatewayId=id_, VpcId=news.need("vpcId"))
    update_ec2_tags(id_, olds, news, context)
    return {}


@deletes("aws:ec2/internetGateway:InternetGateway")
def delete_internet_gateway(id_: str, state: dict[str, Any], context: Context) -> None:
    """A way out, once no network has it any more."""
    client = context.client("ec2")
    (found,) = client.describe_internet_gateways(InternetGatewayIds=[id_])["InternetGateways"]
    for one in found.get("Attachments", []):
        client.detach_internet_gateway(InternetGatewayId=id_, VpcId=one["VpcId"])
    client.delete_internet_gateway(InternetGatewayId=id_)


@handles("aws:ec2/subnet:Subnet")
def subnet(inputs: Inputs, context: Context) -> Made:
    """A part of a network."""
    client = context.client("ec2")
    part = client.create_subnet(
        VpcId=inputs.need("vpcId"), CidrBlock=inputs.need("cidrBlock"), **tagged(inputs, "subnet")
    )["Subnet"]
    made = part["SubnetId"]
    if "mapPublicIpOnLaunch" in inputs:
        client.modify_subnet_attribute(SubnetId=made, MapPublicIpOnLaunch={"Value": inputs.get("mapPublicIpOnLaunch")})
    return made, {"arn": context.arn("ec2", f"subnet/{made}"), "availabilityZone": part["AvailabilityZone"]}


@reads("aws:ec2/subnet:Subnet")
def read_subnet(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A part of a network."""
    (found,) = context.client("ec2").describe_subnets(SubnetIds=[id_])["Subnets"]
    settings = told(
        found,
        availabilityZone="AvailabilityZone",
        cidrBlock="CidrBlock",
        mapPublicIpOnLaunch="MapPublicIpOnLaunch",
        vpcId="VpcId",
    )
    return {**settings, "tags": tags_of(found.get("Tags"))}


@updates("aws:ec2/subnet:Subnet")
def update_subnet(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Update the public addresses of what starts in it, and its tags."""
    if changed(olds, news, "mapPublicIpOnLaunch"):
        value = {"Value": news.get("mapPublicIpOnLaunch", False)}
        context.client("ec2").modify_subnet_attribute(SubnetId=id_, MapPublicIpOnLaunch=value)
    update_ec2_tags(id_, olds, news, context)
    return {}


@deletes("aws:ec2/subnet:Subnet")
def delete_subnet(id_: str, state: dict[str, Any], context: Context) -> None:
    """A part of a network, unless something is in it."""
    context.client("ec2").delete_subnet(SubnetId=id_)
