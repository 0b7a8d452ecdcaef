"""The contents of dead letters, and the table of each message. No I/O."""

import base64
import json
from typing import Any, NamedTuple

from pm_contracts.messages import Refused, decode
from pm_contracts.tables import TABLES
from pm_contracts.topics import parse_topic

#: Errors of a text that is no JSON, no object, or nested deeper than a decoder follows.
_UNREADABLE = (ValueError, KeyError, TypeError, RecursionError)
_TYPES = {table.name: table.message_type for table in TABLES}


class Letter(NamedTuple):
    """A dead letter: the line or text that it is, and the message in it, or why there is none to be had.

    Attributes:
        text: the letter as it lies there.
        table: the table that the message is for; empty where `problem` says why it is not known.
        payload: the message.
        problem: why it cannot be replayed; empty if it can.
    """

    text: bytes
    table: str = ""
    payload: bytes = b""
    problem: str = ""


def of_error_object(key: str, body: bytes, prefix: str) -> list[Letter]:
    """The letters in an object that Amazon Data Firehose wrote below the error prefix, a line each.

    Source of the format: "Data delivery failure handling", Amazon Data Firehose guide; `rawData` is the record.

    Args:
        key: the object's key, `{prefix}{table}/...`.
        body: its content.
        prefix: the error prefix.
    """
    table = key.removeprefix(prefix).split("/")[0]
    return [_letter(line, table, "rawData") for line in body.splitlines() if line.strip()]


def of_error_action(text: bytes) -> Letter:
    """The letter in a message that the error action of an AWS IoT rule sent, or a rule that refuses.

    Its message is held to the topic that it came on: what a rule has refused is not let in by the back door.

    Source of the format: "Error message format", AWS IoT Core developer guide, "Error handling (error action)".
    """
    try:
        topic = parse_topic(json.loads(text)["topic"])
    except (*_UNREADABLE, AttributeError) as error:
        return Letter(text, problem=f"no message of an error action: {error}")
    letter = _letter(text, "", "base64OriginalPayload")
    if letter.problem:
        return letter
    try:
        message: Any = decode(letter.payload, topic.message_type)
    except Refused as error:
        return Letter(text, problem=str(error))
    said = (message.site, message.device if topic.device else "")
    if said != topic[:2]:
        return Letter(text, problem=f"site and device are {said}: they must be those of the topic, {topic[:2]}")
    if message.kind not in _TYPES:
        return Letter(text, problem=f"no table takes a {message.kind}")
    return Letter(text, message.kind, letter.payload)


def notified_key(text: str) -> str:
    """The key of the object that a notice of Amazon S3 speaks of; empty if it is no notice.

    Source of the format: "EventBridge event message structure", Amazon S3 user guide.
    """
    try:
        return str(json.loads(text)["detail"]["object"]["key"])
    except _UNREADABLE:
        return ""


def _letter(text: bytes, table: str, field: str) -> Letter:
    try:
        payload = base64.b64decode(json.loads(text)[field], validate=True).strip()
    except _UNREADABLE as error:
        return Letter(text, problem=f"no dead letter with {field}: {type(error).__name__}")
    if not table:
        return Letter(text, payload=payload)
    if table not in _TYPES:
        return Letter(text, problem=f"there is no table {table!r}")
    try:
        decode(payload, _TYPES[table])
    except Refused as error:
        return Letter(text, problem=str(error))
    return Letter(text, table, payload)
