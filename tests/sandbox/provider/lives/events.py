"""EventBridge and Scheduler."""

import json
from typing import Any

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, life


@life("aws:cloudwatch/eventRule:EventRule")
def _rule(lab: Lab) -> Life:
    def pattern(source: str) -> str:
        return json.dumps({"source": [source]})

    return Life(
        {"name": lab.name(), "description": "a", "eventPattern": pattern("aws.s3"), "state": "ENABLED", "tags": TAGS},
        {"description": "b", "eventPattern": pattern("aws.sqs"), "state": "DISABLED", "tags": OTHER_TAGS},
    )


@life("aws:cloudwatch/eventTarget:EventTarget")
def _target(lab: Lab) -> Life:
    rule = lab.make("aws:cloudwatch/eventRule:EventRule", name=lab.name(), scheduleExpression="rate(1 day)").id
    arns = [lab.queue().outputs["arn"] for _ in range(4)]
    return Life(
        {"rule": rule, "targetId": "a", "arn": arns[0], "deadLetterConfig": {"arn": arns[1]}},
        {"arn": arns[2], "deadLetterConfig": {"arn": arns[3]}},
    )


@life("aws:scheduler/scheduleGroup:ScheduleGroup")
def _schedule_group(lab: Lab) -> Life:
    return Life({"name": lab.name(), "tags": TAGS}, {"tags": OTHER_TAGS})


@life("aws:scheduler/schedule:Schedule")
def _schedule(lab: Lab) -> Life:
    def target() -> dict[str, Any]:
        arn = lab.queue().outputs["arn"]
        retries = {"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 5}
        return {
            "arn": arn,
            "roleArn": lab.role,
            "input": "{}",
            "retryPolicy": retries,
            "deadLetterConfig": {"arn": arn},
        }

    return Life(
        {
            "name": lab.name(),
            "description": "a",
            "flexibleTimeWindow": {"mode": "FLEXIBLE", "maximumWindowInMinutes": 60},
            "scheduleExpression": "rate(7 days)",
            "state": "DISABLED",
            "target": target(),
        },
        {
            "description": "b",
            "flexibleTimeWindow": {"mode": "OFF"},
            "scheduleExpression": "rate(8 days)",
            "state": "ENABLED",
            "target": target(),
        },
    )
