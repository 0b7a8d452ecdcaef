"""Two deployments to one thing group, each of which replaces the other."""

import pulumi_aws as aws
from pulumi_aws_native import greengrassv2

group = aws.iot.ThingGroup("floor", name="floor")
for name in ("code", "models"):
    greengrassv2.Deployment(name, target_arn=group.arn, components={f"pm.{name}": {"component_version": "1.0.0"}})
