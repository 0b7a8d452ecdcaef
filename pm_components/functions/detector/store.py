"""The detector's state in DynamoDB: one item a device, guarded by a version number."""

import datetime as dt
from typing import Any

from pm_components.functions import versioned_items
from pm_components.functions.detector.core import State, from_json, to_json


class StateStore:
    """States by device.

    Args:
        client: a boto3 client of DynamoDB.
        table: the table's name; its key is `detector`, a string.
    """

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def load(self, detector: str) -> tuple[State, int]:
        """The state and its version; of a device not heard of yet, an empty state and 0."""
        found = self._client.get_item(TableName=self._table, Key={"detector": {"S": detector}}, ConsistentRead=True)
        if "Item" not in found:
            return State(), 0
        return from_json(found["Item"]["state"]["S"]), versioned_items.version_of(found["Item"])

    def save(self, detector: str, state: State, version: int) -> int:
        """Write `state` in place of the one that was loaded with `version`.

        Returns:
            The version that it has now.

        Raises:
            Conflict: if the state in the table is of another version.
        """
        item = {
            "detector": {"S": detector},
            "state": {"S": to_json(state)},
            # For people who look into the table; the detector itself reads `state` alone.
            "alert": {"S": "active" if state.active else "cleared"},
            "outcomes": {"N": str(len(state.outcomes))},
            "misses": {"N": str(state.misses)},
            "updated_at": {"S": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")},
        }
        return versioned_items.put(self._client, self._table, "detector", item, version)
