"""Each setting that has a limit takes the value at it and refuses the one just outside, with one line.

The limits are those of the configuration and of the settings in it, walked as they stand there. The two configurations
at the limits are recorded, and what reaches the provider is held to the ranges that the pinned SDK documents of each
input, to its types, and for a training job and a notebook to SageMaker's own model.

Not proved here: limits that no document of the SDK or model of an API states as a number.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import botocore.session
import msgspec
import pytest

from pm_components.aws import limits
from pm_components.stack import config
from pm_sandbox.cloud.constraints import violations as model_violations
from pm_sandbox.provider.sdk_inputs import violations
from pm_sandbox.provider.sdk_types import alternatives, arguments_of, fields_of, is_block
from pm_sandbox.recorder import Registered, record

ROOT = Path(__file__).parents[3]
#: Above which a float is just outside an end that is allowed, and inside one that is not.
_STEP = 1e-6


class Edge(NamedTuple):
    """One end of what a setting may be.

    Attributes:
        path: The setting, as `training.canary.margin`.
        at: The last value that is allowed.
        outside: One that is not.
        highest: Whether it is the upper end.
    """

    path: str
    at: Any
    outside: Any
    highest: bool


def _edges(struct: type = config.Config, path: str = "") -> Iterator[Edge]:
    for field in msgspec.structs.fields(struct):
        yield from _of(field.type, f"{path}.{field.name}" if path else field.name)


def _of(annotation: Any, path: str) -> Iterator[Edge]:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _of(part, path)
    elif origin is Annotated:
        kind, meta = get_args(annotation)[:2]
        step = 1 if kind is int else _STEP
        for end, sign in (("ge", -1), ("le", 1)):
            if (at := getattr(meta, end)) is not None:
                yield Edge(path, at, at + sign * step, sign > 0)
        for end, sign in (("gt", 1), ("lt", -1)):
            if (at := getattr(meta, end)) is not None:
                yield Edge(path, at + sign * step, at, sign < 0)
        yield from _of(kind, path)
    elif isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield from _edges(annotation, path)


EDGES = list(_edges())
_ID = "1" * (limits.NETWORK_ID_LENGTH - len("subnet-"))
_GROUP = "sg-" + "1" * (limits.NETWORK_ID_LENGTH - len("sg-"))
_OWN_HYPERPARAMETERS = limits.HYPERPARAMETERS - 2


def _hyperparameters(count: int) -> dict[str, str]:
    return {f"p{number}": "v" for number in range(count)}


#: Settings whose limit is a length, or a list of values: path, the last value allowed, one outside.
LENGTHS: list[tuple[str, Any, Any]] = [
    ("log_retention_days", max(limits.LOG_RETENTION_DAYS), max(limits.LOG_RETENTION_DAYS) + 1),
    ("log_retention_days", min(limits.LOG_RETENTION_DAYS), 0),
    ("owner", "o" * limits.TAG_VALUE_LENGTH, "o" * (limits.TAG_VALUE_LENGTH + 1)),
    ("cost_centre", "o" * limits.TAG_VALUE_LENGTH, ""),
    ("training.image_uri", "i" * limits.TRAINING_IMAGE_LENGTH, "i" * (limits.TRAINING_IMAGE_LENGTH + 1)),
    ("training.schedule", f"rate({'1' * (limits.SCHEDULE_EXPRESSION_LENGTH - 6)})", f"rate({'1' * 300})"),
    ("training.hyperparameters", _hyperparameters(_OWN_HYPERPARAMETERS), _hyperparameters(_OWN_HYPERPARAMETERS + 1)),
    (
        "training.hyperparameters",
        {"p" * limits.HYPERPARAMETER_NAME_LENGTH: "v"},
        {"p" * (limits.HYPERPARAMETER_NAME_LENGTH + 1): "v"},
    ),
    (
        "training.hyperparameters",
        {"p": '"' * ((limits.HYPERPARAMETER_VALUE_LENGTH - 2) // 2)},
        {"p": '"' * ((limits.HYPERPARAMETER_VALUE_LENGTH - 2) // 2) + "v"},
    ),
    ("training.workbench.subnet_id", f"subnet-{_ID}", f"subnet-{_ID}1"),
    (
        "training.workbench.security_group_ids",
        [f"sg-{number}" for number in range(limits.NOTEBOOK_SECURITY_GROUPS)],
        [f"sg-{number}" for number in range(limits.NOTEBOOK_SECURITY_GROUPS + 1)],
    ),
    ("training.workbench.security_group_ids", [_GROUP], [f"{_GROUP}1"]),
]


def _with(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return {**values, head: _with(values.get(head) or {}, rest, value) if rest else value}


def _parse(values: dict[str, Any]) -> config.Config:
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return config.parse(given)


SITE = {
    "name": "lindau",
    "core_devices": ["lindau-core"],
    "devices": [{"name": "air-1", "type": "air_quality"}, {"name": "machine-1", "type": "machine"}],
}
PLAIN = {"sites": [SITE], "tier": "prod", "alert_emails": ["a@example.com"]}
#: Settings that bound one another: what goes with a limit of the first.
BESIDE: dict[str, tuple[str, Any]] = {
    "detector.window": ("detector.minimum_count", 1),
    "detector.minimum_count": ("detector.window", 1000),
    "detector.maximum_share": ("detector.clear_share", 0),
    "detector.clear_share": ("detector.maximum_share", 1),
}


@pytest.mark.parametrize(
    ("path", "at", "outside"), [*((one.path, one.at, one.outside) for one in EDGES), *LENGTHS], ids=lambda one: None
)
def test_a_setting_takes_the_value_at_its_limit_and_refuses_the_next(path: str, at: Any, outside: Any) -> None:
    plain = _with(PLAIN, *BESIDE[path]) if path in BESIDE else PLAIN
    _parse(_with(plain, path, at))
    with pytest.raises(config.ConfigError) as refused:
        _parse(_with(plain, path, outside))
    line = str(refused.value)
    assert line.startswith(f"pm:{path}")
    assert "found" in line
    assert "allowed" in line
    assert "\n" not in line


def test_the_walk_finds_the_settings_that_have_a_limit() -> None:
    walked = {one.path for one in EDGES}
    assert {
        "retention_days",
        "lake.scan_limit_bytes",
        "training.maximum_seconds",
        "training.canary.interval_seconds",
        "training.workbench.volume_gibibytes",
        "alarms.escalation_seconds",
    } <= walked
    assert len(walked) > 20


#: All settings at their lower limits, and at their upper ones, with what has to go with them.
LOWEST = {
    **PLAIN,
    "training": {"workbench": {}, "canary": {}, "schedule": "rate(1 minute)"},
    "log_retention_days": min(limits.LOG_RETENTION_DAYS),
}
HIGHEST = {
    **PLAIN,
    "training": {
        "workbench": {
            "subnet_id": f"subnet-{_ID}",
            "security_group_ids": [f"{_GROUP[:-1]}{number}" for number in range(limits.NOTEBOOK_SECURITY_GROUPS)],
        },
        "canary": {},
        "spot": True,
        "hyperparameters": _hyperparameters(_OWN_HYPERPARAMETERS),
        "image_uri": f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/{'i' * 207}",
    },
    "log_retention_days": max(limits.LOG_RETENTION_DAYS),
    "owner": "o" * limits.TAG_VALUE_LENGTH,
    "cost_centre": "o" * limits.TAG_VALUE_LENGTH,
    "lake": {"customer_key": True},
}


def _at_the_limits(values: dict[str, Any], *, highest: bool) -> dict[str, Any]:
    for edge in EDGES:
        if edge.highest == highest:
            values = _with(values, edge.path, edge.at)
    return values


@pytest.fixture(scope="module")
def recordings() -> dict[str, list[Registered]]:
    made = {}
    for name, values in (("lowest", LOWEST), ("highest", HIGHEST)):
        whole = _at_the_limits(values, highest=name == "highest")
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in whole.items()}
        asked = {f"pm:{key}": text for key, text in texts.items()}
        made[name] = record(ROOT, "prod", config=asked, only_config=True).resources
    return made


#: Types, the path of an input, and the words of its documentation with one end or both.
RANGES = [
    ("athena/workgroup:Workgroup", "configuration.bytesScannedCutoffPerQuery", r"at least `(\d+)`"),
    ("iot/roleAlias:RoleAlias", "credentialDuration", r"from (\d+) seconds .* to (\d+) seconds"),
    ("kms/key:Key", "deletionWindowInDays", r"between `(\d+)` and `(\d+)`"),
    (
        "kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
        "extendedS3Configuration.dynamicPartitioningConfiguration.retryDuration",
        r"between (\d+) and (\d+)",
    ),
    ("lambda/eventSourceMapping:EventSourceMapping", "maximumBatchingWindowInSeconds", r"between (\d+) and (\d+)"),
    ("lambda/eventSourceMapping:EventSourceMapping", "scalingConfig.maximumConcurrency", r"than or equal to (\d+)"),
    ("lambda/function:Function", "memorySize", r"between (\d+) MB to ([\d,]+) MB"),
    ("lambda/function:Function", "timeout", r"between (\d+) and (\d+)"),
    ("scheduler/schedule:Schedule", "flexibleTimeWindow.maximumWindowInMinutes", r"from `(\d+)` to `(\d+)`"),
    ("scheduler/schedule:Schedule", "target.retryPolicy.maximumEventAgeInSeconds", r"from `(\d+)` to `(\d+)`"),
    ("scheduler/schedule:Schedule", "target.retryPolicy.maximumRetryAttempts", r"from `(\d+)` to `(\d+)`"),
    ("sqs/queue:Queue", "delaySeconds", r"from (\d+) to (\d+)"),
    ("sqs/queue:Queue", "messageRetentionSeconds", r"from (\d+) \(1 minute\) to (\d+)"),
    ("sqs/queue:Queue", "visibilityTimeoutSeconds", r"from (\d+) to (\d+)"),
]


def _found(value: Any, path: str) -> Iterator[float]:
    head, _, rest = path.partition(".")
    if isinstance(value, list):
        for item in value:
            yield from _found(item, path)
    elif not head:
        yield value
    elif isinstance(value, dict) and value.get(head) is not None:
        yield from _found(value[head], rest)


def _documented(type_: str, path: str, words: str) -> tuple[float, float]:
    arguments, keys = arguments_of(type_), path.split(".")
    for key in keys[:-1]:
        inner = fields_of(arguments)[key].annotation
        arguments = next(one for one in alternatives(inner) if is_block(one))
    name = re.sub("([A-Z])", r"_\1", keys[-1]).lower()
    documentation = " ".join(str(getattr(arguments, name).fget.__doc__).split())
    said = re.search(words, documentation, re.IGNORECASE)
    assert said, documentation
    low, *high = (float(number.replace(",", "")) for number in said.groups())
    return low, high[0] if high else float("inf")


@pytest.mark.parametrize(("type_", "path", "words"), RANGES)
def test_at_the_limits_each_input_is_in_the_range_that_the_provider_documents(
    recordings: dict[str, list[Registered]], type_: str, path: str, words: str
) -> None:
    low, high = _documented(f"aws:{type_}", path, words)
    values = [
        value
        for resources in recordings.values()
        for resource in resources
        if resource.type == f"aws:{type_}"
        for value in _found(resource.inputs, path)
    ]
    assert all(low <= value <= high for value in values), values


def test_at_the_limits_each_input_is_of_its_type(recordings: dict[str, list[Registered]]) -> None:
    wrong = {
        f"{name} {one.name}: {text}"
        for name, resources in recordings.items()
        for one in resources
        if one.custom
        for text in violations(one.type, one.inputs)
    }
    assert not wrong


def test_alarms_and_rules_of_a_bucket_are_as_the_provider_documents(recordings: dict[str, list[Registered]]) -> None:
    for resources in recordings.values():
        periods = [one.inputs["period"] for one in resources if "period" in one.inputs]
        assert periods
        assert all(period in (10, 20, 30) or period % 60 == 0 for period in periods)
        days = [
            rule["expiration"]["days"]
            for one in resources
            for rule in one.inputs.get("rules", [])
            if one.type.endswith(":BucketLifecycleConfiguration") and rule.get("expiration", {}).get("days") is not None
        ]
        assert days
        assert min(days) >= limits.EXPIRATION_DAYS_MINIMUM


def _requests(state: Any, resource: str) -> Iterator[dict[str, Any]]:
    """The parameters of each task of a definition that asks for a resource."""
    if isinstance(state, dict):
        if str(state.get("Resource", "")).startswith(resource):
            yield state["Parameters"]
        for value in state.values():
            yield from _requests(value, resource)
    elif isinstance(state, list):
        for item in state:
            yield from _requests(item, resource)


def _with_answers(parameters: Any) -> Any:
    """Parameters of a task with what the execution puts in: a name, or an address in S3."""
    if isinstance(parameters, dict):
        return {
            name.removesuffix(".$"): ("s3://bucket/a" if name == "S3Uri.$" else "a")
            if name.endswith(".$")
            else _with_answers(value)
            for name, value in parameters.items()
        }
    return [_with_answers(item) for item in parameters] if isinstance(parameters, list) else parameters


def test_at_the_limits_sagemaker_takes_the_training_jobs_and_the_notebook(
    recordings: dict[str, list[Registered]],
) -> None:
    sagemaker = botocore.session.get_session().get_service_model("sagemaker")
    job, notebook = (
        sagemaker.operation_model(f"Create{kind}").input_shape for kind in ("TrainingJob", "NotebookInstance")
    )
    names = {
        "instanceType": "InstanceType",
        "roleArn": "RoleArn",
        "volumeSize": "VolumeSizeInGB",
        "subnetId": "SubnetId",
        "securityGroups": "SecurityGroupIds",
        "lifecycleConfigName": "LifecycleConfigName",
        "kmsKeyId": "KmsKeyId",
    }
    for resources in recordings.values():
        (machine,) = (one for one in resources if one.type == "aws:sfn/stateMachine:StateMachine")
        jobs = list(_requests(json.loads(machine.inputs["definition"]), "arn:aws:states:::sagemaker:createTrainingJob"))
        assert jobs
        for asked in jobs:
            assert not model_violations(job, _with_answers(asked))
        (instance,) = (one for one in resources if one.type == "aws:sagemaker/notebookInstance:NotebookInstance")
        given = {names[key]: value for key, value in instance.inputs.items() if key in names and value is not None}
        assert not model_violations(notebook, {**given, "NotebookInstanceName": instance.inputs["name"]})
        (schedule,) = (one for one in resources if one.type == "aws:scheduler/schedule:Schedule")
        assert len(schedule.inputs["scheduleExpression"]) <= limits.SCHEDULE_EXPRESSION_LENGTH
