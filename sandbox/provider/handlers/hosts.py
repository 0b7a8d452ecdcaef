"""EC2: a network, instances in it, and a group that keeps them. The emulator keeps it all and boots nothing."""

import json
from typing import Any

from sandbox.provider.inputs import InputError, Inputs, pascal, tag_list
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
    part = client.create_subnet(
        VpcId=inputs.need("vpcId"), CidrBlock=inputs.need("cidrBlock"), **_tagged(inputs, "subnet")
    )["Subnet"]
    made = part["SubnetId"]
    if "mapPublicIpOnLaunch" in inputs:
        client.modify_subnet_attribute(SubnetId=made, MapPublicIpOnLaunch={"Value": inputs.get("mapPublicIpOnLaunch")})
    return made, {"arn": context.arn("ec2", f"subnet/{made}"), "availabilityZone": part["AvailabilityZone"]}


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


@handles(
    "aws:ebs/volume:Volume",
    finalSnapshot="says what happens to it at its end, and the sandbox is thrown away as a whole",
)
def volume(inputs: Inputs, context: Context) -> Made:
    """A disk that outlives the instances that it is attached to."""
    made = context.client("ec2").create_volume(
        AvailabilityZone=inputs.need("availabilityZone"),
        **inputs.renamed(encrypted="Encrypted", kmsKeyId="KmsKeyId", size="Size", type="VolumeType"),
        **_tagged(inputs, "volume"),
    )["VolumeId"]
    return made, {"arn": context.arn("ec2", f"volume/{made}")}


@handles("aws:ec2/launchTemplate:LaunchTemplate")
def launch_template(inputs: Inputs, context: Context) -> Made:
    """What instances are made by; its user data is encoded already."""
    data: dict[str, Any] = inputs.renamed(imageId="ImageId", instanceType="InstanceType", userData="UserData")
    for key in ("iamInstanceProfile", "metadataOptions"):
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
    name = inputs.need("name")
    made = context.client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=data, **_tagged(inputs, "launch-template")
    )["LaunchTemplate"]
    return made["LaunchTemplateId"], {
        "arn": context.arn("ec2", f"launch-template/{made['LaunchTemplateId']}"),
        "defaultVersion": made["DefaultVersionNumber"],
        "latestVersion": made["LatestVersionNumber"],
    }


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
    template = inputs.block("launchTemplate")
    if template is None:
        raise InputError("launchTemplate is missing: a group without one is not honoured")
    tags = [
        {"Key": tag.need("key"), "Value": tag.need("value"), "PropagateAtLaunch": tag.need("propagateAtLaunch")}
        for tag in inputs.blocks("tags")
    ]
    client = context.client("autoscaling")
    client.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=inputs.need("minSize"),
        MaxSize=inputs.need("maxSize"),
        LaunchTemplate={"LaunchTemplateId": template.need("id"), "Version": template.need("version")},
        VPCZoneIdentifier=",".join(inputs.need("vpcZoneIdentifiers")),
        Tags=tags,
        **inputs.renamed(desiredCapacity="DesiredCapacity", healthCheckType="HealthCheckType"),
    )
    (made,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return name, {"arn": made["AutoScalingGroupARN"]}


@handles("aws:autoscaling/lifecycleHook:LifecycleHook")
def lifecycle_hook(inputs: Inputs, context: Context) -> Made:
    """What an instance waits for. As AWS does, a queue that is to hear of it is sent a test."""
    name, group = inputs.need("name"), inputs.need("autoscalingGroupName")
    target = inputs.get("notificationTargetArn")
    context.client("autoscaling").put_lifecycle_hook(
        LifecycleHookName=name,
        AutoScalingGroupName=group,
        LifecycleTransition=inputs.need("lifecycleTransition"),
        **({"NotificationTargetARN": target} if target else {}),
        **inputs.renamed(
            defaultResult="DefaultResult",
            heartbeatTimeout="HeartbeatTimeout",
            notificationMetadata="NotificationMetadata",
            roleArn="RoleARN",
        ),
    )
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
