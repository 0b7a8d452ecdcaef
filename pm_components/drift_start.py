"""The way from the alert that forecasts have left the acceptable range to the making of new models."""

from collections.abc import Sequence
from typing import Any, Optional

import pulumi
import pulumi_aws as aws

from pm_components import naming
from pm_components.checking import checked
from pm_components.functions.start_training.core import CAUSE
from pm_components.lambda_function import lambda_function
from pm_components.limits import SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM, TOPIC_RULE_NAME_LENGTH
from pm_components.permissions import allow, service_role
from pm_components.queues import WorkQueue, work_queue
from pm_contracts import topics

_TIMEOUT_SECONDS = 30


def drift_start(
    name: str,
    state_machine_arn: pulumi.Input[str],
    layer_arn: pulumi.Input[str],
    *,
    parent: pulumi.Resource,
    enabled: pulumi.Input[bool],
    cooldown_seconds: pulumi.Input[int],
    alarm_topic_arns: Optional[pulumi.Input[Sequence[pulumi.Input[str]]]],
) -> WorkQueue:
    """A rule on the sites' alerts, a queue, and the function `{name}-drift-function` that starts the state machine.

    Args:
        name: logical name of the component.
        state_machine_arn: what is started.
        layer_arn: the layer with the contracts.
        parent: the component.
        enabled: whether the rule runs.
        cooldown_seconds: in which a start, whatever caused it, is not followed by another one; at least 60.
        alarm_topic_arns: SNS topics that hear of alarms.
    """
    word = f"{name}-drift"
    options = pulumi.ResourceOptions(parent=parent)
    queue = work_queue(word, _TIMEOUT_SECONDS, parent=parent, alarm_topic_arns=alarm_topic_arns)
    role = service_role(
        f"{word}-rule",
        "iot.amazonaws.com",
        [allow(["sqs:SendMessage"], [queue.queue.arn, queue.dead_letters.arn])],
        parent=parent,
    )
    topic_filter = topics.site_topic("+", topics.ALERT)
    aws.iot.TopicRule(
        f"{word}-rule",
        name=naming.physical_name(word, maximum=TOPIC_RULE_NAME_LENGTH).replace("-", "_"),
        description="Alerts that forecasts have left the acceptable range, to the function that has models made anew",
        enabled=enabled,
        sql=f"SELECT * FROM '{topic_filter}' WHERE cause = '{CAUSE}' AND state = 'active'",
        sql_version="2016-03-23",
        sqs=[{"queue_url": queue.queue.url, "role_arn": role.arn, "use_base64": False}],
        error_action={"sqs": {"queue_url": queue.dead_letters.url, "role_arn": role.arn, "use_base64": False}},
        opts=options,
    )
    made = lambda_function(
        word,
        "start_training",
        parent=parent,
        description="Has models made anew when forecasts have left the acceptable range",
        statements=[
            allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], [queue.queue.arn]),
            allow(["states:ListExecutions", "states:StartExecution"], [state_machine_arn]),
        ],
        environment={
            "STATE_MACHINE_ARN": state_machine_arn,
            "COOLDOWN_SECONDS": checked(cooldown_seconds, _cooldown),
        },
        layers=[layer_arn],
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    aws.lambda_.EventSourceMapping(
        f"{word}-source",
        event_source_arn=queue.queue.arn,
        function_name=made.function.arn,
        batch_size=10,
        function_response_types=["ReportBatchItemFailures"],
        scaling_config={"maximum_concurrency": SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM},
        opts=options,
    )
    return queue


def _cooldown(seconds: Any) -> str:
    """The cool-down as text.

    Raises:
        ValueError: where it is shorter than a minute.
    """
    if seconds < 60:
        raise ValueError(f"drift_cooldown_seconds: found {seconds}, allowed are 60 and more")
    return str(int(seconds))
