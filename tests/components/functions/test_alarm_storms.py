"""Alarms that repeat, flap, come out of order or by the thousand: few mails, and nothing lost. On the emulated AWS.

Not proved here: that AWS's Scheduler and DynamoDB take the same requests, and how fast a queue is worked off there.
"""

import datetime as dt
import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm_components.functions.alarm_keeper import digest_store
from pm_components.functions.alarm_keeper.alarms import Alarm, Policy, on_alert, on_settling
from pm_components.functions.alarm_keeper.core import ESCALATION, SUBJECT_LENGTH, Notification, notification
from pm_components.functions.alarm_keeper.digest_store import Admission
from pm_components.functions.alarm_keeper.digests import NAMED, DigestDue, Gathered, digests
from pm_components.functions.alarm_keeper.handler import AlarmKeeper
from pm_components.functions.alarm_keeper.outlet import Outlet
from pm_components.functions.announcer.core import object_key, spoken_text
from pm_components.functions.spoken_digest import DIGEST, SpokenDigest
from pm_contracts.messages import Alert
from pm_sandbox.cloud import Cloud
from tests.components.functions.watched_keeper import NOW, POLICY, WatchedKeeper, alert, texts, watched_keeper

#: Publish, Amazon SNS API reference: the message's bytes at most.
SNS_MESSAGE_BYTES = 262_144
#: Mails of one trouble within a window, whatever comes: raised, cleared, flapping, and each worse than told before.
MAILS_OF_A_TROUBLE = 8


class Heard(NamedTuple):
    """An alarm after alerts, and those of which people were told."""

    alarm: Alarm | None
    told: list[Alert]


def heard(*alerts: Alert, policy: Policy = POLICY) -> Heard:
    alarm: Alarm | None = None
    told: list[Alert] = []
    for one in alerts:
        step = on_alert(alarm, one, policy, NOW)
        alarm = step.alarm or alarm
        if step.tell:
            told.append(one)
    return Heard(alarm, told)


def test_600_repeats_of_an_active_alarm_out_of_order_are_one_mail_and_all_are_counted() -> None:
    repeats = [alert(second / 60) for second in range(600)]
    random.Random(1).shuffle(repeats)
    alarm, told = heard(*repeats)
    assert len(told) == 1
    assert alarm is not None
    assert (alarm.state, alarm.repeats + alarm.late, alarm.left_out) == ("active", 599, 599)


@pytest.mark.parametrize("shuffled", [False, True])
def test_600_flaps_are_a_handful_of_mails(shuffled: bool) -> None:
    flaps = [alert(second / 60, "cleared" if second % 2 else "active") for second in range(600)]
    last = flaps[-1]
    if shuffled:
        random.Random(1).shuffle(flaps)
    alarm, told = heard(*flaps)
    assert len(told) <= 3
    assert alarm is not None
    assert (alarm.state, alarm.latest_at) == (last.state, last.raised_at)
    if not shuffled:
        assert (alarm.flaps, alarm.left_out) == (299, 597)


def test_a_flapping_alarm_is_told_once_and_again_when_it_has_settled(watched: WatchedKeeper) -> None:
    words = watched.words(*(alert(minute, "cleared" if minute % 2 else "active") for minute in range(10)))
    assert Counter(words) == {"Forwarded": 2, "Flapping": 1, "Flapped": 7}
    assert watched.subjects() == ["[CRITICAL]", "[CLEARED]", "[FLAPPING]"]
    assert watched.pass_time(minutes=59) == ["Escalated"], "it is open for as long as it flaps"
    assert watched.pass_time(minutes=1) == ["Settled"]
    assert watched.subjects()[3:] == ["[ESCALATED]", "[SETTLED]"]
    text = texts(watched.told)[-1]
    assert "It has settled, after it was raised again 4 times: it is cleared." in text
    alarm, _ = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    assert (alarm.flapping, alarm.state, alarm.left_out) == (False, "cleared", 0)
    assert watched.schedules() == []


def test_an_alarm_that_settles_only_when_it_stays_so(watched: WatchedKeeper) -> None:
    watched.words(alert(0), alert(1, "cleared"), alert(2))
    watched.pass_time(minutes=30)
    watched.words(alert(32, "cleared"), alert(33))
    assert watched.pass_time(minutes=30) == ["Unsettled"]
    assert watched.pass_time(minutes=30) == ["Settled"]
    assert watched.subjects()[-1] == "[SETTLED]"
    assert "it is active" in texts(watched.told)[-1]
    assert "Left out:  2 alerts" in texts(watched.told)[-1], "it says what nobody was told"
    alarm, _ = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    assert (alarm.state, alarm.is_open) == ("active", True)


def test_a_flapping_alarm_that_somebody_has_taken_on_is_not_escalated(watched: WatchedKeeper) -> None:
    watched.words(alert(0), alert(1, "cleared"), alert(2), alert(3, "cleared"))
    assert watched.acknowledge() == "Acknowledged"
    watched.words(alert(4), alert(5, "cleared"))
    assert "Escalated" not in watched.pass_time(hours=3)
    assert watched.subjects() == ["[CRITICAL]", "[CLEARED]", "[FLAPPING]", "[ACKNOWLEDGED]", "[SETTLED]"]


def test_a_flapping_alarm_that_gets_worse_is_told_and_awaits_an_acknowledgement(watched: WatchedKeeper) -> None:
    watched.words(alert(0, severity="warning"), alert(1, "cleared", "warning"), alert(2, severity="warning"))
    assert watched.words(alert(3, "cleared", "warning"), alert(4), alert(5, "cleared")) == [
        "Flapped",
        "Forwarded",
        "Flapped",
    ]
    assert watched.subjects() == ["[WARNING]", "[CLEARED]", "[FLAPPING]", "[CRITICAL]"]
    assert watched.pass_time(minutes=15) == ["Escalated"]


def test_a_trouble_that_has_been_quiet_for_long_is_told_as_a_new_one() -> None:
    alarm, told = heard(alert(0), alert(1, "cleared"), alert(2), alert(3, "cleared"), alert(63), alert(64, "cleared"))
    assert [one.raised_at for one in told] == [alert(minute).raised_at for minute in (0, 1, 2, 63, 64)]
    assert alarm is not None
    assert not alarm.flapping


def test_a_late_alert_that_is_worse_than_what_people_know_is_told_and_escalated(watched: WatchedKeeper) -> None:
    assert watched.words(alert(10, severity="warning"), alert(5), alert(6)) == ["Forwarded", "Late", "Outdated"]
    assert watched.subjects() == ["[WARNING]", "[CRITICAL]"]
    assert watched.pass_time(minutes=15) == ["Escalated"]


def test_clearings_in_a_row_are_told_once_in_the_window() -> None:
    assert len(heard(*(alert(second / 60, "cleared") for second in range(600))).told) == 1


def test_an_alarm_of_before_this_release_is_read() -> None:
    old = msgspec.json.decode(
        msgspec.json.encode(
            {
                "alert": msgspec.to_builtins(alert(0)),
                "state": "active",
                "latest_at": alert(0).raised_at,
                "latest_id": alert(0).message_id,
                "told_at": alert(0).raised_at,
            }
        ),
        type=Alarm,
    )
    assert old.awaits_since == alert(0).raised_at
    assert on_alert(old, alert(1, "cleared"), POLICY, NOW).tell


ALERTS = st.lists(
    st.builds(
        alert,
        st.integers(0, 59),
        st.sampled_from(["active", "cleared"]),
        st.sampled_from(["warning", "critical"]),
    ),
    max_size=40,
    unique_by=lambda one: one.raised_at,
)


@given(ALERTS, st.randoms(use_true_random=False))
def test_any_order_of_the_same_alerts_ends_alike_with_few_mails_and_tells_what_is_critical(
    alerts: list[Alert], chance: random.Random
) -> None:
    shuffled = chance.sample(alerts, len(alerts))
    for order in (sorted(alerts, key=lambda one: one.raised_at), shuffled):
        alarm, told = heard(*order)
        assert len(told) <= MAILS_OF_A_TROUBLE
        if alerts:
            latest = max(alerts, key=lambda one: one.raised_at)
            assert alarm is not None
            assert (alarm.state, alarm.latest_at) == (latest.state, latest.raised_at)
        raised = {one.severity for one in alerts if one.state == "active"}
        assert raised & {"critical"} <= {one.severity for one in told if one.state == "active"}


@given(ALERTS)
def test_whoever_is_not_told_in_time_is_told_when_it_settles(alerts: list[Alert]) -> None:
    alarm, told = heard(*alerts)
    if alarm is None or not alarm.flapping:
        # Without flapping, people know the state that they were told last.
        assert alarm is None or [one for one in told if one.raised_at >= alarm.latest_at or one.state == alarm.state]
        return
    step = on_settling(alarm, POLICY, NOW + dt.timedelta(hours=1))
    assert (step.did, step.tell) == ("Settled", True)


def storm(devices: int, severity: str = "critical", prefix: str = "machine") -> list[Alert]:
    return [alert(0, severity=severity, device=f"{prefix}-{number:04}") for number in range(devices)]


def test_a_storm_is_a_few_mails_and_one_digest_and_every_alarm_is_kept(watched: WatchedKeeper) -> None:
    words = Counter(watched.words(*storm(80)))
    assert words == {"Forwarded": 20, "Gathered": 60}
    assert "are gathered until 12:10:00 UTC" in texts(watched.told)[-1]
    assert all("gathered" not in text for text in texts(watched.told)[:-1])
    assert watched.pass_time(minutes=12) == ["Digested", "Needless"], "the second look finds nothing"
    assert len(watched.told) == 21
    digest = watched.told[-1]
    assert digest.subject == "[DIGEST] lindau: 60 notifications"
    assert digest.attributes == {"kind": DIGEST, "site": "lindau", "severity": "critical"}
    (text,) = texts([digest])
    assert text.count("machine fault, 2014-05-06 00:00:00 UTC, fault/machine-") == NAMED
    assert "By severity:  critical 60" in text
    assert "And 10 more" in text
    for one in storm(80):
        alarm, _ = watched.store.load(f"lindau/{one.dedupe_key}")
        assert alarm is not None
        assert alarm.is_open
    # Nobody has acknowledged them: that, too, is told of in a digest, to those who are escalated to.
    words = Counter(watched.pass_time(hours=1))
    assert (words["Escalated"], words["Gathered"], words["Digested"]) == (20, 60, 1)
    assert watched.told[-1].subject == "[ESCALATED] lindau: 60 alarms that nobody has acknowledged"
    assert watched.told[-1].attributes["kind"] == ESCALATION
    assert len(watched.told) == 42


def test_1500_alarms_at_once_are_20_mails_and_one_digest() -> None:
    memory = _Memory()
    alarms = [*storm(1480, "warning"), *storm(20, prefix="press")]
    assert Counter(memory.keeper.forward(one) for one in alarms) == {"Forwarded": 20, "Gathered": 1480}
    assert sum("CRITICAL" in one.subject for one in memory.told) == 10, "half of the mails is kept for them"
    memory.outlet.digest(DigestDue(site="lindau"))
    assert len(memory.told) == 21
    digest = memory.told[-1]
    assert digest.subject == "[DIGEST] lindau: 1,480 notifications"
    (text,) = texts([digest])
    assert "By news:      WARNING 1,470, CRITICAL 10" in text
    assert text.count("[CRITICAL]") == 10, "the worst are named first"
    assert "And 1,430 more" in text
    assert len(memory.alarms) == 1500
    assert memory.waiting == {}


class _Memory:
    """A keeper on dictionaries, for numbers that take the emulator a minute. It stands in for all four tables."""

    def __init__(self) -> None:
        self.told: list[Notification] = []
        self.alarms: dict[str, Alarm] = {}
        self.waiting: dict[str, Gathered] = {}
        self._admitted = 0
        self.outlet = Outlet(self.told.append, cast(Any, self), cast(Any, self), POLICY, lambda: NOW)
        this = cast(Any, self)
        self.keeper = AlarmKeeper(this, this, this, this, self.outlet, POLICY, this, lambda: NOW)

    def load(self, name: str) -> tuple[Alarm | None, int]:
        return self.alarms.get(name), 0

    def save(self, alarm: Alarm, _version: int) -> None:
        self.alarms[alarm.name] = alarm

    def do(self, _message_id: str, work: Callable[[], None]) -> None:
        work()

    def begin(self, *_: Any) -> None:
        """No time passes here."""

    def admit(self, _site: str, limit: int, now: float) -> Admission:
        if self._admitted >= limit:
            return Admission(0, int(now) + POLICY.digest_seconds)
        self._admitted += 1
        return Admission(self._admitted, int(now) + POLICY.digest_seconds)

    def gather(self, gathered: Gathered, _ends_at: int) -> None:
        self.waiting[gathered.name] = gathered

    def gathered(self, _site: str, _now: float) -> dict[str, Gathered]:
        return dict(self.waiting)

    def forget(self, _site: str, entries: list[str]) -> None:
        for entry in entries:
            del self.waiting[entry]


def test_what_comes_late_for_its_digest_is_in_the_next(watched: WatchedKeeper) -> None:
    watched.words(*storm(30))
    watched.now += dt.timedelta(minutes=9, seconds=59)
    straggler = Gathered.of(notification(alert(device="slow")), alert(device="slow"))
    watched.pass_time(seconds=2)
    watched.digests.gather(straggler, int((NOW + dt.timedelta(minutes=10)).timestamp()))
    assert watched.pass_time(minutes=4) == ["Digested", "Needless"]
    assert "lindau/slow" in texts(watched.told)[-1]


def test_a_site_in_a_storm_takes_nothing_from_another(watched: WatchedKeeper) -> None:
    watched.words(*storm(30))
    other = msgspec.structs.replace(alert(), site="bremen", message_id="")
    assert watched.words(other) == ["Forwarded"]


def test_alerts_of_the_next_window_are_told_one_by_one_again(watched: WatchedKeeper) -> None:
    watched.words(*storm(30))
    watched.pass_time(minutes=10)
    assert watched.words(alert(device="next")) == ["Forwarded"]


def test_functions_at_once_count_the_notifications_of_a_site_without_a_conflict(cloud: Cloud) -> None:
    with watched_keeper(cloud) as watched:
        admitted: list[int] = []

        def work() -> None:
            admitted.extend(watched.digests.admit("lindau", 20, NOW.timestamp()).number for _ in range(50))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(admitted) == [0] * 180 + list(range(1, 21))


def test_more_than_a_digest_takes_are_in_the_next(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_store, "TAKEN_AT_ONCE", 30)
    with watched_keeper(cloud) as watched:
        watched.words(*storm(90))
        assert Counter(watched.pass_time(minutes=14)) == {"Digested": 3, "Needless": 1}
        assert [one.subject for one in watched.told[20:]] == [
            f"[DIGEST] lindau: {count} notifications" for count in (30, 30, 10)
        ]


def test_the_longest_digest_fits_and_its_subject_too() -> None:
    long = Alert(
        site="a" * 32,
        device="b" * 32,
        cause="forecast_quality",
        severity="critical",
        state="active",
        raised_at=alert().raised_at,
        dedupe_key="c" * 128,
        text="d" * 1000,
    )
    gathered = [
        msgspec.structs.replace(Gathered.of(notification(long), long), message_id=f"{number}")
        for number in range(digest_store.TAKEN_AT_ONCE)
    ]
    (digest,) = digests(gathered, POLICY, NOW)
    assert len(digest.subject) <= SUBJECT_LENGTH
    assert len(digest.message.encode()) < SNS_MESSAGE_BYTES


def test_a_digest_is_spoken_once(watched: WatchedKeeper) -> None:
    watched.words(*storm(30))
    watched.pass_time(minutes=10)
    spoken = msgspec.json.decode(json.loads(watched.told[-1].message)["sqs"], type=SpokenDigest)
    assert spoken_text(spoken) == (
        "Attention, please. lindau has had 10 more messages of alarms within 10 minutes. "
        "First look at machine-0020, machine-0021, machine-0022. Alarms are active on 7 more devices."
    )
    assert object_key(spoken) == f"announcements/lindau/2030/01/01/{spoken.digest_id}.mp3"
