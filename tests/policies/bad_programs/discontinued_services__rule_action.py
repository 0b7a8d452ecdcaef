"""A topic rule that writes to Timestream for LiveAnalytics."""

import pulumi_aws as aws

ROLE = "arn:aws:iam::123456789012:role/rules"
aws.iot.TopicRule(
    "telemetry",
    name="telemetry",
    enabled=True,
    sql="SELECT * FROM 'pm/+/+/reading'",
    sql_version="2016-03-23",
    timestreams=[
        {
            "database_name": "plant",
            "table_name": "readings",
            "role_arn": ROLE,
            "dimensions": [{"name": "site", "value": "${site}"}],
        }
    ],
    error_action={"sqs": {"queue_url": "https://queue", "role_arn": ROLE, "use_base64": False}},
)
