"""Gives the lake's dead letters to its streams again: objects below the error prefix, and what rules could not hand on.

A letter goes only after its stream has taken it, so that one may be replayed twice but none is lost; the lake's queries
count a message once. What is still refused stays where it is.
"""

import functools
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import boto3

from pm_components.functions.batches import count
from pm_components.functions.replay_dead_letters.core import (
    Letter,
    notified_key,
    of_error_action,
    of_error_object,
)

#: "Each PutRecordBatch request supports up to 500 records" and 4 MiB: Amazon Data Firehose API reference.
_BATCH_RECORDS = 500
_BATCH_BYTES = 4 * 1024**2
#: Tries for records that a stream is too busy for.
_TRIES = 5
#: Milliseconds that are kept to end in order.
_RESERVE = 20_000
#: Longer than any invocation lasts: 900 seconds, AWS Lambda quotas.
_HIDDEN_SECONDS = 900
_WAIT_SECONDS = 1


class Place(NamedTuple):
    """The source of dead letters, and their destination."""

    bucket: str
    prefix: str
    notices_url: str
    letters_url: str
    streams: dict[str, str]


class Replay:
    """One run, as far as its time goes.

    Args:
        place: where to look.
        client: a boto3 client by service name.
        has_time: whether there is time for more.
    """

    def __init__(self, place: Place, client: Callable[[str], Any], has_time: Callable[[], bool]) -> None:
        self._place = place
        self._s3, self._sqs, self._firehose = client("s3"), client("sqs"), client("firehose")
        self._has_time = has_time
        self.replayed: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        #: Messages that stay in their queue, which the alarm is to see again.
        self._held: list[tuple[str, str]] = []

    def run(self, table: str) -> bool:
        """Replay the letters of `table`, or of all tables where it is empty; answers whether it got through all."""
        try:
            return self._objects(table) and self._queue(table) and self._notices()
        finally:
            for url, receipt in self._held:
                self._sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)

    def _objects(self, table: str) -> bool:
        prefix = f"{self._place.prefix}{table}/" if table else self._place.prefix
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._place.bucket, Prefix=prefix)
        for page in pages:
            for found in page.get("Contents", []):
                if not self._has_time():
                    return False
                self._object(found["Key"])
        return True

    def _object(self, key: str) -> None:
        where = {"Bucket": self._place.bucket, "Key": key}
        body = self._s3.get_object(**where)["Body"].read()
        letters = of_error_object(key, body, self._place.prefix)
        left = self._deliver(letters)
        if not left:
            self._s3.delete_object(**where)
        elif len(left) < len(letters):
            self._s3.put_object(**where, Body=b"\n".join(letter.text for letter in left) + b"\n")

    def _queue(self, table: str) -> bool:
        for messages in self._received(self._place.letters_url):
            letters = [of_error_action(message["Body"].encode()) for message in messages]
            mine = [letter for letter in letters if not table or letter.table in ("", table)]
            left = self._deliver(mine)
            for message, letter in zip(messages, letters, strict=True):
                self._settle(self._place.letters_url, message, done=letter in mine and letter not in left)
            if not self._has_time():
                return False
        return True

    def _notices(self) -> bool:
        """Take away the notices of error objects that are gone, which ends the alarm."""
        for messages in self._received(self._place.notices_url):
            for message in messages:
                key = notified_key(message["Body"])
                if not key:
                    self.refused["no notice of an object"] += 1
                    self._settle(self._place.notices_url, message, done=False)
                    continue
                found = self._s3.list_objects_v2(Bucket=self._place.bucket, Prefix=key, MaxKeys=1)
                self._settle(self._place.notices_url, message, done=not found.get("KeyCount"))
            if not self._has_time():
                return False
        return True

    def _received(self, url: str) -> Iterator[list[dict[str, Any]]]:
        """The queue's messages, each once in this run: they are hidden from it for longer than it can last."""
        while True:
            answer = self._sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=_HIDDEN_SECONDS,
                # Without waiting SQS asks only some of its servers, and finds nothing though something is there.
                WaitTimeSeconds=_WAIT_SECONDS,
            )
            if not answer.get("Messages"):
                return
            yield answer["Messages"]

    def _settle(self, url: str, message: dict[str, Any], *, done: bool) -> None:
        if done:
            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        else:
            self._held.append((url, message["ReceiptHandle"]))

    def _deliver(self, letters: Sequence[Letter]) -> list[Letter]:
        """Give each letter to its stream; answers those that are left."""
        left = [letter for letter in letters if letter.problem]
        self.refused.update(letter.problem for letter in left)
        for table in sorted({letter.table for letter in letters if not letter.problem}):
            own = [letter for letter in letters if letter.table == table and not letter.problem]
            for batch in _batches(own):
                left += self._put(table, batch)
        return left

    def _put(self, table: str, batch: list[Letter]) -> list[Letter]:
        total = len(batch)
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(0.2 * 2**attempt)
            answer = self._firehose.put_record_batch(
                DeliveryStreamName=self._place.streams[table],
                Records=[{"Data": letter.payload + b"\n"} for letter in batch],
            )
            batch = [
                letter
                for letter, result in zip(batch, answer["RequestResponses"], strict=True)
                if "ErrorCode" in result
            ]
            if not batch:
                break
        self.replayed[table] += total - len(batch)
        self.refused.update("the stream is too busy" for _ in batch)
        return batch


def _batches(letters: list[Letter]) -> Iterator[list[Letter]]:
    batch: list[Letter] = []
    size = 0
    for letter in letters:
        if batch and (len(batch) == _BATCH_RECORDS or size + len(letter.payload) + 1 > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(letter)
        size += len(letter.payload) + 1
    if batch:
        yield batch


@functools.cache
def _client(service: str) -> Any:
    return boto3.client(service)


def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The Lambda handler.

    Args:
        event: `table`: whose letters are replayed; all where it is left out.
        context: Lambda's, which knows the time that is left.

    Returns:
        `replayed` by table, `refused` by reason, and `complete`: false where the time did not suffice for all.

    Raises:
        ValueError: if there is no such table.
    """
    place = Place(**json.loads(os.environ["PLACE"]))
    table = event.get("table", "")
    if table and table not in place.streams:
        raise ValueError(f"table: found {table!r}, allowed are {', '.join(sorted(place.streams))}")
    run = Replay(place, _client, lambda: context.get_remaining_time_in_millis() > _RESERVE)
    complete = run.run(table)
    count({"Replayed": run.replayed.total(), "Refused": run.refused.total()})
    return {"replayed": dict(run.replayed), "refused": dict(run.refused), "complete": complete}
