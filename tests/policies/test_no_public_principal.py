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


def test_all_but_some_are_refused(make: Callable, messages: Callable) -> None:
    policy = _policy(NotPrincipal={"AWS": "123456789012"})
    assert messages(RULE, make(QUEUE_POLICY, policy=policy)) == [
        "policy: NotPrincipal in an Allow, allowed is to name who may"
    ]


def test_an_unknown_policy_is_undecided_and_none_passes(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(QUEUE_POLICY, policy=UNKNOWN))
    assert isinstance(message, Undecided)
    assert messages(RULE, make("aws:sqs/queue:Queue")) == []
