"""The life of an alarm: raised, told, acknowledged or escalated, cleared. Pure: it decides, others do.

An alarm is the trouble that alerts of one `dedupe_key` of a site speak of. Times are those of the measurements, so that
a replay decides as the first time did; only acknowledgements and escalations happen by the clock on the wall.
"""

import datetime as dt
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from pm_contracts.messages import NAME_PATTERN, Alert, Refused

ACTIVE = "active"
CLEARED = "cleared"
_RANK = {"warning": 0, "critical": 1}

_Site = Annotated[str, Meta(pattern=NAME_PATTERN)]
_Key = Annotated[str, Meta(min_length=1, max_length=128)]
_Severity = Annotated[str, Meta(pattern=r"^(warning|critical)\Z", description="warning or critical")]


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of reminders and escalations."""

    dedupe_seconds: Annotated[int, Meta(ge=0, le=604_800, description="0 to 604800 seconds")] = 3600
    """Seconds, by the time of the measurements, in which an active alarm that is raised again is counted and nobody is
    notified."""
    escalation_seconds: Annotated[int, Meta(ge=0, le=604_800, description="0 (never) to 604800 seconds")] = 900
    """Seconds after which an alarm that nobody has acknowledged is escalated."""
    escalation_severities: tuple[_Severity, ...] = ("critical",)
    """Severities that are escalated."""


class Acknowledgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Someone has taken an alarm on."""

    site: _Site
    dedupe_key: _Key
    by: Annotated[str, Meta(min_length=1, max_length=100)]
    note: Annotated[str, Meta(max_length=500)] = ""


class Escalation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag=True):
    """The time in which an alarm should have been acknowledged is over."""

    site: _Site
    dedupe_key: _Key
    raised_at: dt.datetime


class Alarm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The state of an alarm."""

    alert: Alert
    """The alert that raised it; of a cleared alarm, the one that cleared it."""
    state: str
    latest_at: dt.datetime
    """Event time of the latest alert that was about it."""
    latest_id: str
    told_at: dt.datetime
    """Event time of the latest alert that people were told."""
    repeats: int = 0
    """The number of times that it was raised again while active."""
    acknowledged_by: str = ""
    acknowledged_at: dt.datetime | None = None
    note: str = ""
    escalated_at: dt.datetime | None = None

    @property
    def name(self) -> str:
        """The alarm's name, unique in the stack."""
        return alarm_name(self.alert.site, self.alert.dedupe_key)

    @property
    def is_open(self) -> bool:
        """True if the alarm is raised and nobody has acknowledged it."""
        return self.state == ACTIVE and not self.acknowledged_by


class Step(NamedTuple):
    """The consequences of a message."""

    did: str
    """One word, which is counted."""
    alarm: Alarm | None = None
    """The alarm as it is now; None if it did not change."""
    tell: bool = False
    schedule: bool = False
    """True if the time for an acknowledgement begins."""
    settle: bool = False
    """True if no acknowledgement is needed any more."""


def alarm_name(site: str, dedupe_key: str) -> str:
    """The name of an alarm, as the table has it."""
    return f"{site}/{dedupe_key}"


def on_alert(alarm: Alarm | None, alert: Alert, policy: Policy) -> Step:
    """The effect of an alert on its alarm.

    People are told of all but an active alarm's repeat within the window: a site says that an alarm is cleared only
    when it was active, so that two such in a row are no repeat, but have overtaken what came between.
    """
    insists = policy.escalation_seconds > 0 and alert.severity in policy.escalation_severities
    if alarm is None:
        return _opened(alert, insists) if alert.state == ACTIVE else _closed(alert)
    if alert.message_id == alarm.latest_id:
        # Once more, since nobody knows whether it was done to the end.
        tell = alarm.told_at == alert.raised_at
        return Step("Forwarded" if tell else "Deduplicated", tell=tell, schedule=insists and alarm.is_open)
    if alert.raised_at < alarm.latest_at:
        return Step("Late", tell=True)  # people should know, but the alarm has moved on
    if alert.state == CLEARED:
        return _closed(alert)
    if alarm.state == CLEARED:
        return _opened(alert, insists)
    worse = _RANK[alert.severity] > _RANK[alarm.alert.severity]
    if worse:
        return _opened(alert, insists)
    tell = (alert.raised_at - alarm.told_at).total_seconds() >= policy.dedupe_seconds
    repeated = msgspec.structs.replace(
        alarm,
        latest_at=alert.raised_at,
        latest_id=alert.message_id,
        told_at=alert.raised_at if tell else alarm.told_at,
        repeats=alarm.repeats + 1,
    )
    return Step("Forwarded" if tell else "Deduplicated", repeated, tell=tell)


def on_acknowledgement(alarm: Alarm | None, given: Acknowledgement, now: dt.datetime) -> Step:
    """The effect of an acknowledgement on its alarm.

    Raises:
        Refused: if there is no such alarm.
    """
    if alarm is None:
        raise Refused(f"no alarm {alarm_name(given.site, given.dedupe_key)!r}: it was never raised")
    if not alarm.is_open:
        return Step("Needless")
    taken = msgspec.structs.replace(alarm, acknowledged_by=given.by, acknowledged_at=now, note=given.note)
    return Step("Acknowledged", taken, tell=True, settle=True)


def on_escalation(alarm: Alarm | None, given: Escalation, now: dt.datetime) -> Step:
    """The effect of a missed acknowledgement: none if the alarm was acknowledged or cleared, or is another one."""
    same = alarm is not None and alarm.alert.raised_at == given.raised_at
    if alarm is None or not same or not alarm.is_open or alarm.escalated_at:
        return Step("Needless")
    return Step("Escalated", msgspec.structs.replace(alarm, escalated_at=now), tell=True)


def _opened(alert: Alert, insists: bool) -> Step:
    return Step("Forwarded", _alarm(alert), tell=True, schedule=insists)


def _closed(alert: Alert) -> Step:
    return Step("Forwarded", _alarm(alert), tell=True, settle=True)


def _alarm(alert: Alert) -> Alarm:
    return Alarm(
        alert=alert,
        state=alert.state,
        latest_at=alert.raised_at,
        latest_id=alert.message_id,
        told_at=alert.raised_at,
    )
