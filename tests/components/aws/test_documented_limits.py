"""The library's limits are those that the pinned provider documents, which may be stricter than AWS's API.

A limit is read from the provider's documentation of an input, as the SDK's docstrings have it. Not proved here: that
the provider's own validation is what it documents.
"""

import re
from typing import Any

import pulumi_aws as aws
import pytest

from pm_components.aws import limits

#: The input of the provider that a setting or a constant of the library reaches, the words that say its limit, and the
#: library's constants for the numbers in them.
DOCUMENTED: list[tuple[Any, str, str, list[int]]] = [
    (
        aws.athena.WorkgroupConfigurationArgs,
        "bytes_scanned_cutoff_per_query",
        r"Must be at least `(\d+)`",
        [limits.ATHENA_SCAN_LIMIT_MINIMUM_BYTES],
    ),
    (
        aws.kms.KeyArgs,
        "deletion_window_in_days",
        r"between `(\d+)` and `(?:\d+)`",
        [limits.KEY_DELETION_DAYS_MINIMUM],
    ),
    (aws.lambda_.FunctionArgs, "timeout", r"Valid between 1 and (\d+)", [limits.LAMBDA_TIMEOUT_SECONDS]),
    (
        aws.lambda_.EventSourceMappingScalingConfigArgs,
        "maximum_concurrency",
        r"greater than or equal to (\d+)",
        [limits.SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM],
    ),
    (
        aws.sqs.QueueArgs,
        "message_retention_seconds",
        r"from 60 \(1 minute\) to (\d+)",
        [limits.QUEUE_RETENTION_SECONDS],
    ),
    (aws.sqs.QueueArgs, "name", r"between 1 and (\d+) characters", [limits.QUEUE_NAME_LENGTH]),
]


def _documentation(arguments: Any, name: str) -> str:
    return str(getattr(arguments, name).fget.__doc__)


@pytest.mark.parametrize(
    ("arguments", "name", "words", "numbers"), DOCUMENTED, ids=lambda one: getattr(one, "__name__", "")
)
def test_a_limit_is_what_the_provider_documents(arguments: Any, name: str, words: str, numbers: list[int]) -> None:
    said = re.search(words, _documentation(arguments, name), re.IGNORECASE)
    assert said, _documentation(arguments, name)
    assert [int(number) for number in said.groups()] == numbers


def test_logs_are_kept_for_days_that_the_provider_documents() -> None:
    words = _documentation(aws.cloudwatch.LogGroupArgs, "retention_in_days").partition("Possible values are:")[2]
    days = {int(number) for number in re.findall(r"\d+", words.partition("If you")[0])}
    assert days - {0} == set(limits.LOG_RETENTION_DAYS)
