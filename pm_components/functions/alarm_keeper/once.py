"""Doing a thing once though it is asked for again: claims in DynamoDB.

A claim is a lease while the work goes on and a note once it is done. Who dies between the work and the note leaves a
lease that ends, and the work is done again: at the very worst twice, never not at all.
"""

import time
from collections.abc import Callable
from typing import Any


class InProgress(Exception):
    """Someone else is at it; come again."""


class Once:
    """Claims by name.

    Args:
        client: a boto3 client of DynamoDB.
        table: the table's name; its key is `message_id`, a string, its time to live `expires_at`.
        lease_seconds: after which a claim whose work was never noted as done is free again.
        keep_seconds: for which it is remembered that the work was done.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        *,
        lease_seconds: int,
        keep_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._table = table
        self._lease_seconds = lease_seconds
        self._keep_seconds = keep_seconds
        self._clock = clock

    def do(self, message_id: str, work: Callable[[], None]) -> bool:
        """Do `work` unless it was done for `message_id` before.

        Returns:
            Whether it was done now.

        Raises:
            InProgress: if someone else is at it.
            Exception: what `work` raises; the claim is given up then.
        """
        now = int(self._clock())
        if not self._claim(message_id, now):
            return False
        try:
            work()
        except BaseException:
            self._client.delete_item(TableName=self._table, Key={"message_id": {"S": message_id}})
            raise
        self._client.put_item(
            TableName=self._table,
            Item={
                "message_id": {"S": message_id},
                "done": {"BOOL": True},
                "expires_at": {"N": str(now + self._keep_seconds)},
            },
        )
        return True

    def _claim(self, message_id: str, now: int) -> bool:
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "message_id": {"S": message_id},
                    "done": {"BOOL": False},
                    "leased_until": {"N": str(now + self._lease_seconds)},
                    "expires_at": {"N": str(now + self._keep_seconds)},
                },
                ConditionExpression="attribute_not_exists(message_id) OR leased_until <= :now",
                ExpressionAttributeValues={":now": {"N": str(now)}},
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            held = self._client.get_item(
                TableName=self._table, Key={"message_id": {"S": message_id}}, ConsistentRead=True
            ).get("Item")
            if held and held["done"]["BOOL"]:
                return False
            raise InProgress(f"{message_id} is being worked on") from error
        return True
