"""Alarms in DynamoDB: one item an alarm, guarded by a version number."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from pm_components.functions.alarm_keeper.alarms import CLEARED, FLAPPING, Alarm
from pm_components.functions.versioned_items import VersionedItems


class AlarmStore:
    """Alarms by name.

    Args:
        client: a boto3 client of DynamoDB.
        table: the table's name; its key is `alarm`, a string, its time to live `expires_at`.
        keep_seconds: for which a cleared alarm is remembered.
        clock: seconds since the epoch.
    """

    def __init__(self, client: Any, table: str, *, keep_seconds: int, clock: Callable[[], float] = time.time) -> None:
        self._items = VersionedItems(client, table, "alarm")
        self._keep_seconds = keep_seconds
        self._clock = clock

    def load(self, name: str) -> tuple[Alarm | None, int]:
        """The alarm and its version; None and 0 if it was never raised."""
        item, version = self._items.load(name)
        return (msgspec.json.decode(item["record"]["S"], type=Alarm) if item else None), version

    def save(self, alarm: Alarm, version: int) -> None:
        """Write the alarm in place of the one that was loaded with `version`.

        Raises:
            Conflict: if the one in the table is of another version.
        """
        attributes = {
            "record": {"S": msgspec.json.encode(alarm).decode()},
            # For people who look into the table; the function itself reads `record` alone.
            "state": {"S": FLAPPING if alarm.flapping else alarm.state},
            "severity": {"S": alarm.alert.severity},
            "raised_at": {"S": alarm.alert.raised_at.isoformat()},
            "acknowledged_by": {"S": alarm.acknowledged_by},
            "escalated": {"BOOL": alarm.escalated_at is not None},
            "text": {"S": alarm.alert.text},
        }
        if alarm.state == CLEARED and not alarm.flapping:
            attributes["expires_at"] = {"N": str(int(self._clock()) + self._keep_seconds)}
        self._items.save(alarm.name, attributes, version)
