"""The parts of a program that CloudFormation knows, judged by cfn-lint, where it is installed.

It runs in a child process, which can start while the program is recorded: importing it takes about a second.
"""

import importlib.util
import json
import subprocess
from typing import Any, Self

from pm_cli.review.checks.refusal import Refusal
from pm_cli.review.checks.template import parts
from pm_sandbox.recorder import Recording
from pm_sandbox.surroundings import environment, python

_NOT_INSTALLED = (
    "cfn-lint is not installed: policies, state machines and the types of aws-native are not held to CloudFormation's "
    "schemas (`make setup` installs it)"
)
#: Actions in policies of AWS IoT are listed elsewhere than IAM's, which the rule knows.
_NOT_OF_THE_TYPE = {("aws:iot/policy:Policy", "W3037")}
#: Characters: a rule may list all that is allowed.
_LONGEST = 300


class CfnLintError(Exception):
    """A cfn-lint that did not come to its end; the text is its error."""


class CfnLint:
    """A cfn-lint that waits for a program, as a context manager."""

    def __init__(self) -> None:
        """Start it, where it is installed."""
        self._child: subprocess.Popen[str] | None = None
        if importlib.util.find_spec("cfnlint") is not None:
            self._child = subprocess.Popen(
                python("pm_cli.review.checks.cfn_lint_process"),
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()

    @property
    def left_out(self) -> list[str]:
        """A line that says that nothing is judged, where it is not installed."""
        return [] if self._child else [_NOT_INSTALLED]

    def judge(self, recording: Recording, region: str) -> list[Refusal]:
        """Return what it has against a program in a region; once.

        Raises:
            CfnLintError: if it fails.
        """
        if self._child is None:
            return []
        judged = parts(recording)
        resources = [[part.cloudformation_type, part.properties] for part in judged]
        answer, errors = self._child.communicate(json.dumps({"region": region, "resources": resources}))
        if self._child.returncode != 0:
            raise CfnLintError(f"cfn-lint failed: {errors.strip()}")
        found = []
        for index, rule, path, message in json.loads(answer):
            part = None if index is None else judged[index]
            if part is None or (part.type, rule) not in _NOT_OF_THE_TYPE:
                found.append(Refusal(part.urn if part else "", f"{_written(path)}: {_cut(message)} (cfn-lint {rule})"))
        return found


def _written(path: list[Any]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "the template"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
