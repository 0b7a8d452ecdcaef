"""Rotation of keys, and its mending. Not proved here: that AWS rotates them."""

from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_BOOLEAN_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.key_rotation import RULE

KEY = "aws:kms/key:Key"


def test_a_rotated_key_passes_and_so_does_one_that_aws_does_not_rotate(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(KEY, enableKeyRotation=True)) == []
    assert messages(RULE, make(KEY, customerMasterKeySpec="RSA_2048")) == []


@pytest.mark.parametrize("inputs", [{}, {"enableKeyRotation": False}])
def test_a_key_that_stays_the_same_is_refused_and_mended(
    make: Callable, messages: Callable, inputs: dict[str, bool]
) -> None:
    assert RULE.remedy is not None
    assert messages(RULE, make(KEY, **inputs)) == ["enableKeyRotation is not true"]
    change = RULE.remedy(make(KEY, **inputs), {})
    assert change == {"enableKeyRotation": True}
    assert messages(RULE, make(KEY, **{**inputs, **change})) == []


def test_an_unknown_answer_is_undecided_and_left_alone(make: Callable, messages: Callable) -> None:
    assert RULE.remedy is not None
    (message,) = messages(RULE, make(KEY, enableKeyRotation=UNKNOWN))
    assert isinstance(message, Undecided)
    assert RULE.remedy(make(KEY, enableKeyRotation=UNKNOWN), {}) == {}
    assert RULE.remedy(make("aws:kms/alias:Alias"), {}) == {}
