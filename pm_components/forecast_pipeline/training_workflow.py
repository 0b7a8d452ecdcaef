"""The state machine that makes models: export from the lake, train, judge, register, try, release, watch.

Pure: it takes names and ARNs and gives Amazon States Language, so that it can be checked and read without an account.

One kind of model that cannot be made does not stop the other: its branch ends with what went wrong, what was made is
shipped, and then the execution fails, so that the alarm on failed executions tells.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pm_components.aws.limits import EXECUTION_HISTORY_EVENTS
from pm_components.forecast_pipeline.model_rollout import Rollout, Trial, any_model, release_states, trial_states
from pm_components.forecast_pipeline.task_states import function_call
from pm_components.forecast_pipeline.training_exports import export_states
from pm_components.forecast_pipeline.training_jobs import CHECKPOINTS, Training, training_state
from pm_contracts.model_kinds import MODEL_KINDS, ModelKind

#: Events in the history of an execution: of a look at a rollout (a wait, a function, a choice), of one at a trial (a
#: query more), and of all the rest, tries included.
_EVENTS_OF_A_WATCH, _EVENTS_OF_A_TRIAL, _OTHER_EVENTS = 9, 15, 500

__all__ = ["CHECKPOINTS", "Training", "Trial", "Workflow", "definition"]


class Workflow(NamedTuple):
    """All that the definition depends on."""

    sites: Sequence[str]
    database: str
    workgroup: str
    artifact_bucket: str
    training: Training
    gate_arn: str
    register_arn: str
    release_arn: str
    watch_arn: str
    watch_interval_seconds: int
    watch_seconds: int
    trial: Trial | None = None
    """None: a model that passed the gate is released at once."""
    models: Sequence[ModelKind] = ()
    """The kinds of models that are made; all where left out."""


def definition(workflow: Workflow) -> dict[str, Any]:
    """The state machine, Amazon States Language.

    Its input is not looked at. Its output has `models` (kind, passed, on_trial, failed and reasons of each, and of one
    that was made version, metrics and model_package_arn) and, where one passed, `release` (versions, deployments) and
    `rollout` (status, devices); after a trial `trial` (decision, reasons, figures) too.
    """
    models = workflow.models or tuple(MODEL_KINDS.values())
    trial, count = workflow.trial, len(models)
    seconds = 2 * workflow.training.longest_seconds + workflow.watch_seconds + 3600
    return {
        "Comment": "Export, train, judge, register, try, release and watch the models of the sites",
        "StartAt": "Make models",
        "TimeoutSeconds": seconds + (trial.maximum_seconds + trial.interval_seconds if trial else 0),
        "States": {
            "Make models": {
                "Type": "Parallel",
                "Branches": [_branch(workflow, model) for model in models],
                "ResultSelector": {"models.$": "$"},
                "Next": "Any on trial?" if trial else "Any good?",
            },
            **(trial_states(trial, count, database=workflow.database, workgroup=workflow.workgroup) if trial else {}),
            **release_states(Rollout(workflow.release_arn, workflow.watch_arn, workflow.watch_interval_seconds), count),
            "All made?": {
                "Type": "Choice",
                "Choices": any_model("failed", count, "Not all made"),
                "Default": "Done",
            },
            "Not all made": {
                "Type": "Fail",
                "Error": "ModelNotMade",
                "CausePath": "States.JsonToString($.models)",
            },
            "Done": {"Type": "Succeed"},
        },
    }


def checked_looks(given: Mapping[str, Any]) -> dict[str, int]:
    """The interval and the length of an execution's watch over a roll-out, and over a trial if any, in seconds.

    Args:
        given: `watch_interval_seconds` and `watch_seconds`; `trial_interval_seconds` and `trial_maximum_seconds`.

    Raises:
        ValueError: if AWS would end an execution for its many events, and leave a challenger on the core devices.
    """
    looks = {name: int(seconds) for name, seconds in given.items()}
    events = _OTHER_EVENTS + _EVENTS_OF_A_WATCH * (looks["watch_seconds"] // looks["watch_interval_seconds"])
    if "trial_maximum_seconds" in looks:
        events += _EVENTS_OF_A_TRIAL * (looks["trial_maximum_seconds"] // looks["trial_interval_seconds"])
    if events > EXECUTION_HISTORY_EVENTS:
        raise ValueError(
            f"an execution may have {events} events, allowed are {EXECUTION_HISTORY_EVENTS}: look less often or not as "
            f"long; found {', '.join(f'{name} {seconds}' for name, seconds in looks.items())}"
        )
    return looks


def _branch(workflow: Workflow, model: ModelKind) -> dict[str, Any]:
    """The states from the lake to a registered model of one kind, or to the error on the way."""
    word = model.name
    failed = f"No {word} model"
    otherwise = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": failed}]
    return {
        "StartAt": f"Export for {word}",
        "States": {
            **export_states(
                model,
                workflow.sites,
                database=workflow.database,
                workgroup=workflow.workgroup,
                artifact_bucket=workflow.artifact_bucket,
                catch=otherwise,
                following=f"Train {word}",
            ),
            f"Train {word}": training_state(
                workflow.training, workflow.artifact_bucket, model, catch=otherwise, following=f"Judge {word}"
            ),
            f"Judge {word}": function_call(
                workflow.gate_arn, OutputPath="$.Payload", Catch=otherwise, Next=f"Register {word}"
            ),
            f"Register {word}": function_call(workflow.register_arn, OutputPath="$.Payload", Catch=otherwise, End=True),
            failed: {
                "Type": "Pass",
                "Parameters": {
                    "kind": word,
                    "passed": False,
                    "on_trial": False,
                    "failed": True,
                    "reasons.$": "States.Array(States.JsonToString($.error))",
                },
                "End": True,
            },
        },
    }
