"""EC2 and Auto Scaling."""

from typing import Any

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, life


def _network(lab: Lab) -> str:
    return lab.make("aws:ec2/vpc:Vpc", cidrBlock="10.0.0.0/16").id


def _part(lab: Lab, network: str, block: str = "10.0.0.0/24") -> str:
    return lab.make("aws:ec2/subnet:Subnet", vpcId=network, cidrBlock=block).id


def _image(lab: Lab) -> str:
    image: str = lab.client("ec2").describe_images()["Images"][0]["ImageId"]
    return image


@life("aws:ec2/vpc:Vpc")
def _vpc(lab: Lab) -> Life:
    return Life(
        {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True, "enableDnsHostnames": True, "tags": TAGS},
        {"enableDnsSupport": False, "enableDnsHostnames": False, "tags": OTHER_TAGS},
    )


@life("aws:ec2/internetGateway:InternetGateway")
def _gateway(lab: Lab) -> Life:
    return Life({"vpcId": _network(lab), "tags": TAGS}, {"vpcId": _network(lab), "tags": OTHER_TAGS})


@life("aws:ec2/subnet:Subnet")
def _subnet(lab: Lab) -> Life:
    return Life(
        {"vpcId": _network(lab), "cidrBlock": "10.0.1.0/24", "mapPublicIpOnLaunch": True, "tags": TAGS},
        {"mapPublicIpOnLaunch": False, "tags": OTHER_TAGS},
    )


@life("aws:ec2/routeTable:RouteTable")
def _routes(lab: Lab) -> Life:
    network = _network(lab)
    gateway = lab.make("aws:ec2/internetGateway:InternetGateway", vpcId=network).id

    def routes(block: str) -> list[dict[str, str]]:
        return [{"cidrBlock": block, "gatewayId": gateway}]

    return Life(
        {"vpcId": network, "routes": routes("0.0.0.0/0"), "tags": TAGS},
        {"routes": routes("192.168.0.0/16"), "tags": OTHER_TAGS},
    )


@life("aws:ec2/routeTableAssociation:RouteTableAssociation")
def _route_association(lab: Lab) -> Life:
    network = _network(lab)
    one, other = (lab.make("aws:ec2/routeTable:RouteTable", vpcId=network).id for _ in range(2))
    return Life({"subnetId": _part(lab, network), "routeTableId": one}, {"routeTableId": other})


@life("aws:ec2/securityGroup:SecurityGroup")
def _firewall(lab: Lab) -> Life:
    def rules(port: int) -> list[dict[str, Any]]:
        rule = {"protocol": "tcp", "fromPort": port, "toPort": port, "cidrBlocks": ["0.0.0.0/0"], "description": "a"}
        return [rule]

    return Life(
        {
            "name": lab.name(),
            "description": "a",
            "vpcId": _network(lab),
            "egress": rules(443),
            "ingress": rules(8883),
            "tags": TAGS,
        },
        {"egress": rules(8443), "ingress": [], "tags": OTHER_TAGS},
    )


@life("aws:ebs/volume:Volume")
def _volume(lab: Lab) -> Life:
    return Life(
        {"availabilityZone": "eu-central-1a", "size": 8, "type": "gp3", "encrypted": True, "tags": TAGS},
        {"size": 16, "tags": OTHER_TAGS},
    )


def _launch_template(lab: Lab) -> dict[str, Any]:
    return {
        "name": lab.name(),
        "imageId": _image(lab),
        "instanceType": "t3.small",
        "userData": "YQ==",
        "metadataOptions": {"httpTokens": "required"},
        "networkInterfaces": [{"associatePublicIpAddress": "true"}],
    }


@life("aws:ec2/launchTemplate:LaunchTemplate")
def _template_of_instances(lab: Lab) -> Life:
    return Life(
        {**_launch_template(lab), "tags": TAGS},
        {
            "instanceType": "t3.medium",
            "userData": "Yg==",
            "metadataOptions": {"httpTokens": "optional"},
            "networkInterfaces": [{"associatePublicIpAddress": "false"}],
            "tags": OTHER_TAGS,
        },
        frozenset({"networkInterfaces"}),
    )


def _group_of_instances(lab: Lab) -> dict[str, Any]:
    template = lab.make("aws:ec2/launchTemplate:LaunchTemplate", **_launch_template(lab)).id
    return {
        "name": lab.name(),
        "minSize": 0,
        "maxSize": 1,
        "desiredCapacity": 0,
        "launchTemplate": {"id": template, "version": "1"},
        "vpcZoneIdentifiers": [_part(lab, _network(lab))],
        "tags": [{"key": "Stack", "value": "a", "propagateAtLaunch": True}],
    }


@life("aws:autoscaling/group:Group")
def _group(lab: Lab) -> Life:
    other = lab.make("aws:ec2/launchTemplate:LaunchTemplate", **_launch_template(lab)).id
    return Life(
        _group_of_instances(lab),
        {
            "maxSize": 2,
            "launchTemplate": {"id": other, "version": "1"},
            "vpcZoneIdentifiers": [_part(lab, _network(lab))],
            "tags": [{"key": "Tier", "value": "dev", "propagateAtLaunch": True}],
        },
    )


@life("aws:autoscaling/lifecycleHook:LifecycleHook")
def _hook(lab: Lab) -> Life:
    group = lab.make("aws:autoscaling/group:Group", **_group_of_instances(lab)).id
    return Life(
        {
            "name": lab.name(),
            "autoscalingGroupName": group,
            "lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
            "defaultResult": "CONTINUE",
            "heartbeatTimeout": 60,
            "notificationTargetArn": lab.queue().outputs["arn"],
            "roleArn": lab.role,
        },
        {"defaultResult": "ABANDON", "heartbeatTimeout": 90, "notificationTargetArn": lab.queue().outputs["arn"]},
        frozenset({"notificationTargetArn", "roleArn"}),
    )
