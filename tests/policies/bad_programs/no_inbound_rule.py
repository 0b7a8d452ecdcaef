"""A host that anybody may try to log in to."""

import pulumi_aws as aws

aws.ec2.SecurityGroup(
    "host",
    vpc_id="vpc-1",
    ingress=[{"protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_blocks": ["0.0.0.0/0"]}],
)
