"""`ForecastPipeline`: trains models on the lake, judges them, registers them and ships those that passed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws

from pm_components.aws import archives, naming, packaging
from pm_components.aws.alarms import Metric, alarm
from pm_components.aws.buckets import Expiry, PrivateBucket, private_bucket
from pm_components.aws.checking import checked
from pm_components.aws.dashboard import START, pipeline_dashboard_body
from pm_components.aws.lambda_function import LambdaFunction
from pm_components.aws.limits import STATE_MACHINE_NAME_LENGTH, TRAINING_JOB_NAME_LENGTH
from pm_components.aws.permissions import service_role
from pm_components.aws.plain import plain_texts
from pm_components.aws.tagging import OwnershipArgs, tagged_options
from pm_components.forecast_pipeline import model_kinds
from pm_components.forecast_pipeline import pipeline_permissions as permit
from pm_components.forecast_pipeline import training_workflow as workflow
from pm_components.forecast_pipeline.pipeline_functions import PipelineFunctions, gate_policy, trial_policy
from pm_components.forecast_pipeline.training_start import Causes, training_start
from pm_components.forecast_pipeline.workbench import WorkbenchArgs, workbench
from pm_components.functions.trial.core import Policy as TrialPolicy
from pm_contracts.messages import Outcome, TrialOutcome

#: AWS's PyTorch container, for its Python 3.11 and its script mode; what we train with is in the code's requirements.
#: It is the last one with Python 3.11, and AWS has ended its patches: pm_policies/rules/ends_of_support.py tells.
DEFAULT_IMAGE = "763104351884.dkr.ecr.{0}.amazonaws.com/pytorch-training:2.5.1-cpu-py311-ubuntu22.04-sagemaker"
DEFAULT_INSTANCE_TYPE = "ml.m5.xlarge"
DEFAULT_MAXIMUM_SECONDS = 3600
DEFAULT_SCHEDULE = "rate(7 days)"
DEFAULT_RETENTION_DAYS = 365
DEFAULT_WATCH_INTERVAL_SECONDS = 30
DEFAULT_WATCH_SECONDS = 1800
DEFAULT_DRIFT_COOLDOWN_SECONDS = 24 * 3600
DEFAULT_CHAMPION_MARGIN = 0.01
DEFAULT_CANARY = {"minimum_outcomes": 48, "maximum_seconds": 7 * 24 * 3600, "margin": 0.0, "interval_seconds": 900}

_UUID_CHARACTERS = 37
_LOG_RETENTION_DAYS = 30


class CanaryArgs(TypedDict):
    """The rule by which a challenger that passed the gate replaces the champion.

    Faults have no outcome that comes by itself: a fault model is judged by the gate alone.
    """

    minimum_outcomes: NotRequired[pulumi.Input[int]]
    """Forecasts of both models that have come true, before which nothing is decided; default 48, two days of hours."""
    maximum_seconds: NotRequired[pulumi.Input[int]]
    """Seconds after which a trial with fewer outcomes is lost; default 604800, a week."""
    margin: NotRequired[pulumi.Input[float]]
    """Share by which the error on trial may exceed the champion's; below 0 it must be smaller. Default 0."""
    interval_seconds: NotRequired[pulumi.Input[int]]
    """Seconds between two looks; default 900."""


class ForecastPipelineArgs(TypedDict):
    """Arguments of `ForecastPipeline`."""

    sites: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Names of the sites whose readings are trained on and that models are shipped to; known while the program runs."""
    lake_bucket: pulumi.Input[str]
    """Name of the lake's bucket."""
    database: pulumi.Input[str]
    """Glue database of the lake."""
    workgroup: pulumi.Input[str]
    """Athena workgroup to export in; it keeps its results in the lake's bucket below `athena-results/`."""
    image_uri: NotRequired[pulumi.Input[str]]
    """Container image with Python 3.11 and SageMaker's script mode; default AWS's PyTorch container of the region."""
    instance_type: NotRequired[pulumi.Input[str]]
    """Instance type of the training jobs; default `ml.m5.xlarge`."""
    maximum_seconds: NotRequired[pulumi.Input[int]]
    """Seconds after which a training job is stopped; default 3600."""
    spot: NotRequired[pulumi.Input[bool]]
    """Run training jobs on spot capacity, which is cheaper, may have to be waited for and needs a quota of its own; an
    interrupted job goes on from its checkpoints. Default false."""
    hyperparameters: NotRequired[pulumi.Input[Mapping[str, pulumi.Input[str]]]]
    """Arguments of the training scripts by name, as `seed` or `train_end`; default none."""
    minimum_skill: NotRequired[pulumi.Input[float]]
    """The skill over persistence that a forecast model must exceed, a share; default 0."""
    champion_margin: NotRequired[pulumi.Input[float]]
    """Share by which a model may save less of persistence's error, or of the cost of alarming never or always, than the
    model approved last; default 0.01."""
    canary: NotRequired[CanaryArgs]
    """The trial of a forecast model on the core devices of the sites' canary groups before it is approved; by default
    it is not tried. Known while the program runs, its values need not be."""
    drift_enabled: NotRequired[pulumi.Input[bool]]
    """Retrain on the alert that forecasts have left the acceptable range; default true."""
    drift_cooldown_seconds: NotRequired[pulumi.Input[int]]
    """Seconds in which a start, whatever caused it, is not followed by one for drift; default 86400, a day."""
    workbench: NotRequired[WorkbenchArgs]
    """A notebook instance that opens on `pm_ml/notebooks`; by default there is none. Known while the program runs, its
    values need not be."""
    schedule: NotRequired[pulumi.Input[str]]
    """The schedule of retraining, as EventBridge Scheduler writes it; skipped while a training runs. Default
    `rate(7 days)`."""
    schedule_enabled: NotRequired[pulumi.Input[bool]]
    """Run the schedule; default true."""
    watch_interval_seconds: NotRequired[pulumi.Input[int]]
    """Seconds between two looks at a rollout; default 30."""
    watch_seconds: NotRequired[pulumi.Input[int]]
    """Seconds that core devices are waited for; who is offline then takes the models later; default 1800."""
    data_directory: NotRequired[pulumi.Input[str]]
    """Directory on the core devices that keeps models; default `/var/lib/pm`."""
    retention_days: NotRequired[pulumi.Input[int]]
    """Days that exports and training output are kept; default 365. Component artifacts and models stay."""
    alarm_topic_arns: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """SNS topics that hear when the pipeline fails; default none."""
    disposable: NotRequired[pulumi.Input[bool]]
    """Delete the artifact bucket's objects with the stack; default false."""
    ownership: NotRequired[OwnershipArgs]
    """The owner of its resources: their tags Tier, Owner and CostCentre. By default they have none of these. Known
    while the program runs, its values need not be."""


class ForecastPipeline(pulumi.ComponentResource):
    """The way from readings in the lake to models on the core devices, as a state machine that a schedule starts."""

    artifact_bucket: pulumi.Output[str]
    """Bucket for component artifacts, models, training code and training output."""
    state_machine_arn: pulumi.Output[str]
    """The state machine; an execution with the input `{}` makes, judges and ships both models. Schedule and drift start
    none while one runs; who starts one by hand looks first."""
    dead_letter_queue_urls: pulumi.Output[list[str]]
    """The queue of failed starts, by schedule or for drift."""

    def __init__(self, name: str, args: ForecastPipelineArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(
            "pm:index:ForecastPipeline", name, None, tagged_options(opts, "ForecastPipeline", args.get("ownership"))
        )
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._sites = plain_texts(args["sites"], "ForecastPipeline.sites")
        self._image = args.get("image_uri") or pulumi.Output.format(DEFAULT_IMAGE, naming.region(self))

        self._canary: dict[str, Any] = {**DEFAULT_CANARY, **args.get("canary", {})}

        bucket = self._artifacts = self._artifact_bucket()
        self._bucket = bucket.bucket
        self._objects = permit.Bucket(bucket.arn)
        code = self._training_code()
        functions = self._functions("canary" in args)
        state_machine = self._state_machine(code, functions)
        starts = training_start(
            name,
            Causes(
                sites=self._sites,
                schedule=args.get("schedule", DEFAULT_SCHEDULE),
                schedule_enabled=args.get("schedule_enabled", True),
                drift_enabled=args.get("drift_enabled", True),
                drift_cooldown_seconds=args.get("drift_cooldown_seconds", DEFAULT_DRIFT_COOLDOWN_SECONDS),
            ),
            state_machine.arn,
            self._layer.arn,
            parent=self,
            alarm_topic_arns=args.get("alarm_topic_arns"),
        )
        self._alarms(state_machine)
        self._dashboard(state_machine, {**functions, START: starts.function})
        if "workbench" in args:
            self._workbench(args["workbench"])

        self.artifact_bucket = bucket.bucket
        self.state_machine_arn = state_machine.arn
        self.dead_letter_queue_urls = pulumi.Output.all(starts.queue.dead_letters.url)
        self.register_outputs({output: getattr(self, output) for output in ForecastPipeline.__annotations__})

    def _artifact_bucket(self) -> PrivateBucket:
        days = self._args.get("retention_days", DEFAULT_RETENTION_DAYS)
        return private_bucket(
            f"{self._name}-artifact",
            self._name,
            "artifacts",
            parent=self,
            expiries=[Expiry("exports", "exports/", days), Expiry("training", "training/", days)],
            disposable=self._args.get("disposable", False),
        )

    def _training_code(self) -> aws.s3.BucketObjectv2:
        """The archive of a training container: `pm_ml`, the contracts, and the list of packages to install."""
        contents = archives.read_files(packaging.training_files())
        file = archives.stored("training-code.tar.gz", archives.tar_gz_bytes(contents))
        return aws.s3.BucketObjectv2(
            f"{self._name}-training-code",
            bucket=self._bucket,
            key=packaging.training_code_key(contents),
            source=pulumi.FileAsset(str(file)),
            content_type="application/gzip",
            opts=self._child,
        )

    def _functions(self, on_trial: bool) -> dict[str, LambdaFunction]:
        """The functions that the state machine calls, by what they do."""
        args = self._args
        make = PipelineFunctions(self._name, self, self._artifacts, self._sites, self._image)
        gate = {
            "minimum_skill": args.get("minimum_skill", 0.0),
            "champion_margin": args.get("champion_margin", DEFAULT_CHAMPION_MARGIN),
            "on_trial": [model_kinds.FORECAST] if on_trial else [],
        }
        self._layer = make.layer
        made = {
            "gate": make.gate(checked(gate, gate_policy)),
            "register": make.register(),
            "release": make.release(args.get("data_directory", "/var/lib/pm")),
            "watch": make.watch(args.get("watch_seconds", DEFAULT_WATCH_SECONDS)),
        }
        if on_trial:
            policy = {name: self._canary[name] for name in TrialPolicy.__struct_fields__}
            made["trial"] = make.trial(checked(policy, trial_policy), args["workgroup"], args["lake_bucket"])
        return made

    def _state_machine(
        self, code: aws.s3.BucketObjectv2, functions: Mapping[str, LambdaFunction]
    ) -> aws.sfn.StateMachine:
        training_role = service_role(
            f"{self._name}-training",
            "sagemaker.amazonaws.com",
            permit.training_statements(self, self._objects, pulumi.Output.from_input(self._image)),
            parent=self,
        )
        prefix = naming.physical_name(
            self._name,
            maximum=TRAINING_JOB_NAME_LENGTH - _UUID_CHARACTERS - max(len(m.kind) for m in model_kinds.MODELS) - 1,
        )
        arns = {purpose: function.function.arn for purpose, function in functions.items()}
        looks: dict[str, pulumi.Input[int]] = {
            "watch_interval_seconds": self._args.get("watch_interval_seconds", DEFAULT_WATCH_INTERVAL_SECONDS),
            "watch_seconds": self._args.get("watch_seconds", DEFAULT_WATCH_SECONDS),
        }
        if "trial" in arns:
            looks["trial_interval_seconds"] = self._canary["interval_seconds"]
            looks["trial_maximum_seconds"] = self._canary["maximum_seconds"]
        known = pulumi.Output.all(
            database=self._args["database"],
            workgroup=self._args["workgroup"],
            bucket=self._bucket,
            image=self._image,
            instance_type=self._args.get("instance_type", DEFAULT_INSTANCE_TYPE),
            maximum_seconds=self._args.get("maximum_seconds", DEFAULT_MAXIMUM_SECONDS),
            training_role=training_role.arn,
            code_key=code.key,
            hyperparameters=self._args.get("hyperparameters", {}),
            spot=self._args.get("spot", False),
            looks=checked(looks, workflow.checked_looks),
            **arns,
        )
        definition = known.apply(
            lambda value: json.dumps(
                workflow.definition(
                    workflow.Workflow(
                        sites=self._sites,
                        database=value["database"],
                        workgroup=value["workgroup"],
                        artifact_bucket=value["bucket"],
                        training=workflow.Training(
                            image_uri=value["image"],
                            instance_type=value["instance_type"],
                            maximum_seconds=int(value["maximum_seconds"]),
                            role_arn=value["training_role"],
                            code_uri=f"s3://{value['bucket']}/{value['code_key']}",
                            job_prefix=prefix,
                            hyperparameters=dict(sorted(value["hyperparameters"].items())),
                            spot=bool(value["spot"]),
                        ),
                        gate_arn=value["gate"],
                        register_arn=value["register"],
                        release_arn=value["release"],
                        watch_arn=value["watch"],
                        watch_interval_seconds=value["looks"]["watch_interval_seconds"],
                        watch_seconds=value["looks"]["watch_seconds"],
                        trial=workflow.Trial(
                            function_arn=value["trial"],
                            interval_seconds=value["looks"]["trial_interval_seconds"],
                            maximum_seconds=value["looks"]["trial_maximum_seconds"],
                        )
                        if "trial" in value
                        else None,
                    )
                ),
                indent=1,
            )
        )
        logs = aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            name=f"/aws/vendedlogs/states/{naming.physical_name(self._name)}",
            retention_in_days=_LOG_RETENTION_DAYS,
            opts=self._child,
        )
        role = service_role(
            f"{self._name}-workflow",
            "states.amazonaws.com",
            [
                *permit.export_statements(
                    self,
                    self._objects,
                    lake_bucket=self._args["lake_bucket"],
                    database=self._args["database"],
                    workgroup=self._args["workgroup"],
                    trial_tables=(Outcome.kind, TrialOutcome.kind) if "trial" in arns else (),
                ),
                *permit.workflow_statements(self, prefix, training_role.arn, arns),
            ],
            parent=self,
        )
        return aws.sfn.StateMachine(
            f"{self._name}-state-machine",
            name=naming.physical_name(self._name, maximum=STATE_MACHINE_NAME_LENGTH),
            type="STANDARD",
            role_arn=role.arn,
            definition=definition,
            logging_configuration={
                "level": "ERROR",
                # Inputs and outputs may be large and hold nothing that helps to find an error.
                "include_execution_data": False,
                "log_destination": pulumi.Output.concat(logs.arn, ":*"),
            },
            opts=self._child,
        )

    def _alarms(self, state_machine: aws.sfn.StateMachine) -> None:
        for metric, happened in (
            ("ExecutionsFailed", "Models could not be made, tried or shipped"),
            ("ExecutionsTimedOut", "The making of models did not come to an end in time"),
        ):
            word = metric.removeprefix("Executions").lower().replace("timedout", "timed-out")
            alarm(
                f"{self._name}-{word}-alarm",
                naming.physical_name(self._name, word),
                f"{happened}: read the last execution of the state machine.",
                Metric("AWS/States", metric, {"StateMachineArn": state_machine.arn}, "Sum"),
                0,
                self._args.get("alarm_topic_arns"),
                parent=self,
            )

    def _dashboard(self, state_machine: aws.sfn.StateMachine, functions: Mapping[str, LambdaFunction]) -> None:
        names = {word: made.function.name for word, made in functions.items()}
        body = pulumi.Output.all(naming.region(self), state_machine.arn, pulumi.Output.all(**names))
        aws.cloudwatch.Dashboard(
            f"{self._name}-dashboard",
            dashboard_name=naming.physical_name(self._name, "models"),
            dashboard_body=body.apply(lambda known: pipeline_dashboard_body(*known)),
            opts=self._child,
        )

    def _workbench(self, args: WorkbenchArgs) -> None:
        statements = permit.workbench_statements(
            self,
            self._objects,
            lake_bucket=self._args["lake_bucket"],
            database=self._args["database"],
            workgroup=self._args["workgroup"],
        )
        workbench(self._name, args, self._bucket, statements, parent=self)
