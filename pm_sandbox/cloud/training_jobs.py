"""SageMaker's training jobs: the operations, and the run of a job from its start to its end."""

import asyncio
import contextlib
import datetime as dt
import os
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from ministack.services import sts

from pm_sandbox.cloud import seams, training
from pm_sandbox.cloud.modelled_service import ApiError, Request, now, page
from pm_sandbox.cloud.role_permissions import PermissionDenied, require_permission
from pm_sandbox.cloud.training import Folder, TrainingError, TrainingJobSpecification
from pm_sandbox.surroundings import aws_client

SERVICE_PRINCIPAL = "sagemaker.amazonaws.com"
#: Seconds from SIGTERM to SIGKILL when a job is stopped;
#: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html.
STOP_GRACE_SECONDS = 120
_ENDED = ("Completed", "Failed", "Stopped")
#: Seconds that the credentials of a job outlive its longest run.
_CREDENTIALS_MARGIN = 3600


@dataclass
class TrainingJob:
    """One job: what was asked, and how far it is."""

    arn: str
    given: dict[str, Any]
    specification: TrainingJobSpecification
    folder: Folder
    created: dt.datetime
    changed: dt.datetime
    status: str = "InProgress"
    transitions: list[dict[str, Any]] = field(default_factory=list)
    failure: str | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)
    started: dt.datetime | None = None
    ended: dt.datetime | None = None
    stop_requested: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def secondary_status(self) -> str:
        """The name of the phase that the job is in."""
        return str(self.transitions[-1]["Status"])

    def enter(self, secondary_status: str, message: str) -> None:
        """Begin a phase, which ends the one before it."""
        self.changed = now()
        if self.transitions:
            self.transitions[-1]["EndTime"] = self.changed
        self.transitions.append(
            {"Status": secondary_status, "StartTime": self.changed, "StatusMessage": message},
        )

    def end(self, status: str, secondary_status: str, message: str) -> None:
        """Close the job."""
        self.enter(secondary_status, message)
        self.status, self.ended = status, self.changed
        self.transitions[-1]["EndTime"] = self.changed


@dataclass
class TrainingJobs:
    """The operations on training jobs.

    Args:
        directory: where each job has its folder, `{directory}/{job}`; its log is `log.txt` there.
        tags: the tags of all resources by ARN, shared with the rest of the service.
    """

    directory: Path
    tags: dict[str, list[dict[str, str]]]
    jobs: dict[str, TrainingJob] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def create_training_job(self, request: Request) -> dict[str, Any]:
        """Start a job; it runs on when the call has returned."""
        given = request.input
        name, role = given["TrainingJobName"], given["RoleArn"]
        arn = job_arn(request, name)
        request.authorize("iam:PassRole", role, {"iam:PassedToService": SERVICE_PRINCIPAL})
        if given.get("Tags"):
            request.authorize("sagemaker:AddTags", arn)
        if name in self.jobs:
            raise ApiError("ResourceInUse", f"Training job names must be unique; there is one of this name: {arn}", 400)
        try:
            specification = TrainingJobSpecification.of(given)
            bucket, key = training.bucket_and_key(specification.model_uri)
            require_permission(role, SERVICE_PRINCIPAL, "s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")
        except (TrainingError, PermissionDenied) as error:
            raise ApiError("ValidationException", str(error), 400) from error
        job = TrainingJob(arn, given, specification, Folder(self.directory / name), now(), now())
        job.enter("Starting", "Preparing the job")
        self.jobs[name] = job
        self.tags[arn] = list(given.get("Tags", []))
        credentials = _role_credentials(role, name, specification.maximum_seconds, request)
        task = asyncio.get_running_loop().create_task(_run(job, credentials))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return {"TrainingJobArn": arn}

    def describe_training_job(self, request: Request) -> dict[str, Any]:
        """All that is known of a job."""
        job = self._job(request)
        seconds = int(((job.ended or now()) - job.started).total_seconds()) if job.started else None
        return {
            **{name: value for name, value in job.given.items() if name != "Tags"},
            "TrainingJobArn": job.arn,
            "TrainingJobStatus": job.status,
            "SecondaryStatus": job.secondary_status,
            "SecondaryStatusTransitions": job.transitions,
            "FailureReason": job.failure,
            "ModelArtifacts": {"S3ModelArtifacts": job.specification.model_uri},
            "FinalMetricDataList": job.metrics,
            "CreationTime": job.created,
            "LastModifiedTime": job.changed,
            "TrainingStartTime": job.started,
            "TrainingEndTime": job.ended,
            "TrainingTimeInSeconds": max(1, seconds) if seconds is not None else None,
            "BillableTimeInSeconds": max(1, seconds) if seconds is not None else None,
        }

    def list_training_jobs(self, request: Request) -> dict[str, Any]:
        """Jobs, latest first unless asked otherwise."""
        given = request.input
        found = [
            job
            for job in self.jobs.values()
            if given.get("StatusEquals") in (None, job.status)
            and given.get("NameContains", "") in job.specification.name
        ]
        keys = {"Name": lambda job: job.specification.name, "Status": lambda job: job.status}
        found.sort(key=keys.get(given.get("SortBy", ""), lambda job: job.created))
        if given.get("SortOrder", "Descending") == "Descending":
            found.reverse()
        some, token = page(found, given, "MaxResults", "NextToken")
        return {"TrainingJobSummaries": [_summary(job) for job in some], "NextToken": token}

    def stop_training_job(self, request: Request) -> dict[str, Any]:
        """Ask a job to stop; what it has written to its model folder is still uploaded."""
        job = self._job(request)
        if job.status in _ENDED:
            raise ApiError("ValidationException", f"The request was rejected because the job is {job.status}", 400)
        job.status = "Stopping"
        job.stop_requested.set()
        return {}

    def _job(self, request: Request) -> TrainingJob:
        name = request.input["TrainingJobName"]
        if name not in self.jobs:
            raise ApiError("ValidationException", f"Requested resource not found: training job {name}", 400)
        return self.jobs[name]


def job_arn(request: Request, name: str) -> str:
    """The ARN of the training job of this name."""
    return f"{request.arn_prefix('sagemaker')}:training-job/{name}"


def _summary(job: TrainingJob) -> dict[str, Any]:
    return {
        "TrainingJobName": job.specification.name,
        "TrainingJobArn": job.arn,
        "CreationTime": job.created,
        "TrainingEndTime": job.ended,
        "LastModifiedTime": job.changed,
        "TrainingJobStatus": job.status,
        "SecondaryStatus": job.secondary_status,
    }


def _role_credentials(role_arn: str, job: str, longest: int, request: Request) -> dict[str, str]:
    """A session of the job's role, as environment variables; that SageMaker may assume it was checked before."""
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(40)
    role = role_arn.rpartition("/")[2]
    session = {
        "Arn": f"arn:aws:sts::{request.account_id}:assumed-role/{role}/SageMaker",
        "UserId": f"{role}:{job}",
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expiration": time.time() + longest + _CREDENTIALS_MARGIN,
        "AccountId": request.account_id,
        "PrincipalType": "AssumedRole",
    }
    seams.require(sts, "register_session", "access_key", "session")(key, session)
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
        "AWS_DEFAULT_REGION": request.region,
        "AWS_REGION": request.region,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
    }


async def _run(job: TrainingJob, credentials: dict[str, str]) -> None:
    s3 = aws_client(
        "s3",
        endpoint=credentials["AWS_ENDPOINT_URL"],
        region=credentials["AWS_REGION"],
        key=credentials["AWS_ACCESS_KEY_ID"],
        secret=credentials["AWS_SECRET_ACCESS_KEY"],
        token=credentials["AWS_SESSION_TOKEN"],
    )
    specification, folder = job.specification, job.folder
    try:
        job.enter("Downloading", "Downloading input data and the script")
        await asyncio.to_thread(training.download, s3, specification, folder)
        job.enter("Training", "Training image is not run; the sandbox's interpreter runs the script")
        job.started = now()
        exit_code, interruption = await _run_script(job, training.environment(specification, folder, credentials))
        await asyncio.to_thread(training.upload_checkpoints, s3, specification, folder)
        log = await asyncio.to_thread(folder.log.read_text, errors="replace")
        job.metrics = [
            {"MetricName": name, "Value": value, "Timestamp": now()}
            for name, value in training.metrics(specification.metric_patterns, log)
        ]
        if exit_code != 0 and not interruption:
            raise TrainingError(training.failure_reason(folder, exit_code))
        job.enter("Stopping" if interruption else "Uploading", "Uploading the model")
        await asyncio.to_thread(training.upload, s3, specification, folder)
        if interruption:
            job.end("Stopped", interruption, "Training job stopped")
        else:
            job.end("Completed", "Completed", "Training job completed")
    except (TrainingError, ClientError, OSError, ValueError) as error:
        job.failure = str(error) if isinstance(error, TrainingError) else f"ClientError: {error}"
        job.end("Failed", "Failed", "Training job failed")
    finally:
        s3.close()


async def _run_script(job: TrainingJob, environment: dict[str, str]) -> tuple[int, str]:
    """Run the script to its end, to its limit of time, or until it is stopped.

    Returns:
        The exit code, and the secondary status of an interruption: "Stopped", "MaxRuntimeExceeded" or "".
    """
    with job.folder.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *training.command(job.specification),
            cwd=job.folder.code,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    ended = asyncio.ensure_future(process.wait())
    stopped = asyncio.ensure_future(job.stop_requested.wait())
    limit = job.specification.maximum_seconds
    await asyncio.wait({ended, stopped}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    interruption = "" if ended.done() else "Stopped" if stopped.done() else "MaxRuntimeExceeded"
    stopped.cancel()
    if interruption:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait({ended}, timeout=STOP_GRACE_SECONDS)
        if not ended.done():
            process.kill()
    return await ended, interruption
