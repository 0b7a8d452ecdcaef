"""Dead letters of queues and of whatever sends or is called. Not proved here: that anyone looks at them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.dead_letters import RULE

QUEUE = "aws:sqs/queue:Queue"
ARN = "arn:aws:sqs:eu-central-1:123456789012:letters"
NO_REDRIVE = "it has no redrivePolicy, and nothing in the stack sends it dead letters"


def test_a_queue_and_its_dead_letters_pass_and_one_alone_does_not(make: Callable, messages: Callable) -> None:
    letters = make(QUEUE, "letters", arn=ARN)
    work = make(QUEUE, "work", redrivePolicy=json.dumps({"deadLetterTargetArn": ARN, "maxReceiveCount": 5}))
    assert messages(RULE, work, letters) == []
    assert messages(RULE, letters) == [NO_REDRIVE]
    assert messages(RULE, make(QUEUE, redrivePolicy="")) == [NO_REDRIVE]


SENDERS: list[tuple[str, dict[str, Any]]] = [
    ("aws:iot/topicRule:TopicRule", {"errorAction": {"sqs": {"queueUrl": "https://letters"}}}),
    ("aws:scheduler/schedule:Schedule", {"target": {"deadLetterConfig": {"arn": ARN}}}),
    ("aws:cloudwatch/eventTarget:EventTarget", {"deadLetterConfig": {"arn": ARN}}),
    ("aws:lambda/function:Function", {"deadLetterConfig": {"targetArn": ARN}}),
    ("aws:sns/topicSubscription:TopicSubscription", {"redrivePolicy": json.dumps({"deadLetterTargetArn": ARN})}),
]


@pytest.mark.parametrize(("type_", "inputs"), SENDERS)
def test_a_queue_that_something_sends_dead_letters_passes(
    make: Callable, messages: Callable, type_: str, inputs: dict[str, Any]
) -> None:
    letters = make(QUEUE, "letters", arn=ARN, url="https://letters")
    assert messages(RULE, letters, make(type_, **inputs)) == []


@pytest.mark.parametrize(("type_", "inputs"), SENDERS)
def test_where_the_target_is_unknown_what_it_comes_from_tells(
    make: Callable, messages: Callable, type_: str, inputs: dict[str, Any]
) -> None:
    letters = make(QUEUE, "letters", arn=UNKNOWN, url=UNKNOWN)
    (key,) = inputs
    sender = make(type_, **{key: UNKNOWN}, depends_on={key: [letters.urn]})
    assert [one for one in messages(RULE, letters, sender) if not isinstance(one, Undecided)] == []
    elsewhere = make(type_, **{key: UNKNOWN}, depends_on={key: ["another"]})
    assert NO_REDRIVE in messages(RULE, letters, elsewhere)


def test_a_queue_that_only_takes_messages_of_a_rule_is_none_for_dead_letters(
    make: Callable, messages: Callable
) -> None:
    rule = make("aws:iot/topicRule:TopicRule", sqs=[{"queueUrl": "https://work"}])
    assert messages(RULE, make(QUEUE, url="https://work"), rule) == [NO_REDRIVE]


def test_a_redrive_policy_may_be_a_resource_of_its_own(make: Callable, messages: Callable) -> None:
    redrive = make("aws:sqs/redrivePolicy:RedrivePolicy", queueUrl="https://work", redrivePolicy="{}")
    assert messages(RULE, make(QUEUE, url="https://work"), redrive) == []


def test_a_schedule_and_an_event_target_need_a_queue(make: Callable, messages: Callable) -> None:
    schedule = make("aws:scheduler/schedule:Schedule", target={"arn": "arn"})
    assert messages(RULE, schedule) == ["target.deadLetterConfig.arn is not set"]
    assert messages(RULE, make("aws:cloudwatch/eventTarget:EventTarget")) == ["deadLetterConfig.arn is not set"]
    later = make("aws:cloudwatch/eventTarget:EventTarget", deadLetterConfig={"arn": UNKNOWN})
    assert messages(RULE, later) == []


def test_a_stream_needs_a_place_for_what_fails_and_a_queue_has_its_own(make: Callable, messages: Callable) -> None:
    mapping = "aws:lambda/eventSourceMapping:EventSourceMapping"
    stream = "arn:aws:kinesis:eu-central-1:123456789012:stream/readings"
    assert len(messages(RULE, make(mapping, eventSourceArn=stream))) == 1
    kept = {"onFailure": {"destinationArn": ARN}}
    assert messages(RULE, make(mapping, eventSourceArn=stream, destinationConfig=kept)) == []
    assert messages(RULE, make(mapping, eventSourceArn=ARN)) == []
    (message,) = messages(RULE, make(mapping, eventSourceArn=UNKNOWN))
    assert isinstance(message, Undecided)


def test_a_function_that_is_called_without_waiting_needs_one(make: Callable, messages: Callable) -> None:
    type_, permission = "aws:lambda/function:Function", "aws:lambda/permission:Permission"
    function = make(type_, name="announce")
    by_topic = make(permission, function="announce", principal="sns.amazonaws.com")
    by_api = make(permission, function="announce", principal="apigateway.amazonaws.com")
    template = "arn:aws:iot:eu-central-1:123456789012:provisioningtemplate/ulm"
    by_template = make(permission, function="announce", principal="iot.amazonaws.com", sourceArn=template)
    by_rule = make(permission, function="announce", principal="iot.amazonaws.com", sourceArn="arn:aws:iot:::rule/x")
    assert messages(RULE, function, by_api) == []
    assert messages(RULE, function, by_template) == []
    assert len(messages(RULE, function, by_rule)) == 1
    assert messages(RULE, function, by_topic) == [
        "sns.amazonaws.com calls it and does not wait, and deadLetterConfig is not set"
    ]
    assert messages(RULE, make(type_, name="announce", deadLetterConfig=UNKNOWN), by_topic) == []
    config = make(
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        functionName="announce",
        destinationConfig={"onFailure": {"destination": ARN}},
    )
    assert messages(RULE, function, by_topic, config) == []
