"""Timeouts and limits of functions. Not proved here: that the limits are high enough for the work."""

from collections.abc import Callable

from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Level, Undecided
from pm_policies.rules.function_limits import RULE

FUNCTION = "aws:lambda/function:Function"
MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
PERMISSION = "aws:lambda/permission:Permission"


def test_a_function_with_a_timeout_that_nothing_feeds_passes(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(FUNCTION, timeout=10)) == []
    assert RULE.level is Level.ADVISORY


def test_a_timeout_is_asked_for_and_not_the_longest(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(FUNCTION)) == ["timeout is not set, so that it ends after 3 seconds whatever it does"]
    assert messages(RULE, make(FUNCTION, timeout=900.0)) == ["timeout is 900, the longest there is"]
    (message,) = messages(RULE, make(FUNCTION, timeout=UNKNOWN))
    assert isinstance(message, Undecided)


def test_what_a_queue_feeds_has_a_limit(make: Callable, messages: Callable) -> None:
    function = make(FUNCTION, name="work", timeout=10)
    free = make(MAPPING, "source", functionName="work")
    assert messages(RULE, function, free) == [
        "source has no scalingConfig.maximumConcurrency and the function no reserved concurrency"
    ]
    assert messages(RULE, function, make(MAPPING, functionName="work", scalingConfig={"maximumConcurrency": 2})) == []
    assert messages(RULE, make(FUNCTION, name="work", timeout=10, reservedConcurrentExecutions=2), free) == []
    assert messages(RULE, function, make(MAPPING, functionName="another")) == []


def test_an_unknown_function_name_is_followed_to_where_it_comes_from(make: Callable, messages: Callable) -> None:
    function = make(FUNCTION, name="work", arn=UNKNOWN, timeout=10)
    source = make(MAPPING, functionName=UNKNOWN, depends_on={"functionName": [function.urn]})
    assert len(messages(RULE, function, source)) == 1


def test_what_anyone_may_call_has_a_limit(make: Callable, messages: Callable) -> None:
    permission = make(PERMISSION, function="work", principal="sns.amazonaws.com")
    assert messages(RULE, make(FUNCTION, name="work", timeout=10), permission) == [
        "sns.amazonaws.com may call it and reservedConcurrentExecutions is not set"
    ]
