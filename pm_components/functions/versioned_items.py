"""Items of DynamoDB with a version number: each is written in place of the version that was loaded, or not at all."""

from collections.abc import Mapping
from typing import Any

VERSION = "version"
_CONDITION_FAILED = "ConditionalCheckFailedException"


class Conflict(Exception):
    """Someone else wrote the item in between; load it again."""


def version_of(item: Mapping[str, Any]) -> int:
    """The version of an item as DynamoDB gives it."""
    return int(item[VERSION]["N"])


def put(client: Any, table: str, key: str, item: Mapping[str, Any], loaded: int) -> int:
    """Write an item in place of the one that was loaded.

    Args:
        client: a boto3 client of DynamoDB.
        table: the table's name.
        key: the attribute that is the table's key, which `item` has.
        item: its attributes but for the version.
        loaded: the version that was loaded; 0 if there was none.

    Returns:
        The version that it has now.

    Raises:
        Conflict: if the one in the table is of another version.
    """
    guard: dict[str, Any] = {"ConditionExpression": f"attribute_not_exists({key})"}
    if loaded:
        guard = {
            "ConditionExpression": "#version = :loaded",
            "ExpressionAttributeNames": {"#version": VERSION},
            "ExpressionAttributeValues": {":loaded": {"N": str(loaded)}},
        }
    try:
        client.put_item(TableName=table, Item={**item, VERSION: {"N": str(loaded + 1)}}, **guard)
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == _CONDITION_FAILED:
            raise Conflict(item[key]["S"]) from error
        raise
    return loaded + 1
