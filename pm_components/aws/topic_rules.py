"""The common parts of a component's topic rules of AWS IoT: their dead letters, and the rule that refuses."""

from typing import NamedTuple

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.permissions import ServiceRole

#: The version of AWS IoT SQL that the statements are written in.
SQL_VERSION = "2016-03-23"


class QueueAction(NamedTuple):
    """A queue that rules send to, and the role that lets them."""

    queue: aws.sqs.Queue
    role: ServiceRole

    @property
    def action(self) -> "aws.iot.TopicRuleSqsArgsDict":
        """The action on a message that a rule takes."""
        return {"queue_url": self.queue.url, "role_arn": self.role.arn, "use_base64": False}

    @property
    def error_action(self) -> "aws.iot.TopicRuleErrorActionArgsDict":
        """The action where another one fails."""
        return {"sqs": {"queue_url": self.queue.url, "role_arn": self.role.arn, "use_base64": False}}


def refusing_rule(
    name: str, channel: str, sql: pulumi.Input[str], dead_letters: QueueAction, *, parent: pulumi.Resource
) -> None:
    """The rule `{name}-{channel}-refused-rule`, which makes dead letters of what no other rule of the channel takes.

    Args:
        name: logical name of the component.
        channel: a word for the channel.
        sql: a statement of `rule_statements.refused`.
        dead_letters: where they go.
        parent: the component that it belongs to.
    """
    aws.iot.TopicRule(
        f"{name}-{channel}-refused-rule",
        name=naming.topic_rule_name(name, channel, "refused"),
        description=f"Messages on {channel} that are not of their topic's site and device, to the dead letters",
        enabled=True,
        sql=sql,
        sql_version=SQL_VERSION,
        sqs=[dead_letters.action],
        error_action=dead_letters.error_action,
        opts=pulumi.ResourceOptions(parent=parent),
    )
