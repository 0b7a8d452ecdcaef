"""SageMaker of the sandbox, through boto3 against the running emulator: real scripts in processes, real archives in S3.

Does not prove that the scripts run in AWS's training images: the image is not run here.
"""

import io
import json
import tarfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from pm_sandbox.cloud import Cloud
from tests.waiting import eventually, has_ended

SCRIPT = """\
import argparse, json, os, pathlib, sys
import helper
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
parser.add_argument("--name")
arguments = parser.parse_args()
files = sorted(p.relative_to(os.environ["SM_CHANNEL_TRAINING"]).as_posix()
               for p in pathlib.Path(os.environ["SM_CHANNEL_TRAINING"]).rglob("*") if p.is_file())
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(
    {"seed": arguments.seed, "name": arguments.name, "files": files, "helper": helper.VALUE, "argv": sys.argv[1:]}))
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "environment.json").write_text(json.dumps(dict(os.environ)))
print("validation_rmse=3.5")
print("validation_rmse=2.25")
"""


def archive(files: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


@pytest.fixture(scope="module")
def bucket(cloud: Cloud) -> str:
    name = f"training-{uuid.uuid4().hex[:8]}"
    cloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": cloud.region})
    for key in ("lake/part-1.parquet", "lake/site=lindau/part-2.parquet", "lakeside/other.parquet"):
        cloud.client("s3").put_object(Bucket=name, Key=key, Body=b"data")
    return name


def make_role(cloud: Cloud, bucket: str, actions: list[str], principal: str = "sagemaker.amazonaws.com") -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
    iam, name = cloud.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"])
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": resources}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=name, PolicyName="data", PolicyDocument=document)
    return arn


@pytest.fixture(scope="module")
def role(cloud: Cloud, bucket: str) -> str:
    return make_role(cloud, bucket, ["s3:GetObject", "s3:ListBucket", "s3:PutObject"])


Start = Callable[..., str]


@pytest.fixture
def start(cloud: Cloud, bucket: str, role: str) -> Start:
    def begin(files: Mapping[str, str], program: str = "train.py", **changes: Any) -> str:
        name = f"job-{uuid.uuid4().hex[:8]}"
        source = f"code/{name}/sourcedir.tar.gz"
        cloud.client("s3").put_object(Bucket=bucket, Key=source, Body=archive(files))
        source_data = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/lake"}
        request = {
            "TrainingJobName": name,
            "RoleArn": role,
            "AlgorithmSpecification": {
                "TrainingImage": "example.com/script-mode:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "validation:rmse", "Regex": r"validation_rmse=([0-9.]+)"}],
            },
            "HyperParameters": {
                "sagemaker_program": json.dumps(program),
                "sagemaker_submit_directory": json.dumps(f"s3://{bucket}/{source}"),
                "seed": json.dumps(7),
                "name": json.dumps("air filters"),
            },
            "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": source_data}}],
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/models"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        cloud.client("sagemaker").create_training_job(**(request | changes))
        return name

    return begin


def wait(cloud: Cloud, name: str, wanted: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Any]:
    """Poll a job until it has ended, or until `wanted` of its description."""
    described: dict[str, Any] = {}

    def found() -> bool:
        described.update(cloud.client("sagemaker").describe_training_job(TrainingJobName=name))
        return wanted(described) if wanted else described["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")

    eventually(found, lambda: f"{name}, still {described['TrainingJobStatus']}/{described['SecondaryStatus']}")
    return described


def unpacked(cloud: Cloud, uri: str) -> dict[str, Any]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    content = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: json.load(tar.extractfile(member)) for member in tar.getmembers()}  # type: ignore[arg-type]


def test_a_job_runs_the_script_under_the_contract(cloud: Cloud, bucket: str, start: Start) -> None:
    name = start({"train.py": SCRIPT, "helper.py": "VALUE = 42\n"}, Environment={"COLOUR": "green"})
    job = wait(cloud, name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{bucket}/models/{name}/output/model.tar.gz"
    model = unpacked(cloud, job["ModelArtifacts"]["S3ModelArtifacts"])["model.json"]
    assert (model["seed"], model["name"], model["helper"]) == (7, "air filters", 42)
    assert model["files"] == ["part-1.parquet", "site=lindau/part-2.parquet"]
    assert model["argv"] == ["--name", "air filters", "--seed", "7"]
    environment = unpacked(cloud, f"s3://{bucket}/models/{name}/output/output.tar.gz")["environment.json"]
    assert environment["SM_CHANNELS"] == '["training"]'
    assert json.loads(environment["SM_HPS"]) == {"name": "air filters", "seed": 7}
    assert json.loads(environment["SM_TRAINING_ENV"])["job_name"] == name
    expected = {"SM_NUM_GPUS": "0", "SM_CURRENT_HOST": "algo-1", "TRAINING_JOB_NAME": name, "COLOUR": "green"}
    assert expected.items() <= environment.items()
    assert not [key for key in environment if key.startswith("PM_")]
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("validation:rmse", 2.25)]
    phases = [t["Status"] for t in job["SecondaryStatusTransitions"]]
    assert phases == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    log = cloud.directory / "training" / name / "log.txt"
    assert log.read_text().splitlines() == ["validation_rmse=3.5", "validation_rmse=2.25"]


def test_what_the_archive_lacks_does_not_come_from_this_checkout(cloud: Cloud, start: Start) -> None:
    job = wait(cloud, start({"train.py": "import pm_contracts\n"}))
    assert job["TrainingJobStatus"] == "Failed"
    assert "No module named 'pm_contracts'" in job["FailureReason"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise SystemExit('the data has no rows')", "ExitCode 1, ErrorMessage the data has no rows"),
        (
            "import os, pathlib, sys\n"
            "pathlib.Path(os.environ['SM_OUTPUT_DATA_DIR']).parent.joinpath('failure').write_text('no rows in 2011')\n"
            "sys.exit(3)",
            "ExitCode 3, ErrorMessage no rows in 2011",
        ),
    ],
)
def test_a_failing_script_says_why(cloud: Cloud, start: Start, script: str, reason: str) -> None:
    job = wait(cloud, start({"train.py": script}))
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert reason in job["FailureReason"]


def test_a_program_in_a_folder_finds_its_packages(cloud: Cloud, start: Start) -> None:
    files = {
        "pm_ml/__init__.py": "",
        "pm_ml/own.py": "X = 1\n",
        "pm_ml/train.py": "from pm_ml.own import X\nassert X == 1\n",
    }
    assert wait(cloud, start(files, "pm_ml/train.py"))["TrainingJobStatus"] == "Completed"


def test_a_stopped_job_keeps_what_it_had(cloud: Cloud, start: Start) -> None:
    script = (
        "import os, pathlib, time\n"
        "pathlib.Path(os.environ['SM_MODEL_DIR'], 'model.json').write_text('1')\n"
        "pathlib.Path(os.environ['SM_OUTPUT_DIR'], 'ready').touch()\n"
        "time.sleep(60)\n"
    )
    name = start({"train.py": script})
    ready = cloud.directory / "training" / name / "output" / "ready"
    wait(cloud, name, lambda _: ready.exists())
    cloud.client("sagemaker").stop_training_job(TrainingJobName=name)
    job = wait(cloud, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert unpacked(cloud, job["ModelArtifacts"]["S3ModelArtifacts"]) == {"model.json": 1}


def test_checkpoints_of_a_failed_job_are_there_for_the_next(cloud: Cloud, bucket: str, start: Start) -> None:
    script = (
        "import os, pathlib, sys\n"
        "model = pathlib.Path(os.environ['SM_MODEL_DIR'])\n"
        "kept = model.parent / 'checkpoints' / 'rounds' / 'state.json'\n"
        "if kept.exists():\n"
        "    (model / 'model.json').write_text(kept.read_text())\n"
        "else:\n"
        "    kept.parent.mkdir()\n"
        "    kept.write_text('100')\n"
        "    sys.exit(3)\n"
    )
    checkpoints = {"S3Uri": f"s3://{bucket}/checkpoints/{uuid.uuid4().hex}"}
    assert wait(cloud, start({"train.py": script}, CheckpointConfig=checkpoints))["TrainingJobStatus"] == "Failed"
    spot = {"EnableManagedSpotTraining": True}
    job = wait(cloud, start({"train.py": script}, CheckpointConfig=checkpoints, **spot))
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["CheckpointConfig"] == checkpoints
    assert unpacked(cloud, job["ModelArtifacts"]["S3ModelArtifacts"]) == {"model.json": 100}


def test_a_job_that_takes_too_long_is_stopped(cloud: Cloud, start: Start) -> None:
    name = start({"train.py": "import time\ntime.sleep(60)\n"}, StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert wait(cloud, name)["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_the_scripts_process_ends_with_the_cloud(tmp_path: Path) -> None:
    with Cloud.start(tmp_path / "cloud") as own:
        bucket = "ends-with-the-cloud"
        own.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": own.region})
        role = make_role(own, bucket, ["s3:*"])
        script = "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(60)\n"
        own.client("s3").put_object(Bucket=bucket, Key="code.tar.gz", Body=archive({"train.py": script}))
        own.client("sagemaker").create_training_job(
            TrainingJobName="long",
            RoleArn=role,
            AlgorithmSpecification={"TrainingImage": "none", "TrainingInputMode": "File"},
            HyperParameters={
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": f"s3://{bucket}/code.tar.gz",
            },
            OutputDataConfig={"S3OutputPath": f"s3://{bucket}/models"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        file = own.directory / "training" / "long" / "code" / "pid"
        wait(own, "long", lambda _: file.exists() and file.read_text() != "")
        process = psutil.Process(int(file.read_text()))
        assert not has_ended(process)
    eventually(lambda: has_ended(process), f"{process} to end with its cloud")


def test_the_roles_permissions_hold_in_the_job(cloud: Cloud, bucket: str, start: Start) -> None:
    blind = make_role(cloud, bucket, ["s3:PutObject"])
    job = wait(cloud, start({"train.py": "pass"}, RoleArn=blind))
    assert job["TrainingJobStatus"] == "Failed"
    assert "AccessDenied" in job["FailureReason"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"HyperParameters": {"seed": "1"}}, "HyperParameters lacks sagemaker_program"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}}, "must be 1"),
        ({"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}}, "cannot honour VpcConfig"),
        ({"ResourceConfig": {"InstanceType": "ml.none", "InstanceCount": 1, "VolumeSizeInGB": 1}}, "enum value set"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "a", "Regex": "b"}],
                }
            },
            "must have one group",
        ),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/tmp"}}, "LocalPath must be /opt/ml/checkpoints"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://b/c", "CompressionType": "NONE"}}, "writes GZIP"),
        ({"RoleArn": "arn:aws:iam::000000000000:role/missing"}, "is not a role of this account"),
    ],
)
def test_a_wrong_job_is_refused(start: Start, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message) as raised:
        start({"train.py": "pass"}, **changes)
    assert raised.value.response["Error"]["Code"] == "ValidationException"


def test_a_role_that_sagemaker_may_not_assume_is_refused(cloud: Cloud, bucket: str, start: Start) -> None:
    other = make_role(cloud, bucket, ["s3:*"], principal="lambda.amazonaws.com")
    with pytest.raises(ClientError, match=r"sagemaker\.amazonaws\.com may not assume"):
        start({"train.py": "pass"}, RoleArn=other)


def test_an_empty_channel_fails_the_job(cloud: Cloud, bucket: str, start: Start) -> None:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/nothing/"}}
    job = wait(cloud, start({"train.py": "pass"}, InputDataConfig=[{"ChannelName": "training", "DataSource": source}]))
    assert "no S3 objects found under" in job["FailureReason"]


def test_passing_the_role_needs_permission(cloud: Cloud, role: str, bucket: str) -> None:
    iam, user = cloud.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    client = boto3.client(
        "sagemaker",
        endpoint_url=cloud.endpoint,
        region_name=cloud.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    request = {
        "TrainingJobName": f"job-{uuid.uuid4().hex[:8]}",
        "RoleArn": role,
        "AlgorithmSpecification": {"TrainingImage": "none", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "sagemaker:CreateTrainingJob", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": role,
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        },
    ]
    for count, message in enumerate(("sagemaker:CreateTrainingJob", "iam:PassRole", "script mode only")):
        document = json.dumps({"Version": "2012-10-17", "Statement": statements[:count] or [statements[1]]})
        iam.put_user_policy(UserName=user, PolicyName="allowed", PolicyDocument=document)
        with pytest.raises(ClientError, match=message):
            client.create_training_job(**request)


def test_registry_versions_approval_and_deletion(cloud: Cloud, bucket: str) -> None:
    sagemaker, group = cloud.client("sagemaker"), f"group-{uuid.uuid4().hex[:8]}"
    cloud.client("s3").put_object(Bucket=bucket, Key="registered/model.tar.gz", Body=b"model")
    sagemaker.create_model_package_group(ModelPackageGroupName=group, Tags=[{"Key": "stack", "Value": "dev"}])
    container = {"Image": "none", "ModelDataUrl": f"s3://{bucket}/registered/model.tar.gz"}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["application/json"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    arns = [
        sagemaker.create_model_package(
            ModelPackageGroupName=group,
            InferenceSpecification=specification,
            CustomerMetadataProperties={"skill": str(skill)},
        )["ModelPackageArn"]
        for skill in (0.04, 0.06)
    ]
    assert [arn.rpartition("/")[2] for arn in arns] == ["1", "2"]
    sagemaker.update_model_package(ModelPackageArn=arns[1], ModelApprovalStatus="Approved", ApprovalDescription="gate")
    approved = sagemaker.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    assert [p["ModelPackageVersion"] for p in approved["ModelPackageSummaryList"]] == [2]
    described = sagemaker.describe_model_package(ModelPackageName=arns[0])
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["InferenceSpecification"]["Containers"][0] == container
    assert described["CustomerMetadataProperties"] == {"skill": "0.04"}
    group_arn = sagemaker.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]
    sagemaker.add_tags(ResourceArn=group_arn, Tags=[{"Key": "site", "Value": "all"}])
    sagemaker.delete_tags(ResourceArn=group_arn, TagKeys=["stack"])
    assert sagemaker.list_tags(ResourceArn=group_arn)["Tags"] == [{"Key": "site", "Value": "all"}]
    with pytest.raises(ClientError, match="still has 2 packages"):
        sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    for arn in arns:
        sagemaker.delete_model_package(ModelPackageName=arn)
    sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName=group)


def test_a_package_without_its_model_is_refused(cloud: Cloud, bucket: str) -> None:
    sagemaker, group = cloud.client("sagemaker"), f"group-{uuid.uuid4().hex[:8]}"
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    container = {"Image": "none", "ModelDataUrl": f"s3://{bucket}/registered/missing.tar.gz"}
    with pytest.raises(ClientError, match="Could not find model data"):
        sagemaker.create_model_package(ModelPackageGroupName=group, InferenceSpecification={"Containers": [container]})


def test_jobs_are_listed_and_names_are_unique(cloud: Cloud, start: Start) -> None:
    name = start({"train.py": "pass"})
    wait(cloud, name)
    listed = cloud.client("sagemaker").list_training_jobs(NameContains=name, StatusEquals="Completed")
    assert [job["TrainingJobName"] for job in listed["TrainingJobSummaries"]] == [name]
    with pytest.raises(ClientError) as raised:
        start({"train.py": "pass"}, TrainingJobName=name)
    assert raised.value.response["Error"]["Code"] == "ResourceInUse"
