"""The four ways in, and their mending."""

from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_BOOLEAN_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.public_access_block import RULE

BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
CLOSED = dict.fromkeys(FLAGS, True)


def test_a_block_of_all_four_passes(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(BLOCK, **CLOSED)) == []


@pytest.mark.parametrize("flag", FLAGS)
def test_a_way_that_is_open_is_refused_and_closed(make: Callable, messages: Callable, flag: str) -> None:
    assert RULE.remedy is not None
    for given in ({**CLOSED, flag: False}, {key: True for key in FLAGS if key != flag}):
        assert messages(RULE, make(BLOCK, **given)) == [f"{flag} is not true"]
        change = RULE.remedy(make(BLOCK, **given), {})
        assert change == {flag: True}
        assert messages(RULE, make(BLOCK, **{**given, **change})) == []


def test_an_unknown_flag_is_undecided_and_left_alone(make: Callable, messages: Callable) -> None:
    assert RULE.remedy is not None
    block = make(BLOCK, **{**CLOSED, "restrictPublicBuckets": UNKNOWN})
    (message,) = messages(RULE, block)
    assert isinstance(message, Undecided)
    assert RULE.remedy(block, {}) == {}
    assert RULE.remedy(make("aws:s3/bucket:Bucket"), {}) == {}
