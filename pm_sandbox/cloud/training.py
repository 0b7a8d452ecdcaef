"""One training job under SageMaker's script-mode contract: its folder, its command line, its environment, its archives.

The contract is that of SageMaker's training toolkit (https://github.com/aws/sagemaker-training-toolkit) and of
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html. `/opt/ml` is the
folder of the job here, and the interpreter is the one of the sandbox: the training image is not run.
"""

import gzip
import io
import json
import os
import re
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pm_sandbox.surroundings import NO_AWS_SETTINGS, OWN_KERAS_SETTINGS

HOST = "algo-1"
#: In the container; here it is the folder `checkpoints` of the job, beside that of the model.
_CHECKPOINTS = "/opt/ml/checkpoints"
#: Hyperparameters with this prefix speak to the toolkit, the others to the script.
_TOOLKIT_PREFIX = "sagemaker_"
#: Characters; https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html, FailureReason.
_FAILURE_LIMIT = 1024
#: Runs before the script: what the archive lacks must not come from this checkout, and the script must not outlive the
#: emulator. Linux delivers the signal when the parent ends.
_SITE_CUSTOMIZE = """\
import ctypes, os, signal, sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in getattr(finder, "__module__", "")]
sys.path[:] = [entry for entry in sys.path if "__editable__" not in entry and entry != {checkout!r}]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != {parent}:
        os._exit(1)
"""


class TrainingError(Exception):
    """The job cannot go on; the text becomes its FailureReason."""


@dataclass(frozen=True)
class Folder:
    """The folder of a job, laid out as `/opt/ml` in a training container."""

    root: Path

    @property
    def code(self) -> Path:
        """The folder of the script and its modules."""
        return self.root / "code"

    @property
    def model(self) -> Path:
        """The folder that becomes model.tar.gz."""
        return self.root / "model"

    @property
    def output(self) -> Path:
        """Parent of the output data and of the `failure` file."""
        return self.root / "output"

    @property
    def output_data(self) -> Path:
        """The folder that becomes output.tar.gz."""
        return self.output / "data"

    @property
    def checkpoints(self) -> Path:
        """The folder that S3 keeps for the next run, if the job has a CheckpointConfig."""
        return self.root / "checkpoints"

    @property
    def configuration(self) -> Path:
        """The JSON files that tell the script of its hyperparameters, channels and hosts."""
        return self.root / "input" / "config"

    @property
    def log(self) -> Path:
        """Standard output and standard error of the script."""
        return self.root / "log.txt"

    def channel(self, name: str) -> Path:
        """The folder of an input channel's files."""
        return self.root / "input" / "data" / name


@dataclass(frozen=True)
class TrainingJobSpecification:
    """The part of a CreateTrainingJob request that the run depends on."""

    name: str
    program: str
    source: str
    hyperparameters: dict[str, Any]
    channels: dict[str, str]
    output_path: str
    output_key: str | None
    environment: dict[str, str]
    checkpoints: str | None
    """`s3://` address of the checkpoints."""
    metric_patterns: dict[str, str]
    maximum_seconds: int

    @classmethod
    def of(cls, given: dict[str, Any]) -> "TrainingJobSpecification":
        """Read the input of CreateTrainingJob.

        Raises:
            TrainingError: it is not a script-mode job of one host with S3 channels; says which member is why.
        """
        decoded = {name: _decoded(value) for name, value in given.get("HyperParameters", {}).items()}
        missing = [name for name in ("sagemaker_program", "sagemaker_submit_directory") if not decoded.get(name)]
        if missing:
            raise TrainingError(f"the sandbox runs script mode only: HyperParameters lacks {', '.join(missing)}")
        if given.get("ResourceConfig", {}).get("InstanceCount", 1) != 1:
            raise TrainingError("the sandbox trains on one host: ResourceConfig.InstanceCount must be 1")
        algorithm = given.get("AlgorithmSpecification", {})
        if algorithm.get("TrainingInputMode", "File") != "File":
            raise TrainingError("the sandbox copies its input: AlgorithmSpecification.TrainingInputMode must be File")
        compression = given["OutputDataConfig"].get("CompressionType", "GZIP")
        if compression != "GZIP":
            raise TrainingError(f"OutputDataConfig.CompressionType {compression!r}: the sandbox writes GZIP")
        checkpoints = given.get("CheckpointConfig", {})
        if checkpoints.get("LocalPath", _CHECKPOINTS) != _CHECKPOINTS:
            raise TrainingError(f"CheckpointConfig.LocalPath must be {_CHECKPOINTS} in the sandbox")
        patterns = {m["Name"]: m["Regex"] for m in algorithm.get("MetricDefinitions", [])}
        for name, pattern in patterns.items():
            _check_pattern(name, pattern)
        return cls(
            name=given["TrainingJobName"],
            program=str(decoded["sagemaker_program"]),
            source=str(decoded["sagemaker_submit_directory"]),
            hyperparameters={k: v for k, v in decoded.items() if not k.startswith(_TOOLKIT_PREFIX)},
            channels={channel["ChannelName"]: _channel_uri(channel) for channel in given.get("InputDataConfig", [])},
            output_path=given["OutputDataConfig"]["S3OutputPath"].rstrip("/"),
            output_key=given["OutputDataConfig"].get("KmsKeyId"),
            environment=given.get("Environment", {}),
            checkpoints=checkpoints.get("S3Uri"),
            metric_patterns=patterns,
            maximum_seconds=given.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86_400),
        )

    @property
    def model_uri(self) -> str:
        """The destination of the model's archive."""
        return f"{self.output_path}/{self.name}/output/model.tar.gz"

    @property
    def output_uri(self) -> str:
        """The destination of the output data's archive."""
        return f"{self.output_path}/{self.name}/output/output.tar.gz"


def bucket_and_key(uri: str) -> tuple[str, str]:
    """Split `s3://bucket/key`; raises TrainingError for any other form."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc:
        raise TrainingError(f"{uri!r} must be s3://bucket/key")
    return parts.netloc, parts.path.lstrip("/")


def download(s3: Any, specification: TrainingJobSpecification, folder: Folder) -> None:
    """Fill the folder: code, channels, configuration.

    Args:
        s3: a boto3 client with the job's role.
        specification: what to run.
        folder: an empty folder.

    Raises:
        TrainingError: a channel is empty, the archive is unsafe or lacks the program.
    """
    for path in (folder.code, folder.model, folder.output_data, folder.configuration):
        path.mkdir(parents=True)
    bucket, key = bucket_and_key(specification.source)
    archive = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        tar.extractall(folder.code, filter="data")
    if not (folder.code / specification.program).is_file():
        raise TrainingError(f"{specification.source} has no {specification.program}")
    for name, uri in specification.channels.items():
        if not _download_prefix(s3, uri, folder.channel(name)):
            raise TrainingError(f"ClientError: Data download failed: no S3 objects found under {uri}")
    if specification.checkpoints:
        folder.checkpoints.mkdir()
        _download_prefix(s3, specification.checkpoints.rstrip("/") + "/", folder.checkpoints)
    documents = {
        "hyperparameters.json": {k: json.dumps(v) for k, v in specification.hyperparameters.items()},
        "inputdataconfig.json": {name: {"TrainingInputMode": "File"} for name in specification.channels},
        "resourceconfig.json": {"current_host": HOST, "hosts": [HOST]},
    }
    for file_name, document in documents.items():
        (folder.configuration / file_name).write_text(json.dumps(document))
    checkout = str(Path(__file__).resolve().parents[2])
    (folder.root / "sitecustomize.py").write_text(_SITE_CUSTOMIZE.format(checkout=checkout, parent=os.getpid()))


def command(specification: TrainingJobSpecification) -> list[str]:
    """The command line, to be run in the folder of the code: hyperparameters as `--name value`, by name."""
    arguments = []
    for name, value in sorted(specification.hyperparameters.items()):
        arguments += [f"-{name}" if len(name) == 1 else f"--{name}", "" if value is None else str(value)]
    return [sys.executable, specification.program, *arguments]


def environment(specification: TrainingJobSpecification, folder: Folder, credentials: dict[str, str]) -> dict[str, str]:
    """The environment of the script: nothing of the emulator's own, all of the contract's."""
    processors = str(os.cpu_count() or 1)
    channels = {name: str(folder.channel(name)) for name in sorted(specification.channels)}
    training_environment = {
        "channel_input_dirs": channels,
        "current_host": HOST,
        "hosts": [HOST],
        "hyperparameters": specification.hyperparameters,
        "input_config_dir": str(folder.configuration),
        "input_dir": str(folder.root / "input"),
        "job_name": specification.name,
        "model_dir": str(folder.model),
        "module_dir": specification.source,
        "num_cpus": int(processors),
        "num_gpus": 0,
        "output_data_dir": str(folder.output_data),
        "output_dir": str(folder.output),
    }
    contract = {
        "SM_MODEL_DIR": str(folder.model),
        "SM_OUTPUT_DIR": str(folder.output),
        "SM_OUTPUT_DATA_DIR": str(folder.output_data),
        "SM_INPUT_DIR": str(folder.root / "input"),
        "SM_INPUT_CONFIG_DIR": str(folder.configuration),
        "SM_CHANNELS": json.dumps(list(channels)),
        "SM_HPS": json.dumps(specification.hyperparameters, sort_keys=True),
        "SM_USER_ARGS": json.dumps(command(specification)[2:]),
        "SM_NUM_CPUS": processors,
        "SM_NUM_GPUS": "0",
        "SM_CURRENT_HOST": HOST,
        "SM_HOSTS": json.dumps([HOST]),
        "SM_MODULE_DIR": specification.source,
        "SM_MODULE_NAME": Path(specification.program).stem,
        "SM_TRAINING_ENV": json.dumps(training_environment, sort_keys=True),
        "TRAINING_JOB_NAME": specification.name,
    }
    contract |= {f"SM_CHANNEL_{name.upper()}": path for name, path in channels.items()}
    contract |= {f"SM_HP_{name.upper()}": str(value) for name, value in specification.hyperparameters.items()}
    machine = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    # A container has no home of the user's, with settings of AWS and Keras.
    own = {"PYTHONPATH": f"{folder.code}{os.pathsep}{folder.root}", "PYTHONUNBUFFERED": "1"}
    own |= NO_AWS_SETTINGS | OWN_KERAS_SETTINGS
    return machine | specification.environment | contract | own | credentials


def upload(s3: Any, specification: TrainingJobSpecification, folder: Folder) -> None:
    """Put the archives of the model and of the output data, where there is any, to the job's output path."""
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": specification.output_key}
    options = encryption if specification.output_key else {}
    for uri, source in ((specification.model_uri, folder.model), (specification.output_uri, folder.output_data)):
        if source == folder.output_data and not any(source.iterdir()):
            continue
        bucket, key = bucket_and_key(uri)
        s3.put_object(Bucket=bucket, Key=key, Body=archive_of(source), **options)


def upload_checkpoints(s3: Any, specification: TrainingJobSpecification, folder: Folder) -> None:
    """Put what the script has left in its folder of checkpoints to S3; AWS does so while it runs."""
    if specification.checkpoints:
        bucket, prefix = bucket_and_key(specification.checkpoints.rstrip("/") + "/")
        for file in sorted(path for path in folder.checkpoints.rglob("*") if path.is_file()):
            key = f"{prefix}{file.relative_to(folder.checkpoints).as_posix()}"
            s3.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())


def archive_of(folder: Path) -> bytes:
    """A tar.gz of a folder's files; the same files give the same bytes."""
    content = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=content, mode="wb", mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(entry, file)
    return content.getvalue()


def metrics(patterns: dict[str, str], log: str) -> Iterator[tuple[str, float]]:
    """The last value of each metric in the log: name and value of the pattern's first group."""
    for name, pattern in patterns.items():
        found = list(re.finditer(pattern, log))
        if found:
            try:
                yield name, float(found[-1][1])
            except ValueError:
                continue


def failure_reason(folder: Folder, exit_code: int) -> str:
    """The script's reason for failing: its `failure` file, or the end of its log."""
    failure = folder.output / "failure"
    if failure.is_file():
        text = failure.read_text(errors="replace").strip()
    else:
        lines = folder.log.read_text(errors="replace").strip().splitlines()
        text = "\n".join(lines[-8:])
    return f"AlgorithmError: ExecuteUserScriptError: ExitCode {exit_code}, ErrorMessage {text}"[:_FAILURE_LIMIT]


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _check_pattern(name: str, pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise TrainingError(f"the Regex of metric {name} is wrong: {error}") from error
    if groups != 1:
        raise TrainingError(f"the Regex of metric {name} must have one group, not {groups}")


def _channel_uri(channel: dict[str, Any]) -> str:
    name = channel["ChannelName"]
    source = channel["DataSource"].get("S3DataSource")
    if source is None or source["S3DataType"] != "S3Prefix":
        raise TrainingError(f"channel {name}: the sandbox reads S3DataSource with S3DataType S3Prefix only")
    wanted = {"CompressionType": "None", "RecordWrapperType": "None", "InputMode": "File"}
    for member, allowed in wanted.items():
        if channel.get(member, allowed) != allowed:
            raise TrainingError(f"channel {name}: {member} is {channel[member]!r}; the sandbox allows {allowed!r}")
    if source.get("S3DataDistributionType", "FullyReplicated") != "FullyReplicated":
        raise TrainingError(f"channel {name}: the sandbox has one host; S3DataDistributionType must be FullyReplicated")
    return str(source["S3Uri"])


def _download_prefix(s3: Any, uri: str, target: Path) -> int:
    """Fetch the objects below an address; returns how many."""
    bucket, prefix = bucket_and_key(uri)
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    count = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", []):
            key = entry["Key"]
            name = key.removeprefix(folder) if key.startswith(folder) else Path(key).name if key == prefix else ""
            if not name or name.endswith("/"):
                continue
            path = (target / name).resolve()
            if not path.is_relative_to(target.resolve()):
                raise TrainingError(f"s3://{bucket}/{key} would leave the channel's folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            count += 1
    return count
