"""Instance types by tier. Not proved here: that the types exist in the region."""

import json
from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.allowed_instance_types import RULE

HOST = "aws:ec2/instance:Instance"
TRAINING = "aws:sfn/stateMachine:StateMachine"


def _definition(type_: str) -> str:
    task = {"Type": "Task", "Parameters": {"ResourceConfig": {"InstanceType": type_}}}
    return json.dumps({"States": {"Both": {"Branches": [{"States": {"Train": task}}]}}})


@pytest.mark.parametrize(
    ("stack", "type_"), [("dev", "t3.small"), ("lindau-staging", "t3.large"), ("prod", "t3.large")]
)
def test_a_type_of_the_tier_passes(make: Callable, messages: Callable, stack: str, type_: str) -> None:
    assert messages(RULE, make(HOST, stack=stack, instanceType=type_)) == []


def test_a_type_of_another_tier_is_named_with_what_is_allowed(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(HOST, instanceType="t3.large"))
    assert message.startswith("instance type t3.large in tier dev, allowed are t3.micro, t3.small")
    assert messages(RULE, make(HOST, instanceType="t3.large"), tier="prod") == []
    assert messages(RULE, make(HOST, instanceType="t3.large"), instance_types={"dev": ["t3.large"]}) == []
    assert messages(RULE, make(HOST, instanceType="t3.large"), instance_types={})[0].endswith("allowed are none")


def test_the_default_type_of_a_provider_is_not_assumed(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(HOST))[0].startswith("instance type None")


def test_a_training_job_deep_in_a_state_machine_is_found(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(TRAINING, definition=_definition("ml.m5.large"))) == []
    assert "ml.p3.2xlarge" in messages(RULE, make(TRAINING, definition=_definition("ml.p3.2xlarge")))[0]


def test_an_unknown_type_is_undecided(make: Callable, messages: Callable) -> None:
    for resource in (make(HOST, instanceType=UNKNOWN), make(TRAINING, definition=UNKNOWN)):
        (message,) = messages(RULE, resource)
        assert isinstance(message, Undecided)
