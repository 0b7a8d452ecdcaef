"""The states for trial, release and watch of the new models; pure."""

from typing import Any, NamedTuple

from pm_components.forecast_pipeline.task_states import BUSY, INVOKE, QUERY, TRANSIENT, function_call


class Trial(NamedTuple):
    """The trial of a challenger on a core device beside the champion."""

    function_arn: str
    interval_seconds: int
    """Between two looks at how it does."""
    maximum_seconds: int
    """After which a trial without a decision is lost."""


class Rollout(NamedTuple):
    """The roll-out of models to the core devices."""

    release_arn: str
    """The function that ships them."""
    watch_arn: str
    """The function that looks how they arrive."""
    watch_interval_seconds: int


def any_model(flag: str, count: int, state: str) -> list[dict[str, Any]]:
    """The choices that go to `state` where the flag of any of `count` models is set.

    Every branch that makes a model ends with each of the flags, `passed`, `on_trial` and `failed`, true or false: an
    execution ends at once where a choice asks for a field that is missing.
    """
    return [{"Variable": f"$.models[{index}].{flag}", "BooleanEquals": True, "Next": state} for index in range(count)]


def release_states(rollout: Rollout, count: int) -> dict[str, Any]:
    """Release those of `count` models that passed to every site, and watch them arrive."""
    return {
        "Any good?": {
            "Type": "Choice",
            "Choices": any_model("passed", count, "Release"),
            "Default": "All made?",
        },
        "Release": function_call(
            rollout.release_arn,
            ResultSelector={
                "versions.$": "$.Payload.versions",
                "deployments.$": "$.Payload.deployments",
                "released_at.$": "$.Payload.released_at",
            },
            ResultPath="$.release",
            Next="Watch",
        ),
        "Watch": {
            "Type": "Task",
            "Resource": INVOKE,
            "Parameters": {"FunctionName": rollout.watch_arn, "Payload.$": "$.release"},
            "ResultSelector": {"status.$": "$.Payload.status", "devices.$": "$.Payload.devices"},
            "ResultPath": "$.rollout",
            "Retry": [TRANSIENT],
            "Next": "Arrived?",
        },
        "Arrived?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.rollout.status", "StringEquals": "SUCCEEDED", "Next": "All made?"},
                {"Variable": "$.rollout.status", "StringEquals": "PENDING", "Next": "All made?"},
                {"Variable": "$.rollout.status", "StringEquals": "IN_PROGRESS", "Next": "Wait for the devices"},
            ],
            "Default": "Rolled back",
        },
        "Wait for the devices": {
            "Type": "Wait",
            "Seconds": rollout.watch_interval_seconds,
            "Next": "Watch",
        },
        "Rolled back": {
            "Type": "Fail",
            "Error": "RolloutFailed",
            "CausePath": "States.JsonToString($.rollout)",
        },
    }


def trial_states(trial: Trial, count: int, *, database: str, workgroup: str) -> dict[str, Any]:
    """The challenger runs beside the champion until their errors decide; whatever happens, it is withdrawn.

    Args:
        trial: how it is tried.
        count: of the models, of which at most one is tried.
        database: the Glue database of what is measured.
        workgroup: the Athena workgroup.
    """
    broke = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "End the broken trial"}]
    return {
        "Any on trial?": {
            "Type": "Choice",
            "Choices": any_model("on_trial", count, "Start the trial"),
            "Default": "Any good?",
        },
        "Start the trial": function_call(
            trial.function_arn,
            {"step": "start", "models.$": "$.models"},
            ResultSelector={"trial.$": "$.Payload"},
            ResultPath="$.started",
            Catch=broke,
            Next="Wait for outcomes",
        ),
        "Wait for outcomes": {
            "Type": "Wait",
            "Seconds": trial.interval_seconds,
            "Next": "Measure the trial",
        },
        "Measure the trial": {
            "Type": "Task",
            "Resource": QUERY,
            "Parameters": {
                "QueryString.$": "$.started.trial.query",
                "WorkGroup": workgroup,
                "QueryExecutionContext": {"Database": database},
            },
            "ResultSelector": {"id.$": "$.QueryExecution.QueryExecutionId"},
            "ResultPath": "$.measured",
            "Retry": [BUSY],
            "Catch": broke,
            "Next": "Compare",
        },
        "Compare": function_call(
            trial.function_arn,
            {"step": "compare", "trial.$": "$.started.trial", "query_execution_id.$": "$.measured.id"},
            ResultSelector={"result.$": "$.Payload"},
            ResultPath="$.compared",
            Catch=broke,
            Next="Decided?",
        ),
        "Decided?": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.compared.result.decision", "StringEquals": "CONTINUE", "Next": "Wait for outcomes"}
            ],
            "Default": "End the trial",
        },
        "End the trial": function_call(
            trial.function_arn,
            {"step": "end", "models.$": "$.models", "result.$": "$.compared.result"},
            OutputPath="$.Payload",
            Next="Any good?",
        ),
        "End the broken trial": function_call(
            trial.function_arn,
            {"step": "end", "models.$": "$.models", "error.$": "$.error"},
            OutputPath="$.Payload",
            Next="Any good?",
        ),
    }
