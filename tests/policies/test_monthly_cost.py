"""The limit of a stack's cost. Not proved here: the estimate, which test_policy_costs.py looks at."""

from collections.abc import Callable

from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.monthly_cost import RULE

DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"


def test_a_stack_below_its_limit_passes_and_one_above_is_told_what_costs_most(
    make: Callable, messages: Callable
) -> None:
    boards = [make(DASHBOARD, f"board-{number}") for number in range(4)]
    assert messages(RULE, *boards) == []
    (message,) = messages(RULE, *boards, limit_usd=10)
    assert message.startswith("USD 14.40 a month in tier dev, allowed are 10; most: Dashboard board-0 3.60")


def test_the_limit_is_the_tiers_where_nobody_sets_one(make: Callable, messages: Callable) -> None:
    boards = [make(DASHBOARD, f"board-{number}") for number in range(40)]
    assert "tier dev, allowed are 100" in messages(RULE, *boards)[0]
    assert messages(RULE, *boards, tier="prod") == []


def test_what_has_no_price_or_no_size_yet_is_told_and_not_counted_as_nothing(
    make: Callable, messages: Callable
) -> None:
    host = make("aws:ec2/instance:Instance", instanceType=UNKNOWN)
    told = messages(RULE, host, make("aws:rds/instance:Instance"))
    assert all(isinstance(message, Undecided) for message in told)
    assert told == [
        "its cost is not in the estimate: instanceType is not known yet",
        "its cost is not in the estimate: no price for aws:rds/instance:Instance",
    ]
