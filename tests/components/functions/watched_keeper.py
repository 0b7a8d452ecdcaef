"""A keeper of alarms on the emulated DynamoDB and Scheduler, with its ways out in sight."""

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from pm_components.functions.alarm_keeper.alarm_store import AlarmStore
from pm_components.functions.alarm_keeper.alarms import Policy
from pm_components.functions.alarm_keeper.core import Notification
from pm_components.functions.alarm_keeper.digest_store import DigestStore
from pm_components.functions.alarm_keeper.escalations import Escalations
from pm_components.functions.alarm_keeper.handler import AlarmKeeper
from pm_components.functions.alarm_keeper.later import Schedules
from pm_components.functions.alarm_keeper.once import Once
from pm_components.functions.alarm_keeper.outlet import Outlet
from pm_components.functions.alarm_keeper.timers import Timers
from pm_components.functions.registered_devices import RegisteredDevices
from pm_contracts.messages import Alert, Refused, encode
from pm_sandbox.cloud import Cloud

START = dt.datetime(2014, 5, 6, tzinfo=dt.UTC)
NOW = dt.datetime(2030, 1, 1, 12, tzinfo=dt.UTC)
POLICY = Policy(dedupe_seconds=3600, escalation_seconds=900, escalation_severities=["critical"])

_TABLES = {"alarms": {"alarm": "HASH"}, "sent": {"message_id": "HASH"}, "digests": {"site": "HASH", "entry": "RANGE"}}


def alert(minutes: float = 0, state: str = "active", severity: str = "critical", device: str = "machine-03") -> Alert:
    return Alert(
        site="lindau",
        device=device,
        cause="fault",
        severity=severity,
        state=state,
        raised_at=START + dt.timedelta(minutes=minutes),
        dedupe_key=f"fault/{device}",
        text=f"{device} at lindau is about to fail.",
    )


class Registry:
    """Every device but some, in place of AWS IoT's registry."""

    def __init__(self, *strangers: str) -> None:
        self.strangers = strangers

    def require(self, site: str, device: str) -> None:
        if device in self.strangers:
            raise Refused(f"device {device!r}: site {site!r} has none of that name in the registry")


def record(body: str, arrived_at: dt.datetime = NOW) -> dict[str, Any]:
    """A record of SQS as a rule of AWS IoT makes one."""
    return {"body": body, "attributes": {"SentTimestamp": str(int(arrived_at.timestamp() * 1000))}}


class WatchedKeeper:
    """A keeper of alarms whose clock stands still until it is moved.

    Its Scheduler fires nothing: schedules are of a later year, and `pass_time` brings their messages.
    """

    def __init__(self, cloud: Cloud, suffix: str, policy: Policy = POLICY) -> None:
        self.now = NOW
        self._read: dict[str, dict[str, Any]] = {}
        self.told: list[Notification] = []
        self.scheduler, self.group = cloud.client("scheduler"), f"group-{suffix}"
        client = cloud.client("dynamodb")
        self._client, self._table = client, f"alarms-{suffix}"
        self.store = AlarmStore(client, f"alarms-{suffix}", keep_seconds=3600, clock=lambda: 1_000_000.0)
        schedules = Schedules(
            self.scheduler,
            group=self.group,
            queue_url="https://sqs.eu-central-1.amazonaws.com/000000000000/alarms",
            role_arn="arn:aws:iam::000000000000:role/escalation",
        )
        timers = Timers(schedules)
        self.digests = DigestStore(client, f"digests-{suffix}", window_seconds=policy.digest_seconds)
        self.keeper = AlarmKeeper(
            self.store,
            Once(client, f"sent-{suffix}", lease_seconds=60, keep_seconds=3600),
            Escalations(schedules, after_seconds=policy.escalation_seconds, now=lambda: self.now),
            timers,
            Outlet(self.told.append, self.digests, timers, policy, lambda: self.now),
            policy,
            cast(RegisteredDevices, Registry("pump-1")),
            lambda: self.now,
        )

    def words(self, *messages: Alert) -> list[str]:
        return [self.keeper.work(record(encode(message).decode())) for message in messages]

    def end(self, schedule: dict[str, Any]) -> str:
        """Bring the message of a schedule, which is sent by SendMessage of SQS."""
        assert schedule["Target"]["Arn"] == "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
        sent = json.loads(schedule["Target"]["Input"])
        kind = sent["MessageAttributes"]["kind"]
        attributes = {"kind": {"stringValue": kind["StringValue"], "dataType": kind["DataType"]}}
        return self.keeper.work({"body": sent["MessageBody"], "messageAttributes": attributes})

    def acknowledge(self, by: str = "Ada", key: str = "fault/machine-03", note: str = "") -> str:
        body = json.dumps({"site": "lindau", "dedupe_key": key, "by": by, "note": note})
        attributes = {"kind": {"stringValue": "acknowledgement", "dataType": "String"}}
        return self.keeper.work({"body": body, "messageAttributes": attributes})

    def schedules(self) -> list[dict[str, Any]]:
        pages = self.scheduler.get_paginator("list_schedules").paginate(GroupName=self.group)
        names = [one["Name"] for page in pages for one in page["Schedules"]]
        for name in names:
            if name not in self._read:
                self._read[name] = self.scheduler.get_schedule(Name=name, GroupName=self.group)
        return [self._read[name] for name in names]

    def pass_time(self, **duration: float) -> list[str]:
        """Let time pass, and bring each message whose time comes, in their order; the words for what was done."""
        end, words = self.now + dt.timedelta(**duration), []
        while due := sorted((at, one["Name"], one) for one in self.schedules() if (at := _due(one)) <= end):
            at, name, schedule = due[0]
            self.now = max(at, self.now)
            self.scheduler.delete_schedule(Name=name, GroupName=self.group)
            words.append(self.end(schedule))
        self.now = end
        return words

    def alarms(self) -> list[dict[str, Any]]:
        """All alarms as the table has them."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table)
        return [item for page in pages for item in page["Items"]]

    def subjects(self) -> list[str]:
        return [one.subject.split("]")[0] + "]" for one in self.told]


def texts(told: Iterable[Notification]) -> list[str]:
    """The texts that people read."""
    return [json.loads(one.message)["default"] for one in told]


@contextmanager
def watched_keeper(cloud: Cloud, policy: Policy = POLICY) -> Iterator[WatchedKeeper]:
    """A keeper with tables and a schedule group of its own."""
    client, suffix = cloud.client("dynamodb"), uuid.uuid4().hex[:8]
    for name, keys in _TABLES.items():
        client.create_table(
            TableName=f"{name}-{suffix}",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        )
    cloud.client("scheduler").create_schedule_group(Name=f"group-{suffix}")
    yield WatchedKeeper(cloud, suffix, policy)
    for name in _TABLES:
        client.delete_table(TableName=f"{name}-{suffix}")


def _due(schedule: dict[str, Any]) -> dt.datetime:
    return dt.datetime.strptime(schedule["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)").replace(tzinfo=dt.UTC)
