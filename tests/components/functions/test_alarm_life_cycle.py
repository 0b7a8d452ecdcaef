"""The life of an alarm: what is told and when, acknowledged, escalated; on the emulated DynamoDB and Scheduler.

Not proved here: that a schedule fires and its message arrives (test_deployed_lake_and_alerting.py), and that AWS's
Scheduler takes the same requests.
"""

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm_components.fault_alerting.alarm_life_cycle import policy_text
from pm_components.functions.alarm_keeper import alarms
from pm_components.functions.alarm_keeper.alarm_store import AlarmStore
from pm_components.functions.alarm_keeper.alarms import Escalation, Policy, on_alert
from pm_components.functions.alarm_keeper.core import Notification
from pm_components.functions.alarm_keeper.escalations import Escalations
from pm_components.functions.alarm_keeper.handler import AlarmKeeper
from pm_components.functions.alarm_keeper.once import Once
from pm_components.functions.versioned_items import Conflict
from pm_contracts.messages import Alert, Refused, encode
from pm_sandbox.cloud import Cloud

START = dt.datetime(2014, 5, 6, tzinfo=dt.UTC)
NOW = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)
POLICY = Policy(dedupe_seconds=3600, escalation_seconds=900, escalation_severities=["critical"])


def alert(minutes: int = 0, state: str = "active", severity: str = "critical") -> Alert:
    return Alert(
        site="lindau",
        device="machine-03",
        cause="fault",
        severity=severity,
        state=state,
        raised_at=START + dt.timedelta(minutes=minutes),
        dedupe_key="fault/machine-03",
        text="Machine 03 at lindau is about to fail.",
    )


class WatchedKeeper(NamedTuple):
    """A keeper of alarms with its ways out in sight."""

    keeper: AlarmKeeper
    store: AlarmStore
    told: list[Notification]
    scheduler: Any
    group: str

    def words(self, *messages: Alert) -> list[str]:
        return [self.keeper.work({"body": encode(message).decode()}) for message in messages]

    def acknowledge(self, by: str = "Ada", key: str = "fault/machine-03", note: str = "") -> str:
        body = json.dumps({"site": "lindau", "dedupe_key": key, "by": by, "note": note})
        attributes = {"kind": {"stringValue": "acknowledgement", "dataType": "String"}}
        return self.keeper.work({"body": body, "messageAttributes": attributes})

    def schedules(self) -> list[dict[str, Any]]:
        found = self.scheduler.list_schedules(GroupName=self.group)["Schedules"]
        return [self.scheduler.get_schedule(Name=one["Name"], GroupName=self.group) for one in found]

    def subjects(self) -> list[str]:
        return [one.subject.split("]")[0] + "]" for one in self.told]


@pytest.fixture
def watched(cloud: Cloud) -> Iterator[WatchedKeeper]:
    client, scheduler, suffix = cloud.client("dynamodb"), cloud.client("scheduler"), uuid.uuid4().hex[:8]
    for name, key in (("alarms", "alarm"), ("sent", "message_id")):
        client.create_table(
            TableName=f"{name}-{suffix}",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
        )
    scheduler.create_schedule_group(Name=f"group-{suffix}")
    told: list[Notification] = []
    store = AlarmStore(client, f"alarms-{suffix}", keep_seconds=3600, clock=lambda: 1_000_000.0)
    escalations = Escalations(
        scheduler,
        group=f"group-{suffix}",
        queue_arn="arn:aws:sqs:eu-central-1:000000000000:alarms",
        role_arn="arn:aws:iam::000000000000:role/escalation",
        after_seconds=POLICY.escalation_seconds,
        now=lambda: NOW,
    )
    once = Once(client, f"sent-{suffix}", lease_seconds=60, keep_seconds=3600)
    keeper = AlarmKeeper(store, once, escalations, told.append, POLICY, now=lambda: NOW)
    yield WatchedKeeper(keeper, store, told, scheduler, f"group-{suffix}")
    for name in ("alarms", "sent"):
        client.delete_table(TableName=f"{name}-{suffix}")


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
    watched.words(alert(0, severity="warning"), alert(1), alert(2, "cleared"), alert(3))
    assert watched.subjects() == ["[WARNING]", "[CRITICAL]", "[CLEARED]", "[CRITICAL]"]


def test_what_comes_late_is_told_and_moves_nothing(watched: WatchedKeeper) -> None:
    assert watched.words(alert(10, "cleared"), alert(0)) == ["Forwarded", "Late"]
    alarm, _ = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    assert alarm.state == "cleared"
    assert watched.schedules() == []


def test_alerts_in_any_order_are_all_told_and_the_latest_decides(watched: WatchedKeeper) -> None:
    days = [alert(day * 1440, "active" if day % 2 else "cleared") for day in range(1, 7)]
    assert set(watched.words(*(days[index] for index in (1, 3, 0, 2, 5, 4)))) == {"Forwarded", "Late"}
    assert len(watched.told) == 6
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
    message = msgspec.json.decode(schedule["Target"]["Input"], type=Escalation)
    assert (message.site, message.dedupe_key, message.raised_at) == (
        "lindau",
        "fault/machine-03",
        alert(1).raised_at,
    )
    watched.words(alert(2, "cleared"))
    assert watched.schedules() == []


def test_an_acknowledged_alarm_is_told_and_not_escalated(watched: WatchedKeeper) -> None:
    watched.words(alert())
    escalation = watched.schedules()[0]["Target"]["Input"]
    assert watched.acknowledge(note="on my way") == "Acknowledged"
    assert watched.schedules() == []
    assert watched.subjects() == ["[CRITICAL]", "[ACKNOWLEDGED]"]
    assert "Ada has taken it on. They say: on my way" in json.loads(watched.told[-1].message)["default"]
    # It was under way already when it was taken back.
    assert watched.keeper.work({"body": escalation}) == "Needless"
    assert watched.acknowledge("Bob") == "Needless"
    alarm, _ = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    assert (alarm.acknowledged_by, alarm.acknowledged_at, alarm.escalated_at) == ("Ada", NOW, None)


def test_what_nobody_acknowledges_is_escalated_once(watched: WatchedKeeper) -> None:
    watched.words(alert())
    body = watched.schedules()[0]["Target"]["Input"]
    assert [watched.keeper.work({"body": body}) for _ in range(2)] == ["Escalated", "Needless"]
    assert watched.subjects() == ["[CRITICAL]", "[ESCALATED]"]
    assert watched.told[-1].attributes["kind"] == "escalation"
    assert watched.acknowledge() == "Acknowledged", "late, and still possible"


def test_the_escalation_of_an_earlier_alarm_does_not_touch_the_next(watched: WatchedKeeper) -> None:
    watched.words(alert())
    body = watched.schedules()[0]["Target"]["Input"]
    watched.words(alert(5, "cleared"), alert(10))
    assert watched.keeper.work({"body": body}) == "Needless"


def test_what_was_never_raised_cannot_be_acknowledged(watched: WatchedKeeper) -> None:
    with pytest.raises(Refused, match="no alarm 'lindau/fault/machine-99'"):
        watched.acknowledge(key="fault/machine-99")


def test_a_device_cannot_acknowledge(watched: WatchedKeeper) -> None:
    watched.words(alert())
    body = json.dumps({"site": "lindau", "dedupe_key": "fault/machine-03", "by": "nobody"})
    with pytest.raises(Refused):
        watched.keeper.work({"body": body, "messageAttributes": {}})


@pytest.mark.parametrize(
    "body", ["{", "[]", '{"kind":"Escalation"}', encode(alert()).decode().replace("fault", "rust")]
)
def test_what_is_no_message_is_refused(watched: WatchedKeeper, body: str) -> None:
    with pytest.raises(Refused):
        watched.keeper.work({"body": body})
    assert watched.told == []


def test_two_writers_of_one_alarm_do_not_overwrite_each_other(watched: WatchedKeeper) -> None:
    watched.words(alert())
    alarm, version = watched.store.load("lindau/fault/machine-03")
    assert alarm is not None
    watched.acknowledge()
    with pytest.raises(Conflict):
        watched.store.save(alarm, version)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 300), st.sampled_from(["active", "cleared"]), st.sampled_from(["warning", "critical"])
        ),
        max_size=30,
    )
)
def test_whatever_comes_the_latest_alert_decides_and_no_change_goes_untold(
    events: list[tuple[int, str, str]],
) -> None:
    alarm: alarms.Alarm | None = None
    told: set[str] = set()
    latest: Alert | None = None
    for event in events:
        message = alert(*event)
        before = alarm.state if alarm else "cleared"
        step = on_alert(alarm, message, POLICY)
        alarm = step.alarm or alarm
        if step.tell:
            told.add(message.message_id)
        if latest is None or message.raised_at > latest.raised_at:
            latest = message
            assert alarm is not None
            assert alarm.state == message.state
            if before != message.state or (message.state == "cleared" and before == "active"):
                assert step.tell
    assert (alarm is None) == (not events)


@pytest.mark.parametrize(
    ("given_", "complaint"),
    [
        ({"dedupe_seconds": -1}, "dedupe_seconds"),
        ({"escalation_severities": ["loud"]}, "escalation_severities"),
        ({"patience": 1}, "patience"),
    ],
)
def test_a_policy_that_is_none_is_refused_by_name(given_: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        policy_text(given_)
    assert json.loads(policy_text({"escalation_seconds": 60.0}))["escalation_seconds"] == 60
