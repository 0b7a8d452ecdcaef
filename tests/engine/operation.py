"""`python -m tests.engine.operation`: one operation of Pulumi's own engine on a program, as a child process.

A request is JSON on standard input; the answer is JSON on standard output. The program runs inline, by the Automation
API, so that no language host is needed; one program a process, since the SDK and the program keep state.
"""

import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

from pulumi import automation

from sandbox.deployer.project import read_project


def main() -> None:
    """Do what is asked: `preview`, `up`, `refresh`, `destroy` or `cancel`."""
    request = json.load(sys.stdin)
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answer:
        # What the program and the engine print is for whoever looks for a failure's reason.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        json.dump(_done(request), answer)


def _done(request: dict[str, Any]) -> dict[str, Any]:
    program, stack = Path(request["program"]), request["stack"]
    project = read_project(program, request["file"], request["config"], stack_file=request["file"] is not None)

    def run() -> None:
        os.chdir(program)
        sys.path.insert(0, str(program))
        runpy.run_path("__main__.py", run_name="__main__")

    options = automation.LocalWorkspaceOptions(work_dir=request["folder"], env_vars=request["environment"])
    one = automation.create_or_select_stack(stack, project_name=project.name, program=run, opts=options)
    one.set_all_config({key: automation.ConfigValue(value) for key, value in project.config.items()})
    events: list[dict[str, Any]] = []

    def on_event(event: automation.EngineEvent) -> None:
        if event.resource_pre_event is not None:
            metadata = event.resource_pre_event.metadata
            events.append({"urn": metadata.urn, "op": str(metadata.op.value), "keys": metadata.diffs or []})

    try:
        changes, outputs = _run(one, request["operation"], request["options"], on_event)
    except automation.CommandError as error:
        return {"error": str(error), "events": events}
    return {"changes": changes, "outputs": outputs, "events": events}


def _run(
    stack: automation.Stack, operation: str, options: dict[str, Any], on_event: Any
) -> tuple[dict[str, int], dict[str, Any]]:
    if operation == "cancel":
        stack.cancel()
        return {}, {}
    call = getattr(stack, operation)
    result = call(on_output=print, on_event=on_event, **options)
    if operation == "preview":
        return {str(getattr(key, "value", key)): count for key, count in result.change_summary.items()}, {}
    outputs = {key: value.value for key, value in stack.outputs().items() if not value.secret}
    return dict(result.summary.resource_changes or {}), outputs


if __name__ == "__main__":
    main()
