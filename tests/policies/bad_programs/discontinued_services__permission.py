"""A role that may send events to AWS IoT Events."""

import json

import pulumi_aws as aws

statement = {
    "Effect": "Allow",
    "Action": ["iotevents:BatchPutMessage"],
    "Resource": ["arn:aws:iotevents:eu-central-1:123456789012:input/outcomes"],
}
aws.iam.RolePolicy(
    "send", name="send", role="rules", policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
)
