"""A stack without a cloud: its program is run, and what it registers is counted."""

from collections.abc import Mapping
from pathlib import Path

from examples.many_factories.targets import Target
from examples.many_factories.workspaces import prepare
from pm_sandbox.recorder import Recording, record


class RecordedStack:
    """A target's stack, whose program is run against the recorder.

    Attributes:
        recording: What the program registered when it was last brought up.
    """

    def __init__(self, target: Target, directory: Path) -> None:
        """Keep the stack's folder below `directory`."""
        self.name = target.stack
        self._target = target
        self._directory = directory
        self.recording: Recording | None = None

    def up(self) -> Mapping[str, int]:
        """Run the program; how many resources a first `pulumi up` would create."""
        self.recording = record(prepare(self._target, self._directory), self.name)
        return {"create": sum(resource.custom for resource in self.recording.resources)}

    def destroy(self) -> Mapping[str, int]:
        """Nothing was made, so that nothing is deleted."""
        return {}
