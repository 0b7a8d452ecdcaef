"""The recorder's child process: reads a request from standard input, writes the recording as JSON to standard output.

One program a process: Pulumi's SDK keeps global state. What the program itself prints goes to standard error.
"""

import gc
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pm_sandbox.deployer.program import run_program
from pm_sandbox.deployer.project import read_project
from pm_sandbox.deployer.records import DeploymentError
from pm_sandbox.recorder import DEFAULT_REGION
from pm_sandbox.recorder.monitor import RecordingMonitor


def main() -> None:
    """Record what standard input asks for; the exit code is 1, with the reason on standard error, where it fails."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answer:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        # This process lives for seconds and its modules' classes stay: searching them for garbage is lost time.
        gc.disable()
        try:
            json.dump(_recorded(json.load(sys.stdin)), answer)
            code = 0
        except DeploymentError as error:
            sys.stderr.write(f"{error}\n")
            code = 1
        except Exception as error:
            sys.stderr.write(f"the program ended with {type(error).__name__}: {error}\n")
            code = 1
    sys.stderr.flush()
    # All is said: taking the SDK's thousands of modules down in good order would cost most of a second.
    os._exit(code)


def _recorded(request: dict[str, Any]) -> dict[str, Any]:
    program, stack = Path(request["program"]), request["stack"]
    project = read_project(program, stack, request["config"], stack_file=not request["only_config"])
    region = project.config.setdefault("aws:region", DEFAULT_REGION)
    monitor = RecordingMonitor(project.name, stack, region, preview=request["preview"], checked=request["checked"])
    begin = time.perf_counter()
    try:
        run_program(program, stack, project, monitor)
    except BaseException as error:
        raise monitor.failure or error from error
    seconds = time.perf_counter() - begin
    resources = [asdict(monitor.registered[urn]) for urn in sorted(monitor.registered)]
    return {"resources": resources, "outputs": monitor.outputs, "seconds": seconds, "calls": monitor.calls}


if __name__ == "__main__":
    main()
