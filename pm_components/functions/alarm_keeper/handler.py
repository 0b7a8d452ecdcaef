"""The alarm keeper, fed by SQS: the sites' alerts, acknowledgements and timers -> the SNS alert topic.

Each alert is told once at most: alone, with others in a digest, or as one of those that its alarm's next mail counts.
An acknowledgement and what a timer sends carry the message attribute `kind`, which a rule of AWS IoT cannot set ("SQS",
AWS IoT rule actions, has no parameter for it): no device can acknowledge an alarm, or escalate one.
"""

import datetime as dt
import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import msgspec

from pm_components.functions.alarm_keeper import core
from pm_components.functions.alarm_keeper.alarm_store import AlarmStore
from pm_components.functions.alarm_keeper.alarms import (
    Acknowledgement,
    Alarm,
    Escalation,
    Policy,
    Settling,
    Step,
    alarm_name,
    on_acknowledgement,
    on_alert,
    on_escalation,
    on_settling,
)
from pm_components.functions.alarm_keeper.core import Notification
from pm_components.functions.alarm_keeper.digest_store import DigestStore
from pm_components.functions.alarm_keeper.digests import DigestDue
from pm_components.functions.alarm_keeper.escalations import Escalations
from pm_components.functions.alarm_keeper.later import TIMER, Schedules
from pm_components.functions.alarm_keeper.once import Once
from pm_components.functions.alarm_keeper.outlet import Outlet
from pm_components.functions.alarm_keeper.timers import Timers
from pm_components.functions.batches import arrived_at, kind_of, work_off_each
from pm_components.functions.registered_devices import RegisteredDevices
from pm_components.functions.versioned_items import retry_conflicts
from pm_contracts.event_times import require_past
from pm_contracts.messages import Alert, decode

#: Longer than the function may run, so that a lease that has ended was left by one that died.
LEASE_SECONDS = 60
#: Longer than a site may be offline and then send an alert again.
KEEP_SECONDS = 90 * 24 * 3600
_TIMERS: Any = Escalation | Settling | DigestDue


class AlarmKeeper:
    """The alarms with their table and their ways out.

    Args:
        store: where alarms are kept.
        once: which alerts were told.
        escalations: the times for acknowledgements.
        timers: the times in which flapping alarms settle.
        outlet: the way to the people.
        policy: how insistent alarms are.
        devices: whose alerts are heard.
        now: the time, UTC.
    """

    def __init__(
        self,
        store: AlarmStore,
        once: Once,
        escalations: Escalations,
        timers: Timers,
        outlet: Outlet,
        policy: Policy,
        devices: RegisteredDevices,
        now: Callable[[], dt.datetime],
    ) -> None:
        self._store = store
        self._once = once
        self._escalations = escalations
        self._timers = timers
        self._outlet = outlet
        self._policy = policy
        self._devices = devices
        self._now = now

    def work(self, record: Mapping[str, Any]) -> str:
        """Work off one record of SQS; the word for what was done.

        Raises:
            Refused: if it is no message that it knows, acknowledges what was never raised, or is an alert of a device
                that the site does not have, or of a time to come.
        """
        body = record["body"].encode()
        kind = kind_of(record)
        if kind == core.ACKNOWLEDGEMENT:
            return self.acknowledge(decode(body, Acknowledgement))
        if kind == TIMER:
            return self.end(decode(body, _TIMERS))
        alert = decode(body, Alert)
        require_past(alert, arrived_at(record))
        self._devices.require(alert.site, alert.device)
        return self.forward(alert)

    def end(self, timer: Escalation | Settling | DigestDue) -> str:
        """Do what is due at the end of a timer."""
        if isinstance(timer, Escalation):
            return self.escalate(timer)
        return self.settle(timer) if isinstance(timer, Settling) else self._outlet.digest(timer)

    def forward(self, alert: Alert) -> str:
        """Bring one alert to the topic, unless it was brought there before or its alarm is told of already."""
        now = self._now()

        def tell(before: Alarm | None, alarm: Alarm) -> str:
            word = "Repeated"

            def notify() -> None:
                nonlocal word
                out = core.notification(alert, alarm, before.left_out if before else 0)
                word = "" if self._outlet.tell(out, alert) else "Gathered"

            # Told once whatever fails after it: a record that comes again only brings the rest to its end.
            self._once.do(alert.message_id, notify)
            return word

        name = alarm_name(alert.site, alert.dedupe_key)
        return self._take(name, lambda alarm: on_alert(alarm, alert, self._policy, now), tell)

    def acknowledge(self, given: Acknowledgement) -> str:
        """Note that someone has taken an alarm on, and tell the others."""
        now = self._now()
        name = alarm_name(given.site, given.dedupe_key)
        return self._take(name, lambda alarm: on_acknowledgement(alarm, given, now), self._telling(core.acknowledged))

    def escalate(self, given: Escalation) -> str:
        """Tell those who are told of alarms that nobody has acknowledged."""
        now = self._now()
        name = alarm_name(given.site, given.dedupe_key)
        return self._take(name, lambda alarm: on_escalation(alarm, given, now), self._telling(core.escalated))

    def settle(self, given: Settling) -> str:
        """Tell that an alarm has stopped flapping, if it has."""
        now = self._now()
        name = alarm_name(given.site, given.dedupe_key)
        return self._take(name, lambda alarm: on_settling(alarm, self._policy, now), self._telling(core.settled))

    def _telling(self, text: Callable[[Alarm, int], Notification]) -> Callable[[Alarm | None, Alarm], str]:
        """Tell of a change of an alarm, with the number of alerts that nobody was told of before it."""

        def tell(before: Alarm | None, alarm: Alarm) -> str:
            out = text(alarm, before.left_out if before else 0)
            return "" if self._outlet.tell(out, alarm.alert) else "Gathered"

        return tell

    def _take(
        self, name: str, decide: Callable[[Alarm | None], Step], tell: Callable[[Alarm | None, Alarm], str]
    ) -> str:
        """Decide on an alarm, do what follows and save it: in this order, so that at worst it is done twice.

        Args:
            name: the alarm's.
            decide: takes the alarm; answers what follows.
            tell: takes the alarm before and after; answers what became of it, "" if people know by now.

        Returns:
            The word for what was done.
        """
        told: str | None = None

        def attempt() -> str:
            nonlocal told
            before, version = self._store.load(name)
            step = decide(before)
            alarm = step.alarm or before
            if alarm is None:
                return step.did
            if step.tell and told is None:
                told = tell(before, alarm)
            if step.schedule:
                self._escalations.begin(alarm)
            if step.settles_at:
                self._timers.begin(Settling(site=alarm.alert.site, dedupe_key=alarm.alert.dedupe_key), step.settles_at)
            if step.settle and before is not None:
                self._escalations.end(before)
            if step.alarm is not None:
                self._store.save(step.alarm, version)
            return told or step.did

        return retry_conflicts(name, attempt)


@functools.cache
def _keeper() -> AlarmKeeper:
    sns, dynamodb = boto3.client("sns"), boto3.client("dynamodb")
    topic = os.environ["TOPIC_ARN"]
    policy = msgspec.json.decode(os.environ["ALARM_POLICY"], type=Policy)

    def publish(out: Notification) -> None:
        attributes = {key: {"DataType": "String", "StringValue": value} for key, value in out.attributes.items()}
        sns.publish(
            TopicArn=topic,
            Subject=out.subject,
            Message=out.message,
            MessageStructure="json",
            MessageAttributes=attributes,
        )

    schedules = Schedules(
        boto3.client("scheduler"),
        group=os.environ["SCHEDULE_GROUP"],
        queue_url=os.environ["QUEUE_URL"],
        role_arn=os.environ["SCHEDULE_ROLE_ARN"],
    )
    timers = Timers(schedules)
    digests = DigestStore(dynamodb, os.environ["DIGEST_TABLE"], window_seconds=policy.digest_seconds)
    return AlarmKeeper(
        AlarmStore(dynamodb, os.environ["ALARM_TABLE"], keep_seconds=KEEP_SECONDS),
        Once(dynamodb, os.environ["SENT_TABLE"], lease_seconds=LEASE_SECONDS, keep_seconds=KEEP_SECONDS),
        Escalations(schedules, after_seconds=policy.escalation_seconds, now=_now),
        timers,
        Outlet(publish, digests, timers, policy, _now),
        policy,
        RegisteredDevices(boto3.client("iot")),
        _now,
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return work_off_each(event, lambda record: _keeper().work(record))
