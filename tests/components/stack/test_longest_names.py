"""Physical names stay within AWS's limits for the longest names that the configuration allows, in each environment.

The limits are those of AWS's own models of its APIs (in botocore), and of its documentation where a model has none. Not
proved here: that AWS takes names that its models take.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from pm_components.stack.config import parse
from pm_sandbox.recorder import Recording, record

ROOT = Path(__file__).resolve().parents[3]
LONGEST = 32
SITES = [
    {
        "name": "x" * LONGEST,
        "core_devices": ["c" * LONGEST],
        "devices": [
            {"name": f"air-{'x' * (LONGEST - 4)}", "type": "air_quality"},
            {"name": f"machine-{'x' * (LONGEST - 8)}", "type": "machine"},
        ],
    },
    # Another that differs in the last character alone, where names are cut.
    {"name": f"{'x' * (LONGEST - 1)}y", "core_devices": ["core"], "devices": [{"name": "d", "type": "machine"}]},
]

#: Input with the name, by type -> service, operation and parameter of AWS's API.
MODELLED = {
    ("aws-native:greengrassv2:Deployment", "deploymentName"): ("greengrassv2", "CreateDeployment", "deploymentName"),
    ("aws:athena/namedQuery:NamedQuery", "name"): ("athena", "CreateNamedQuery", "Name"),
    ("aws:athena/workgroup:Workgroup", "name"): ("athena", "CreateWorkGroup", "Name"),
    ("aws:cloudwatch/eventRule:EventRule", "name"): ("events", "PutRule", "Name"),
    ("aws:cloudwatch/logGroup:LogGroup", "name"): ("logs", "CreateLogGroup", "logGroupName"),
    ("aws:cloudwatch/logStream:LogStream", "name"): ("logs", "CreateLogStream", "logStreamName"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "name"): ("cloudwatch", "PutMetricAlarm", "AlarmName"),
    ("aws:iam/instanceProfile:InstanceProfile", "name"): ("iam", "CreateInstanceProfile", "InstanceProfileName"),
    ("aws:iam/policy:Policy", "name"): ("iam", "CreatePolicy", "PolicyName"),
    ("aws:iam/role:Role", "name"): ("iam", "CreateRole", "RoleName"),
    ("aws:iam/rolePolicy:RolePolicy", "name"): ("iam", "PutRolePolicy", "PolicyName"),
    ("aws:iot/policy:Policy", "name"): ("iot", "CreatePolicy", "policyName"),
    ("aws:iot/provisioningTemplate:ProvisioningTemplate", "name"): (
        "iot",
        "CreateProvisioningTemplate",
        "templateName",
    ),
    ("aws:iot/roleAlias:RoleAlias", "alias"): ("iot", "CreateRoleAlias", "roleAlias"),
    ("aws:iot/thing:Thing", "name"): ("iot", "CreateThing", "thingName"),
    ("aws:iot/thingGroup:ThingGroup", "name"): ("iot", "CreateThingGroup", "thingGroupName"),
    ("aws:iot/thingType:ThingType", "name"): ("iot", "CreateThingType", "thingTypeName"),
    ("aws:iot/topicRule:TopicRule", "name"): ("iot", "CreateTopicRule", "ruleName"),
    ("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream", "name"): (
        "firehose",
        "CreateDeliveryStream",
        "DeliveryStreamName",
    ),
    ("aws:kms/alias:Alias", "name"): ("kms", "CreateAlias", "AliasName"),
    ("aws:sagemaker/modelPackageGroup:ModelPackageGroup", "modelPackageGroupName"): (
        "sagemaker",
        "CreateModelPackageGroup",
        "ModelPackageGroupName",
    ),
    ("aws:sagemaker/notebookInstance:NotebookInstance", "name"): (
        "sagemaker",
        "CreateNotebookInstance",
        "NotebookInstanceName",
    ),
    ("aws:scheduler/schedule:Schedule", "name"): ("scheduler", "CreateSchedule", "Name"),
    ("aws:scheduler/scheduleGroup:ScheduleGroup", "name"): ("scheduler", "CreateScheduleGroup", "Name"),
    ("aws:sfn/stateMachine:StateMachine", "name"): ("stepfunctions", "CreateStateMachine", "name"),
}
#: Limits that AWS's models omit, or state for ARNs too: the longest name and its characters, by the API reference of
#: each.
DOCUMENTED = {
    ("aws:cloudwatch/dashboard:Dashboard", "dashboardName"): (255, r"[A-Za-z0-9_-]+"),
    ("aws:dynamodb/table:Table", "name"): (255, r"[A-Za-z0-9_.-]{3,}"),
    # Glue takes more characters than Athena: "Name databases, tables, and columns", Amazon Athena user guide.
    ("aws:glue/catalogDatabase:CatalogDatabase", "name"): (255, r"[a-z0-9_]+"),
    ("aws:glue/catalogTable:CatalogTable", "name"): (255, r"[a-z0-9_]+"),
    ("aws:lambda/function:Function", "name"): (64, r"[A-Za-z0-9_-]+"),
    ("aws:lambda/layerVersion:LayerVersion", "layerName"): (140, r"[A-Za-z0-9_-]+"),
    ("aws:s3/bucket:Bucket", "bucket"): (63, r"[a-z0-9][a-z0-9.-]+[a-z0-9]"),
    ("aws:sns/topic:Topic", "name"): (256, r"[A-Za-z0-9_-]+"),
    ("aws:sqs/queue:Queue", "name"): (80, r"[A-Za-z0-9_-]+"),
}
#: Names of others, that a resource is put to.
OF_OTHERS = {"bucket", "databaseName", "functionName", "logGroupName", "metricName", "thingGroupName", "thingName"} | {
    "thingTypeName",
    "policyName",
}


@cache
def _limit(service: str, operation: str, parameter: str) -> tuple[int, str]:
    model: Any = botocore.session.get_session().get_service_model(service).operation_model(operation)
    shape = model.input_shape.members[parameter]
    return shape.metadata.get("max", 10_000), shape.metadata.get("pattern", ".*")


@pytest.fixture(scope="module", params=("dev", "staging", "prod"))
def longest(request: pytest.FixtureRequest) -> Recording:
    return record(ROOT, request.param, {"sites": SITES})


def test_the_names_of_this_test_are_allowed_and_longer_ones_are_not() -> None:
    assert parse({"sites": json.dumps(SITES)})
    with pytest.raises(ValueError, match="name"):
        parse({"sites": json.dumps([{**SITES[1], "name": "x" * (LONGEST + 1)}])})


def test_every_name_is_within_its_limit(longest: Recording) -> None:
    checked = 0
    for one in longest.resources:
        named = {key for key, value in one.inputs.items() if key == "name" or key.endswith(("Name", "alias"))}
        keys = [key for type_, key in {**MODELLED, **DOCUMENTED} if type_ == one.type]
        for key in named - set(keys) - OF_OTHERS:
            pytest.fail(f"{one.type} has {key} {one.inputs[key]!r}: add its limit to this test")
        for key in keys:
            length, pattern = DOCUMENTED.get((one.type, key)) or _limit(*MODELLED[one.type, key])
            name = one.inputs[key]
            assert len(name) <= length, f"{one.urn}: {name} has {len(name)} characters, allowed are {length}"
            assert re.fullmatch(pattern, name), f"{one.urn}: {name}, allowed is {pattern}"
            checked += 1
    assert checked > 100


def test_names_that_are_cut_stay_apart(longest: Recording) -> None:
    seen: dict[tuple[str, str, str], str] = {}
    for one in longest.resources:
        if one.type in ("aws:iam/rolePolicy:RolePolicy", "aws:cloudwatch/logStream:LogStream"):
            continue  # these are named within what they belong to
        for key in [key for type_, key in {**MODELLED, **DOCUMENTED} if type_ == one.type]:
            place = (one.type, key, one.inputs[key])
            assert place not in seen, f"{one.urn} and {seen[place]} are both called {one.inputs[key]}"
            seen[place] = one.urn
    assert len(seen) > 100
