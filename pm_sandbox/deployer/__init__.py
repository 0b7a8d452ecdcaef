"""Takes an emulated cloud to what a real Pulumi program registers: each resource is made, changed or deleted there."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer.records import Deployment, DeploymentError, ResourceRecord, Step
from pm_sandbox.surroundings import environment, python

__all__ = ["Deployment", "DeploymentError", "ResourceRecord", "Step", "deploy", "destroy"]

_LOG_FILE = "deploy.log"
OnStep = Callable[[Step], None]


def deploy(
    program: Path, stack: str, cloud: Cloud, config: dict[str, Any] | None = None, on_step: OnStep | None = None
) -> Deployment:
    """Run a Pulumi program against a cloud, in a child process, and keep the outcome beside the cloud.

    What the stack has there already is changed or replaced where the program says otherwise now, and deleted where the
    program no longer registers it. Other stacks, in files of their own, are left alone.

    Args:
        program: The directory with `Pulumi.yaml`, `Pulumi.{stack}.yaml` and `__main__.py`.
        stack: The stack's name.
        cloud: A running cloud.
        config: Configuration over that of the files; a key without `namespace:` is the project's own.
        on_step: Called for each step as it is done.

    Returns:
        The deployment; `Deployment.load(cloud)` reads the cloud's first one again.

    Raises:
        DeploymentError: naming the resource, its type and the cloud's answer. What was done until then stays and is
            kept in mind: the next deployment goes on from there.
    """
    request = {"program": str(program.absolute()), "stack": stack, "config": config or {}}
    file, steps = _asked(request, cloud, on_step)
    return replace(Deployment.read(file), steps=steps)


def destroy(deployment: Deployment, cloud: Cloud, on_step: OnStep | None = None) -> list[Step]:
    """Delete all that a stack has in a cloud, what depends on something before that.

    Args:
        deployment: The stack's; what its file says of the resources counts.
        cloud: A running cloud.
        on_step: Called for each step as it is done.

    Returns:
        The steps.

    Raises:
        DeploymentError: if something is protected, with nothing deleted then, or if the cloud refuses a deletion.
    """
    request = {"program": "", "project": deployment.project, "stack": deployment.stack}
    return _asked(request, cloud, on_step)[1]


def _asked(request: dict[str, Any], cloud: Cloud, on_step: OnStep | None) -> tuple[Path, list[Step]]:
    """Have a child process do it: the deployment's file, and what was done."""
    log_file = cloud.directory / _LOG_FILE
    steps: list[Step] = []
    outcome: dict[str, Any] = {}
    with (
        log_file.open("w") as log,
        subprocess.Popen(
            python("pm_sandbox.deployer"),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as child,
    ):
        assert child.stdin is not None  # noqa: S101 - we asked for the pipes
        assert child.stdout is not None  # noqa: S101
        try:
            child.stdin.write(json.dumps({**request, "cloud": str(cloud.directory)}))
            child.stdin.close()
            for line in child.stdout:
                outcome = json.loads(line)
                if "step" in outcome:
                    steps.append(Step(*outcome["step"]))
                    if on_step is not None:
                        on_step(steps[-1])
        except BaseException:
            # Ctrl-C above all: it must not go on deploying to a cloud that is about to be stopped.
            child.kill()
            raise
    if "error" in outcome:
        raise DeploymentError(f"{outcome['error']}\n(the whole story is in {log_file})")
    if "file" not in outcome:
        raise DeploymentError(f"the deployer ended with exit code {child.returncode} and no answer; see {log_file}")
    return Path(outcome["file"]), steps
