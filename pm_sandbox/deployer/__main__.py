"""The deployer's child process: reads a request from standard input, answers in JSON lines on standard output.

A line is `{"step": ...}` for each step done, and at the end `{"file": ...}`, with that of the deployment, or
`{"error": ...}`.
What the program itself prints goes to standard error.
"""

import gc
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer.engine import Engine
from pm_sandbox.deployer.monitor import CloudMonitor
from pm_sandbox.deployer.program import run_program
from pm_sandbox.deployer.project import Project, read_project
from pm_sandbox.deployer.records import Deployment, DeploymentError, Step, deployments, new_file
from pm_sandbox.deployer.vault import Vault
from pm_sandbox.provider import Context, Provider


def main() -> None:
    """Deploy or destroy what standard input asks for."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as lines:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

        def say(kind: str, content: Any) -> None:
            lines.write(json.dumps({kind: content}) + "\n")
            lines.flush()

        # This process lives for seconds and its modules' classes stay: searching them for garbage costs a tenth of it.
        gc.disable()
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
        try:
            file = _done(json.load(sys.stdin), lambda step: say("step", step))
        except DeploymentError as error:
            traceback.print_exc()
            say("error", str(error))
        except BaseException as error:
            traceback.print_exc()
            say("error", f"the program ended with {type(error).__name__}: {error}")
        else:
            say("file", str(file))
    # All is said: taking the SDK's thousands of modules down in good order would cost most of a second.
    sys.stderr.flush()
    os._exit(0)


def _done(request: dict[str, Any], on_step: Callable[[Step], None]) -> Path:
    """Deploy a program, or destroy where none is named; what the stack has then is written down whatever goes wrong."""
    cloud = Cloud.attach(Path(request["cloud"]))
    program, stack = request["program"], request["stack"]
    project = read_project(Path(program), stack, {"aws:region": cloud.region, **request["config"]}) if program else None
    name = project.name if project else request["project"]
    there = deployments(cloud.directory)
    ours = next((file for file, one in there.items() if (one.project, one.stack) == (name, stack)), None)
    file = ours or new_file(cloud.directory)
    before = there.pop(file, Deployment(name, stack, {}, []))
    if before.engine != "own":
        raise DeploymentError(f"Pulumi's engine deployed stack {stack} to this cloud, and it has to go on with it")
    provider = Provider(Context(cloud))
    beside = [record for one in there.values() for record in one.resources]
    engine = Engine(provider, Vault.of(cloud.directory), on_step, before.resources, beside)
    outputs = before.outputs
    try:
        if project:
            outputs = _run(Path(program), stack, project, CloudMonitor(name, stack, engine, provider))
        engine.finish()
    finally:
        left = engine.state()
        if left or project:
            Deployment(name, stack, outputs, left).save(file)
        else:
            file.unlink(missing_ok=True)
    return file


def _run(program: Path, stack: str, project: Project, monitor: CloudMonitor) -> dict[str, Any]:
    """Run the program to its end; the stack's outputs."""
    try:
        run_program(program, stack, project, monitor)
    except BaseException as error:
        raise monitor.failure or error from error
    if monitor.failure:
        raise monitor.failure
    return monitor.outputs


if __name__ == "__main__":
    main()
