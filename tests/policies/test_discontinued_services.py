"""Services that have ended, wherever they show. Not proved here: the days, which are copied from AWS's own pages."""

import datetime
import json
from collections.abc import Callable

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE as UNKNOWN

from pm_policies.rule import Undecided
from pm_policies.rules.discontinued_services import ENDED, RULE

TOPIC_RULE = "aws:iot/topicRule:TopicRule"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
DEPLOYMENT = "aws-native:greengrassv2:Deployment"


@pytest.mark.parametrize(
    ("type_", "service"),
    [
        ("aws-native:iotanalytics:Datastore", "AWS IoT Analytics"),
        ("aws-native:iotevents:DetectorModel", "AWS IoT Events"),
        ("aws-native:greengrass:Group", "AWS IoT Greengrass V1"),
        ("aws:sagemaker/deviceFleet:DeviceFleet", "Amazon SageMaker Edge Manager"),
        ("aws-native:lookoutvision:Project", "Amazon Lookout for Vision"),
        ("aws-native:lookoutmetrics:Alert", "Amazon Lookout for Metrics"),
        ("aws-native:lookoutequipment:InferenceScheduler", "Amazon Lookout for Equipment"),
        ("aws:timestreamwrite/table:Table", "Amazon Timestream for LiveAnalytics"),
    ],
)
def test_a_resource_of_an_ended_service_is_refused_with_day_source_and_what_to_use(
    make: Callable, messages: Callable, type_: str, service: str
) -> None:
    (message,) = messages(RULE, make(type_))
    (ended,) = (one for one in ENDED if one.service == service)
    assert message.startswith(f"type {type_} is of {service}, ended on {ended.ended} ({ended.source}); instead: ")


@pytest.mark.parametrize(
    "type_",
    ["aws-native:greengrassv2:ComponentVersion", "aws-native:timestream:InfluxDbInstance", "aws:iot/thing:Thing"],
)
def test_what_lives_passes(make: Callable, messages: Callable, type_: str) -> None:
    assert messages(RULE, make(type_)) == []


def test_an_action_of_a_topic_rule_is_found_also_as_its_error_action(make: Callable, messages: Callable) -> None:
    assert messages(RULE, make(TOPIC_RULE, sqs=[{}], errorAction={"sqs": {}})) == []
    assert messages(RULE, make(TOPIC_RULE, timestreams=[{}]))[0].startswith("rule action timestreams")
    assert messages(RULE, make(TOPIC_RULE, errorAction={"iotEvents": {}}))[0].startswith("rule action iotEvents")


def test_a_permission_and_a_component_are_found(make: Callable, messages: Callable) -> None:
    policy = json.dumps({"Statement": {"Effect": "Allow", "Action": "iotanalytics:BatchPutMessage"}})
    assert messages(RULE, make(ROLE_POLICY, policy=policy))[0].startswith("action iotanalytics:BatchPutMessage")
    assert len(messages(RULE, make(DEPLOYMENT, components={"aws.greengrass.SageMakerEdgeManager": {}}))) == 1
    assert messages(RULE, make(DEPLOYMENT, components={"aws.greengrass.Cli": {}})) == []
    recipe = json.dumps({"ComponentDependencies": {"aws.iot.lookoutvision.EdgeAgent": {}}})
    assert len(messages(RULE, make("aws-native:greengrassv2:ComponentVersion", inlineRecipe=recipe))) == 1


def test_unknown_documents_are_undecided(make: Callable, messages: Callable) -> None:
    for resource in (make(ROLE_POLICY, policy=UNKNOWN), make(TOPIC_RULE, errorAction=UNKNOWN)):
        (message,) = messages(RULE, resource)
        assert isinstance(message, Undecided)


def test_each_service_has_a_day_a_source_of_aws_and_a_way_to_be_found() -> None:
    for ended in ENDED:
        datetime.date.fromisoformat(ended.ended)
        assert ended.source.startswith("https://docs.aws.amazon.com/")
        assert ended.types
        assert ended.instead
