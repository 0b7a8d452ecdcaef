"""One operation of Pulumi's engine on a program, in a process of its own: the SDK and the program keep state.

The program runs inline, by the Automation API, so that no language host is needed.
"""

import os
import runpy
import sys
from collections.abc import Callable
from typing import Any

from pulumi import automation


def operate(request: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
    """Do what is asked: `preview`, `up`, `refresh`, `destroy` or `cancel`.

    Args:
        request: `program` and `project`, folders; `stack`, `environment`, `operation`, and `options` of its method.
        say: told `{"event": ...}` for each resource that the engine comes to, and at the end `{"done": ...}`, or
            `{"error": ...}` where the engine or the program fails.
    """

    def on_event(event: automation.EngineEvent) -> None:
        if event.resource_pre_event is not None:
            metadata = event.resource_pre_event.metadata
            say({"event": {"urn": metadata.urn, "op": str(metadata.op.value), "keys": metadata.diffs or []}})

    options = automation.LocalWorkspaceOptions(work_dir=request["project"], env_vars=request["environment"])

    def run() -> None:
        os.chdir(request["program"])
        sys.path.insert(0, request["program"])
        runpy.run_path("__main__.py", run_name="__main__")

    try:
        # The project's name is that of its file, which is there.
        stack = automation.create_or_select_stack(request["stack"], project_name="", program=run, opts=options)
        say({"done": _operation(stack, request["operation"], request["options"], on_event)})
    except automation.CommandError as error:
        say({"error": str(error)})


def _operation(stack: automation.Stack, operation: str, options: dict[str, Any], on_event: Any) -> dict[str, Any]:
    if operation == "cancel":
        stack.cancel()
        return {"changes": {}, "outputs": {}}
    result = getattr(stack, operation)(on_output=print, on_event=on_event, **options)
    if operation == "preview":
        summary = result.change_summary.items()
        return {"changes": {str(getattr(key, "value", key)): count for key, count in summary}, "outputs": {}}
    outputs = {key: value.value for key, value in stack.outputs().items() if not value.secret}
    return {"changes": dict(result.summary.resource_changes or {}), "outputs": outputs}
