"""A role that may do anything with one bucket."""

import json

import pulumi_aws as aws

statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::pm-dev-lake/*"}
aws.iam.RolePolicy(
    "all", name="all", role="delivery", policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
)
