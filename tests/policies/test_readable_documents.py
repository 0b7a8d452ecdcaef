"""Texts that hold no document, by each input that holds one.

Not proved here: that AWS takes what can be read.
"""

from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.inputs import document
from pm_policies.rule import Undecided
from pm_policies.rules.readable_documents import RULE

POLICY = "aws:iam/rolePolicy:RolePolicy"
COMMA = '{"Statement": [{"Effect": "Allow"},]}'


@pytest.mark.parametrize(
    ("type_", "key"),
    [
        (POLICY, "policy"),
        ("aws:iot/policy:Policy", "policy"),
        ("aws:s3/bucketPolicy:BucketPolicy", "policy"),
        ("aws:iam/role:Role", "assumeRolePolicy"),
        ("aws:sqs/queue:Queue", "policy"),
        ("aws:sqs/queue:Queue", "redrivePolicy"),
        ("aws:sqs/redrivePolicy:RedrivePolicy", "redrivePolicy"),
        ("aws:sns/topicSubscription:TopicSubscription", "redrivePolicy"),
        ("aws:sfn/stateMachine:StateMachine", "definition"),
    ],
)
def test_a_text_that_is_no_json_is_told_with_its_input(
    make: Callable, messages: Callable, type_: str, key: str
) -> None:
    (message,) = messages(RULE, make(type_, **{key: COMMA}))
    assert message.startswith(f"{key}: found a text that is no JSON (")
    assert message.endswith(", allowed is a JSON object")
    assert document({key: COMMA}, key) == {}
    assert messages(RULE, make(type_, **{key: "{}"})) == []
    assert messages(RULE, make(type_, **{key: {"Statement": []}})) == []
    assert messages(RULE, make(type_)) == []


def test_a_document_nested_deeper_than_a_decoder_goes_is_told(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(POLICY, policy="[" * 60_000))
    assert message.startswith("policy: found a text that is no JSON (maximum recursion depth")


def test_a_document_that_is_no_object_is_told(make: Callable, messages: Callable) -> None:
    expected = ["policy: found a document of type list, allowed is an object"]
    assert messages(RULE, make(POLICY, policy="[]")) == expected


def test_an_inline_policy_is_told_by_its_place(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make("aws:iam/role:Role", inlinePolicies=[{"policy": "{}"}, {"policy": COMMA}]))
    assert message.startswith("inlinePolicies[1].policy: found a text that is no JSON")


def test_a_recipe_may_be_yaml(make: Callable, messages: Callable) -> None:
    type_ = "aws-native:greengrassv2:ComponentVersion"
    assert messages(RULE, make(type_, inlineRecipe="ComponentName: a\nComponentVersion: 1.0.0\n")) == []
    assert len(messages(RULE, make(type_, inlineRecipe="ComponentName: [a"))) == 1


def test_what_is_not_known_yet_is_undecided(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(POLICY, policy=UNKNOWN))
    assert isinstance(message, Undecided)
