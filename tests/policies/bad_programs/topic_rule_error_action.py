"""A topic rule that drops what it cannot hand over."""

import pulumi_aws as aws

aws.iot.TopicRule(
    "telemetry",
    name="telemetry",
    enabled=True,
    sql="SELECT * FROM 'pm/+/+/reading'",
    sql_version="2016-03-23",
    firehoses=[
        {"delivery_stream_name": "readings", "role_arn": "arn:aws:iam::123456789012:role/rules", "separator": "\n"}
    ],
)
