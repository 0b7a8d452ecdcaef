"""Devices that may publish whatever they like."""

import json

import pulumi_aws as aws

statement = {"Effect": "Allow", "Action": ["iot:Publish"], "Resource": ["*"]}
aws.iot.Policy("devices", name="devices", policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
