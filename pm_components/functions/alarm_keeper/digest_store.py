"""The notifications that a site has left in a window, and those that wait for its digest, in DynamoDB.

The window is one item a site, counted by atomic additions: functions that run at once never wait for one another.
"""

import math
from typing import Any, NamedTuple

import msgspec

from pm_components.functions.alarm_keeper.digests import Gathered
from pm_components.functions.versioned_items import Conflict

#: Entries that one digest takes at most, so that the function ends in time; the others follow in the next.
TAKEN_AT_ONCE = 5_000
#: BatchWriteItem, Amazon DynamoDB API reference: 25 requests at most.
_BATCH = 25
_WINDOW = "window"
_GATHERED = "gathered/"
_ATTEMPTS = 5


class Admission(NamedTuple):
    """The answer to one who wants to notify."""

    number: int
    """The number of the notification in its window; 0 if it is one too many."""
    ends_at: int
    """End of the window, seconds since the epoch."""


class DigestStore:
    """Windows and gathered notifications by site.

    Args:
        client: a boto3 client of DynamoDB.
        table: the table's name; its keys are `site` and `entry`, both strings.
        window_seconds: length of a window, which begins with its first notification.
    """

    def __init__(self, client: Any, table: str, *, window_seconds: int) -> None:
        self._client = client
        self._table = table
        self._window_seconds = window_seconds

    def admit(self, site: str, limit: int, now: float) -> Admission:
        """Count a notification in the site's window, unless `limit` have been counted.

        Args:
            site: the site.
            limit: the number of notifications in a window.
            now: seconds since the epoch.

        Raises:
            Conflict: if windows ended faster than it could count.
        """
        key = {"site": {"S": site}, "entry": {"S": _WINDOW}}
        for _ in range(_ATTEMPTS):
            try:
                counted = self._client.update_item(
                    TableName=self._table,
                    Key=key,
                    UpdateExpression="ADD notifications :one",
                    ConditionExpression="ends_at > :now AND notifications < :limit",
                    ExpressionAttributeValues={
                        ":one": {"N": "1"},
                        ":now": {"N": str(now)},
                        ":limit": {"N": str(limit)},
                    },
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )["Attributes"]
                return Admission(int(counted["notifications"]["N"]), int(counted["ends_at"]["N"]))
            except self._client.exceptions.ConditionalCheckFailedException as error:
                window = error.response.get("Item")
            if window and int(window["ends_at"]["N"]) > now:
                return Admission(0, int(window["ends_at"]["N"]))
            self._begin(key, now)
        raise Conflict(f"{site}: {_ATTEMPTS} windows have ended at once")

    def _begin(self, key: dict[str, Any], now: float) -> None:
        """Begin a window, unless someone else does."""
        ends_at = math.ceil(now + self._window_seconds)
        try:
            self._client.put_item(
                TableName=self._table,
                Item={**key, "notifications": {"N": "0"}, "ends_at": {"N": str(ends_at)}},
                ConditionExpression="attribute_not_exists(ends_at) OR ends_at <= :now",
                ExpressionAttributeValues={":now": {"N": str(now)}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def gather(self, gathered: Gathered, ends_at: int) -> None:
        """Keep a notification for the digest of the window that ends at `ends_at`; once more changes nothing."""
        self._client.put_item(
            TableName=self._table,
            Item={
                "site": {"S": gathered.site},
                "entry": {"S": f"{_before(ends_at)}{gathered.name}"},
                "record": {"S": msgspec.json.encode(gathered).decode()},
            },
        )

    def gathered(self, site: str, now: float) -> dict[str, Gathered]:
        """The notifications that wait for the digest of a window that has ended, by entry; not all if they are many."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="site = :site AND entry BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":site": {"S": site},
                ":first": {"S": _GATHERED},
                ":last": {"S": _before(int(now) + 1)},
            },
            ConsistentRead=True,
            PaginationConfig={"MaxItems": TAKEN_AT_ONCE},
        )
        items = (item for page in pages for item in page["Items"])
        return {item["entry"]["S"]: msgspec.json.decode(item["record"]["S"], type=Gathered) for item in items}

    def forget(self, site: str, entries: list[str]) -> None:
        """Delete entries, since the digest has told of them."""
        for first in range(0, len(entries), _BATCH):
            keys = [{"site": {"S": site}, "entry": {"S": entry}} for entry in entries[first : first + _BATCH]]
            left = {self._table: [{"DeleteRequest": {"Key": key}} for key in keys]}
            while left:
                left = self._client.batch_write_item(RequestItems=left)["UnprocessedItems"]


def _before(ends_at: int) -> str:
    """The beginning of the entries of a window; they sort by its end, for the next 250 years."""
    return f"{_GATHERED}{ends_at:010d}/"
