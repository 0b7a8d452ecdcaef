"""A stack that goes to the other end of the world with a provider of its own."""

import pulumi
import pulumi_aws as aws

sydney = aws.Provider("sydney", region="ap-southeast-2")
aws.iot.ThingGroup("group", name="group", opts=pulumi.ResourceOptions(provider=sydney))
