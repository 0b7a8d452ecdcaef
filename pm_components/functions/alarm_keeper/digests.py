"""The digest: one notification in place of the many of a site whose alarms come faster than people can read. Pure."""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pm_components.functions.alarm_keeper.alarms import CLEARED, Policy
from pm_components.functions.alarm_keeper.core import ACKNOWLEDGEMENT, CAUSES, ESCALATION, SUBJECT_LENGTH, Notification
from pm_components.functions.spoken_digest import DIGEST, SpokenDigest
from pm_contracts.messages import Alert, Name

#: Alarms that a digest names; a line has about 150 characters, and SNS takes 256 KB.
NAMED = 50
#: Devices that are named aloud.
_SPOKEN = 3


class DigestDue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag=True):
    """A window of a site's notifications is over."""

    site: Name
    again: bool = False
    """True for a second look, for what was still under way at the first."""


class Gathered(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A notification that waits for the digest."""

    subject: str
    kind: str
    site: str
    device: str
    cause: str
    severity: str
    state: str
    raised_at: dt.datetime
    dedupe_key: str
    message_id: str

    @classmethod
    def of(cls, notification: Notification, alert: Alert) -> "Gathered":
        """A notification about an alarm, and the alert that it is about."""
        return cls(
            subject=notification.subject,
            kind=notification.attributes["kind"],
            site=alert.site,
            device=alert.device,
            cause=alert.cause,
            severity=alert.severity,
            state=alert.state,
            raised_at=alert.raised_at,
            dedupe_key=alert.dedupe_key,
            message_id=alert.message_id,
        )

    @property
    def is_urgent(self) -> bool:
        """True if it must not wait behind others: a critical alarm is active, or nobody has acknowledged one."""
        return self.kind == ESCALATION or (self.severity == "critical" and self.is_active)

    @property
    def is_active(self) -> bool:
        """True if it tells of an alarm that somebody should look after."""
        return self.state != CLEARED and self.kind != ACKNOWLEDGEMENT

    @property
    def rank(self) -> int:
        """Its place among others; the worst have the lowest."""
        return 0 if self.kind == ESCALATION else 1 if self.is_urgent else 2 if self.is_active else 3

    @property
    def name(self) -> str:
        """A name, the same for the same news of the same alert; the worst comes first by the alphabet."""
        return f"{self.rank}/{_digest(self.message_id, self.subject)}"


def digests(gathered: Iterable[Gathered], policy: Policy, now: dt.datetime) -> list[Notification]:
    """The digests of a site: one of its alarms and, by itself, one of those that nobody has acknowledged.

    Args:
        gathered: what they list, of one site.
        policy: the window and its limit.
        now: the time, UTC.
    """
    ordered = sorted(gathered, key=lambda one: (one.rank, one.raised_at, one.device))
    escalated = [one for one in ordered if one.kind == ESCALATION]
    others = [one for one in ordered if one.kind != ESCALATION]
    return [_digest_of(part, policy, now) for part in (others, escalated) if part]


def _digest_of(gathered: Sequence[Gathered], policy: Policy, now: dt.datetime) -> Notification:
    site, escalated = gathered[0].site, gathered[0].kind == ESCALATION
    word, what = ("ESCALATED", "alarms that nobody has acknowledged") if escalated else ("DIGEST", "notifications")
    minutes = f"{policy.digest_seconds / 60:g} minutes"
    more = len(gathered) - NAMED
    lines = [
        f"These {len(gathered):,} at {site} were notified of by this digest alone, since there were more than "
        f"{policy.mail_limit} in {minutes}.",
        "",
        f"By news:      {_counted(one.subject[1:].partition(']')[0] for one in gathered)}",
        f"By cause:     {_counted(CAUSES[one.cause] for one in gathered)}",
        f"By severity:  {_counted(one.severity for one in gathered)}",
        "",
        *(f"{one.subject}, {one.raised_at:%Y-%m-%d %H:%M:%S} UTC, {one.dedupe_key}" for one in gathered[:NAMED]),
    ]
    if more > 0:
        lines += ["", f"And {more:,} more, none of them worse: the table of alarms has them all."]
    severity = "critical" if any(one.severity == "critical" for one in gathered) else "warning"
    return Notification(
        f"[{word}] {site}: {len(gathered):,} {what}"[:SUBJECT_LENGTH],
        "\n".join(lines),
        {"kind": ESCALATION if escalated else DIGEST, "site": site, "severity": severity},
        msgspec.json.encode(_spoken(gathered, minutes, now)).decode(),
    )


def _spoken(gathered: Sequence[Gathered], minutes: str, now: dt.datetime) -> SpokenDigest:
    active = [one for one in gathered if one.is_active]
    devices = list(dict.fromkeys(one.device for one in active))
    text = f"{gathered[0].site} has had {len(gathered):,} more messages of alarms within {minutes}."
    if devices:
        text += f" First look at {', '.join(devices[:_SPOKEN])}."
    if len(devices) > _SPOKEN:
        text += f" Alarms are active on {len(devices) - _SPOKEN:,} more devices."
    return SpokenDigest(
        site=gathered[0].site,
        digest_id=_digest(*(one.name for one in gathered)),
        made_at=now,
        urgent=any(one.is_urgent for one in gathered),
        text=text,
    )


def _counted(words: Iterable[str]) -> str:
    return ", ".join(f"{word} {count:,}" for word, count in Counter(words).most_common())


def _digest(*parts: Any) -> str:
    return hashlib.blake2b("|".join(parts).encode(), digest_size=16).hexdigest()
