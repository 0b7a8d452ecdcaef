"""The exact registrations of `ForecastPipeline`, and the state machine that it describes.

Not proved here: that the state machine does what it says and that the permissions suffice (test_pipeline_execution.py
runs it in the emulated AWS), that AWS accepts it, and that a release upgrades without replacing a resource.
"""

import base64
import fnmatch
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from statelint.config import Config
from statelint.linter import Linter

from pm_components.forecast_pipeline import training_exports
from pm_components.forecast_pipeline.component import ForecastPipeline, ForecastPipelineArgs
from pm_components.forecast_pipeline.pipeline_permissions import repository_arn
from pm_contracts.model_kinds import FAULT, FORECAST, MODEL_KINDS
from pm_sandbox.recorder.monitor import PUBLIC_KEY

CANARY = {"minimum_outcomes": 24, "interval_seconds": 600}
Record = Callable[[Callable[[], dict[str, Any]]], Any]


def _pipeline(record: Record, **args: Any) -> Any:
    def program() -> dict[str, Any]:
        given = ForecastPipelineArgs(sites=["lindau", "bremen"], lake_bucket="lake", database="db", workgroup="wg")
        pipeline = ForecastPipeline("pipeline", {**given, **args})  # type: ignore[typeddict-item]
        return {output: getattr(pipeline, output) for output in ForecastPipeline.__annotations__}

    return record(program)


def _definition(recording: Any) -> dict[str, Any]:
    (machine,) = recording.of_type("aws:sfn/stateMachine:StateMachine").values()
    definition: dict[str, Any] = json.loads(machine["definition"])
    return definition


def _states(definition: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in definition["States"].items():
        yield name, state
        for branch in state.get("Branches", []):
            yield from _states(branch)


def test_registers_exactly_these_resources(record: Record) -> None:
    assert _pipeline(record).counts() == {
        "pm:index:ForecastPipeline": 1,
        "aws:s3/bucket:Bucket": 1,
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 1,
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": 1,
        "aws:s3/bucketVersioning:BucketVersioning": 1,
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": 1,
        "aws:s3/bucketPolicy:BucketPolicy": 1,
        "aws:s3/bucketObjectv2:BucketObjectv2": 2,
        "aws:lambda/layerVersion:LayerVersion": 1,
        "aws:lambda/function:Function": 5,
        "aws:cloudwatch/logGroup:LogGroup": 6,
        "aws:iam/role:Role": 9,
        "aws:iam/rolePolicy:RolePolicy": 9,
        "aws:sagemaker/modelPackageGroup:ModelPackageGroup": 2,
        "aws:sfn/stateMachine:StateMachine": 1,
        "aws:scheduler/schedule:Schedule": 1,
        "aws:sqs/queue:Queue": 2,
        "aws:iot/topicRule:TopicRule": 1,
        "aws:kms/key:Key": 1,
        "aws:lambda/eventSourceMapping:EventSourceMapping": 1,
        "aws:cloudwatch/dashboard:Dashboard": 1,
        "aws:cloudwatch/metricAlarm:MetricAlarm": 3,
    }


def test_outputs_are_those_that_it_promises(record: Record) -> None:
    pipeline = _pipeline(record)
    assert pipeline.outputs == {
        "artifact_bucket": "pm-test-pipeline-artifacts-123456789012",
        "state_machine_arn": "arn:of:pipeline-state-machine",
        "model_public_keys": [PUBLIC_KEY],
        "dead_letter_queue_urls": [
            "https://queue/pipeline-start-dead-letters",
        ],
    }
    assert pipeline.registered_outputs["pipeline"] == set(ForecastPipeline.__annotations__)


def test_the_state_machine_passes_the_linter(record: Record) -> None:
    (machine,) = _pipeline(record).of_type("aws:sfn/stateMachine:StateMachine").values()
    assert Linter.validate(machine["definition"], Config(None, False, False)) == []


def test_the_linter_would_have_found_something(record: Record) -> None:
    definition = _definition(_pipeline(record))
    definition["States"]["Release"]["Next"] = "Nowhere"
    assert Linter.validate(json.dumps(definition), Config(None, False, False))


def test_every_task_may_be_tried_again_and_every_wait_has_an_end(record: Record) -> None:
    definition = _definition(_pipeline(record))
    tasks = {name: state for name, state in _states(definition) if state["Type"] == "Task"}
    assert len(tasks) == 10
    assert all(state["Retry"] for state in tasks.values())
    assert definition["TimeoutSeconds"] > 0


def test_what_is_tried_again_is_an_error_by_the_name_that_step_functions_gives_it(record: Record) -> None:
    # What a service's API models keeps its name; all else, throttling of SageMaker too, has the name of the base class.
    base = {"athena": "Athena.AmazonAthenaException", "sagemaker": "SageMaker.AmazonSageMakerException"}
    states = dict(_states(_definition(_pipeline(record, canary=CANARY))))
    seen = set()
    for state in states.values():
        service = state.get("Resource", "").removeprefix("arn:aws:states:::").split(":")[0]
        if service not in base:
            continue
        model = boto3.client(service, region_name="eu-central-1").meta.service_model
        prefix = base[service].split(".")[0]
        named = {f"{prefix}.{shape.name.removesuffix('Exception')}Exception" for shape in model.error_shapes}
        tried = {name for retrier in state["Retry"] for name in retrier["ErrorEquals"]}
        assert tried <= named | {base[service]}
        assert base[service] in tried
        seen.add(service)
    assert seen == set(base)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"watch_interval_seconds": 1, "watch_seconds": 3600}, "an execution may have 32900 events.*found watch_int"),
        ({"canary": {"interval_seconds": 60}}, "may have 152240 events, allowed are 25000: look less"),
    ],
)
def test_an_execution_that_aws_would_end_on_the_way_is_refused(record: Record, args: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        _pipeline(record, **args)


def test_both_kinds_of_model_are_trained_on_exports_of_their_own(record: Record) -> None:
    states = dict(_states(_definition(_pipeline(record, hyperparameters={"seed": "7"}))))
    for kind, table in (("forecast", "air_quality_reading"), ("fault", "machine_reading")):
        job = states[f"Train {kind}"]["Parameters"]
        assert json.loads(job["HyperParameters"]["sagemaker_program"]) == MODEL_KINDS[kind].script
        assert json.loads(job["HyperParameters"]["seed"]) == "7"
        assert json.loads(job["HyperParameters"]["sagemaker_submit_directory"]).endswith("/sourcedir.tar.gz")
        assert f"/{table}/" in states[f"Export for {kind}"]["Parameters"]["destination.$"]
        assert f'"db"."{table}"' in states[f"Unload for {kind}"]["Parameters"]["QueryString.$"]
        assert job["TrainingJobName.$"] == f"States.Format('pm-test-pipeline-{kind}-{{}}', States.UUID())"


def test_jobs_keep_checkpoints_and_run_on_spot_capacity_where_told(record: Record) -> None:
    pipeline = _pipeline(record, maximum_seconds=1000, spot=True)
    job = dict(_states(_definition(pipeline)))["Train fault"]["Parameters"]
    kept = job["CheckpointConfig"]["S3Uri.$"]
    assert kept.startswith("States.Format('s3://")
    assert kept.endswith("/training/checkpoints/{}/fault', $$.Execution.Name)")
    assert job["EnableManagedSpotTraining"] is True
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 1000, "MaxWaitTimeInSeconds": 3000}
    [read] = [
        each["Resource"]
        for each in pipeline.statements("pipeline-training-permissions")
        if each["Action"] == ["s3:GetObject"]
    ]
    assert any(resource.endswith("/training/checkpoints/*") for resource in read)


def test_an_export_has_each_reading_once_and_of_the_sites_alone() -> None:
    statement = training_exports.export_statement(FAULT, "db", ["lindau", "bremen"], "s3://b/p/")
    assert "PARTITION BY message_id" in statement
    assert "WHERE copy = 1" in statement
    assert "site IN ('bremen', 'lindau')" in statement
    assert "faulty" in statement
    assert "faulty" not in training_exports.export_statement(FORECAST, "db", ["lindau"], "s3://b/p/")


def test_permissions_name_actions_and_resources(record: Record) -> None:
    pipeline = _pipeline(record)
    roles = pipeline.of_type("aws:iam/rolePolicy:RolePolicy")
    everything: dict[str, set[str]] = {}
    for name in roles:
        for statement in pipeline.statements(name):
            assert all("*" not in action for action in statement["Action"]), name
            if statement["Resource"] == ["*"]:
                everything.setdefault(name, set()).update(statement["Action"])
    # AWS can hold none of these to a resource.
    assert everything.pop("pipeline-release-permissions") == {
        "greengrass:CreateDeployment",
        "greengrass:ListDeployments",
    }
    assert everything.pop("pipeline-gate-permissions") == {"sagemaker:ListModelPackages"}
    assert everything.pop("pipeline-training-permissions") == {"cloudwatch:PutMetricData", "ecr:GetAuthorizationToken"}
    assert {action.split(":")[0] for action in everything.pop("pipeline-workflow-permissions")} == {"logs"}
    assert everything == {}


def test_the_release_may_deploy_to_the_model_groups_alone(record: Record) -> None:
    statements = _pipeline(record).statements("pipeline-release-permissions")
    (create,) = [one for one in statements if "iot:CreateJob" in one["Action"]]
    head = "arn:aws:iot:eu-central-1:123456789012:"
    assert create["Resource"] == [
        f"{head}job/*",
        f"{head}thinggroup/pm-test-lindau-model",
        f"{head}thinggroup/pm-test-bremen-model",
    ]


def test_no_permission_reaches_into_another_pipeline_or_a_stack_whose_name_begins_with_this_ones(
    record: Record,
) -> None:
    pipeline = _pipeline(record, canary=CANARY)
    roles = pipeline.of_type("aws:iam/rolePolicy:RolePolicy")
    resources = {text for name in roles for one in pipeline.statements(name) for text in one["Resource"]}
    account = "eu-central-1:123456789012"
    for foreign in (
        f"arn:aws:iot:{account}:thinggroup/pm-test-two-lindau-model",
        f"arn:aws:iot:{account}:thinggroup/pm-test-two-lindau-canary",
        f"arn:aws:sagemaker:{account}:training-job/pm-test-two-pipeline-forecast-1",
        f"arn:aws:sagemaker:{account}:model-package/pm-test-two-pipeline-forecast/1",
        f"arn:aws:sagemaker:{account}:training-job/pm-test-other-pipeline-forecast-1",
    ):
        assert not [text for text in resources - {"*"} if fnmatch.fnmatchcase(foreign, text)], foreign


@pytest.mark.parametrize("count", [10, 100])
def test_what_a_hundred_sites_need_has_room_in_a_policy_and_an_environment(record: Record, count: int) -> None:
    sites = [f"plant-with-a-name-that-is-long-{number:02}" for number in range(count)]
    pipeline = _pipeline(record, sites=sites, canary=CANARY)
    for policy in pipeline.of_type("aws:iam/rolePolicy:RolePolicy").values():
        assert len(policy["policy"]) <= 10_240  # "Inline policies", IAM and AWS STS quotas
    functions = pipeline.of_type("aws:lambda/function:Function")
    for function in functions.values():
        assert len(json.dumps(function["environment"])) <= 4096  # "Environment variables", AWS Lambda quotas
    assert set(_site_groups(pipeline)) == set(sites)


def test_only_sagemaker_may_be_given_the_training_role(record: Record) -> None:
    statements = _pipeline(record).statements("pipeline-workflow-permissions")
    (passed,) = [one for one in statements if one["Action"] == ["iam:PassRole"]]
    assert passed["Resource"] == ["arn:of:pipeline-training-role"]
    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def _site_groups(pipeline: Any) -> dict[str, Any]:
    """The thing groups that release and trial read, by site."""
    written = pipeline.of_type("aws:s3/bucketObjectv2:BucketObjectv2")["pipeline-thing-groups"]
    for name in ("release", "trial"):
        functions = pipeline.of_type("aws:lambda/function:Function")
        if function := functions.get(f"pipeline-{name}-function"):
            settings = json.loads(function["environment"]["variables"][name.upper()])
            assert settings["thing_groups_key"] == written["key"]
    return json.loads(Path(written["source"].path).read_text())


def test_functions_get_what_they_are_set_up_with(record: Record) -> None:
    pipeline = _pipeline(record, minimum_skill=0.02, watch_seconds=60, data_directory="/data")
    functions = pipeline.of_type("aws:lambda/function:Function")
    environment = {name: inputs["environment"]["variables"] for name, inputs in functions.items()}
    gate = environment["pipeline-gate-function"]
    assert json.loads(gate["GATE"]) == {"minimum_skill": 0.02, "champion_margin": 0.01, "on_trial": []}
    assert set(json.loads(gate["MODEL_PACKAGE_GROUPS"])) == {"forecast", "fault"}
    assert environment["pipeline-watch-function"] == {"WATCH_SECONDS": "60"}
    release = json.loads(environment["pipeline-release-function"]["RELEASE"])
    assert release["data_directory"] == "/data"
    assert release["thing_group_arn"] == "arn:aws:iot:eu-central-1:123456789012:thinggroup/"
    assert _site_groups(pipeline) == {
        site: {"code": f"pm-test-{site}", "model": f"pm-test-{site}-model", "canary": f"pm-test-{site}-canary"}
        for site in ("lindau", "bremen")
    }
    recipes = [path for path in functions["pipeline-release-function"]["code"].assets if "/recipes/" in path]
    assert sorted(path.rsplit("/", 1)[-1] for path in recipes) == ["fault.json", "forecast.json"]


def test_a_trial_is_in_the_state_machine_where_it_is_asked_for(record: Record) -> None:
    plain, tried = _pipeline(record), _pipeline(record, canary=CANARY)
    assert "Start the trial" not in _definition(plain)["States"]
    definition = _definition(tried)
    assert definition["States"]["Make models"]["Next"] == "Any on trial?"
    assert Linter.validate(json.dumps(definition), Config(None, False, False)) == []
    assert definition["States"]["Wait for outcomes"]["Seconds"] == 600
    # The longest trial and all else fit into the time of an execution.
    assert definition["TimeoutSeconds"] - _definition(plain)["TimeoutSeconds"] == 7 * 24 * 3600 + 600
    tasks = {name: state for name, state in _states(definition) if state["Type"] == "Task"}
    assert all(state["Retry"] for state in tasks.values())
    # Whatever goes wrong in a trial, the challenger is withdrawn.
    for name in ("Start the trial", "Measure the trial", "Compare"):
        (catch,) = tasks[name]["Catch"]
        assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], "End the broken trial")
    gate = tried.of_type("aws:lambda/function:Function")["pipeline-gate-function"]["environment"]["variables"]
    assert json.loads(gate["GATE"])["on_trial"] == ["forecast"]


def test_the_trial_knows_its_policy_and_its_groups_and_carries_the_challenger(record: Record) -> None:
    tried = _pipeline(record, canary=CANARY)
    trial = tried.of_type("aws:lambda/function:Function")["pipeline-trial-function"]
    settings = json.loads(trial["environment"]["variables"]["TRIAL"])
    assert settings["policy"] == {"minimum_outcomes": 24, "maximum_seconds": 604800, "margin": 0.0}
    assert settings["thing_group_arn"] == "arn:aws:iot:eu-central-1:123456789012:thinggroup/"
    assert set(_site_groups(tried)) == {"lindau", "bremen"}
    assert {"pm_components/functions/trial/challenger.json", "pm_components/functions/trial/challenger.zip"} <= set(
        trial["code"].assets
    )
    (create,) = [one for one in tried.statements("pipeline-trial-permissions") if "iot:CreateJob" in one["Action"]]
    groups = [f"{settings['thing_group_arn']}pm-test-{site}-canary" for site in ("lindau", "bremen")]
    assert create["Resource"][1:] == groups


@pytest.mark.parametrize(
    ("canary", "told"), [({"minimum_outcomes": 0}, "minimum_outcomes"), ({"margin": -1}, "margin")]
)
def test_a_policy_of_a_trial_that_is_none_is_refused_by_key(record: Record, canary: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        _pipeline(record, canary=canary)


def test_drift_starts_the_state_machine_unless_switched_off(record: Record) -> None:
    pipeline = _pipeline(record, drift_cooldown_seconds=600)
    (rule,) = pipeline.of_type("aws:iot/topicRule:TopicRule").values()
    assert rule["sql"] == "SELECT * FROM 'pm-cloud/+/drift' WHERE (topic(2) = 'bremen' OR topic(2) = 'lindau')"
    assert rule["errorAction"]["sqs"]["queueUrl"] == "https://queue/pipeline-start-dead-letters"
    function = pipeline.of_type("aws:lambda/function:Function")["pipeline-start-function"]
    assert function["environment"]["variables"] == {
        "STATE_MACHINE_ARN": "arn:of:pipeline-state-machine",
        "COOLDOWN_SECONDS": "600",
        "DEAD_LETTERS_URL": "https://queue/pipeline-start-dead-letters",
    }
    (rule,) = _pipeline(record, drift_enabled=False).of_type("aws:iot/topicRule:TopicRule").values()
    assert rule["enabled"] is False
    with pytest.raises(ValueError, match="drift_cooldown_seconds: found 5, allowed are 60 and more"):
        _pipeline(record, drift_cooldown_seconds=5)


def test_the_workbench_is_there_where_it_is_asked_for(record: Record) -> None:
    plain, asked = _pipeline(record), _pipeline(record, workbench={})
    notebook = "aws:sagemaker/notebookInstance:NotebookInstance"
    assert notebook not in plain.counts()
    (instance,) = asked.of_type(notebook).values()
    assert instance["rootAccess"] == "Disabled"
    assert instance["kmsKeyId"] == "arn:of:pipeline-workbench-key"
    assert instance["instanceMetadataServiceConfiguration"] == {"minimumInstanceMetadataServiceVersion": "2"}
    (start,) = asked.of_type(
        "aws:sagemaker/notebookInstanceLifecycleConfiguration:NotebookInstanceLifecycleConfiguration"
    ).values()
    script = base64.b64decode(start["onStart"]).decode()
    (key,) = [key for key in _keys(asked) if key.endswith("/workbench.tar.gz")]
    assert f'"s3://pm-test-pipeline-artifacts-123456789012/{key}"' in script
    assert subprocess.run(["/bin/bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert "ln -sfn project/pm_ml/notebooks /home/ec2-user/SageMaker/notebooks" in script
    inside = {"subnet_id": "subnet-1", "security_group_ids": ["sg-1"]}
    (instance,) = _pipeline(record, workbench=inside).of_type(notebook).values()
    assert (instance["directInternetAccess"], instance["subnetId"]) == ("Disabled", "subnet-1")
    with pytest.raises(ValueError, match="both or neither"):
        _pipeline(record, workbench={"subnet_id": "subnet-1"})


def test_the_notebooks_find_all_that_they_import_in_the_workbench(record: Record, tmp_path: Path) -> None:
    objects = _pipeline(record, workbench={}).of_type("aws:s3/bucketObjectv2:BucketObjectv2")
    with tarfile.open(objects["pipeline-workbench-code"]["source"].path) as archive:
        archive.extractall(tmp_path, filter="data")
    folder = tmp_path / "pm_ml" / "notebooks"
    notebooks = sorted(folder.glob("*.ipynb"))
    assert [path.stem for path in notebooks] == ["explore", "faults", "forecast"]
    cells = [
        cell for path in notebooks for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"
    ]
    lines = {line.strip() for cell in cells for line in "".join(cell["source"]).splitlines()}
    imports = sorted(line for line in lines if re.match(r"(from [\w.]+ )?import ", line))
    assert any("pm_edge.devices.simulator" in line for line in imports)
    program = "\n".join(["import sys", f"sys.path[:0] = [{str(tmp_path)!r}]", *imports])
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "requirements.txt").exists()


def _keys(recording: Any) -> list[str]:
    return [inputs["key"] for inputs in recording.of_type("aws:s3/bucketObjectv2:BucketObjectv2").values()]


def test_what_scripts_print_becomes_metrics_of_the_job(record: Record) -> None:
    states = dict(_states(_definition(_pipeline(record))))
    metrics = states["Train forecast"]["Parameters"]["AlgorithmSpecification"]["MetricDefinitions"]
    patterns = {metric["Name"]: metric["Regex"] for metric in metrics}
    found = re.search(patterns["validation:rmse"], "validation_persistence_rmse=25\nvalidation_rmse=2.5e+01\n")
    assert found is not None
    assert found[1] == "2.5e+01"


def test_the_schedule_and_drift_go_one_way_to_the_state_machine(record: Record) -> None:
    pipeline = _pipeline(record)
    (schedule,) = pipeline.of_type("aws:scheduler/schedule:Schedule").values()
    assert schedule["target"]["arn"] == "arn:of:pipeline-start-queue"
    assert schedule["target"]["deadLetterConfig"] == {"arn": "arn:of:pipeline-start-dead-letters"}
    (rule,) = pipeline.of_type("aws:iot/topicRule:TopicRule").values()
    assert [action["queueUrl"] for action in rule["sqs"]] == ["https://queue/pipeline-start-queue"]
    start = "states:StartExecution"
    may = [
        name
        for name in pipeline.of_type("aws:iam/rolePolicy:RolePolicy")
        if any(start in statement["Action"] for statement in pipeline.statements(name))
    ]
    assert may == ["pipeline-start-permissions"]


def test_the_schedule_can_be_switched_off(record: Record) -> None:
    def state(**args: Any) -> str:
        (schedule,) = _pipeline(record, **args).of_type("aws:scheduler/schedule:Schedule").values()
        return str(schedule["state"])

    assert state() == "ENABLED"
    assert state(schedule_enabled=False) == "DISABLED"


def test_the_image_is_of_the_region_and_only_its_repository_may_be_read(record: Record) -> None:
    statements = _pipeline(record).statements("pipeline-training-permissions")
    (read,) = [one for one in statements if "ecr:BatchGetImage" in one["Action"]]
    assert read["Resource"] == ["arn:aws:ecr:eu-central-1:763104351884:repository/pytorch-training"]


@pytest.mark.parametrize("image", ["python:3.11", "docker.io/library/python:3.11", "1.dkr.ecr.eu.amazonaws.com"])
def test_an_image_from_elsewhere_is_refused(image: str) -> None:
    with pytest.raises(ValueError, match=r"allowed is ACCOUNT\.dkr\.ecr"):
        repository_arn(image)
