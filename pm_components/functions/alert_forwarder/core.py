"""What people read of an alert."""

import json
from typing import NamedTuple

from pm_contracts.messages import Alert, encode

#: Amazon SNS API reference, Publish: a subject has fewer than 100 characters, printable ASCII.
SUBJECT_LENGTH = 99

_CAUSES = {"fault": "machine fault", "forecast_quality": "forecasts out of range"}


class Notification(NamedTuple):
    """One publish to the alert topic."""

    subject: str
    message: str
    """JSON, by protocol: mail gets the text, a queue the alert itself."""
    attributes: dict[str, str]
    """What a subscription may filter by."""


def notification(alert: Alert) -> Notification:
    """The alert as it goes to the alert topic."""
    subject = f"[{'CLEARED' if alert.state == 'cleared' else alert.severity.upper()}] {alert.site}/{alert.device}: "
    subject += _CAUSES[alert.cause]
    body = "\n".join(
        (
            alert.text,
            "",
            f"Site:      {alert.site}",
            f"Device:    {alert.device}",
            f"Cause:     {_CAUSES[alert.cause]}",
            f"Severity:  {alert.severity}",
            f"State:     {alert.state}",
            f"At:        {alert.raised_at:%Y-%m-%d %H:%M:%S} UTC (time of the measurement)",
            f"Trouble:   {alert.dedupe_key}",
            f"Alert id:  {alert.message_id}",
        )
    )
    return Notification(
        subject[:SUBJECT_LENGTH],
        json.dumps({"default": body, "sqs": encode(alert).decode()}),
        {
            "kind": alert.kind,
            "site": alert.site,
            "cause": alert.cause,
            "severity": alert.severity,
            "state": alert.state,
        },
    )
