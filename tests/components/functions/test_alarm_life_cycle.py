"""The life of an alarm: what is told and when, acknowledged, escalated; on the emulated DynamoDB and Scheduler.

Not proved here: what is told when alerts flap, come out of order or in a storm (test_alarm_storms.py), that a schedule
fires and its message arrives (test_deployed_lake_and_alerting.py), and that AWS's Scheduler takes the same requests.
"""

import datetime as dt
import json
from typing import Any

import msgspec
import pytest

from pm_components.fault_alerting.alarm_life_cycle import policy_text
from pm_components.functions.alarm_keeper.alarms import Escalation
from pm_components.functions.versioned_items import Conflict
from pm_contracts.messages import Refused, encode
from tests.components.functions.watched_keeper import NOW, WatchedKeeper, alert, record, texts


def test_an_alert_that_comes_again_is_told_once(watched: WatchedKeeper) -> None:
    assert watched.words(alert(), alert(), alert()) == ["Forwarded", "Repeated", "Repeated"]
    assert watched.words(alert(5, "cleared")) == ["Forwarded"]
    assert watched.subjects() == ["[CRITICAL]", "[CLEARED]"]


def test_an_active_alarm_raised_again_is_counted_in_the_window_and_told_after_it(watched: WatchedKeeper) -> None:
    words = watched.words(alert(0), alert(30), alert(59), alert(60), alert(61))
    assert words == ["Forwarded", "Deduplicated", "Deduplicated", "Forwarded", "Deduplicated"]
    alarm, _ = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    assert (alarm.state, alarm.repeats, len(watched.told)) == ("active", 4, 2)


def test_an_alarm_that_gets_worse_or_comes_back_is_told_at_once(watched: WatchedKeeper) -> None:
    watched.words(alert(0, severity="warning"), alert(1), alert(2, "cleared"), alert(62))
    assert watched.subjects() == ["[WARNING]", "[CRITICAL]", "[CLEARED]", "[CRITICAL]"]


def test_the_late_news_that_it_was_raised_is_told_and_moves_nothing(watched: WatchedKeeper) -> None:
    assert watched.words(alert(10, "cleared"), alert(0), alert(1)) == ["Forwarded", "Late", "Outdated"]
    assert "This came late: by now, the alarm is cleared." in texts(watched.told)[-1]
    alarm, _ = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    assert alarm.state == "cleared"
    assert watched.schedules() == []


def test_troubles_of_other_days_are_told_in_any_order_and_the_latest_decides(watched: WatchedKeeper) -> None:
    days = [alert(day * 1440, "active" if day % 2 else "cleared") for day in range(1, 7)]
    words = watched.words(*(days[index] for index in (1, 3, 0, 2, 5, 4)))
    assert words == ["Forwarded", "Forwarded", "Late", "Late", "Forwarded", "Late"]
    alarm, _ = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    assert (alarm.state, alarm.latest_at) == ("cleared", days[5].raised_at)


def test_a_critical_alarm_waits_for_its_acknowledgement_and_a_warning_does_not(watched: WatchedKeeper) -> None:
    watched.words(alert(severity="warning"))
    assert watched.schedules() == []
    watched.words(alert(1))
    (schedule,) = watched.schedules()
    assert schedule["ScheduleExpression"] == "at(2030-01-01T12:15:00)"
    assert schedule["ActionAfterCompletion"] == "DELETE"
    sent = json.loads(schedule["Target"]["Input"])
    assert sent["QueueUrl"] == "https://sqs.eu-central-1.amazonaws.com/000000000000/alarms"
    message = msgspec.json.decode(sent["MessageBody"], type=Escalation)
    assert (message.site, message.dedupe_key, message.raised_at) == (
        "lindau",
        "fault/machine-03",
        alert(1).raised_at,
    )
    watched.words(alert(2, "cleared"))
    assert watched.schedules() == []


def test_an_acknowledged_alarm_is_told_and_not_escalated(watched: WatchedKeeper) -> None:
    watched.words(alert())
    (escalation,) = watched.schedules()
    assert watched.acknowledge(note="on my way") == "Acknowledged"
    assert watched.schedules() == []
    assert watched.subjects() == ["[CRITICAL]", "[ACKNOWLEDGED]"]
    assert "Ada has taken it on. They say: on my way" in texts(watched.told)[-1]
    # It was under way already when it was taken back.
    assert watched.end(escalation) == "Needless"
    assert watched.acknowledge("Bob") == "Needless"
    alarm, _ = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    assert (alarm.acknowledged_by, alarm.acknowledged_at, alarm.escalated_at) == ("Ada", NOW, None)


def test_what_nobody_acknowledges_is_escalated_once(watched: WatchedKeeper) -> None:
    watched.words(alert())
    (escalation,) = watched.schedules()
    assert [watched.end(escalation) for _ in range(2)] == ["Escalated", "Needless"]
    assert watched.subjects() == ["[CRITICAL]", "[ESCALATED]"]
    assert watched.told[-1].attributes["kind"] == "escalation"
    assert watched.acknowledge() == "Acknowledged", "late, and still possible"


def test_the_escalation_of_an_earlier_alarm_does_not_touch_the_next(watched: WatchedKeeper) -> None:
    watched.words(alert())
    (escalation,) = watched.schedules()
    watched.words(alert(5, "cleared"), alert(10))
    assert watched.end(escalation) == "Needless"


def test_what_was_never_raised_cannot_be_acknowledged(watched: WatchedKeeper) -> None:
    with pytest.raises(Refused, match="no alarm 'lindau/fault/machine-99'"):
        watched.acknowledge(key="fault/machine-99")


def test_a_device_cannot_acknowledge(watched: WatchedKeeper) -> None:
    watched.words(alert())
    body = json.dumps({"site": "lindau", "dedupe_key": "fault/machine-03", "by": "nobody"})
    with pytest.raises(Refused):
        watched.keeper.work(record(body))


@pytest.mark.parametrize(
    "timer",
    [
        {"kind": "Escalation", "site": "lindau", "dedupe_key": "fault/machine-03", "raised_at": "2014-05-06T00:00:00Z"},
        {"kind": "Settling", "site": "lindau", "dedupe_key": "fault/machine-03"},
        {"kind": "DigestDue", "site": "lindau"},
    ],
)
def test_a_device_is_no_timer(watched: WatchedKeeper, timer: dict[str, str]) -> None:
    """A message that a rule brings has no attributes, whatever it says of itself."""
    watched.words(alert())
    with pytest.raises(Refused):
        watched.keeper.work(record(json.dumps(timer)))
    assert watched.subjects() == ["[CRITICAL]"]


def test_an_alert_of_a_device_that_the_site_does_not_have_is_refused(watched: WatchedKeeper) -> None:
    with pytest.raises(Refused, match="device 'pump-1': site 'lindau' has none of that name"):
        watched.words(alert(device="pump-1"))
    assert watched.told == []


def test_an_alert_of_a_time_to_come_does_not_freeze_its_alarm(watched: WatchedKeeper) -> None:
    watched.words(alert())
    in_2099 = msgspec.structs.replace(
        alert(), raised_at=dt.datetime(2099, 1, 1, tzinfo=dt.UTC), state="cleared", message_id=""
    )
    with pytest.raises(Refused, match="raised_at is 2099-01-01T00:00:00"):
        watched.words(in_2099)
    assert watched.words(alert(5, "cleared")) == ["Forwarded"]
    alarm, _ = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    assert (alarm.state, alarm.latest_at) == ("cleared", alert(5).raised_at)


@pytest.mark.parametrize(
    "body", ["{", "[]", '{"kind":"Escalation"}', encode(alert()).decode().replace("fault", "rust")]
)
def test_what_is_no_message_is_refused(watched: WatchedKeeper, body: str) -> None:
    with pytest.raises(Refused):
        watched.keeper.work(record(body))
    assert watched.told == []


def test_two_writers_of_one_alarm_do_not_overwrite_each_other(watched: WatchedKeeper) -> None:
    watched.words(alert())
    alarm, version = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    watched.acknowledge()
    with pytest.raises(Conflict):
        watched.store.save(alarm, version)


@pytest.mark.parametrize(
    ("given_", "complaint"),
    [
        ({"dedupe_seconds": -1}, "dedupe_seconds"),
        ({"escalation_severities": ["loud"]}, "escalation_severities"),
        ({"mail_limit": 0}, "mail_limit"),
        ({"digest_seconds": 0}, "digest_seconds"),
        ({"patience": 1}, "patience"),
    ],
)
def test_a_policy_that_is_none_is_refused_by_name(given_: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        policy_text(given_)
    assert json.loads(policy_text({"escalation_seconds": 60.0}))["escalation_seconds"] == 60
