"""Grants of policies beyond need. Not proved here: that what they allow is needed at all."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.policy_documents import POLICY_KEYS
from pm_policies.rule import Undecided
from pm_policies.rules.least_privilege import MANAGED_POLICIES, RULE

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
LAKE = "arn:aws:s3:::pm-dev-lake/*"


def _policy(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


@pytest.mark.parametrize("type_", [ROLE_POLICY, "aws:iam/policy:Policy", "aws:iot/policy:Policy"])
def test_exact_actions_on_exact_resources_pass(make: Callable, messages: Callable, type_: str) -> None:
    assert messages(RULE, make(type_, policy=_policy(Action=["s3:GetObject"], Resource=[LAKE]))) == []
    assert messages(RULE, make(type_, policy=_policy(Action="polly:SynthesizeSpeech", Resource="*"))) == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ({"Action": "s3:*", "Resource": LAKE}, "action 's3:*': allowed is service:Action, without a wildcard"),
        ({"Action": "s3:Get*", "Resource": LAKE}, "action 's3:Get*': allowed is service:Action, without a wildcard"),
        (
            {"Action": ["s3:GetObject"], "Resource": ["*"]},
            "resource '*' for s3:GetObject: name the resources, AWS can hold it to them",
        ),
        (
            {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"},
            "resource 'arn:aws:s3:::*': name the resources, this is all of a service",
        ),
        (
            {"NotAction": "iam:PassRole", "Resource": LAKE},
            "NotAction in an Allow: allowed is to name what is allowed, not what is not",
        ),
        (
            {"Action": "s3:GetObject", "NotResource": LAKE},
            "NotResource in an Allow: allowed is to name what is allowed, not what is not",
        ),
    ],
)
def test_more_than_is_needed_is_refused(
    make: Callable, messages: Callable, statement: dict[str, Any], message: str
) -> None:
    assert messages(RULE, make(ROLE_POLICY, policy=_policy(**statement))) == [message]


def test_a_denial_may_be_wide(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(ROLE_POLICY, policy=_policy(Effect="Deny", Action="*", Resource="*"))) == []


def test_inline_and_managed_policies_are_looked_into(make: Callable, messages: Callable) -> None:
    inline = [{"name": "all", "policy": _policy(Action="s3:*", Resource=LAKE)}]
    assert len(messages(RULE, make("aws:iam/role:Role", inlinePolicies=inline))) == 1
    attachment = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    own = "arn:aws:iam::123456789012:policy/AdministratorAccess"
    assert messages(RULE, make(attachment, policyArn=own)) == []
    assert messages(RULE, make(attachment, policyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore")) == []
    (message,) = messages(RULE, make(attachment, policyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess"))
    assert message.startswith("managed policy AmazonS3FullAccess")


ALL_BUT = {"NotAction": "iam:PassRole", "NotResource": LAKE}


@pytest.mark.parametrize("type_", sorted(POLICY_KEYS))
def test_a_policy_may_be_an_object_and_its_statement_no_list(make: Callable, messages: Callable, type_: str) -> None:
    (key,) = POLICY_KEYS[type_]
    for statement in ({"Action": "s3:*", "Resource": LAKE}, {"action": ["s3:*"], "resource": [LAKE]}):
        policy = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", **statement}}
        for written in (policy, json.dumps(policy)):
            assert messages(RULE, make(type_, **{key: written})) == [
                "action 's3:*': allowed is service:Action, without a wildcard"
            ]


def test_an_inline_policy_is_held_to_the_same_as_one_of_its_own(make: Callable, messages: Callable) -> None:
    own = messages(RULE, make(ROLE_POLICY, policy=_policy(**ALL_BUT)))
    inline = make("aws:iam/role:Role", inlinePolicies=[{"name": "all", "policy": _policy(**ALL_BUT)}])
    assert len(own) == 2
    assert messages(RULE, inline) == own


@pytest.mark.parametrize("type_", sorted(MANAGED_POLICIES))
def test_a_broad_managed_policy_is_refused_to_whomever_it_is_attached(
    make: Callable, messages: Callable, type_: str
) -> None:
    key = MANAGED_POLICIES[type_]
    for partition in ("aws", "aws-cn"):
        arn = f"arn:{partition}:iam::aws:policy/AdministratorAccess"
        (message,) = messages(RULE, make(type_, **{key: [arn] if key.endswith("s") else arn}))
        assert message.startswith("managed policy AdministratorAccess")
    assert messages(RULE, make(type_)) == []


def test_an_unknown_policy_is_undecided(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(ROLE_POLICY, policy=UNKNOWN))
    assert isinstance(message, Undecided)
    assert message == "cannot be judged before the update: policy is not known yet"
