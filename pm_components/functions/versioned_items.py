"""Items of DynamoDB with a version number, changed by several writers without a lock.

A write replaces the version that was loaded, or nothing: a writer that finds another version loads again, and decides
again.
"""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Result = TypeVar("Result")

_VERSION = "version"
#: Two writers of one item that meet wait a random part of this, so that they do not meet again.
_PAUSE_SECONDS = 0.1
#: Given up long before the function's time is over.
_ATTEMPTS = 40


class Conflict(Exception):
    """Someone else wrote the item in between; load it again."""


class VersionedItems:
    """The items of one table.

    Args:
        client: a boto3 client of DynamoDB.
        table: the table's name.
        key: the attribute that is the table's key, a string.
    """

    def __init__(self, client: Any, table: str, key: str) -> None:
        self._client = client
        self._table = table
        self._key = key

    def load(self, name: str) -> tuple[Mapping[str, Any] | None, int]:
        """The item as DynamoDB gives it, and its version; None and 0 if there is no such item."""
        found = self._client.get_item(TableName=self._table, Key={self._key: {"S": name}}, ConsistentRead=True)
        if "Item" not in found:
            return None, 0
        return found["Item"], int(found["Item"][_VERSION]["N"])

    def save(self, name: str, attributes: Mapping[str, Any], loaded: int) -> int:
        """Write an item in place of the one that was loaded.

        Args:
            name: the value of its key.
            attributes: all others but the version.
            loaded: the version that was loaded; 0 if there was no such item.

        Returns:
            The version that it has now.

        Raises:
            Conflict: if the one in the table is of another version.
        """
        guard: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({self._key})"}
        if loaded:
            guard = {
                "ConditionExpression": "#version = :loaded",
                "ExpressionAttributeNames": {"#version": _VERSION},
                "ExpressionAttributeValues": {":loaded": {"N": str(loaded)}},
            }
        item = {**attributes, self._key: {"S": name}, _VERSION: {"N": str(loaded + 1)}}
        try:
            self._client.put_item(TableName=self._table, Item=item, **guard)
        except self._client.exceptions.ConditionalCheckFailedException as error:
            raise Conflict(name) from error
        return loaded + 1


def retry_conflicts(name: str, attempt: Callable[[], Result]) -> Result:
    """Load, decide and save an item until no other writer comes in between.

    Args:
        name: the item's, for the message.
        attempt: does all three; called again after a conflict.

    Raises:
        Conflict: if other writers came in between each time.
    """
    for _ in range(_ATTEMPTS):
        try:
            return attempt()
        except Conflict:
            time.sleep(random.uniform(0, _PAUSE_SECONDS))  # noqa: S311 - no secret
    raise Conflict(f"{name}: someone else wrote it {_ATTEMPTS} times in a row")
