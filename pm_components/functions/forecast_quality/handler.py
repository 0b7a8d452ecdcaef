"""Outcomes from SQS -> forecast quality in DynamoDB -> alerts on the sites' alert topics.

An alert goes out on the topic, not to people directly: it comes into the lake and into the mail by the same way as the
alerts that the site itself raises. That forecasts have left the acceptable range is said on the cloud's own topic, too:
a training starts for what is said there alone, since a core device may raise any alert of its site.
"""

import functools
import os
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import boto3
import msgspec

from pm_components.functions.batches import arrived_at, count, failures, settle
from pm_components.functions.forecast_quality.core import Counts, Rule, State, observe
from pm_components.functions.forecast_quality.store import StateStore
from pm_components.functions.registered_devices import RegisteredDevices
from pm_components.functions.versioned_items import Conflict, retry_conflicts
from pm_contracts import topics
from pm_contracts.event_times import require_past
from pm_contracts.messages import Outcome, decode, encode


class ForecastQuality:
    """Measures forecast quality by device, with its table and its way out.

    Args:
        store: where states are kept.
        publish: takes a topic and a payload, returns once the broker has it.
        rule: when forecasts have left the acceptable range.
        devices: whose outcomes count.
    """

    def __init__(self, store: StateStore, publish: Any, rule: Rule, devices: RegisteredDevices) -> None:
        self._store = store
        self._publish = publish
        self._rule = rule
        self._devices = devices

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Work off a batch of SQS records; those that could not be are reported, and come again."""
        groups: defaultdict[tuple[str, str], list[tuple[Mapping[str, Any], Outcome]]] = defaultdict(list)
        failed: list[str] = []
        counts = {"Taken": 0, "Repeated": 0, "Late": 0, "Alerts": 0, "Refused": 0, "Failed": 0}
        for record in event["Records"]:
            try:
                outcome = decode(record["body"].encode(), Outcome)
                require_past(outcome, arrived_at(record))
                self._devices.require(outcome.site, outcome.device)
            except Exception as error:  # whatever it is, the other records must not suffer from it
                counts[settle(record, error, failed)] += 1
            else:
                groups[outcome.site, outcome.device].append((record, outcome))
        waiting = [(*key, members) for key, members in groups.items()]
        while waiting:
            site, device, members = waiting.pop(0)
            try:
                done, alerts = self._observe(site, device, [outcome for _, outcome in members])
            except Exception as error:  # of one device: the others must not suffer from it
                if len(members) > 1 and not isinstance(error, Conflict):
                    # Nor must the device's other records suffer from one of them.
                    waiting += [(site, device, [member]) for member in members]
                    continue
                for record, _ in members:
                    counts[settle(record, error, failed)] += 1
                continue
            counts["Taken"] += done.taken
            counts["Repeated"] += done.repeated
            counts["Late"] += done.late
            counts["Alerts"] += alerts
        count(counts)
        return failures(failed)

    def _observe(self, site: str, device: str, outcomes: list[Outcome]) -> tuple[Counts, int]:
        """Bring the device's state forward and publish what was decided.

        An alert is published at least once: again after a crash before that was noted, or by a batch that came between.
        Its identity tells.
        """
        key = f"{site}/{device}"
        published: set[str] = set()
        taken: Counts | None = None

        def attempt() -> Counts:
            nonlocal taken
            state, version = self._store.load(key)
            state, done = observe(state, outcomes, self._rule)
            if done.taken:
                version = self._store.save(key, state, version)
                taken = done
            for alert in state.pending:
                if alert.message_id not in published:
                    self._publish(topics.site_topic(site, topics.ALERT), encode(alert))
                    if alert.state == "active":
                        self._publish(topics.drift_topic(site), encode(alert))
                    published.add(alert.message_id)
            if state.pending:
                self._store.save(key, State(outcomes=state.outcomes, active=state.active), version)
            return taken or done

        return retry_conflicts(key, attempt), len(published)


@functools.cache
def _forecast_quality() -> ForecastQuality:
    iot = boto3.client("iot-data")
    return ForecastQuality(
        StateStore(boto3.client("dynamodb"), os.environ["FORECAST_QUALITY_TABLE"]),
        lambda topic, payload: iot.publish(topic=topic, qos=1, payload=payload),
        msgspec.json.decode(os.environ["FORECAST_QUALITY_RULE"], type=Rule),
        RegisteredDevices(boto3.client("iot")),
    )


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return _forecast_quality().handle(event)
