"""Regions by tier. Not proved here: that the engine shows providers to a pack; its own tests do."""

from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.allowed_regions import RULE

PROVIDER = "pulumi:providers:aws"


@pytest.mark.parametrize("type_", [PROVIDER, "pulumi:providers:aws-native", "aws:s3/bucket:Bucket"])
def test_a_region_of_the_tier_passes_and_another_is_refused(make: Callable, messages: Callable, type_: str) -> None:
    assert messages(RULE, make(type_, region="eu-central-1")) == []
    (message,) = messages(RULE, make(type_, region="ap-southeast-2"))
    assert message == "region ap-southeast-2 in tier dev, allowed are eu-central-1, eu-west-1, us-east-1"


def test_a_stack_whose_name_tells_no_tier_is_held_to_production(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(PROVIDER, stack="alice", region="us-east-1")) == [
        "region us-east-1 in tier prod, allowed are eu-central-1, eu-west-1"
    ]
    assert messages(RULE, make(PROVIDER, stack="alice", region="us-east-1"), tier="dev") == []


def test_a_resource_without_a_region_of_its_own_passes(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make("aws:s3/bucket:Bucket"), make("pm:index:AnalyticsStore", region="moon")) == []


def test_an_unknown_region_is_undecided(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(PROVIDER, region=UNKNOWN))
    assert isinstance(message, Undecided)
    assert message == "cannot be judged before the update: region is not known yet"
