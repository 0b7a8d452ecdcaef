"""Inputs that the provider refuses before it makes anything, and the calls of all its functions, by AWS's own models.

Not proved here: what AWS refuses beyond its models of the services' inputs.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import botocore.session
import pulumi
import pytest

from pm_sandbox.cloud.constraints import violations
from pm_sandbox.provider import Context, Provider
from pm_sandbox.provider.checks import judge
from pm_sandbox.provider.inputs import Inputs
from pm_sandbox.provider.modelled_cloud import ModelledCloud
from pm_sandbox.provider.registry import DELETES, HANDLERS, READS, UPDATES
from pm_sandbox.provider.wire import UNKNOWN
from pm_sandbox.recorder import Recording

ACCOUNT, REGION = "123456789012", "eu-central-1"
ALARM = {"name": "a", "comparisonOperator": "GreaterThanThreshold", "evaluationPeriods": 1}
FUNCTION = {
    "name": "f",
    "role": f"arn:aws:iam::{ACCOUNT}:role/r",
    "handler": "a.b",
    "runtime": "python3.11",
    "code": pulumi.AssetArchive({"a.py": pulumi.StringAsset("")}),
}
#: Types whose functions take apart a text of an answer, which a model does not give; the types' lives try them.
READ_APART = {
    "aws:lambda/layerVersion:LayerVersion",
    "aws:lambda/permission:Permission",
    "aws:sns/topicSubscription:TopicSubscription",
}
DELETED_APART = {"aws:lambda/layerVersion:LayerVersion"}


@pytest.fixture
def provider() -> Provider:
    return Provider(Context(SimpleNamespace(region=REGION, account_id=ACCOUNT, mqtt_host="h", client=None)))


@pytest.mark.parametrize(
    ("token", "inputs", "reason"),
    [
        # The SDK's annotations: unknown, missing, wrong; at any depth, where the SDK itself lets a dictionary pass.
        ("aws:sqs/queue:Queue", {"name": "q", "colour": "red"}, "colour: there is no such input"),
        (
            "aws:lambda/function:Function",
            {**FUNCTION, "environment": {"varibles": {}}},
            "environment.varibles: there is no such input, allowed are variables",
        ),
        ("aws:s3/bucketObjectv2:BucketObjectv2", {"key": "k"}, "bucket: it is missing, and required"),
        ("aws:sqs/queue:Queue", {"name": "q", "delaySeconds": "soon"}, "delaySeconds: found 'soon', allowed is an int"),
        # The services' models: pattern, choice, range, length.
        ("aws:athena/workgroup:Workgroup", {"name": "a b"}, "athena CreateWorkGroup: Value 'a b' at 'Name' failed"),
        # This pattern has a range of surrogate pairs.
        (
            "aws:glue/catalogDatabase:CatalogDatabase",
            {"name": "a\nb"},
            "glue CreateDatabase: Value 'a\nb' at 'Database",
        ),
        (
            "aws:cloudwatch/metricAlarm:MetricAlarm",
            {**ALARM, "comparisonOperator": "GreaterThan"},
            "cloudwatch PutMetricAlarm: Value 'GreaterThan' at 'ComparisonOperator' failed",
        ),
        (
            "aws:lambda/function:Function",
            {**FUNCTION, "memorySize": 64},
            "lambda CreateFunction: Value '64' at 'MemorySize' failed to satisfy constraint: Member must have value gr",
        ),
        (
            "aws:iam/role:Role",
            {"name": "r" * 65, "assumeRolePolicy": "{}"},
            f"iam CreateRole: Value '{'r' * 65}' at 'RoleName' failed to satisfy constraint: Member must have length l",
        ),
        # What the sandbox would drop is refused before it has made the rest.
        ("aws:sqs/queue:Queue", {"name": "q", "namePrefix": "p"}, "the sandbox cannot honour the input(s) namePrefix"),
        ("aws:sqs/queue:Queue", {}, "input name is missing"),
    ],
)
def test_an_input_that_is_unknown_missing_or_wrong_is_refused(
    provider: Provider, token: str, inputs: dict[str, Any], reason: str
) -> None:
    (failure,) = provider.check(token, inputs)
    assert str(failure).startswith(reason)


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        ("aws:lambda/function:Function", FUNCTION),
        ("aws:lambda/function:Function", {**FUNCTION, "role": UNKNOWN, "environment": UNKNOWN, "tags": UNKNOWN}),
        ("aws:iam/role:Role", {"name": f"{UNKNOWN}-{'r' * 65}", "assumeRolePolicy": "{}"}),
        # Not known as a whole, and taken apart by the handler.
        ("aws:dynamodb/table:Table", {"name": "t", "hashKey": "k", "attributes": UNKNOWN}),
    ],
)
def test_what_is_right_and_what_is_not_known_yet_pass(provider: Provider, token: str, inputs: dict[str, Any]) -> None:
    assert provider.check(token, inputs) == []


def test_what_is_known_is_refused_though_the_rest_is_not(provider: Provider) -> None:
    (failure,) = provider.check("aws:lambda/function:Function", {**FUNCTION, "role": UNKNOWN, "memorySize": 64})
    assert "'MemorySize'" in failure.reason


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_each_function_makes_only_calls_that_the_models_allow(stack: str, recorded: Callable[..., Recording]) -> None:
    asked = 0
    for one in recorded(stack).resources:
        if one.type not in HANDLERS:
            continue
        if isinstance(one.inputs.get("tags"), dict):
            untagged = {**_with_files(one.inputs), "tags": {}}
            assert judge(one.type, untagged, REGION, ACCOUNT) == ([], ""), "some calls refuse an empty map of tags"
        cloud = ModelledCloud(REGION, ACCOUNT)
        context, inputs = Context(cloud), _with_files(one.inputs)
        id_, outputs = HANDLERS[one.type].create(Inputs(inputs), context)
        state = {**inputs, **outputs}
        if one.type in READS and one.type not in READ_APART:
            READS[one.type](id_, state, context)
        if one.type in UPDATES:
            # Against a resource that had none of its inputs, each of them has changed.
            UPDATES[one.type](id_, outputs, Inputs(inputs), context)
        if one.type in DELETES and one.type not in DELETED_APART:
            DELETES[one.type](id_, state, context)
        asked += 1
        assert cloud.refused == [], one.urn
    assert asked > 200


def _with_files(value: Any) -> Any:
    """Inputs of a recording, with some file where it tells one."""
    if isinstance(value, dict):
        if "sha256" in value:
            some = pulumi.StringAsset("some")
            return pulumi.AssetArchive({"some": some}) if value["kind"].endswith("Archive") else some
        return {key: _with_files(item) for key, item in value.items()}
    return [_with_files(item) for item in value] if isinstance(value, list) else value


def test_every_pattern_of_the_services_can_be_read() -> None:
    session = botocore.session.Session()
    patterns = 0
    for service in ("glue", "athena", "autoscaling", "cloudtrail", "greengrassv2", "iot", "lambda", "sagemaker"):
        model = session.get_service_model(service)
        for name in model.shape_names:
            shape = model.shape_for(name)
            if shape.type_name == "string" and "pattern" in shape.metadata:
                violations(shape, "a")
                patterns += 1
    assert patterns > 500
