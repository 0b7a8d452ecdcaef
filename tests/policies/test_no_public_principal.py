"""Policies that let everybody in. Not proved here: that a condition narrows it enough."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.policy_documents import RESOURCE_POLICY_KEYS
from pm_policies.rule import Undecided
from pm_policies.rules.no_public_principal import RULE

QUEUE_POLICY = "aws:sqs/queuePolicy:QueuePolicy"
EVERYBODY = "Principal '*' without a condition, allowed are services, accounts and roles by name"


def _policy(**statement: Any) -> str:
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", **statement}]})


@pytest.mark.parametrize("principal", [{"Service": "sns.amazonaws.com"}, {"AWS": "arn:aws:iam::123456789012:root"}])
def test_who_is_named_may(make: Callable, messages: Callable, principal: dict[str, str]) -> None:
    assert messages(RULE, make(QUEUE_POLICY, policy=_policy(Principal=principal))) == []


def test_everybody_may_be_denied_or_narrowed_by_a_condition(make: Callable, messages: Callable) -> None:
    condition = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert messages(RULE, make(QUEUE_POLICY, policy=_policy(Effect="Deny", Principal="*"))) == []
    assert messages(RULE, make(QUEUE_POLICY, policy=_policy(Principal="*", Condition=condition))) == []


@pytest.mark.parametrize(
    ("type_", "key"), [(type_, key) for type_, keys in RESOURCE_POLICY_KEYS.items() for key in keys]
)
@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["123456789012", "*"]}])
def test_everybody_is_refused(make: Callable, messages: Callable, type_: str, key: str, principal: Any) -> None:
    assert messages(RULE, make(type_, **{key: _policy(Principal=principal)})) == [f"{key}: {EVERYBODY}"]


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"AWS:sourceaccount": "123456789012"}},
        {"StringEquals": {"aws:SourceAccount": ["123456789012", "210987654321"]}},
        {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:123456789012:*"}},
        {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3d4e5/*"}},
        {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}, "StringLike": {"aws:UserAgent": "*"}},
        {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]}},
    ],
)
def test_a_condition_that_says_who_or_from_where_narrows(make: Callable, messages: Callable, condition: Any) -> None:
    assert messages(RULE, make(QUEUE_POLICY, policy=_policy(Principal="*", Condition=condition))) == []


@pytest.mark.parametrize(
    "condition",
    [
        {"Bool": {"aws:SecureTransport": "true"}},
        {"StringLike": {"aws:UserAgent": "*"}},
        {"StringLike": {"aws:PrincipalArn": "*"}},
        {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:*"}},
        {"ArnLike": {"aws:SourceArn": ["arn:aws:sns:*:123456789012:*", "*"]}},
        {"StringNotEquals": {"aws:SourceAccount": "123456789012"}},
        {"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}},
        {"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}},
        {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}},
        {"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "0.0.0.0/1"]}},
        {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
        {"Null": {"aws:SourceAccount": "true"}},
        {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
        {"StringEquals": {"aws:SourceAccount": []}},
    ],
)
def test_a_condition_that_limits_nobody_does_not(make: Callable, messages: Callable, condition: Any) -> None:
    expected = EVERYBODY.replace("without a condition", "with no condition that says who")
    for policy in (
        _policy(Principal="*", Condition=condition),
        json.loads(_policy(Principal="*", Condition=condition)),
    ):
        assert messages(RULE, make(QUEUE_POLICY, policy=policy)) == [f"policy: {expected}"]


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["123456789012", "*"]}, {"Federated": "*"}])
def test_a_policy_may_be_an_object_and_its_statement_no_list(
    make: Callable, messages: Callable, principal: Any
) -> None:
    policy = {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}}
    role = make("aws:iam/role:Role", assumeRolePolicy=policy)
    assert messages(RULE, role) == [f"assumeRolePolicy: {EVERYBODY}"]


def test_a_function_that_everybody_may_call_is_refused(make: Callable, messages: Callable) -> None:
    permission = "aws:lambda/permission:Permission"
    (message,) = messages(RULE, make(permission, principal="*", function="f"))
    assert message.startswith("principal is '*'")
    assert messages(RULE, make(permission, principal="*", function="f", sourceAccount="123456789012")) == []
    assert messages(RULE, make(permission, principal="sns.amazonaws.com", function="f")) == []


def test_all_but_some_are_refused(make: Callable, messages: Callable) -> None:
    policy = _policy(NotPrincipal={"AWS": "123456789012"})
    assert messages(RULE, make(QUEUE_POLICY, policy=policy)) == [
        "policy: NotPrincipal in an Allow, allowed is to name who may"
    ]


def test_an_unknown_policy_is_undecided_and_none_passes(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(QUEUE_POLICY, policy=UNKNOWN))
    assert isinstance(message, Undecided)
    assert messages(RULE, make("aws:sqs/queue:Queue")) == []
