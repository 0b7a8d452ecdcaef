"""A stack by Pulumi's Automation API, which runs the Pulumi command in the stack's folder."""

from collections.abc import Mapping
from pathlib import Path

from pulumi import automation

from examples.many_factories.targets import Target
from examples.many_factories.workspaces import prepare


class AutomationStack:
    """A target's stack. What the Pulumi command says goes to `pulumi.log` in the stack's folder."""

    def __init__(self, target: Target, directory: Path) -> None:
        """Keep the stack's folder below `directory`."""
        self.name = target.stack
        self._target = target
        self._directory = directory

    def up(self) -> Mapping[str, int]:
        """Create the stack where there is none, and bring it to its wanted state."""
        stack, log = self._selected()
        with log.open("a") as lines:
            result = stack.up(on_output=lines.write, on_error=lines.write, color="never")
        return _changes(result.summary)

    def destroy(self) -> Mapping[str, int]:
        """Delete the stack's resources. The stack and its history stay."""
        stack, log = self._selected()
        with log.open("a") as lines:
            result = stack.destroy(on_output=lines.write, on_error=lines.write, color="never")
        return _changes(result.summary)

    def _selected(self) -> tuple[automation.Stack, Path]:
        folder = prepare(self._target, self._directory)
        return automation.create_or_select_stack(self.name, work_dir=str(folder)), folder / "pulumi.log"


def _changes(summary: automation.UpdateSummary) -> Mapping[str, int]:
    return {str(getattr(kind, "value", kind)): count for kind, count in (summary.resource_changes or {}).items()}
