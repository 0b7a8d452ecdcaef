"""Step Functions of the emulated AWS: jobs that it waits for, and the permissions of the state machine's role.

Not proved here: AWS's own error names beyond those that the project's definition catches.
"""

import io
import json
import tarfile
import time
from typing import Any

import pytest

from tests.waiting import eventually

TRAINING = "arn:aws:states:::sagemaker:createTrainingJob.sync"
QUERY = "arn:aws:states:::athena:startQueryExecution.sync"


def run(account: Any, role: str, resource: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The description of one execution of a state machine of one task, ended."""
    states = account.cloud.client("stepfunctions")
    task = {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
    name = f"{account.prefix}-{time.time_ns()}"
    definition = json.dumps({"StartAt": "Task", "States": {"Task": task}})
    machine = states.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = states.describe_execution(executionArn=execution)
        return None if described["status"] == "RUNNING" else described

    return eventually(ended, "the execution to end", 60)


def workgroup(account: Any) -> str:
    bucket = account.bucket()
    account.cloud.client("athena").create_work_group(
        Name=account.prefix, Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{bucket}/results/"}}
    )
    return str(account.prefix)


def query(account: Any, text: str) -> dict[str, Any]:
    return {"QueryString": text, "WorkGroup": account.prefix}


def test_a_query_is_waited_for(account: Any) -> None:
    group = workgroup(account)
    resources = [account.arn("athena", name) for name in (f"workgroup/{group}", "datacatalog/AwsDataCatalog")]
    role = account.role("states", ("athena:*", resources), ("s3:PutObject", "*"))
    ended = run(account, role, QUERY, query(account, "SELECT 1"))
    assert ended["status"] == "SUCCEEDED", ended
    execution = json.loads(ended["output"])["QueryExecution"]
    assert execution["Status"]["State"] == "SUCCEEDED"
    assert execution["Status"]["CompletionDateTime"] > 1.7e12


def test_a_query_that_fails_fails_the_state_with_its_reason(account: Any) -> None:
    workgroup(account)
    role = account.role("states", ("athena:*", "*"), (["s3:*", "glue:*"], "*"))
    ended = run(account, role, QUERY, query(account, "SELECT 1 FROM nowhere"))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    assert "TABLE_NOT_FOUND" in json.loads(ended["cause"])["QueryExecution"]["Status"]["StateChangeReason"]


def test_the_role_must_allow_the_call_and_what_it_does(account: Any) -> None:
    workgroup(account)
    role = account.role("states")
    ended = run(account, role, QUERY, query(account, "SELECT 1"))
    assert (ended["status"], ended["error"]) == ("FAILED", "Athena.AmazonAthenaException")
    assert "athena:GetDataCatalog" in ended["cause"]
    account.allow(role, ("athena:GetDataCatalog", account.arn("athena", "datacatalog/AwsDataCatalog")))
    time.sleep(1.1)
    ended = run(account, role, QUERY, query(account, "SELECT 1"))
    assert (ended["status"], ended["error"]) == ("FAILED", "Athena.AmazonAthenaException")
    assert "athena:StartQueryExecution" in ended["cause"]
    account.allow(role, ("athena:*", "*"))
    ended = run(account, role, QUERY, query(account, "SELECT 1"))
    assert "not authorized to perform: s3:PutObject" in ended["cause"]


def test_other_tasks_need_their_permission_too(account: Any) -> None:
    topic = account.cloud.client("sns").create_topic(Name=account.prefix)["TopicArn"]
    role = account.role("states", ("sns:Publish", "arn:aws:sns:eu-central-1:000000000000:another"))
    publish = {"TopicArn": topic, "Message": "m"}
    ended = run(account, role, "arn:aws:states:::sns:publish", publish)
    assert (ended["status"], ended["error"]) == ("FAILED", "Sns.AccessDeniedException")
    account.allow(role, ("sns:Publish", topic))
    # A refusal is kept for a second, as AWS takes its time with changed policies.
    time.sleep(1.1)
    assert run(account, role, "arn:aws:states:::sns:publish", publish)["status"] == "SUCCEEDED"


def test_a_role_that_does_not_trust_step_functions_is_of_no_use(account: Any) -> None:
    topic = account.cloud.client("sns").create_topic(Name=account.prefix)["TopicArn"]
    role = account.role("lambda", ("sns:Publish", "*"))
    ended = run(account, role, "arn:aws:states:::sns:publish", {"TopicArn": topic, "Message": "m"})
    assert "may not assume" in ended["cause"]


def test_an_integration_that_is_not_checked_is_refused(account: Any) -> None:
    role = account.role("states", ("*", "*"))
    ended = run(account, role, "arn:aws:states:::aws-sdk:s3:listBuckets", {})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert "aws-sdk:s3:listBuckets is not honoured here" in ended["cause"]


SCRIPT = """
import argparse, os, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("--answer", type=int)
answer = parser.parse_args().answer
if answer != 42:
    sys.exit("the answer is wrong")
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(str(answer))
"""


def training_job(account: Any, bucket: str, answer: int) -> dict[str, Any]:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo("train.py")
        entry.size = len(SCRIPT)
        tar.addfile(entry, io.BytesIO(SCRIPT.encode()))
    account.cloud.client("s3").put_object(Bucket=bucket, Key="code.tar.gz", Body=archive.getvalue())
    return {
        "TrainingJobName": f"{account.prefix}-{answer}",
        "RoleArn": account.role("sagemaker", (["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/*"),
                                ("s3:ListBucket", f"arn:aws:s3:::{bucket}")),
        "AlgorithmSpecification": {
            "TrainingImage": "000000000000.dkr.ecr.eu-central-1.amazonaws.com/image:1", "TrainingInputMode": "File"
        },
        "HyperParameters": {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"s3://{bucket}/code.tar.gz"',
            "answer": str(answer),
        },
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }  # fmt: skip


def states_role(account: Any, *without: str) -> str:
    actions = [
        "sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob", "iam:PassRole",
        "events:PutTargets", "events:PutRule", "events:DescribeRule", "sagemaker:AddTags",
    ]  # fmt: skip
    return str(account.role("states", ([action for action in actions if action not in without], "*")))


def test_a_training_job_is_waited_for(account: Any) -> None:
    bucket = account.bucket()
    ended = run(account, states_role(account), TRAINING, training_job(account, bucket, 42))
    assert ended["status"] == "SUCCEEDED", ended
    job = json.loads(ended["output"])
    assert job["TrainingJobStatus"] == "Completed"
    key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{bucket}/")
    assert list(account.objects(bucket, key)) == [key]


def test_a_training_job_that_fails_fails_the_state_with_its_reason(account: Any) -> None:
    ended = run(account, states_role(account), TRAINING, training_job(account, account.bucket(), 41))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    assert "the answer is wrong" in json.loads(ended["cause"])["FailureReason"]


@pytest.mark.parametrize(
    "missing", ["sagemaker:CreateTrainingJob", "iam:PassRole", "events:PutRule", "sagemaker:AddTags"]
)
def test_a_training_job_needs_every_permission(account: Any, missing: str) -> None:
    job = training_job(account, account.bucket(), 42)
    ended = run(account, states_role(account, missing), TRAINING, job)
    assert (ended["status"], ended["error"]) == ("FAILED", "SageMaker.AmazonSageMakerException")
    assert missing in ended["cause"]


def test_an_error_that_the_service_models_keeps_its_name(account: Any) -> None:
    job, role = training_job(account, account.bucket(), 42), states_role(account)
    account.cloud.client("sagemaker").create_training_job(**job)
    ended = run(account, role, TRAINING, job)
    assert (ended["status"], ended["error"]) == ("FAILED", "SageMaker.ResourceInUseException")


def test_a_result_that_is_too_large_ends_the_execution(account: Any) -> None:
    workgroup(account)
    resources = [account.arn("athena", name) for name in (f"workgroup/{account.prefix}", "datacatalog/AwsDataCatalog")]
    role = account.role("states", ("athena:*", resources), ("s3:PutObject", "*"))
    # The statement comes back with the description of the query.
    ended = run(account, role, QUERY, query(account, f"SELECT '{'x' * 262_144}'"))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")
