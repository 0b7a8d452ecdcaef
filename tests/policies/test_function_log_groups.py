"""Log groups of functions. Not proved here: that the function may write to it."""

from collections.abc import Callable

from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.function_log_groups import RULE

FUNCTION = "aws:lambda/function:Function"
LOGS = "aws:cloudwatch/logGroup:LogGroup"


def test_a_function_with_its_log_group_passes(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(FUNCTION, name="gate"), make(LOGS, name="/aws/lambda/gate")) == []
    own = make(FUNCTION, name="gate", loggingConfig={"logGroup": "/plant"})
    assert messages(RULE, own, make(LOGS, name="/plant")) == []


def test_a_function_without_is_refused(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(FUNCTION, name="gate"), make(LOGS, name="/aws/lambda/other")) == [
        "there is no log group /aws/lambda/gate"
    ]
    assert messages(RULE, make(FUNCTION), make(LOGS, name="/aws/lambda/gate")) == [
        "neither name nor loggingConfig.logGroup is set, so that its log group cannot be told"
    ]


def test_unknown_names_are_undecided(make: Callable, messages: Callable) -> None:
    for resources in (
        (make(FUNCTION, name=UNKNOWN), make(LOGS, name="/aws/lambda/gate")),
        (make(FUNCTION, name="gate"), make(LOGS, name=UNKNOWN)),
    ):
        (message,) = messages(RULE, *resources)
        assert isinstance(message, Undecided)
