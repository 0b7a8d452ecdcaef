"""The encrypted SNS topic of all alerts, and the people who hear it."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.encryption_keys import ALARMS, rotated_key
from pm_components.aws.permissions import Statement, deny_plain_transport, policy_document


class AlertTopic(NamedTuple):
    """The topic and the key that its messages are encrypted with."""

    topic: aws.sns.Topic
    key: aws.kms.Key


def alert_topic(
    name: str,
    emails: Sequence[str],
    escalation_emails: Sequence[str],
    kinds_of_escalation: Sequence[str],
    *,
    parent: pulumi.Resource,
) -> AlertTopic:
    """The topic `{name}-topic` with its key and policy, and a subscription for each address.

    Args:
        name: logical name of the component.
        emails: addresses that get all that is told.
        escalation_emails: addresses that get only messages whose attribute `kind` is one of `kinds_of_escalation`.
        kinds_of_escalation: see `escalation_emails`.
        parent: the component.
    """
    options = pulumi.ResourceOptions(parent=parent)
    key = _encryption_key(name, parent)
    topic = aws.sns.Topic(
        f"{name}-topic", name=naming.physical_name(name, "alerts"), kms_master_key_id=key.arn, opts=options
    )
    alarms: Statement = {
        "Sid": "Alarms",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic.arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": naming.account_id(parent)}},
    }
    aws.sns.TopicPolicy(
        f"{name}-topic-policy",
        arn=topic.arn,
        policy=policy_document([alarms, deny_plain_transport("sns:Publish", [topic.arn])]),
        opts=options,
    )
    for email in emails:
        aws.sns.TopicSubscription(
            f"{name}-email-{_digest(email)}", topic=topic.arn, protocol="email", endpoint=email, opts=options
        )
    for email in escalation_emails:
        aws.sns.TopicSubscription(
            f"{name}-escalation-email-{_digest(email)}",
            topic=topic.arn,
            protocol="email",
            endpoint=email,
            filter_policy=pulumi.Output.json_dumps({"kind": list(kinds_of_escalation)}),
            opts=options,
        )
    return AlertTopic(topic, key)


def _digest(email: str) -> str:
    """The part of a subscription's name that stays when another address goes."""
    return hashlib.sha256(email.encode()).hexdigest()[:8]


def _encryption_key(name: str, parent: pulumi.Resource) -> aws.kms.Key:
    """The topic's key: that of AWS (`alias/aws/sns`) does not let CloudWatch alarms publish."""
    return rotated_key(
        f"{name}-key", "Encrypts the alert topic", [ALARMS], parent=parent, alias=naming.physical_name(name, "alerts")
    )
