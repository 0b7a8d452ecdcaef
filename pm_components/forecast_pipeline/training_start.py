"""The causes of a retraining: a schedule, and drift, which is that forecasts have left the acceptable range.

Both put a message into one queue, and one function starts the state machine for them, unless it runs already.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.alarms import TopicArns
from pm_components.aws.checking import checked
from pm_components.aws.lambda_function import LambdaFunction, lambda_function
from pm_components.aws.limits import SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM
from pm_components.aws.permissions import allow, service_role
from pm_components.aws.queues import WorkQueue, work_queue
from pm_components.aws.rule_statements import statement
from pm_components.aws.topic_rules import SQL_VERSION, QueueAction
from pm_components.forecast_pipeline.settings import COOLDOWN_SECONDS_MINIMUM
from pm_components.functions.start_training.core import SCHEDULED
from pm_contracts import topics

_TIMEOUT_SECONDS = 30


class Causes(NamedTuple):
    """The causes of a retraining."""

    sites: Sequence[str]
    """The sites whose forecasts may drift."""
    schedule: pulumi.Input[str]
    """When, as EventBridge Scheduler writes it."""
    schedule_enabled: pulumi.Input[bool]
    drift_enabled: pulumi.Input[bool]
    drift_cooldown_seconds: pulumi.Input[int]
    """In which a start, whatever caused it, is not followed by one for drift; at least 60."""


class TrainingStart(NamedTuple):
    """The starter of the state machine."""

    queue: WorkQueue
    function: LambdaFunction


def training_start(
    name: str,
    causes: Causes,
    state_machine_arn: pulumi.Input[str],
    layer_arn: pulumi.Input[str],
    *,
    parent: pulumi.Resource,
    alarm_topic_arns: TopicArns,
) -> TrainingStart:
    """The queue of starts, what fills it, and the function `{name}-start-function` that works it off.

    Args:
        name: logical name of the component.
        causes: what fills the queue.
        state_machine_arn: what is started.
        layer_arn: the layer with the contracts.
        parent: the component.
        alarm_topic_arns: SNS topics that hear of alarms.
    """
    word = f"{name}-start"
    queue = work_queue(word, _TIMEOUT_SECONDS, parent=parent, alarm_topic_arns=alarm_topic_arns)
    _drift_rule(name, causes, queue, parent)
    _schedule(name, causes, queue, parent)
    made = lambda_function(
        word,
        "start_training",
        parent=parent,
        description="Starts a retraining by schedule or for drift, unless one runs",
        statements=[
            allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], [queue.queue.arn]),
            allow(["sqs:SendMessage"], [queue.dead_letters.arn]),
            allow(["states:ListExecutions", "states:StartExecution"], [state_machine_arn]),
        ],
        environment={
            "STATE_MACHINE_ARN": state_machine_arn,
            "DEAD_LETTERS_URL": queue.dead_letters.url,
            "COOLDOWN_SECONDS": checked(causes.drift_cooldown_seconds, _cooldown),
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
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return TrainingStart(queue, made)


def _drift_rule(name: str, causes: Causes, queue: WorkQueue, parent: pulumi.Resource) -> None:
    """The sites' drift, to the queue: forecast quality says it on a topic that no device may publish on."""
    word = f"{name}-drift"
    role = service_role(
        f"{word}-rule",
        "iot.amazonaws.com",
        [allow(["sqs:SendMessage"], [queue.queue.arn, queue.dead_letters.arn])],
        parent=parent,
    )
    aws.iot.TopicRule(
        f"{word}-rule",
        name=naming.topic_rule_name(word),
        description="Drift of a site's forecasts, to the function that starts a retraining",
        enabled=causes.drift_enabled,
        sql=statement("*", topics.drift_topic("+"), causes.sites),
        sql_version=SQL_VERSION,
        sqs=[QueueAction(queue.queue, role).action],
        error_action=QueueAction(queue.dead_letters, role).error_action,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _schedule(name: str, causes: Causes, queue: WorkQueue, parent: pulumi.Resource) -> None:
    """A message into the queue again and again, or into its dead letters where it cannot be delivered."""
    word = f"{name}-schedule"
    role = service_role(
        word,
        "scheduler.amazonaws.com",
        [allow(["sqs:SendMessage"], [queue.queue.arn, queue.dead_letters.arn])],
        parent=parent,
    )
    enabled = pulumi.Output.from_input(causes.schedule_enabled)
    aws.scheduler.Schedule(
        word,
        name=naming.physical_name(name),
        description="Makes the models anew",
        schedule_expression=causes.schedule,
        state=enabled.apply(lambda runs: "ENABLED" if runs else "DISABLED"),
        flexible_time_window={"mode": "FLEXIBLE", "maximum_window_in_minutes": 60},
        target={
            "arn": queue.queue.arn,
            "role_arn": role.arn,
            "input": SCHEDULED,
            "dead_letter_config": {"arn": queue.dead_letters.arn},
            "retry_policy": {"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 5},
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _cooldown(seconds: Any) -> str:
    """The cool-down as text.

    Raises:
        ValueError: if it is shorter than allowed.
    """
    if seconds < COOLDOWN_SECONDS_MINIMUM:
        raise ValueError(f"drift_cooldown_seconds: found {seconds}, allowed are {COOLDOWN_SECONDS_MINIMUM} and more")
    return str(int(seconds))
