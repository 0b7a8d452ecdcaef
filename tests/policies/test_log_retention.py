"""The retention of logs, and the mending of those without end."""

from collections.abc import Callable

from pulumi_policy.proxy import UNKNOWN_NUMBER_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.log_retention import RULE

LOGS = "aws:cloudwatch/logGroup:LogGroup"
SETTINGS = {"default_days": 30, "maximum_days": 731}


def test_a_log_that_ends_passes(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(LOGS, retentionInDays=30.0)) == []


def test_a_log_without_end_is_refused_and_mended(make: Callable, messages: Callable) -> None:
    assert RULE.remedy is not None
    assert messages(RULE, make(LOGS)) == ["retentionInDays is not set, so that it is kept for ever"]
    change = RULE.remedy(make(LOGS), SETTINGS)
    assert change == {"retentionInDays": 30}
    assert messages(RULE, make(LOGS, **change)) == []


def test_a_log_that_ends_too_late_is_refused_and_left_to_its_owner(make: Callable, messages: Callable) -> None:
    assert RULE.remedy is not None
    late = make(LOGS, retentionInDays=3653.0)
    assert messages(RULE, late) == ["retentionInDays is 3653, allowed are 731"]
    assert messages(RULE, late, maximum_days=4000) == []
    assert RULE.remedy(late, SETTINGS) == {}


def test_an_unknown_end_is_undecided_and_left_alone(make: Callable, messages: Callable) -> None:
    assert RULE.remedy is not None
    (message,) = messages(RULE, make(LOGS, retentionInDays=UNKNOWN))
    assert isinstance(message, Undecided)
    assert RULE.remedy(make(LOGS, retentionInDays=UNKNOWN), SETTINGS) == {}
