"""The texts of an alert, and of the changes of its alarm."""

import json
from typing import NamedTuple

from pm_components.functions.alarm_keeper.alarms import Alarm
from pm_contracts.messages import CAUSE_FAULT, CAUSE_FORECAST_QUALITY, Alert, encode

#: Amazon SNS API reference, Publish: a subject has fewer than 100 characters, printable ASCII.
SUBJECT_LENGTH = 99
ACKNOWLEDGEMENT = "acknowledgement"
ESCALATION = "escalation"

_CAUSES = {CAUSE_FAULT: "machine fault", CAUSE_FORECAST_QUALITY: "forecasts out of range"}


class Notification(NamedTuple):
    """One publish to the alert topic."""

    subject: str
    message: str
    """JSON, by protocol: mail gets the text, a queue the alert itself."""
    attributes: dict[str, str]
    """The attributes that a subscription may filter by."""


def notification(alert: Alert) -> Notification:
    """The alert as it goes to the alert topic."""
    word = "CLEARED" if alert.state == "cleared" else alert.severity.upper()
    return _notification(alert, word, alert.kind, alert.text)


def acknowledged(alarm: Alarm) -> Notification:
    """The text that somebody has acknowledged an alarm."""
    text = f"{alarm.acknowledged_by} has taken it on."
    if alarm.note:
        text += f" They say: {alarm.note}"
    return _notification(alarm.alert, "ACKNOWLEDGED", ACKNOWLEDGEMENT, f"{text}\n\n{alarm.alert.text}")


def escalated(alarm: Alarm) -> Notification:
    """The text that nobody has acknowledged an alarm in time."""
    text = f"Nobody has acknowledged this alarm.\n\n{alarm.alert.text}"
    return _notification(alarm.alert, "ESCALATED", ESCALATION, text)


def _notification(alert: Alert, word: str, kind: str, text: str) -> Notification:
    subject = f"[{word}] {alert.site}/{alert.device}: {_CAUSES[alert.cause]}"
    body = "\n".join(
        (
            text,
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
        {"kind": kind, "site": alert.site, "cause": alert.cause, "severity": alert.severity, "state": alert.state},
    )
