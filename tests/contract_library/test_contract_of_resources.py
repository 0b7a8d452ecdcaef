"""The contract of every resource of every environment: parents, tags, names, error actions, public documents.

The sites have the longest names that the configuration allows. Names are held to the API models that AWS publishes with
botocore, and to the limits of `pm_components.aws.limits` where those are silent.

Not proved here: that AWS accepts a resource (tests/sandbox/deployer makes each in the emulated AWS), or a name's
uniqueness beyond the stack.
"""

import functools
import importlib
import inspect
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import sqlglot
import yaml
from jsonschema import Draft202012Validator, ValidationError
from sqlglot import expressions
from statelint.config import Config
from statelint.linter import Linter

from pm_components.aws import limits, recipe_format
from pm_sandbox.provider import handlers as _handlers  # noqa: F401 - importing them registers them
from pm_sandbox.provider.registry import HANDLERS
from pm_sandbox.recorder import Registered

DASHBOARD = json.loads((Path(__file__).parent / "cloudwatch_dashboard.schema.json").read_text())
#: By type: the input that is the physical name, and the member of the API that takes it.
NAMED = {
    "aws:athena/namedQuery:NamedQuery": ("name", "athena", "CreateNamedQuery", "Name"),
    "aws:athena/workgroup:Workgroup": ("name", "athena", "CreateWorkGroup", "Name"),
    "aws:autoscaling/group:Group": ("name", "autoscaling", "CreateAutoScalingGroup", "AutoScalingGroupName"),
    "aws:autoscaling/lifecycleHook:LifecycleHook": ("name", "autoscaling", "PutLifecycleHook", "LifecycleHookName"),
    "aws:cloudwatch/dashboard:Dashboard": ("dashboardName", "cloudwatch", "PutDashboard", "DashboardName"),
    "aws:cloudwatch/eventRule:EventRule": ("name", "events", "PutRule", "Name"),
    "aws:cloudwatch/logGroup:LogGroup": ("name", "logs", "CreateLogGroup", "logGroupName"),
    "aws:cloudwatch/logStream:LogStream": ("name", "logs", "CreateLogStream", "logStreamName"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("name", "cloudwatch", "PutMetricAlarm", "AlarmName"),
    "aws:dynamodb/table:Table": ("name", "dynamodb", "CreateTable", "TableName"),
    "aws:ec2/launchTemplate:LaunchTemplate": ("name", "ec2", "CreateLaunchTemplate", "LaunchTemplateName"),
    "aws:ec2/securityGroup:SecurityGroup": ("name", "ec2", "CreateSecurityGroup", "GroupName"),
    "aws:glue/catalogDatabase:CatalogDatabase": ("name", "glue", "CreateDatabase", "DatabaseInput.Name"),
    "aws:glue/catalogTable:CatalogTable": ("name", "glue", "CreateTable", "TableInput.Name"),
    "aws:iam/instanceProfile:InstanceProfile": ("name", "iam", "CreateInstanceProfile", "InstanceProfileName"),
    "aws:iam/role:Role": ("name", "iam", "CreateRole", "RoleName"),
    "aws:iam/rolePolicy:RolePolicy": ("name", "iam", "PutRolePolicy", "PolicyName"),
    "aws:iot/policy:Policy": ("name", "iot", "CreatePolicy", "policyName"),
    "aws:iot/provisioningTemplate:ProvisioningTemplate": (
        "name",
        "iot",
        "CreateProvisioningTemplate",
        "templateName",
    ),
    "aws:iot/roleAlias:RoleAlias": ("alias", "iot", "CreateRoleAlias", "roleAlias"),
    "aws:iot/thing:Thing": ("name", "iot", "CreateThing", "thingName"),
    "aws:iot/thingGroup:ThingGroup": ("name", "iot", "CreateThingGroup", "thingGroupName"),
    "aws:iot/thingType:ThingType": ("name", "iot", "CreateThingType", "thingTypeName"),
    "aws:iot/topicRule:TopicRule": ("name", "iot", "CreateTopicRule", "ruleName"),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        "name",
        "firehose",
        "CreateDeliveryStream",
        "DeliveryStreamName",
    ),
    "aws:kms/alias:Alias": ("name", "kms", "CreateAlias", "AliasName"),
    "aws:lambda/function:Function": ("name", "lambda", "CreateFunction", "FunctionName"),
    "aws:lambda/layerVersion:LayerVersion": ("layerName", "lambda", "PublishLayerVersion", "LayerName"),
    "aws:s3/bucket:Bucket": ("bucket", "s3", "CreateBucket", "Bucket"),
    "aws:s3/bucketObjectv2:BucketObjectv2": ("key", "s3", "PutObject", "Key"),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": (
        "modelPackageGroupName",
        "sagemaker",
        "CreateModelPackageGroup",
        "ModelPackageGroupName",
    ),
    "aws:sagemaker/notebookInstance:NotebookInstance": (
        "name",
        "sagemaker",
        "CreateNotebookInstance",
        "NotebookInstanceName",
    ),
    "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration": (
        "name",
        "sagemaker",
        "CreateNotebookInstanceLifecycleConfig",
        "NotebookInstanceLifecycleConfigName",
    ),
    "aws:scheduler/schedule:Schedule": ("name", "scheduler", "CreateSchedule", "Name"),
    "aws:scheduler/scheduleGroup:ScheduleGroup": ("name", "scheduler", "CreateScheduleGroup", "Name"),
    "aws:sfn/stateMachine:StateMachine": ("name", "stepfunctions", "CreateStateMachine", "name"),
    "aws:sns/topic:Topic": ("name", "sns", "CreateTopic", "Name"),
    "aws:sqs/queue:Queue": ("name", "sqs", "CreateQueue", "QueueName"),
    "aws-native:greengrassv2:Deployment": (
        "deploymentName",
        "greengrassv2",
        "CreateDeployment",
        "deploymentName",
    ),
}
#: Types whose resources have no name of ours: settings of another resource, versions, memberships, keys.
UNNAMED = {
    "aws-native:greengrassv2:ComponentVersion",
    "aws:cloudwatch/eventTarget:EventTarget",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    "aws:ebs/volume:Volume",
    "aws:ec2/internetGateway:InternetGateway",
    "aws:ec2/route:Route",
    "aws:ec2/routeTable:RouteTable",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:iot/policyAttachment:PolicyAttachment",
    "aws:iot/thingGroupMembership:ThingGroupMembership",
    "aws:kms/key:Key",
    "aws:lambda/eventSourceMapping:EventSourceMapping",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
    "aws:lambda/permission:Permission",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketNotification:BucketNotification",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:sns/topicPolicy:TopicPolicy",
    "aws:sns/topicSubscription:TopicSubscription",
    "aws:sqs/queuePolicy:QueuePolicy",
}
#: Lengths that the API's model leaves open, or gives for an ARN in the same place.
LENGTHS = {
    "aws:lambda/function:Function": limits.FUNCTION_NAME_LENGTH,
    "aws:sqs/queue:Queue": limits.QUEUE_NAME_LENGTH,
    "aws:s3/bucket:Bucket": limits.BUCKET_NAME_LENGTH,
    # GroupName of CreateSecurityGroup, Amazon EC2 API reference.
    "aws:ec2/securityGroup:SecurityGroup": 255,
    # LaunchTemplateName of CreateLaunchTemplate, Amazon EC2 API reference.
    "aws:ec2/launchTemplate:LaunchTemplate": 128,
    # "Topic name", Amazon SNS API reference, CreateTopic.
    "aws:sns/topic:Topic": 256,
}
#: Patterns that say more than the API's model, or say it in a form that Python does not read.
PATTERNS = {
    # AutoScalingGroupName of CreateAutoScalingGroup, Amazon EC2 Auto Scaling API reference; no colon either.
    "aws:autoscaling/group:Group": r"[ -9;-~]+",
    # "Bucket naming rules", Amazon S3 user guide.
    "aws:s3/bucket:Bucket": r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    # "Names for tables, databases, and columns in Athena", Amazon Athena user guide.
    "aws:glue/catalogDatabase:CatalogDatabase": r"[a-z0-9_]+",
    "aws:glue/catalogTable:CatalogTable": r"[a-z0-9_]+",
}
#: Types that belong to another resource, by the input that says to which: its name is unique within that one, those of
#: all others within an account or a region.
WITHIN = {
    "aws:athena/namedQuery:NamedQuery": "workgroup",
    "aws:autoscaling/lifecycleHook:LifecycleHook": "autoscalingGroupName",
    "aws:cloudwatch/logStream:LogStream": "logGroupName",
    "aws:glue/catalogTable:CatalogTable": "databaseName",
    "aws:iam/rolePolicy:RolePolicy": "role",
    "aws:s3/bucketObjectv2:BucketObjectv2": "bucket",
}
#: Variables that nucleus lite replaces in a script; docs/RECIPE_SUPPORT_CHANGES.md of aws-greengrass-lite.
VARIABLE = re.compile(
    r"artifacts:path|artifacts:decompressedPath|kernel:rootPath|iot:thingName|work:path|configuration:/[A-Za-z/]+"
)


def claimed_names(resources: Iterable[Registered]) -> dict[tuple[str, str, str], Registered]:
    """The resources by type, what their name is unique within (empty: account or region), and the name they claim.

    Raises:
        AssertionError: if two resources claim the same.
    """
    owners: dict[tuple[str, str, str], Registered] = {}
    twice: list[str] = []
    for one in resources:
        if one.type in NAMED:
            scope = one.inputs[WITHIN[one.type]] if one.type in WITHIN else ""
            name = (one.type, scope, one.inputs[NAMED[one.type][0]])
        elif one.type == "aws-native:greengrassv2:ComponentVersion":
            recipe = json.loads(one.inputs["inlineRecipe"])
            name = (one.type, recipe["ComponentName"], recipe["ComponentVersion"])
        else:
            continue
        if name in owners:
            twice.append(f"{one.urn} and {owners[name].urn} are both called {name[2]}")
        owners[name] = one
    assert not twice, "\n".join(twice)
    return owners


def _of(resources: list[Registered], type_: str) -> list[Registered]:
    found = [one for one in resources if one.type == type_]
    assert found, f"no {type_} at all"
    return found


@functools.cache
def _loader() -> Any:
    return botocore.session.Session()


@functools.cache
def _member(service: str, operation: str, path: str) -> dict[str, Any]:
    shape = _loader().get_service_model(service).operation_model(operation).input_shape
    for member in path.split("."):
        shape = shape.members[member]
    return dict(shape.metadata)


def test_every_type_is_known_to_this_test_and_to_the_deployer(environment: list[Registered]) -> None:
    types = {one.type for one in environment if one.custom}
    assert types <= set(NAMED) | UNNAMED, "say in NAMED or UNNAMED what the new type's name is"
    assert types <= set(HANDLERS), "the sandbox has no handler for it"


def test_every_resource_is_the_child_of_a_component_and_named_after_it(environment: list[Registered]) -> None:
    components = {one.urn: one for one in environment if not one.custom}
    children = [one for one in environment if one.custom]
    assert len(children) > 100
    for child in children:
        assert child.parent in components, f"{child.urn} has no component for parent"
        assert child.name.startswith(f"{components[child.parent].name}-"), child.urn


@functools.cache
def _takes_tags(type_: str) -> bool:
    package, module, name = type_.split(":")
    root = "pulumi_aws" if package == "aws" else "pulumi_aws_native"
    service = module.split("/")[0]
    found = getattr(importlib.import_module(f"{root}.{'lambda_' if service == 'lambda' else service}"), name)
    return "tags" in inspect.signature(found._internal_init).parameters


def test_every_resource_that_takes_tags_says_whose_it_is(environment: list[Registered]) -> None:
    components = {one.urn: one for one in environment if not one.custom}
    tagged = [one for one in environment if one.custom and _takes_tags(one.type)]
    assert len(tagged) > 60
    for one in tagged:
        tags = one.inputs.get("tags", {})
        if one.type == "aws:autoscaling/group:Group":
            tags = {tag["key"]: tag["value"] for tag in tags if tag["propagateAtLaunch"]}
        assert set(tags) >= {"Project", "Stack", "Component"}, one.urn
        assert tags["Component"] == components[one.parent].type.split(":")[2]
        assert all(tags.values()), one.urn


@pytest.mark.parametrize("type_", sorted(NAMED))
def test_names_are_within_the_limits_of_aws(type_: str, environment: list[Registered]) -> None:
    key, service, operation, path = NAMED[type_]
    model = _member(service, operation, path)
    maximum = min(LENGTHS.get(type_, 10**6), model.get("max", 10**6))
    for one in environment:
        if one.type != type_:
            continue
        name = one.inputs.get(key)
        assert isinstance(name, str), f"{one.urn} leaves its name to Pulumi"
        assert name, f"{one.urn} has an empty name"
        assert model.get("min", 1) <= len(name) <= maximum, f"{one.urn}: {name}"
        pattern = PATTERNS.get(type_, model.get("pattern", ".*"))
        assert re.fullmatch(_as_python(pattern), name), f"{one.urn}: {name} against {pattern}"


def _as_python(pattern: str) -> str:
    """An API model's pattern, written for Java, as Python reads it."""
    return pattern.replace(r"\p{L}", r"\w").replace(r"\p{Z}", r"\s").replace(r"\p{N}", r"\d").replace(r"\p{Print}", ".")


def test_limits_on_names_are_known_for_most_types() -> None:
    known = [type_ for type_, (_, *member) in NAMED.items() if "max" in _member(*member) or type_ in LENGTHS]
    assert len(known) >= len(NAMED) - 3


def test_no_two_resources_share_a_name(environment: list[Registered]) -> None:
    assert len(claimed_names(environment)) > 80


def test_every_topic_rule_has_an_error_action_of_its_own(environment: list[Registered]) -> None:
    queues = {one.name for one in environment if one.type == "aws:sqs/queue:Queue"}
    for rule in _of(environment, "aws:iot/topicRule:TopicRule"):
        (kind,) = rule.inputs["errorAction"]
        assert kind == "sqs"
        queue = rule.inputs["errorAction"]["sqs"]["queueUrl"].rsplit("/", 1)[1]
        assert queue in queues, f"{rule.name}: its failures go to {queue}, which is no queue of the stack"
        assert queue.endswith("-dead-letters")


def test_published_recipes_fit_both_nuclei(environment: list[Registered]) -> None:
    for version in _of(environment, "aws-native:greengrassv2:ComponentVersion"):
        text = version.inputs["inlineRecipe"]
        assert len(text.encode()) <= limits.COMPONENT_RECIPE_BYTES
        recipe = recipe_format.parse_recipe(text.encode())
        assert yaml.safe_load(text) == recipe
        assert "BUCKET" not in text
        (first, *others) = [manifest["Platform"] for manifest in recipe["Manifests"]]
        assert first.pop("runtime") in ("*", "aws_nucleus_lite"), "nucleus lite takes what names its runtime"
        assert all(platform == {"os": "linux"} for platform in (first, *others)), "a classic nucleus has no runtime"
        for manifest in recipe["Manifests"]:
            for name, step in manifest["Lifecycle"].items():
                assert name in {"install", "run", "startup"}, f"{version.name}: lite ignores or refuses {name}"
                for script in [step["Script"], *step.get("Setenv", {}).values()]:
                    for variable in re.findall(r"\{([^{}$\s]*:[^{}]*)\}", script):
                        assert VARIABLE.fullmatch(variable), f"{version.name}: lite does not know {{{variable}}}"


def test_configuration_merges_are_objects_for_components_of_the_deployment(environment: list[Registered]) -> None:
    for deployment in _of(environment, "aws-native:greengrassv2:Deployment"):
        assert deployment.inputs["deploymentPolicies"]["failureHandlingPolicy"] == "ROLLBACK"
        for name, component in deployment.inputs["components"].items():
            assert re.fullmatch(recipe_format.VERSION_PATTERN, component["componentVersion"]), name
            if merge := component.get("configurationUpdate", {}).get("merge"):
                assert isinstance(json.loads(merge), dict)


def test_deployments_name_the_version_of_all_that_their_components_depend_on(environment: list[Registered]) -> None:
    texts = [one.inputs["inlineRecipe"] for one in _of(environment, "aws-native:greengrassv2:ComponentVersion")]
    published = {(one["ComponentName"], one["ComponentVersion"]): one for one in map(json.loads, texts)}
    held = 0
    for deployment in _of(environment, "aws-native:greengrassv2:Deployment"):
        components = deployment.inputs["components"]
        for name, component in components.items():
            recipe = published.get((name, component["componentVersion"]), {})
            for dependency in recipe.get("ComponentDependencies", {}):
                # In a version of this stack's own, or of AWS.
                assert dependency in components, f"{name} depends on {dependency}, in whatever version there is"
                pinned = (dependency, components[dependency]["componentVersion"])
                assert pinned in published or dependency.startswith("aws."), pinned
                held += 1
    assert held >= 5


def test_one_deployment_a_thing_group(environment: list[Registered]) -> None:
    targets = [one.inputs["targetArn"] for one in _of(environment, "aws-native:greengrassv2:Deployment")]
    assert len(targets) == len(set(targets)) >= 1


def test_state_machines_pass_the_linter_of_the_states_language(environment: list[Registered]) -> None:
    for machine in _of(environment, "aws:sfn/stateMachine:StateMachine"):
        assert Linter.validate(machine.inputs["definition"], Config(None, False, False)) == []
        assert len(machine.inputs["definition"].encode()) <= 1024 * 1024


def _dashboard_errors(body: Any) -> list[str]:
    """A dashboard's errors by CloudWatch's documentation, and widgets that overlap or lie outside."""
    found = [error.message for error in Draft202012Validator(DASHBOARD).iter_errors(body)]
    if found:
        return found
    taken: set[tuple[int, int]] = set()
    for widget in body["widgets"]:
        found += [f"odd dimensions: {series}" for series in widget["properties"].get("metrics", []) if len(series) % 2]
        columns = range(widget["x"], widget["x"] + widget["width"])
        cells = {(column, widget["y"] + row) for column in columns for row in range(widget["height"])}
        found += [f"no place: {widget['x']}, {widget['y']}"] if cells & taken or max(columns) > 23 else []
        taken |= cells
    return found


def test_dashboards_are_as_cloudwatch_documents_them(environment: list[Registered]) -> None:
    for dashboard in _of(environment, "aws:cloudwatch/dashboard:Dashboard"):
        body = json.loads(dashboard.inputs["dashboardBody"])
        assert len(body["widgets"]) > 4
        assert _dashboard_errors(body) == [], dashboard.urn


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "metrics"}, "'metrics'"),
        ({"x": 24}, "24 is greater than the maximum of 23"),
        ({"x": 13, "width": 12}, "no place"),
        ({"height": 0}, "0 is less than the minimum"),
        ({"properties": {"metrics": [["AWS/SQS", "Depth"]]}}, "'region' is a required property"),
        ({"properties": {"metrics": [["AWS/SQS", "Depth", "QueueName"]], "region": "eu-central-1"}}, "odd dimensions"),
        ({"properties": {"metrics": [], "region": "eu-central-1"}}, "should be non-empty"),
    ],
)
def test_a_dashboard_that_is_wrong_would_have_been_found(change: dict[str, Any], told: str) -> None:
    properties = {"metrics": [["AWS/SQS", "Depth", "QueueName", "q"]], "region": "eu-central-1", "period": 300}
    good = {"type": "metric", "x": 0, "y": 0, "width": 6, "height": 6, "properties": properties}
    assert _dashboard_errors({"widgets": [good]}) == []
    found = _flat(Draft202012Validator(DASHBOARD).iter_errors({"widgets": [{**good, **change}]}))
    found += _dashboard_errors({"widgets": [{**good, **change}]})
    assert any(told in text for text in found), found


def _flat(errors: Iterable[ValidationError]) -> list[str]:
    """The messages of errors and of those that they come from."""
    return [text for error in errors for text in (error.message, *_flat(error.context))]


def test_columns_have_types_that_hive_knows(environment: list[Registered]) -> None:
    model = _member("glue", "CreateTable", "TableInput.StorageDescriptor")
    assert model is not None
    columns = 0
    for table in _of(environment, "aws:glue/catalogTable:CatalogTable"):
        for column in table.inputs["storageDescriptor"]["columns"]:
            parsed = sqlglot.parse_one(column["type"], into=expressions.DataType, dialect="hive")
            assert isinstance(parsed, expressions.DataType)
            assert parsed.this != expressions.DataType.Type.USERDEFINED, f"{table.name}.{column['name']}"
            assert re.fullmatch(r"[a-z_][a-z0-9_]*", column["name"]), "Athena folds names to lower case"
            columns += 1
    assert columns > 20


def test_queries_parse_as_athena_reads_them(environment: list[Registered]) -> None:
    for query in _of(environment, "aws:athena/namedQuery:NamedQuery"):
        assert len(sqlglot.parse(query.inputs["query"], dialect="athena")) == 1


def test_every_policy_document_has_the_current_version_and_whole_statements(environment: list[Registered]) -> None:
    documents = 0
    for one in environment:
        for key in ("policy", "assumeRolePolicy"):
            if one.custom and one.inputs.get(key, "").startswith("{"):
                document = json.loads(one.inputs[key])
                assert document["Version"] == "2012-10-17", one.urn
                assert document["Statement"], one.urn
                for statement in document["Statement"]:
                    assert set(statement) <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}, one.urn
                    assert statement["Effect"] in {"Allow", "Deny"}
                documents += 1
    assert documents > 30
