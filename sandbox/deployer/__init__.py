"""Deploys the real Pulumi program into the emulated cloud: each resource that it registers is made there with boto3."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.cloud import Cloud
from sandbox.deployer.records import Deployment, DeploymentError, ResourceRecord, file_name, record

__all__ = ["Deployment", "DeploymentError", "ResourceRecord", "deploy"]

_LOG_FILE = "deploy.log"


def deploy(
    program: Path,
    stack: str,
    cloud: Cloud,
    config: dict[str, Any] | None = None,
    on_resource: Callable[[ResourceRecord], None] | None = None,
    beside: Sequence[Deployment] = (),
) -> Deployment:
    """Run a Pulumi program against a cloud, in a child process, and keep the outcome beside the cloud.

    Args:
        program: The directory with `Pulumi.yaml`, `Pulumi.{stack}.yaml` and `__main__.py`.
        stack: The stack's name.
        cloud: A running cloud that nothing but `beside` was deployed to: the sandbox deploys, it does not update.
        config: Configuration over that of the files; a key without `namespace:` is the project's own.
        on_resource: Called for each resource and component as it is made.
        beside: The deployments of other stacks that are in the cloud already, in the order in which they came.

    Returns:
        The deployment; `Deployment.load(cloud)` reads the cloud's first one again. Destroying it is stopping the cloud.

    Raises:
        DeploymentError: naming the resource, its type and the cloud's answer. What was made until then stays.
    """
    file = cloud.directory / file_name(len(beside))
    if file.exists():
        raise DeploymentError(
            f"{file} is there: this cloud has its deployment, and the sandbox does not update; start a new cloud"
        )
    request = {
        "program": str(program.absolute()),
        "stack": stack,
        "cloud": str(cloud.directory),
        "config": config or {},
        "beside": [asdict(one) for deployment in beside for one in deployment.resources],
    }
    log_file = cloud.directory / _LOG_FILE
    outcome: dict[str, Any] = {}
    with (
        log_file.open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", "sandbox.deployer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as child,
    ):
        assert child.stdin is not None  # noqa: S101 - we asked for the pipes
        assert child.stdout is not None  # noqa: S101
        try:
            child.stdin.write(json.dumps(request))
            child.stdin.close()
            for line in child.stdout:
                outcome = json.loads(line)
                if on_resource is not None and "resource" in outcome:
                    on_resource(record(outcome["resource"]))
        except BaseException:
            # Ctrl-C above all: it must not go on deploying to a cloud that is about to be stopped.
            child.kill()
            raise
    if "error" in outcome:
        raise DeploymentError(f"{outcome['error']}\n(the whole story is in {log_file})")
    if "deployment" not in outcome:
        raise DeploymentError(f"the deployer ended with exit code {child.returncode} and no answer; see {log_file}")
    answer = outcome["deployment"]
    deployment = Deployment(answer["stack"], answer["outputs"], [record(values) for values in answer["resources"]])
    deployment.save(file)
    return deployment
