"""A resource that is in another region than its provider."""

import pulumi_aws as aws

aws.iot.ThingGroup("group", name="group", region="ap-southeast-2")
