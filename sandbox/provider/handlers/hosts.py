"""EC2: a network, instances in it, and a group that keeps them. The emulator keeps it all and boots nothing."""

import json
from typing import Any

from sandbox.provider.changes import changed, tags_of, update_tags
from sandbox.provider.inputs import InputError, Inputs, camel, pascal, tag_list, told
from sandbox.provider.registry import Context, Made, deletes, handles, puts, reads, updates

_WAIT = {"Delay": 1, "MaxAttempts": 60}
_VOLUME = {"encrypted": "Encrypted", "kmsKeyId": "KmsKeyId", "size": "Size", "type": "VolumeType"}
_TEMPLATE = {"imageId": "ImageId", "instanceType": "InstanceType", "userData": "UserData"}
_TEMPLATE_BLOCKS = {"iamInstanceProfile": "IamInstanceProfile", "metadataOptions": "MetadataOptions"}
_TEMPLATE_LISTS = ("networkInterfaces", "blockDeviceMappings")
_GROUP = {
    "desiredCapacity": "DesiredCapacity",
    "healthCheckType": "HealthCheckType",
    "maxSize": "MaxSize",
    "minSize": "MinSize",
}
_HOOK = {
    "defaultResult": "DefaultResult",
    "heartbeatTimeout": "HeartbeatTimeout",
    "lifecycleTransition": "LifecycleTransition",
    "notificationMetadata": "NotificationMetadata",
    "notificationTargetArn": "NotificationTargetARN",
    "roleArn": "RoleARN",
}


def _tagged(inputs: Inputs, kind: str) -> dict[str, Any]:
    """The argument that tags a resource as it is made; empty where it has no tags."""
    tags = tag_list(inputs)
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}


def _update_tags(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> None:
    update_tags(
        olds,
        news,
        lambda keys: context.client("ec2").delete_tags(Resources=[id_], Tags=[{"Key": key} for key in keys]),
        lambda tags: context.client("ec2").create_tags(Resources=[id_], Tags=tags.pairs),
    )


@handles("aws:ec2/vpc:Vpc")
def vpc(inputs: Inputs, context: Context) -> Made:
    """A network."""
    client = context.client("ec2")
    made = client.create_vpc(CidrBlock=inputs.need("cidrBlock"), **_tagged(inputs, "vpc"))["Vpc"]["VpcId"]
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
    _update_tags(id_, olds, news, context)
    return {}


@deletes("aws:ec2/vpc:Vpc")
def delete_vpc(id_: str, state: dict[str, Any], context: Context) -> None:
    """A network, unless something is in it."""
    context.client("ec2").delete_vpc(VpcId=id_)


@handles("aws:ec2/internetGateway:InternetGateway")
def internet_gateway(inputs: Inputs, context: Context) -> Made:
    """A network's way out."""
    client = context.client("ec2")
    made = client.create_internet_gateway(**_tagged(inputs, "internet-gateway"))["InternetGateway"]["InternetGatewayId"]
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
    _update_tags(id_, olds, news, context)
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
        VpcId=inputs.need("vpcId"), CidrBlock=inputs.need("cidrBlock"), **_tagged(inputs, "subnet")
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
    _update_tags(id_, olds, news, context)
    return {}


@deletes("aws:ec2/subnet:Subnet")
def delete_subnet(id_: str, state: dict[str, Any], context: Context) -> None:
    """A part of a network, unless something is in it."""
    context.client("ec2").delete_subnet(SubnetId=id_)


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


@reads("aws:ec2/routeTable:RouteTable")
def read_route_table(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A table with the routes that are not the network's own."""
    for found in context.client("ec2").describe_route_tables(RouteTableIds=[id_])["RouteTables"]:
        routes = [
            {"cidrBlock": route["DestinationCidrBlock"], "gatewayId": route["GatewayId"]}
            for route in found["Routes"]
            if route.get("GatewayId", "local") != "local"
        ]
        return {"vpcId": found["VpcId"], "routes": routes, "tags": tags_of(found.get("Tags"))}
    return None


@updates("aws:ec2/routeTable:RouteTable")
def update_route_table(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A table's routes, each replaced as a whole, and tags."""
    client = context.client("ec2")
    if changed(olds, news, "routes"):
        for old in olds.get("routes", []):
            client.delete_route(RouteTableId=id_, DestinationCidrBlock=old["cidrBlock"])
        for route in news.blocks("routes"):
            block, gateway = route.need("cidrBlock"), route.need("gatewayId")
            client.create_route(RouteTableId=id_, DestinationCidrBlock=block, GatewayId=gateway)
    _update_tags(id_, olds, news, context)
    return {}


@deletes("aws:ec2/routeTable:RouteTable")
def delete_route_table(id_: str, state: dict[str, Any], context: Context) -> None:
    """A table, unless a subnet has it."""
    context.client("ec2").delete_route_table(RouteTableId=id_)


@handles("aws:ec2/routeTableAssociation:RouteTableAssociation")
def route_table_association(inputs: Inputs, context: Context) -> Made:
    """The routes of a subnet."""
    made = context.client("ec2").associate_route_table(
        RouteTableId=inputs.need("routeTableId"), SubnetId=inputs.need("subnetId")
    )
    return made["AssociationId"], {}


@reads("aws:ec2/routeTableAssociation:RouteTableAssociation")
def read_route_table_association(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """The routes of a subnet, if it has any of its own."""
    found = _association(state["subnetId"], context)
    return {"subnetId": state["subnetId"], "routeTableId": found["RouteTableId"]} if found else None


@updates("aws:ec2/routeTableAssociation:RouteTableAssociation")
def update_route_table_association(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Other routes, without a time of none; AWS gives the association another id, so it is found by its subnet."""
    found = _association(news.need("subnetId"), context)
    if found and changed(olds, news, "routeTableId"):
        context.client("ec2").replace_route_table_association(
            AssociationId=found["RouteTableAssociationId"], RouteTableId=news.need("routeTableId")
        )
    return {}


@deletes("aws:ec2/routeTableAssociation:RouteTableAssociation")
def delete_route_table_association(id_: str, state: dict[str, Any], context: Context) -> None:
    """Back to the routes of the network."""
    if found := _association(state["subnetId"], context):
        context.client("ec2").disassociate_route_table(AssociationId=found["RouteTableAssociationId"])


def _association(subnet_id: str, context: Context) -> dict[str, Any] | None:
    filters = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
    tables = context.client("ec2").describe_route_tables(Filters=filters)["RouteTables"]
    for table in tables:
        for found in table["Associations"]:
            if found.get("SubnetId") == subnet_id:
                return {**found, "RouteTableId": table["RouteTableId"]}
    return None


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
    _update_tags(id_, olds, news, context)
    return {}


@deletes("aws:ec2/securityGroup:SecurityGroup")
def delete_security_group(id_: str, state: dict[str, Any], context: Context) -> None:
    """A firewall, unless something is behind it."""
    context.client("ec2").delete_security_group(GroupId=id_)


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


@reads("aws:ec2/instance:Instance")
def read_instance(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """An instance; one that has ended is gone."""
    (reservation,) = context.client("ec2").describe_instances(InstanceIds=[id_])["Reservations"]
    (found,) = reservation["Instances"]
    if found["State"]["Name"] in ("shutting-down", "terminated"):
        return None
    profile = found.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2]
    return {
        **told(found, ami="ImageId", instanceType="InstanceType", subnetId="SubnetId"),
        "iamInstanceProfile": profile or None,
        "vpcSecurityGroupIds": [group["GroupId"] for group in found.get("SecurityGroups", [])],
        "tags": tags_of(found.get("Tags")),
    }


@updates("aws:ec2/instance:Instance")
def update_instance(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """An instance's tags; whatever else would change it the emulated cloud lacks, so that it is refused by name."""
    _update_tags(id_, olds, news, context)
    return {}


@deletes("aws:ec2/instance:Instance")
def delete_instance(id_: str, state: dict[str, Any], context: Context) -> None:
    """An instance, waited for: its network cannot go before."""
    client = context.client("ec2")
    client.terminate_instances(InstanceIds=[id_])
    client.get_waiter("instance_terminated").wait(InstanceIds=[id_], WaiterConfig=_WAIT)


@handles(
    "aws:ebs/volume:Volume",
    finalSnapshot="says what happens to it at its end, and the sandbox is thrown away as a whole",
)
def volume(inputs: Inputs, context: Context) -> Made:
    """A disk that outlives the instances that it is attached to."""
    made = context.client("ec2").create_volume(
        AvailabilityZone=inputs.need("availabilityZone"),
        **inputs.renamed(**_VOLUME),
        **_tagged(inputs, "volume"),
    )["VolumeId"]
    return made, {"arn": context.arn("ec2", f"volume/{made}")}


@reads("aws:ebs/volume:Volume")
def read_volume(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A disk."""
    (found,) = context.client("ec2").describe_volumes(VolumeIds=[id_])["Volumes"]
    settings = told(found, **_VOLUME, availabilityZone="AvailabilityZone")
    return {**settings, "tags": tags_of(found.get("Tags"))}


@updates("aws:ebs/volume:Volume")
def update_volume(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A disk's size and type, and its tags."""
    if changed(olds, news, "size", "type"):
        context.client("ec2").modify_volume(VolumeId=id_, **news.renamed(size="Size", type="VolumeType"))
    _update_tags(id_, olds, news, context)
    return {}


@deletes("aws:ebs/volume:Volume")
def delete_volume(id_: str, state: dict[str, Any], context: Context) -> None:
    """A disk, unless an instance has it; the emulated cloud keeps its content in a snapshot where that is asked for."""
    client = context.client("ec2")
    if state.get("finalSnapshot"):
        client.create_snapshot(VolumeId=id_)
    client.delete_volume(VolumeId=id_)


@handles("aws:ec2/launchTemplate:LaunchTemplate")
def launch_template(inputs: Inputs, context: Context) -> Made:
    """A template of instances; its user data is encoded already."""
    name = inputs.need("name")
    made = context.client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=_template(inputs), **_tagged(inputs, "launch-template")
    )["LaunchTemplate"]
    return made["LaunchTemplateId"], {
        "arn": context.arn("ec2", f"launch-template/{made['LaunchTemplateId']}"),
        "defaultVersion": made["DefaultVersionNumber"],
        "latestVersion": made["LatestVersionNumber"],
    }


def _template(inputs: Inputs) -> dict[str, Any]:
    data: dict[str, Any] = inputs.renamed(**_TEMPLATE)
    for key in _TEMPLATE_BLOCKS:
        if key in inputs:
            data |= pascal({key: inputs.get(key)})
    data["NetworkInterfaces"] = [
        {
            "DeviceIndex": index,
            "AssociatePublicIpAddress": interface.get("associatePublicIpAddress") == "true",
            "Groups": interface.get("securityGroups", []),
        }
        for index, interface in enumerate(inputs.blocks("networkInterfaces"))
    ]
    data["BlockDeviceMappings"] = [
        {"DeviceName": device.need("deviceName"), "Ebs": _disk(disk)}
        for device in inputs.blocks("blockDeviceMappings")
        for disk in device.blocks("ebs")
    ]
    return data


@reads("aws:ec2/launchTemplate:LaunchTemplate")
def read_launch_template(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A template in its latest version; its disks and interfaces are taken to be as they were asked for."""
    client = context.client("ec2")
    listed = client.describe_launch_templates(LaunchTemplateIds=[id_])["LaunchTemplates"]
    if not listed:
        return None
    versions = client.describe_launch_template_versions(LaunchTemplateId=id_, Versions=["$Latest"])
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return {
        "name": listed[0]["LaunchTemplateName"],
        **told(data, **_TEMPLATE),
        **camel(told(data, **_TEMPLATE_BLOCKS)),
        "tags": tags_of(client.describe_tags(Filters=[{"Name": "resource-id", "Values": [id_]}])["Tags"]),
    }


@updates("aws:ec2/launchTemplate:LaunchTemplate")
def update_launch_template(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Another content makes a new version, which is the default one where the program says so."""
    client, outputs = context.client("ec2"), {}
    if changed(olds, news, *_TEMPLATE, *_TEMPLATE_BLOCKS, *_TEMPLATE_LISTS):
        made = client.create_launch_template_version(LaunchTemplateId=id_, LaunchTemplateData=_template(news))
        outputs["latestVersion"] = made["LaunchTemplateVersion"]["VersionNumber"]
        if news.get("updateDefaultVersion"):
            client.modify_launch_template(LaunchTemplateId=id_, DefaultVersion=str(outputs["latestVersion"]))
            outputs["defaultVersion"] = outputs["latestVersion"]
    _update_tags(id_, olds, news, context)
    return outputs


@deletes("aws:ec2/launchTemplate:LaunchTemplate")
def delete_launch_template(id_: str, state: dict[str, Any], context: Context) -> None:
    """A template with its versions; instances that were made by it go on."""
    context.client("ec2").delete_launch_template(LaunchTemplateId=id_)


def _disk(disk: Inputs) -> dict[str, Any]:
    return {
        **disk.renamed(volumeType="VolumeType", volumeSize="VolumeSize"),
        "Encrypted": disk.get("encrypted") == "true",
        "DeleteOnTermination": disk.get("deleteOnTermination") == "true",
    }


@handles(
    "aws:autoscaling/group:Group",
    instanceRefresh="says how instances are replaced when the template has changed, and the sandbox makes it once",
    instanceMaintenancePolicy="the emulator's instances are never replaced",
)
def auto_scaling_group(inputs: Inputs, context: Context) -> Made:
    """A group that keeps a number of instances; the emulator gives them ids, and nothing more."""
    name = inputs.need("name")
    client = context.client("autoscaling")
    client.create_auto_scaling_group(
        AutoScalingGroupName=name, Tags=_group_tags(inputs.blocks("tags")), **_group(inputs)
    )
    (made,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return name, {"arn": made["AutoScalingGroupARN"]}


def _group(inputs: Inputs) -> dict[str, Any]:
    template = inputs.block("launchTemplate")
    if template is None:
        raise InputError("launchTemplate is missing: a group without one is not honoured")
    for key in ("minSize", "maxSize"):
        inputs.need(key)
    return {
        "LaunchTemplate": {"LaunchTemplateId": template.need("id"), "Version": template.need("version")},
        "VPCZoneIdentifier": ",".join(inputs.need("vpcZoneIdentifiers")),
        **inputs.renamed(**_GROUP),
    }


def _group_tags(blocks: list[Inputs]) -> list[dict[str, Any]]:
    return [
        {"Key": tag.need("key"), "Value": tag.need("value"), "PropagateAtLaunch": tag.need("propagateAtLaunch")}
        for tag in blocks
    ]


@reads("aws:autoscaling/group:Group")
def read_auto_scaling_group(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A group that keeps a number of instances."""
    groups = context.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[id_])
    for found in groups["AutoScalingGroups"]:
        template = found.get("LaunchTemplate", {})
        tags = {tag["Key"]: tag for tag in found.get("Tags", [])}
        order = [tag["key"] for tag in state.get("tags", []) if tag["key"] in tags]
        return {
            "name": id_,
            **told(found, **_GROUP),
            "launchTemplate": told(template, id="LaunchTemplateId", version="Version"),
            "vpcZoneIdentifiers": found.get("VPCZoneIdentifier", "").split(","),
            "tags": [
                {
                    "key": key,
                    "value": tags[key]["Value"],
                    "propagateAtLaunch": tags[key]["PropagateAtLaunch"],
                }
                for key in [*order, *sorted(tags.keys() - set(order))]
            ],
        }
    return None


@updates("aws:autoscaling/group:Group")
def update_auto_scaling_group(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A group's settings, all at once, and its tags."""
    client = context.client("autoscaling")
    if changed(olds, news, "launchTemplate", "vpcZoneIdentifiers", *_GROUP):
        client.update_auto_scaling_group(AutoScalingGroupName=id_, **_group(news))
    if changed(olds, news, "tags"):
        place = {"ResourceId": id_, "ResourceType": "auto-scaling-group"}
        has = _group_tags(news.blocks("tags"))
        gone = {tag["key"] for tag in olds.get("tags", [])} - {tag["Key"] for tag in has}
        if gone:
            client.delete_tags(Tags=[{"Key": key, **place} for key in sorted(gone)])
        if has:
            client.create_or_update_tags(Tags=[{**tag, **place} for tag in has])
    return {}


@deletes("aws:autoscaling/group:Group")
def delete_auto_scaling_group(id_: str, state: dict[str, Any], context: Context) -> None:
    """A group, once it keeps none."""
    client = context.client("autoscaling")
    client.update_auto_scaling_group(AutoScalingGroupName=id_, MinSize=0, MaxSize=0, DesiredCapacity=0)
    client.delete_auto_scaling_group(AutoScalingGroupName=id_, ForceDelete=bool(state.get("forceDelete")))


@puts("aws:autoscaling/lifecycleHook:LifecycleHook")
def lifecycle_hook(inputs: Inputs, context: Context) -> Made:
    """A hook that an instance waits for. As AWS does, a queue that is to hear of it is sent a test."""
    name, group = inputs.need("name"), inputs.need("autoscalingGroupName")
    inputs.need("lifecycleTransition")
    context.client("autoscaling").put_lifecycle_hook(
        LifecycleHookName=name, AutoScalingGroupName=group, **inputs.renamed(**_HOOK)
    )
    target = inputs.get("notificationTargetArn")
    if target:
        sqs = context.client("sqs")
        test = {
            "AccountId": context.account_id,
            "AutoScalingGroupName": group,
            "Event": "autoscaling:TEST_NOTIFICATION",
            "Service": "AWS Auto Scaling",
        }
        url = sqs.get_queue_url(QueueName=target.rpartition(":")[2])["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(test))
    return name, {}


@reads("aws:autoscaling/lifecycleHook:LifecycleHook")
def read_lifecycle_hook(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A hook that an instance waits for, if its group has it."""
    group = state["autoscalingGroupName"]
    hooks = context.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=group)["LifecycleHooks"]
    for found in hooks:
        if found["LifecycleHookName"] == id_:
            # The emulated cloud does not tell whom a hook notifies.
            settings = {key: value for key, value in told(found, **_HOOK).items() if value is not None}
            return {"name": id_, "autoscalingGroupName": group, **settings}
    return None


@deletes("aws:autoscaling/lifecycleHook:LifecycleHook")
def delete_lifecycle_hook(id_: str, state: dict[str, Any], context: Context) -> None:
    """A hook that an instance waits for; its group stays."""
    context.client("autoscaling").delete_lifecycle_hook(
        LifecycleHookName=id_, AutoScalingGroupName=state["autoscalingGroupName"]
    )
