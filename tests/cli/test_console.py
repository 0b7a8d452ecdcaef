"""`pm_cli.console`: a step ends once, whatever interrupts it.

Does not prove how the bars look in a terminal.
"""

import io

import pytest

from pm_cli.console import ConsoleProgress
from pm_sandbox.terminal import Terminal


class _Interrupted(io.StringIO):
    """A terminal at which Ctrl-C is pressed just when the end of a step is written."""

    def write(self, text: str) -> int:
        written = super().write(text)
        if "✓" in text:
            raise KeyboardInterrupt
        return written


def _two_steps(console: Terminal) -> None:
    with ConsoleProgress(console) as progress:
        progress.step("Starting")
        progress.step("Replaying")


def test_ctrl_c_while_the_end_of_a_step_is_written_is_what_the_caller_sees() -> None:
    terminal = _Interrupted()
    with pytest.raises(KeyboardInterrupt):
        _two_steps(Terminal(file=terminal))
    assert "Replaying" not in terminal.getvalue()
