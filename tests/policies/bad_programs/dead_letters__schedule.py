"""A schedule whose starts are lost where they cannot be delivered."""

import pulumi_aws as aws

aws.scheduler.Schedule(
    "weekly",
    name="weekly",
    schedule_expression="rate(7 days)",
    flexible_time_window={"mode": "OFF"},
    target={
        "arn": "arn:aws:states:eu-central-1:123456789012:stateMachine:training",
        "role_arn": "arn:aws:iam::123456789012:role/weekly",
    },
)
