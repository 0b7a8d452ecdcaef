"""Every path that the training workflow reads is written on every way that leads to it.

What the functions answer is what they really answer here, on clients that are stand-ins; what Amazon SageMaker answers
is what its service model requires.
Not proved here: that the functions find what they read in what they are given, and that AWS runs the definition
(tests/components/forecast_pipeline/test_pipeline_execution.py and test_model_trial.py run it in the emulated AWS).
"""

import datetime as dt
import functools
import io
import itertools
import json
from collections.abc import Mapping
from typing import Any
from unittest import mock

import boto3
import pytest

from pm_components.forecast_pipeline import training_workflow
from pm_components.forecast_pipeline.task_states import INVOKE, QUERY
from pm_components.functions.core_devices import CoreDevices
from pm_components.functions.gate.core import Policy as GatePolicy
from pm_components.functions.gate.handler import Gate
from pm_components.functions.register import handler as register
from pm_components.functions.release.handler import Release
from pm_components.functions.release.handler import Settings as ReleaseSettings
from pm_components.functions.site_groups import SiteGroups, content
from pm_components.functions.trial.core import CONTINUE, PROMOTE, ROLL_BACK
from pm_components.functions.trial.core import Policy as TrialPolicy
from pm_components.functions.trial.handler import Settings as TrialSettings
from pm_components.functions.trial.handler import Trial
from pm_components.functions.watch.handler import Watch
from pm_contracts.model_kinds import MODEL_KINDS, ModelKind
from tests.components.forecast_pipeline.definition_paths import Answer, Read, Shape, missing, reads, table
from tests.components.functions.test_model_gate import files, packed

TIME = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
FUNCTIONS = {name: name for name in ("gate_arn", "register_arn", "release_arn", "watch_arn")}
TRIAL = training_workflow.Trial(function_arn="trial_arn", interval_seconds=60, maximum_seconds=600)
GROUPS = {"a": SiteGroups(code="a", model="a-model", canary="a-canary")}
#: Settings that tell where they are.
GROUPS_AT = {"thing_group_arn": "arn/", "thing_groups_key": "groups", "signing_key": "key"}
#: The same bytes for gate, release and trial.
GOOD = packed(files())
#: Values that the trial looks up in the site's own deployment.
MERGED = {"python": "p", "dataDirectory": "d", "site": "a", "accessControl": {"ipc": {}}}


def workflow(**changes: Any) -> training_workflow.Workflow:
    training = training_workflow.Training(
        image_uri="image",
        instance_type="ml.m5.large",
        maximum_seconds=600,
        role_arn="role",
        code_uri="s3://bucket/code",
        job_prefix="job",
        hyperparameters={},
    )
    given: dict[str, Any] = {
        "sites": ["a"],
        "database": "lake",
        "workgroup": "group",
        "artifact_bucket": "bucket",
        "training": training,
        "watch_interval_seconds": 30,
        "watch_seconds": 600,
        **FUNCTIONS,
    }
    return training_workflow.Workflow(**{**given, **changes})


def s3(archive: bytes) -> Any:
    client = mock.MagicMock()

    def get_object(*, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803 - the API's name
        body = content(GROUPS) if Key == GROUPS_AT["thing_groups_key"] else archive
        known = {"VersionId": "1", "LastModified": TIME}
        return {"ContentLength": len(body), "Body": io.BytesIO(body), **known}

    client.get_object.side_effect = get_object
    return client


def greengrass() -> Any:
    client = mock.MagicMock()
    client.list_deployments.return_value = {"deployments": [{"deploymentId": "1"}]}
    component = {"componentVersion": "1.0.0", "configurationUpdate": {"merge": json.dumps(MERGED)}}
    client.get_deployment.return_value = {"deploymentStatus": "ACTIVE", "components": {"pm.Forecaster": component}}
    client.create_deployment.return_value = {"deploymentId": "2"}
    return client


def made_models(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The answers of the registration to every kind of verdict."""
    sagemaker = mock.MagicMock()
    sagemaker.create_model_package.return_value = {"ModelPackageArn": "arn"}
    sagemaker.describe_model_package.return_value = {"CustomerMetadataProperties": {"version": "1.0.0"}}
    monkeypatch.setattr(register, "_sagemaker", lambda: sagemaker)
    monkeypatch.setenv("MODEL_PACKAGE_GROUPS", '{"forecast": "f", "fault": "g"}')
    monkeypatch.setenv("IMAGE_URI", "image")
    made = []
    archives = [GOOD, packed(files(rmse=99.0)), packed(files(rmse=None)), packed(files("fault")), b"none"]
    for archive, champions in itertools.product(archives, ([], [{"ModelPackageArn": "arn"}])):
        sagemaker.list_model_packages.return_value = {"ModelPackageSummaryList": champions}
        policy = GatePolicy(minimum_skill=0.0, champion_margin=0.0, on_trial=["forecast"])
        gate = Gate(s3(archive), sagemaker, {"forecast": "f", "fault": "g"}, policy)
        verdict = gate.handle({"kind": "forecast", "model_data": "s3://bucket/key", "training_job": "job"})
        made.append(register.handle(verdict, None))
    assert {(model["passed"], model["on_trial"]) for model in made} == {(True, True), (False, False)}
    return made


def signer() -> Any:
    made = mock.MagicMock()
    made.signed.side_effect = lambda model, *_, **__: model.files
    return made


def trial(archive: bytes) -> Trial:
    core_devices = mock.MagicMock(spec=CoreDevices)
    core_devices.of_group.return_value = ["core"]
    core_devices.states.return_value = {"core": "SUCCEEDED"}
    rows = [["outcomes", "challenger_rmse", "champion_rmse"], ["20", "1.0", "2.0"]]
    athena = mock.MagicMock()
    athena.get_query_results.return_value = {
        "ResultSet": {"Rows": [{"Data": [{"VarCharValue": cell} for cell in row]} for row in rows]}
    }
    policy = TrialPolicy(minimum_outcomes=1, maximum_seconds=10, margin=0.0)
    settings = TrialSettings(artifact_bucket="b", component_arn="arn", policy=policy, **GROUPS_AT)
    clients = {"s3": s3(archive), "greengrassv2": greengrass(), "athena": athena, "sagemaker": mock.MagicMock()}
    versions = mock.MagicMock()
    versions.publish.return_value = ("pm.ForecastChallenger", "1.0.1")
    recipe = {"ComponentDescription": "The challenger."}
    return Trial(clients, core_devices, versions, signer(), settings, recipe, {}, lambda: TIME)


def function_answers(
    monkeypatch: pytest.MonkeyPatch, count: int, not_made: Mapping[str, Any]
) -> dict[tuple[str, str], list[Any]]:
    """The answers of each function, by its ARN and the step that it is asked for: examples of all its ways.

    Args:
        monkeypatch: pytest's.
        count: of models.
        not_made: what a branch ends with whose model could not be made.
    """
    made = made_models(monkeypatch)
    good = next(model for model in made if model["on_trial"])
    settings = ReleaseSettings(artifact_bucket="b", component_arn="arn", data_directory="/d", **GROUPS_AT)
    versions = mock.MagicMock()
    versions.publish.return_value = ("pm.ForecastModel", "1.0.1")
    templates = {kind: {"ComponentDescription": f"The {kind} model."} for kind in ("forecast", "fault")}
    clients = {"s3": s3(GOOD), "greengrassv2": greengrass(), "sagemaker": mock.MagicMock()}
    shipping = Release(clients, versions, signer(), settings, templates)
    released = shipping.handle({"models": [good, not_made]})
    watch = Watch(trial(b"")._core_devices, watch_seconds=10)
    trying = trial(GOOD)
    started = trying.start([good, not_made])
    results = [{"decision": decision, "reason": "", "measured": {}} for decision in (CONTINUE, PROMOTE, ROLL_BACK)]
    pairs = ((good, not_made), (good, made[-1]), (not_made, good))
    ends = [
        trying.end(models, result, {"Error": "", "Cause": ""})
        for models in ([one] + [other] * (count - 1) for one, other in pairs)
        for result in (*results, None)
    ]
    return {
        ("gate_arn", ""): [{key: model[key] for key in model if key != "model_package_arn"} for model in made],
        ("register_arn", ""): made,
        ("release_arn", ""): [released],
        ("watch_arn", ""): [watch.handle(released)],
        ("trial_arn", "start"): [started],
        ("trial_arn", "compare"): [trying.compare(started, "id")],
        ("trial_arn", "end"): ends,
    }


def required(service: str, operation: str) -> Any:
    """An example of an answer with no more than the service promises."""

    def example(shape: Any) -> Any:
        if shape.type_name == "structure":
            return {name: example(shape.members[name]) for name in shape.required_members}
        return [] if shape.type_name == "list" else ""

    model = boto3.client(service, region_name="eu-central-1").meta.service_model
    return example(model.operation_model(operation).output_shape)


#: Of a query only the id of its execution is read, and no member of the answer is marked as required: a query that
#: Athena took has one (GetQueryExecution, Amazon Athena API reference).
QUERIED = {"QueryExecution": {"QueryExecutionId": ""}}


def answer(answers: Mapping[tuple[str, str], list[Any]]) -> Answer:
    """The answers of the tasks of the training workflow."""
    trained = required("sagemaker", "DescribeTrainingJob")

    def of(name: str, state: Mapping[str, Any], _given: Shape) -> Shape:
        if state["Resource"] == INVOKE:
            parameters = state["Parameters"]
            step = parameters["Payload"]["step"] if "Payload" in parameters else ""
            examples = [{"Payload": found, "StatusCode": 200} for found in answers[parameters["FunctionName"], step]]
        else:
            examples = [QUERIED if state["Resource"] == QUERY else trained]
        return functools.reduce(Shape.meet, (Shape.of(example, name) for example in examples))

    return of


def found_in(made: training_workflow.Workflow, monkeypatch: pytest.MonkeyPatch, without: str = "") -> list[Read]:
    """The paths of a definition; `without` is left out of what gate and registration answer."""
    definition = training_workflow.definition(made)
    (first, *_) = definition["States"]["Make models"]["Branches"]
    (failed,) = (state for state in first["States"].values() if state["Type"] == "Pass" and "End" in state)
    not_made = {key.removesuffix(".$"): value for key, value in failed["Parameters"].items()}
    answers = function_answers(monkeypatch, len(made.models), {**not_made, "reasons": ["broken"]})
    for function in ("gate_arn", "register_arn"):
        for verdict in answers[function, ""]:
            verdict.pop(without, None)
    return reads(definition, {}, answer(answers))


def kinds(count: int) -> tuple[ModelKind, ...]:
    """Kinds of models, as many."""
    made = tuple(MODEL_KINDS.values())
    return tuple(made[number % len(made)]._replace(name=f"kind{number}") for number in range(count))


@pytest.mark.parametrize("tried", [None, TRIAL], ids=["without trial", "with trial"])
@pytest.mark.parametrize("sites", [["a"], ["a", "b", "c"]], ids=["one site", "three sites"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_path_is_written_on_every_way(
    monkeypatch: pytest.MonkeyPatch, tried: Any, sites: list[str], count: int
) -> None:
    models = tuple(MODEL_KINDS.values()) if count == len(MODEL_KINDS) else kinds(count)
    found = found_in(workflow(trial=tried, sites=sites, models=models), monkeypatch)
    assert missing(found) == [], table(found)
    read = {(one.state, one.path) for one in found}
    assert {("All made?", f"$.models[{index}].failed") for index in range(count)} <= read


def test_who_writes_what_the_last_choice_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    found = found_in(workflow(trial=TRIAL), monkeypatch)
    (writers,) = (one.writers for one in found if (one.state, one.path) == ("All made?", "$.models[0].failed"))
    assert writers == {"Register forecast", "No forecast model", "End the trial", "End the broken trial"}


@pytest.mark.parametrize("field", ["failed", "passed", "on_trial"])
def test_a_flag_that_one_branch_leaves_out_is_found(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    found = found_in(workflow(trial=TRIAL), monkeypatch, without=field)
    state = {"failed": "All made?", "passed": "Any good?", "on_trial": "Any on trial?"}[field]
    assert f"{state}: Variable $.models[0].{field}" in missing(found)


def plain(states: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": next(iter(states)), "States": states}


LEFT = {"Type": "Choice", "Choices": [{"Variable": "$.left", "IsPresent": True, "Next": "Left"}], "Default": "Right"}
WAYS = {
    "Left?": LEFT,
    "Left": {"Type": "Pass", "Parameters": {"both": 1, "one": 1}, "Next": "End"},
    "Right": {"Type": "Pass", "Parameters": {"both": 2}, "Next": "End"},
}
TASK = {"Type": "Task", "Resource": INVOKE, "Parameters": {}, "Next": "End"}
CATCH = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "End"}]


def ending(**fields: Any) -> dict[str, Any]:
    return {"End": {"Type": "Pass", "End": True, **fields}}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({**WAYS, **ending(Parameters={"a.$": "$.one"})}, ["End: Parameters.a.$ $.one"]),
        ({**WAYS, **ending(Parameters={"a.$": "States.Format('$.one {}', $.both)"})}, []),
        ({**WAYS, **ending(Parameters={"a": [{"b.$": "States.Array($.both, $.one)"}]})},
         ["End: Parameters.a.b.$ $.one"]),
        ({"Task": {**TASK, "Catch": CATCH}, **ending(OutputPath="$.Payload")}, ["End: OutputPath $.Payload"]),
        ({"Task": {**TASK, "Catch": CATCH}, **ending(OutputPath="$.error")}, ["End: OutputPath $.error"]),
        ({"Task": {**TASK, "ResultSelector": {"a.$": "$.Nothing"}}, **ending()},
         ["Task: ResultSelector.a.$ $.Nothing"]),
        ({"Task": {**TASK, "ResultPath": "$.kept.here"}, **ending(OutputPath="$.kept.here.Payload")}, []),
        (ending(Parameters={"a.$": "$$.Execution.Nothing"}), ["End: Parameters.a.$ $$.Execution.Nothing"]),
        ({"Fail": {"Type": "Fail", "CausePath": "States.JsonToString($.a)"}}, ["Fail: CausePath $.a"]),
        ({"Left": {**LEFT, "Choices": [{"And": [{"Variable": "$.a", "IsPresent": True},
          {"Variable": "$.a", "BooleanEquals": True}], "Next": "End"}], "Default": "End"}, **ending()}, []),
        ({"Left": {**LEFT, "Choices": [{"Or": [{"Variable": "$.a", "IsPresent": True},
          {"Variable": "$.a", "NumericEqualsPath": "$.b"}], "Next": "End"}], "Default": "End"}, **ending()},
         ["Left: NumericEqualsPath $.b", "Left: Variable $.a"]),
    ],
)  # fmt: skip
def test_a_planted_path_is_found(states: dict[str, Any], expected: list[str]) -> None:
    found = reads(plain(states), {}, lambda name, _state, _given: Shape.of({"Payload": 1}, name))
    assert missing(found) == expected


def test_what_cannot_be_followed_is_no_empty_result() -> None:
    for states in (
        ending(Parameters={"a.$": "$.b[*].c"}),
        ending(InputPath="$.a"),
        {"Map": {"Type": "Map", "End": True}},
        {**ending(), "Nobody": {"Type": "Succeed"}},
    ):
        with pytest.raises((AssertionError, KeyError)):
            reads(plain(states), {}, lambda name, _state, _given: Shape.of({}, name))
