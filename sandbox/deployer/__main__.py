"""The deployer's child process: reads a request from standard input, answers in JSON lines on standard output.

A line is `{"resource": ...}` for each resource made, and at the end `{"deployment": ...}` or `{"error": ...}`. What the
program itself prints goes to standard error.
"""

import gc
import json
import logging
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.cloud import Cloud
from sandbox.deployer.monitor import CloudMonitor
from sandbox.deployer.program import run_program
from sandbox.deployer.project import read_project
from sandbox.deployer.records import Deployment, DeploymentError, record
from sandbox.provider.registry import Context


def main() -> None:
    """Deploy what standard input asks for."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as lines:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

        def say(kind: str, content: Any) -> None:
            lines.write(json.dumps({kind: content}) + "\n")
            lines.flush()

        # This process lives for seconds and its modules' classes stay: searching them for garbage costs a tenth of it.
        gc.disable()
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
        try:
            deployment = _deploy(json.load(sys.stdin), lambda made: say("resource", asdict(made)))
        except DeploymentError as error:
            traceback.print_exc()
            say("error", str(error))
        except BaseException as error:
            traceback.print_exc()
            say("error", f"the program ended with {type(error).__name__}: {error}")
        else:
            say("deployment", asdict(deployment))
    # All is said: taking the SDK's thousands of modules down in good order would cost most of a second.
    sys.stderr.flush()
    os._exit(0)


def _deploy(request: dict[str, Any], on_resource: Any) -> Deployment:
    cloud = Cloud.attach(Path(request["cloud"]))
    program, stack = Path(request["program"]), request["stack"]
    project = read_project(program, stack, {"aws:region": cloud.region, **request["config"]})
    monitor = CloudMonitor(Context(cloud), on_resource, map(record, request["beside"]))
    try:
        run_program(program, stack, project, monitor)
    except BaseException as error:
        raise monitor.failure or error from error
    return Deployment(stack, monitor.outputs, list(monitor.records.values()))


if __name__ == "__main__":
    main()
