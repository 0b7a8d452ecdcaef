"""Batches from SQS: each record succeeds or fails by itself, so that a bad one never takes the good ones with it.

One that fails comes again. One that is refused would be refused again: it goes to the dead letters at once, and has the
reason with it, as the message attribute `reason`.
"""

import datetime as dt
import functools
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import boto3

from pm_contracts.logs import one_line
from pm_contracts.messages import Refused

METRIC_NAMESPACE = "PredictiveMaintenance"
_REASON_CHARACTERS = 1000

log = logging.getLogger(__name__)


def failures(record_ids: Iterable[str]) -> dict[str, Any]:
    """The answer (ReportBatchItemFailures) for which SQS delivers these records again, or to the dead letters."""
    return {"batchItemFailures": [{"itemIdentifier": record_id} for record_id in record_ids]}


def work_off_each(event: Mapping[str, Any], work: Callable[[Mapping[str, Any]], str]) -> dict[str, Any]:
    """Give each record to `work`, count the words that it answers, and report the records that it refused.

    Args:
        event: the event of an SQS event source.
        work: takes a record; answers one word for what it did, which is counted; raises `Refused` for one that is not
            to come again, and anything else where it could not be done.
    """
    counts: dict[str, int] = {}
    failed: list[str] = []
    for record in event["Records"]:
        try:
            word = work(record)
        except Exception as error:  # whatever it is, the other records must not suffer from it
            word = settle(record, error, failed)
        counts[word] = counts.get(word, 0) + 1
    count(counts)
    return failures(failed)


def settle(record: Mapping[str, Any], error: Exception, failed: list[str]) -> str:
    """Make a dead letter of a record that was refused; any other, and one that could not be put there, has failed.

    Args:
        record: of SQS.
        error: what came of it.
        failed: takes the id of a record that is to come again.

    Returns:
        The word for what became of it, which is counted.
    """
    record_id = record["messageId"]
    log.error("record %s failed: %s: %s", record_id, type(error).__name__, one_line(str(error)))
    if isinstance(error, Refused):
        try:
            _put_aside(record["body"], one_line(str(error))[:_REASON_CHARACTERS])
        except Exception as down:  # of the queue: then it comes again, and in the end SQS puts it there
            log.error("record %s is no dead letter yet: %s", record_id, one_line(str(down)))
        else:
            return "Refused"
    failed.append(record_id)
    return "Failed"


def arrived_at(record: Mapping[str, Any]) -> dt.datetime:
    """The time at which a record of SQS came into its queue, by the cloud's own clock, UTC."""
    return dt.datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, dt.UTC)


def kind_of(record: Mapping[str, Any]) -> str:
    """The message attribute `kind` of a record of SQS; empty if it has none, as one of a rule of AWS IoT."""
    return str(record.get("messageAttributes", {}).get("kind", {}).get("stringValue", ""))


def _put_aside(body: str, reason: str) -> None:
    attribute = {"DataType": "String", "StringValue": reason or "none was given"}
    _sqs().send_message(
        QueueUrl=os.environ["DEAD_LETTERS_URL"], MessageBody=body, MessageAttributes={"reason": attribute}
    )


@functools.cache
def _sqs() -> Any:
    return boto3.client("sqs")


def count(counts: Mapping[str, int]) -> None:
    """Write counts as CloudWatch metrics, by a log line in the embedded metric format.

    Their dimension is the function's own name, so that functions of one kind, of this stack or another, are told apart.
    """
    counts = {name: number for name, number in counts.items() if number}
    if not counts:
        return
    line = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": METRIC_NAMESPACE,
                    "Dimensions": [["FunctionName"]],
                    "Metrics": [{"Name": name, "Unit": "Count"} for name in counts],
                }
            ],
        },
        "FunctionName": os.environ["AWS_LAMBDA_FUNCTION_NAME"],
        **counts,
    }
    print(json.dumps(line))
