"""The life of an alarm: raised, told, acknowledged or escalated, cleared. Pure: it decides, others do.

An alarm is the trouble that alerts of one `dedupe_key` of a site speak of. Times are those of the measurements, so that
a replay decides as the first time did; only acknowledgements and escalations, and the end of a flapping that nothing
follows, happen by the clock on the wall.

An alarm that is raised again soon after it was cleared flaps: it is the same trouble. People are told so once, then
only that it is worse or that it has settled; until then it counts as open, whatever its latest alert said.
"""

import datetime as dt
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from pm_contracts.messages import NAME_PATTERN, Alert, Refused

ACTIVE = "active"
CLEARED = "cleared"
#: The state of an alarm that is raised and cleared again and again, as people see it.
FLAPPING = "flapping"
#: By severity; "" is that of an alarm of whose raising nobody was told.
_RANK = {"": 0, "warning": 1, "critical": 2}

_Site = Annotated[str, Meta(pattern=NAME_PATTERN)]
_Key = Annotated[str, Meta(min_length=1, max_length=128)]
_Severity = Annotated[str, Meta(pattern=r"^(warning|critical)\Z", description="warning or critical")]


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings of reminders, escalations and digests."""

    dedupe_seconds: Annotated[int, Meta(ge=0, le=604_800, description="0 to 604800 seconds")] = 3600
    """Seconds, by the time of the measurements, in which an active alarm that is raised again is counted and nobody is
    notified, and in which a cleared one that is raised again flaps: notified once, and again when it has settled for as
    long or is worse."""
    escalation_seconds: Annotated[int, Meta(ge=0, le=604_800, description="0 (never) to 604800 seconds")] = 900
    """Seconds after which an alarm that nobody has acknowledged is escalated."""
    escalation_severities: tuple[_Severity, ...] = ("critical",)
    """Severities that are escalated."""
    mail_limit: Annotated[int, Meta(ge=1, le=1000, description="1 to 1000 notifications")] = 20
    """Notifications of single alarms that a site gives in a window, half of them kept for critical alarms; the others
    are gathered into a digest."""
    digest_seconds: Annotated[int, Meta(ge=1, le=86_400, description="1 to 86400 seconds")] = 600
    """Seconds of that window, which begins with its first notification; at its end the digest is sent."""


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


class Settling(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag=True):
    """The time in which a flapping alarm should have settled is over."""

    site: _Site
    dedupe_key: _Key


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
    opened_at: dt.datetime | None = None
    """Event time of the alert that an acknowledgement is awaited of, where it is not `alert` itself."""
    changed_at: dt.datetime | None = None
    """Arrival of the alert that changed its state last."""
    told_severity: str = ""
    """The worst severity that people were told of this trouble; "" if they were not told that it was raised."""
    flapping: bool = False
    flaps: int = 0
    """The number of times that it was raised again soon after it was cleared."""
    late: int = 0
    """The number of alerts that later ones had overtaken."""
    late_told_at: dt.datetime | None = None
    """Event time of such a one that people were told last."""
    left_out: int = 0
    """The number of alerts since people were told, of which they were not."""

    @property
    def name(self) -> str:
        """The alarm's name, unique in the stack."""
        return alarm_name(self.alert.site, self.alert.dedupe_key)

    @property
    def is_active(self) -> bool:
        """True if the alarm is raised, or flaps and may be again at any moment."""
        return self.state == ACTIVE or self.flapping

    @property
    def is_open(self) -> bool:
        """True if the alarm is active and nobody has acknowledged it."""
        return self.is_active and not self.acknowledged_by

    @property
    def awaits_since(self) -> dt.datetime:
        """Event time of the alert that an acknowledgement is awaited of."""
        return self.opened_at or self.alert.raised_at


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
    settles_at: dt.datetime | None = None
    """The time at which a flapping alarm has settled, if nothing changes it before."""


def alarm_name(site: str, dedupe_key: str) -> str:
    """The name of an alarm, as the table has it."""
    return f"{site}/{dedupe_key}"


def on_alert(alarm: Alarm | None, alert: Alert, policy: Policy, now: dt.datetime) -> Step:
    """The effect of an alert on its alarm.

    Args:
        alarm: the alarm so far; None if it was never raised.
        alert: the alert.
        policy: how insistent alarms are.
        now: the time of arrival.
    """
    case = _Case(alert, policy, now, policy.escalation_seconds > 0 and alert.severity in policy.escalation_severities)
    if alarm is None:
        return case.opened() if alert.state == ACTIVE else case.closed(None)
    if alert.message_id == alarm.latest_id:
        # Once more, since nobody knows whether it was done to the end.
        tell = alarm.told_at == alert.raised_at
        return Step("Forwarded" if tell else "Deduplicated", tell=tell, schedule=case.insists and alarm.is_open)
    if alert.raised_at < alarm.latest_at:
        return case.late(alarm)
    if alarm.flapping:
        if case.is_near(alarm.latest_at):
            return case.flapped(alarm)
        alarm = msgspec.structs.replace(alarm, flapping=False)
    if alert.state == CLEARED:
        # A site clears what was active: of two such in a row, the second has overtaken what came between.
        again = alarm.state == CLEARED and case.is_near(alarm.told_at)
        return case.repeated(alarm) if again else case.closed(alarm)
    if alarm.state == CLEARED:
        return case.flaps(alarm) if alarm.told_severity and case.is_near(alarm.latest_at) else case.opened()
    return case.opened() if case.is_worse(alarm) else case.repeated(alarm)


def on_acknowledgement(alarm: Alarm | None, given: Acknowledgement, now: dt.datetime) -> Step:
    """The effect of an acknowledgement on its alarm.

    Raises:
        Refused: if there is no such alarm.
    """
    if alarm is None:
        raise Refused(f"no alarm {alarm_name(given.site, given.dedupe_key)!r}: it was never raised")
    if not alarm.is_open:
        return Step("Needless")
    taken = msgspec.structs.replace(alarm, acknowledged_by=given.by, acknowledged_at=now, note=given.note, left_out=0)
    return Step("Acknowledged", taken, tell=True, settle=True)


def on_escalation(alarm: Alarm | None, given: Escalation, now: dt.datetime) -> Step:
    """The effect of a missed acknowledgement: none if the alarm was acknowledged or cleared, or is another one."""
    same = alarm is not None and alarm.awaits_since == given.raised_at
    if alarm is None or not same or not alarm.is_open or alarm.escalated_at:
        return Step("Needless")
    return Step("Escalated", msgspec.structs.replace(alarm, escalated_at=now, left_out=0), tell=True)


def on_settling(alarm: Alarm | None, policy: Policy, now: dt.datetime) -> Step:
    """The effect of the time in which a flapping alarm should have settled: told if nothing changed it meanwhile."""
    if alarm is None or not alarm.flapping:
        return Step("Needless")
    settles_at = _settles_at(alarm, policy)
    if settles_at > now:
        return Step("Unsettled", settles_at=settles_at)
    settled = msgspec.structs.replace(alarm, flapping=False, told_at=alarm.latest_at, left_out=0)
    return Step("Settled", settled, tell=True, settle=alarm.state == CLEARED)


def _settles_at(alarm: Alarm, policy: Policy) -> dt.datetime:
    return (alarm.changed_at or alarm.latest_at) + dt.timedelta(seconds=policy.dedupe_seconds)


class _Case(NamedTuple):
    """An alert and what is known when it comes; a method for each effect that it may have."""

    alert: Alert
    policy: Policy
    now: dt.datetime
    insists: bool
    """True if its alarm is escalated unless somebody acknowledges it."""

    def is_near(self, time: dt.datetime | None) -> bool:
        """True if the alert is within the window around a time."""
        return time is not None and abs(self.alert.raised_at - time).total_seconds() < self.policy.dedupe_seconds

    def is_worse(self, alarm: Alarm) -> bool:
        """True if people know of nothing as bad."""
        return self.alert.state == ACTIVE and _RANK[self.alert.severity] > _RANK[alarm.told_severity]

    def opened(self) -> Step:
        alarm = msgspec.structs.replace(self._alarm(), told_severity=self.alert.severity)
        return Step("Forwarded", alarm, tell=True, schedule=self.insists)

    def closed(self, alarm: Alarm | None) -> Step:
        closed = msgspec.structs.replace(self._alarm(), told_severity=alarm.told_severity if alarm else "")
        return Step("Forwarded", closed, tell=True, settle=True)

    def repeated(self, alarm: Alarm) -> Step:
        tell = not self.is_near(alarm.told_at)
        repeated = msgspec.structs.replace(
            alarm,
            latest_at=self.alert.raised_at,
            latest_id=self.alert.message_id,
            told_at=self.alert.raised_at if tell else alarm.told_at,
            repeats=alarm.repeats + 1,
            left_out=0 if tell else alarm.left_out + 1,
        )
        return Step("Forwarded" if tell else "Deduplicated", repeated, tell=tell)

    def flaps(self, alarm: Alarm) -> Step:
        """The alarm begins to flap."""
        flapping = msgspec.structs.replace(
            self._alarm(), flapping=True, flaps=1, told_severity=self.alert.severity, late=alarm.late
        )
        settles_at = _settles_at(flapping, self.policy)
        return Step("Flapping", flapping, tell=True, schedule=self.insists, settles_at=settles_at)

    def flapped(self, alarm: Alarm) -> Step:
        """The alarm goes on flapping, or is raised once more or cleared twice meanwhile."""
        changed = self.alert.state != alarm.state
        on = msgspec.structs.replace(
            alarm,
            alert=self.alert if changed else alarm.alert,
            opened_at=alarm.awaits_since,
            state=self.alert.state,
            latest_at=self.alert.raised_at,
            latest_id=self.alert.message_id,
            changed_at=self.now if changed else alarm.changed_at,
            flaps=alarm.flaps + (changed and self.alert.state == ACTIVE),
            repeats=alarm.repeats + (not changed),
            left_out=alarm.left_out + 1,
        )
        return self._worsened(on) if self.is_worse(alarm) else Step("Flapped", on)

    def late(self, alarm: Alarm) -> Step:
        """The alarm has moved on, unless this one is worse than what people know of it.

        Of a trouble that is over they are told, too, if it is another one than they know of.
        """
        counted = msgspec.structs.replace(alarm, late=alarm.late + 1, left_out=alarm.left_out + 1)
        if self.is_worse(alarm) and alarm.is_active:
            return self._worsened(counted)._replace(did="Late")
        other = not (alarm.is_active or self.is_near(alarm.told_at) or self.is_near(alarm.late_told_at))
        if self.alert.state == ACTIVE and (other or self.is_worse(alarm)):
            told = msgspec.structs.replace(
                counted,
                late_told_at=self.alert.raised_at,
                told_severity=max(self.alert.severity, alarm.told_severity, key=_RANK.__getitem__),
                left_out=0,
            )
            return Step("Late", told, tell=True)
        return Step("Outdated", counted)

    def _worsened(self, alarm: Alarm) -> Step:
        """The alarm, worse than people know: told, and to be acknowledged anew."""
        worse = msgspec.structs.replace(
            alarm,
            alert=self.alert if alarm.state == ACTIVE else alarm.alert,
            opened_at=self.alert.raised_at,
            told_at=max(self.alert.raised_at, alarm.told_at),
            told_severity=self.alert.severity,
            acknowledged_by="",
            acknowledged_at=None,
            note="",
            escalated_at=None,
            left_out=0,
        )
        return Step("Forwarded", worse, tell=True, schedule=self.insists)

    def _alarm(self) -> Alarm:
        return Alarm(
            alert=self.alert,
            state=self.alert.state,
            latest_at=self.alert.raised_at,
            latest_id=self.alert.message_id,
            told_at=self.alert.raised_at,
            changed_at=self.now,
        )
