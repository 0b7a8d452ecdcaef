"""A thing group of nobody."""

import pulumi_aws as aws

aws.iot.ThingGroup("floor", name="floor", tags={"Owner": ""})
