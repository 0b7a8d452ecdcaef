"""Error actions of topic rules. Not proved here: that the rule's role may use the action."""

from collections.abc import Callable

from pulumi_policy.proxy import UNKNOWN_BOOLEAN_VALUE, UNKNOWN_OBJECT_VALUE

from pm_policies.rule import Undecided
from pm_policies.rules.topic_rule_error_action import RULE

TOPIC_RULE = "aws:iot/topicRule:TopicRule"
ERROR = {"sqs": {"queueUrl": "https://letters"}}


def test_a_rule_with_an_error_action_passes(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(TOPIC_RULE, errorAction=ERROR, firehoses=[{"batchMode": False}])) == []


def test_a_rule_without_is_refused(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(TOPIC_RULE)) == ["errorAction is not set"]
    assert messages(RULE, make("aws:iot/thing:Thing")) == []


def test_batch_mode_goes_round_the_error_action(make: Callable, messages: Callable) -> None:
    (message,) = messages(RULE, make(TOPIC_RULE, errorAction=ERROR, firehoses=[{}, {"batchMode": True}]))
    assert message.startswith("firehose action in batchMode")


def test_an_unknown_error_action_is_there_and_an_unknown_mode_undecided(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(TOPIC_RULE, errorAction=UNKNOWN_OBJECT_VALUE)) == []
    (message,) = messages(RULE, make(TOPIC_RULE, errorAction=ERROR, firehoses=[{"batchMode": UNKNOWN_BOOLEAN_VALUE}]))
    assert isinstance(message, Undecided)
