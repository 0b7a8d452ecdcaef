"""The texts of an alert, and of the changes of its alarm."""

import json
from typing import NamedTuple

from pm_components.functions.alarm_keeper.alarms import Alarm
from pm_contracts.messages import CAUSE_FAULT, CAUSE_FORECAST_QUALITY, Alert, encode

#: Amazon SNS API reference, Publish: a subject has fewer than 100 characters, printable ASCII.
SUBJECT_LENGTH = 99
ACKNOWLEDGEMENT = "acknowledgement"
ESCALATION = "escalation"

CAUSES = {CAUSE_FAULT: "machine fault", CAUSE_FORECAST_QUALITY: "forecasts out of range"}


class Notification(NamedTuple):
    """One publish to the alert topic."""

    subject: str
    text: str
    """The mail's text."""
    attributes: dict[str, str]
    """The attributes that a subscription may filter by."""
    payload: str
    """The text for a queue, JSON: the alert itself."""

    @property
    def message(self) -> str:
        """JSON, by protocol: mail gets the text, a queue the payload."""
        return json.dumps({"default": self.text, "sqs": self.payload})


def notification(alert: Alert, alarm: Alarm | None = None, left_out: int = 0) -> Notification:
    """The alert as it goes to the alert topic.

    Args:
        alert: the alert.
        alarm: its alarm, as the alert leaves it.
        left_out: alerts of the alarm before it, of which nobody was told.
    """
    word = "CLEARED" if alert.state == "cleared" else alert.severity.upper()
    text = alert.text
    if alarm and alert.raised_at < alarm.latest_at:
        text += f"\n\nThis came late: by now, the alarm is {alarm.state}."
    elif alarm and alarm.flapping and alarm.flaps == 1:
        word = "FLAPPING"
        text += "\n\nThis was cleared only just. You are told next when it has settled, or is worse."
    return _notification(alert, word, alert.kind, text, left_out)


def settled(alarm: Alarm, left_out: int) -> Notification:
    """The text that an alarm has stopped flapping."""
    text = f"It has settled, after it was raised again {alarm.flaps} times: it is {alarm.state}.\n\n{alarm.alert.text}"
    return _notification(alarm.alert, "SETTLED", alarm.alert.kind, text, left_out)


def acknowledged(alarm: Alarm, left_out: int = 0) -> Notification:
    """The text that somebody has acknowledged an alarm."""
    text = f"{alarm.acknowledged_by} has taken it on."
    if alarm.note:
        text += f" They say: {alarm.note}"
    return _notification(alarm.alert, "ACKNOWLEDGED", ACKNOWLEDGEMENT, f"{text}\n\n{alarm.alert.text}", left_out)


def escalated(alarm: Alarm, left_out: int = 0) -> Notification:
    """The text that nobody has acknowledged an alarm in time."""
    text = f"Nobody has acknowledged this alarm.\n\n{alarm.alert.text}"
    return _notification(alarm.alert, "ESCALATED", ESCALATION, text, left_out)


def _notification(alert: Alert, word: str, kind: str, text: str, left_out: int = 0) -> Notification:
    subject = f"[{word}] {alert.site}/{alert.device}: {CAUSES[alert.cause]}"
    lines = [
        text,
        "",
        f"Site:      {alert.site}",
        f"Device:    {alert.device}",
        f"Cause:     {CAUSES[alert.cause]}",
        f"Severity:  {alert.severity}",
        f"State:     {alert.state}",
        f"At:        {alert.raised_at:%Y-%m-%d %H:%M:%S} UTC (time of the measurement)",
        f"Trouble:   {alert.dedupe_key}",
        f"Alert id:  {alert.message_id}",
    ]
    if left_out:
        lines.append(f"Left out:  {left_out} alerts of this trouble since the last mail of it")
    return Notification(
        subject[:SUBJECT_LENGTH],
        "\n".join(lines),
        {"kind": kind, "site": alert.site, "cause": alert.cause, "severity": alert.severity, "state": alert.state},
        encode(alert).decode(),
    )
