"""Alerts of the sites from SQS -> the SNS alert topic, each one once."""

import functools
import os
from collections.abc import Callable
from typing import Any

import boto3

from pm_components.functions.alert_forwarder.core import Notification, notification
from pm_components.functions.alert_forwarder.once import Once
from pm_components.functions.batches import work_off_each
from pm_contracts.messages import Alert, decode

#: Longer than the function may run, so that a lease that has ended was left by one that died.
LEASE_SECONDS = 60
#: Longer than a site may be offline and then send an alert again.
KEEP_SECONDS = 90 * 24 * 3600


def forward(body: bytes, once: Once, publish: Callable[[Notification], None]) -> str:
    """Bring one alert to the topic, unless it was brought there before.

    Raises:
        Refused: where `body` is no alert.
    """
    alert = decode(body, Alert)
    return "Forwarded" if once.do(alert.message_id, lambda: publish(notification(alert))) else "Repeated"


@functools.cache
def _means() -> tuple[Once, Callable[[Notification], None]]:
    sns = boto3.client("sns")
    topic = os.environ["TOPIC_ARN"]

    def publish(out: Notification) -> None:
        attributes = {key: {"DataType": "String", "StringValue": value} for key, value in out.attributes.items()}
        sns.publish(
            TopicArn=topic,
            Subject=out.subject,
            Message=out.message,
            MessageStructure="json",
            MessageAttributes=attributes,
        )

    table = os.environ["SENT_TABLE"]
    return Once(boto3.client("dynamodb"), table, lease_seconds=LEASE_SECONDS, keep_seconds=KEEP_SECONDS), publish


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return work_off_each(event, lambda body: forward(body, *_means()), "alert-forwarder")
