"""Tags that are required, on what takes tags. Not proved here: that their values are right."""

from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_OBJECT_VALUE, UNKNOWN_STRING_VALUE

from pm_policies.rule import Undecided
from pm_policies.rules.required_tags import RULE, takes_tags

QUEUE = "aws:sqs/queue:Queue"
TAGS = {"Project": "pm", "Stack": "dev", "Tier": "dev", "Owner": "me", "CostCentre": "1"}


@pytest.mark.parametrize(
    ("type_", "answer"),
    [
        (QUEUE, True),
        ("aws:lambda/function:Function", True),
        ("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream", True),
        ("aws-native:greengrassv2:Deployment", True),
        ("aws:iot/thing:Thing", False),
        ("aws:s3/bucketPolicy:BucketPolicy", False),
        ("aws:nothing/known:Here", False),
        ("pm:index:AnalyticsStore", False),
        ("pulumi:pulumi:Stack", False),
    ],
)
def test_the_sdk_tells_what_takes_tags(type_: str, answer: bool) -> None:
    assert takes_tags(type_) is answer


def test_all_tags_pass_in_either_spelling(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(QUEUE, tags=TAGS)) == []
    spelled = [{"key": key, "value": value} for key, value in TAGS.items()]
    assert messages(RULE, make("aws-native:iotanalytics:Channel", tags=spelled)) == []


def test_missing_and_empty_tags_are_named(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(QUEUE, tags={**TAGS, "Owner": "", "Stack": None}))
    assert message == "tag Stack, Owner not set, required are Project, Stack, Tier, Owner, CostCentre"
    assert len(messages(RULE, make(QUEUE))) == 1
    assert messages(RULE, make(QUEUE), keys=[]) == []
    assert messages(RULE, make("aws:iot/thing:Thing")) == []


def test_unknown_tags_are_undecided(make: Callable, messages: Callable) -> None:
    for tags in (UNKNOWN_OBJECT_VALUE, {**TAGS, "Owner": UNKNOWN_STRING_VALUE}):
        (message,) = messages(RULE, make(QUEUE, tags=tags))
        assert isinstance(message, Undecided)
