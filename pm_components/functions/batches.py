"""Batches from SQS: each record succeeds or fails by itself, so that a bad one never takes the good ones with it."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pm_contracts.logs import one_line

METRIC_NAMESPACE = "PredictiveMaintenance"

log = logging.getLogger(__name__)


def failures(record_ids: Iterable[str]) -> dict[str, Any]:
    """The answer (ReportBatchItemFailures) for which SQS delivers these records again, or to the dead letters."""
    return {"batchItemFailures": [{"itemIdentifier": record_id} for record_id in record_ids]}


def work_off_each(event: Mapping[str, Any], work: Callable[[Mapping[str, Any]], str]) -> dict[str, Any]:
    """Give each record to `work`, count the words that it answers, and report the records that it refused.

    Args:
        event: the event of an SQS event source.
        work: takes a record; answers one word for what it did, which is counted; raises where it could not.
    """
    counts: dict[str, int] = {}
    failed: list[str] = []
    for record in event["Records"]:
        try:
            word = work(record)
        except Exception as error:  # whatever it is, the other records must not suffer from it
            log_failure(record["messageId"], error)
            failed.append(record["messageId"])
            word = "Failed"
        counts[word] = counts.get(word, 0) + 1
    count(counts)
    return failures(failed)


def log_failure(record_id: str, error: Exception) -> None:
    """Log that a record failed, and why; SQS will deliver it again."""
    log.error("record %s failed: %s: %s", record_id, type(error).__name__, one_line(str(error)))


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
