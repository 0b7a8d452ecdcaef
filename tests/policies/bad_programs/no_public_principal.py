"""A queue that anyone with an AWS account may fill."""

import json

import pulumi_aws as aws

QUEUE = "arn:aws:sqs:eu-central-1:123456789012:orders"
statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": QUEUE}
aws.sqs.QueuePolicy(
    "open",
    queue_url="https://sqs.eu-central-1.amazonaws.com/123456789012/orders",
    policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
)
