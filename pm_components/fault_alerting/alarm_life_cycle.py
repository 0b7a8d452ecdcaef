"""The resources behind an alarm's life: tables, and schedules for all that happens when nothing comes in time."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.checking import checked
from pm_components.aws.permissions import Statement, allow, service_role
from pm_components.aws.settings import converted
from pm_components.fault_alerting.settings import AlarmArgs, AlarmSettings
from pm_components.functions.alarm_keeper.later import NAME_PREFIX


class AlarmLifeCycle(NamedTuple):
    """The parts of it that the function that keeps the alarms is given."""

    table: aws.dynamodb.Table
    statements: list[Statement]
    environment: dict[str, pulumi.Input[str]]


def alarm_life_cycle(
    name: str, queue: aws.sqs.Queue, alarms: pulumi.Input[AlarmArgs], *, parent: pulumi.Resource
) -> AlarmLifeCycle:
    """The tables `{name}-alarm-table` and `{name}-digest-table`, the schedules' group `{name}-escalations` and role.

    Args:
        name: logical name of the component.
        queue: where the schedules' messages go: the queue of the function that keeps the alarms.
        alarms: how insistent they are.
        parent: the component.
    """
    options = pulumi.ResourceOptions(parent=parent)
    table = aws.dynamodb.Table(
        f"{name}-alarm-table",
        name=naming.physical_name(name, "alarms"),
        billing_mode="PAY_PER_REQUEST",
        hash_key="alarm",
        attributes=[{"name": "alarm", "type": "S"}],
        ttl={"attribute_name": "expires_at", "enabled": True},
        point_in_time_recovery={"enabled": True},
        opts=options,
    )
    digests = aws.dynamodb.Table(
        f"{name}-digest-table",
        name=naming.physical_name(name, "digests"),
        billing_mode="PAY_PER_REQUEST",
        hash_key="site",
        range_key="entry",
        attributes=[{"name": "site", "type": "S"}, {"name": "entry", "type": "S"}],
        opts=options,
    )
    group = aws.scheduler.ScheduleGroup(
        f"{name}-escalations", name=naming.physical_name(name, "escalations"), opts=options
    )
    role = service_role(
        f"{name}-escalation",
        "scheduler.amazonaws.com",
        [allow(["sqs:SendMessage"], [queue.arn])],
        parent=parent,
    )
    schedules = naming.arn("scheduler", pulumi.Output.concat("schedule/", group.name, f"/{NAME_PREFIX}*"), parent)
    statements = [
        allow(["dynamodb:GetItem", "dynamodb:PutItem"], [table.arn]),
        allow(["dynamodb:UpdateItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:BatchWriteItem"], [digests.arn]),
        allow(["scheduler:CreateSchedule", "scheduler:DeleteSchedule"], [schedules]),
        allow(
            ["iam:PassRole"],
            [role.arn],
            {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}},
        ),
    ]
    environment: dict[str, pulumi.Input[str]] = {
        "ALARM_TABLE": table.name,
        "DIGEST_TABLE": digests.name,
        "ALARM_POLICY": checked(alarms, policy_text),
        "SCHEDULE_GROUP": group.name,
        "SCHEDULE_ROLE_ARN": role.arn,
        "QUEUE_URL": queue.url,
    }
    return AlarmLifeCycle(table, statements, environment)


def policy_text(alarms: Mapping[str, Any]) -> str:
    """The policy as JSON: what is given, and the defaults for the rest.

    Raises:
        ValueError: if it is invalid; the text names the key, what was found and what is allowed.
    """
    return msgspec.json.encode(converted(alarms, AlarmSettings, "alarms")).decode()
