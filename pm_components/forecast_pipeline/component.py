"""`ForecastPipeline`: trains models on the lake, judges them, registers them and ships those that passed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, Optional

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
from pm_components.aws.settings import with_defaults
from pm_components.aws.tagging import OwnershipArgs, tagged_options
from pm_components.forecast_pipeline import pipeline_permissions as permit
from pm_components.forecast_pipeline import training_workflow as workflow
from pm_components.forecast_pipeline.pipeline_functions import PipelineFunctions, gate_policy, trial_policy
from pm_components.forecast_pipeline.settings import (
    REGION,
    CanaryArgs,
    CanarySettings,
    ForecastPipelineSettings,
    ForecastPipelineSettingsArgs,
    WorkbenchArgs,
)
from pm_components.forecast_pipeline.signing_keys import signing_keys
from pm_components.forecast_pipeline.training_start import Causes, training_start
from pm_components.forecast_pipeline.workbench import workbench
from pm_components.functions.trial.core import Policy as TrialPolicy
from pm_contracts.model_kinds import MODEL_KINDS

_UUID_CHARACTERS = 37
_LOG_RETENTION_DAYS = 30


class ForecastPipelineArgs(ForecastPipelineSettingsArgs):
    """Arguments of `ForecastPipeline`."""

    sites: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Names of the sites whose readings are trained on and that models are shipped to; known while the program runs."""
    lake_bucket: pulumi.Input[str]
    """Name of the lake's bucket."""
    database: pulumi.Input[str]
    """Glue database of the lake."""
    workgroup: pulumi.Input[str]
    """Athena workgroup to export in; it keeps its results in the lake's bucket below `athena-results/`."""
    alarm_topic_arns: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]
    """SNS topics that hear when the pipeline fails; default none."""
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
    model_public_keys: pulumi.Output[list[str]]
    """The public keys of those that sign models, in PEM, for the argument of the same name of the sites."""
    dead_letter_queue_urls: pulumi.Output[list[str]]
    """The queue of failed starts, by schedule or for drift."""

    def __init__(self, name: str, args: ForecastPipelineArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__(
            "pm:index:ForecastPipeline", name, None, tagged_options(opts, "ForecastPipeline", args.get("ownership"))
        )
        self._name = name
        args = self._args = with_defaults(args, ForecastPipelineSettings())
        self._child = pulumi.ResourceOptions(parent=self)
        self._sites = plain_texts(args["sites"], "ForecastPipeline.sites")
        self._image = pulumi.Output.all(args["image_uri"], naming.region(self)).apply(
            lambda known: str(known[0]).replace(REGION, known[1])
        )

        self._canary: Mapping[str, Any] = with_defaults(args.get("canary", CanaryArgs()), CanarySettings())

        bucket = self._artifacts = self._artifact_bucket()
        self._bucket = bucket.bucket
        self._objects = permit.Bucket(bucket.arn)
        signers = [f"{name}-release", *([f"{name}-trial"] if "canary" in args else [])]
        keys = plain_texts(args["signing_keys"], "ForecastPipeline.signing_keys")
        self._keys = signing_keys(name, keys, signers, parent=self)
        code = self._training_code()
        functions = self._functions("canary" in args)
        state_machine = self._state_machine(code, functions)
        starts = training_start(
            name,
            Causes(
                sites=self._sites,
                schedule=args["schedule"],
                schedule_enabled=args["schedule_enabled"],
                drift_enabled=args["drift_enabled"],
                drift_cooldown_seconds=args["drift_cooldown_seconds"],
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
        self.model_public_keys = self._keys.public
        self.dead_letter_queue_urls = pulumi.Output.all(starts.queue.dead_letters.url)
        self.register_outputs({output: getattr(self, output) for output in ForecastPipeline.__annotations__})

    def _artifact_bucket(self) -> PrivateBucket:
        days = self._args["retention_days"]
        return private_bucket(
            f"{self._name}-artifact",
            self._name,
            "artifacts",
            parent=self,
            expiries=[Expiry("exports", "exports/", days), Expiry("training", "training/", days)],
            disposable=self._args["disposable"],
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
        make = PipelineFunctions(self._name, self, self._artifacts, self._sites, self._image, self._keys)
        gate = {
            "minimum_skill": args["minimum_skill"],
            "champion_margin": args["champion_margin"],
            "on_trial": [kind.name for kind in MODEL_KINDS.values() if kind.trial] if on_trial else [],
        }
        self._layer = make.layer
        made = {
            "gate": make.gate(checked(gate, gate_policy)),
            "register": make.register(),
            "release": make.release(args["data_directory"]),
            "watch": make.watch(args["watch_seconds"]),
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
            permit.training_statements(self, self._objects, self._image),
            parent=self,
        )
        prefix = naming.physical_name(
            self._name,
            maximum=TRAINING_JOB_NAME_LENGTH - _UUID_CHARACTERS - max(map(len, MODEL_KINDS)) - 1,
        )
        arns = {purpose: function.function.arn for purpose, function in functions.items()}
        looks: dict[str, pulumi.Input[int]] = {
            "watch_interval_seconds": self._args["watch_interval_seconds"],
            "watch_seconds": self._args["watch_seconds"],
        }
        if "trial" in arns:
            looks["trial_interval_seconds"] = self._canary["interval_seconds"]
            looks["trial_maximum_seconds"] = self._canary["maximum_seconds"]
        known = pulumi.Output.all(
            database=self._args["database"],
            workgroup=self._args["workgroup"],
            bucket=self._bucket,
            image=self._image,
            instance_type=self._args["instance_type"],
            maximum_seconds=self._args["maximum_seconds"],
            training_role=training_role.arn,
            code_key=code.key,
            hyperparameters=self._args["hyperparameters"],
            spot=self._args["spot"],
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
                    with_trials="trial" in arns,
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
