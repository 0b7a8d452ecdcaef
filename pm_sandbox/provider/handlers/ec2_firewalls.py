"""EC2: firewalls, which AWS calls security groups."""

from typing import Any

from pm_sandbox.provider.changes import changed, tags_of
from pm_sandbox.provider.handlers.ec2_tags import tagged, update_ec2_tags
from pm_sandbox.provider.inputs import Inputs, told
from pm_sandbox.provider.registry import Context, Made, deletes, handles, reads, updates


@handles("aws:ec2/securityGroup:SecurityGroup")
def security_group(inputs: Inputs, context: Context) -> Made:
    """A firewall. Pulumi's provider takes away the rule that AWS gives a new one, which lets all out; so do we."""
    client = context.client("ec2")
    made = client.create_security_group(
        GroupName=inputs.need("name"),
        Description=inputs.need("description"),
        VpcId=inputs.need("vpcId"),
        **tagged(inputs, "security-group"),
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


@reads("aws:ec2/securityGroup:SecurityGroup")
def read_security_group(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A firewall with its rules."""
    (found,) = context.client("ec2").describe_security_groups(GroupIds=[id_])["SecurityGroups"]
    return {
        **told(found, name="GroupName", description="Description", vpcId="VpcId"),
        "ingress": [_told_permission(rule) for rule in found["IpPermissions"]],
        "egress": [_told_permission(rule) for rule in found["IpPermissionsEgress"]],
        "tags": tags_of(found.get("Tags")),
    }


def _told_permission(rule: dict[str, Any]) -> dict[str, Any]:
    """The reverse of `_permission`."""
    ranges = rule.get("IpRanges", [])
    described = {"description": ranges[0]["Description"]} if ranges and ranges[0].get("Description") else {}
    return {
        "protocol": rule["IpProtocol"],
        "fromPort": rule.get("FromPort", 0),
        "toPort": rule.get("ToPort", 0),
        "cidrBlocks": [one["CidrIp"] for one in ranges],
        **described,
    }


@updates("aws:ec2/securityGroup:SecurityGroup")
def update_security_group(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A firewall's rules of a direction, all at once, and tags."""
    client = context.client("ec2")
    directions = {
        "ingress": (client.revoke_security_group_ingress, client.authorize_security_group_ingress),
        "egress": (client.revoke_security_group_egress, client.authorize_security_group_egress),
    }
    for key in changed(olds, news, *directions):
        revoke, authorize = directions[key]
        if had := [_permission(rule) for rule in Inputs(olds).blocks(key)]:
            revoke(GroupId=id_, IpPermissions=had)
        if has := [_permission(rule) for rule in news.blocks(key)]:
            authorize(GroupId=id_, IpPermissions=has)
    update_ec2_tags(id_, olds, news, context)
    return {}


@deletes("aws:ec2/securityGroup:SecurityGroup")
def delete_security_group(id_: str, state: dict[str, Any], context: Context) -> None:
    """A firewall, unless something is behind it."""
    context.client("ec2").delete_security_group(GroupId=id_)
