"""CloudWatch."""

import json

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, life


@life("aws:cloudwatch/logGroup:LogGroup")
def _log_group(lab: Lab) -> Life:
    return Life(
        {"name": lab.name(), "retentionInDays": 30, "kmsKeyId": lab.key, "tags": TAGS},
        {"retentionInDays": 60, "kmsKeyId": None, "tags": OTHER_TAGS},
    )


@life("aws:cloudwatch/logStream:LogStream")
def _log_stream(lab: Lab) -> Life:
    group = lab.make("aws:cloudwatch/logGroup:LogGroup", name=lab.name()).id
    return Life({"logGroupName": group, "name": "a"})


@life("aws:cloudwatch/metricAlarm:MetricAlarm")
def _alarm(lab: Lab) -> Life:
    return Life(
        {
            "name": lab.name(),
            "actionsEnabled": True,
            "alarmActions": [lab.topic],
            "alarmDescription": "a",
            "comparisonOperator": "GreaterThanThreshold",
            "dimensions": {"QueueName": "q"},
            "evaluationPeriods": 1,
            "metricName": "NumberOfMessagesSent",
            "namespace": "AWS/SQS",
            "period": 300,
            "statistic": "Sum",
            "threshold": 1,
            "treatMissingData": "notBreaching",
            "okActions": [lab.topic],
            "tags": TAGS,
        },
        {
            "actionsEnabled": False,
            "alarmActions": [],
            "alarmDescription": "b",
            "comparisonOperator": "GreaterThanOrEqualToThreshold",
            "dimensions": {"QueueName": "r"},
            "evaluationPeriods": 3,
            "datapointsToAlarm": 2,
            "metricName": "NumberOfMessagesReceived",
            "namespace": "pm",
            "period": 60,
            "statistic": "Maximum",
            "threshold": 2.5,
            "treatMissingData": "breaching",
            "okActions": None,
            "tags": OTHER_TAGS,
        },
    )


@life("aws:cloudwatch/dashboard:Dashboard")
def _dashboard(lab: Lab) -> Life:
    def body(text: str) -> str:
        widget = {"type": "text", "x": 0, "y": 0, "width": 6, "height": 6, "properties": {"markdown": text}}
        return json.dumps({"widgets": [widget]})

    return Life({"dashboardName": lab.name(), "dashboardBody": body("a")}, {"dashboardBody": body("b")})
