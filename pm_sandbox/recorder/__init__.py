"""Runs a Pulumi program without any cloud and tells all that it registers: for reviews, examples, tests and figures."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pm_sandbox.resource import Resource
from pm_sandbox.surroundings import environment, python

__all__ = ["DEFAULT_REGION", "UNKNOWN", "Recording", "RecordingError", "Registered", "record"]

#: Of a stack whose configuration names no region.
DEFAULT_REGION = "eu-central-1"
#: Stand-in for a value that is not known yet: `UnknownStringValue`, pulumi/sdk/go/common/resource/plugin/rpc.go.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class RecordingError(Exception):
    """A program that did not come to its end; the text is the program's error."""


@dataclass(frozen=True, kw_only=True)
class Registered(Resource):
    """A resource as it reached the engine.

    Attributes:
        protect: Whether Pulumi refuses to delete it.
        inputs: What the program asked for; files and archives are told by their hash and size, secrets not at all.
        outputs: What AWS might answer beside the inputs.
        registered_outputs: What a component registered as its outputs; None if it never did.
        deleted_first: Whether Pulumi, where it has to replace it, deletes the old one before it makes the new one.
        refused: What its provider or AWS has against its inputs, where the recording was to check them.
        unheld: Why the resource, or a part of it, was held to no service's model then; empty where all of it was.
    """

    protect: bool = False
    inputs: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict)
    registered_outputs: dict[str, Any] | None = None
    deleted_first: bool = False
    refused: list[str] = field(default_factory=list)
    unheld: str = ""


@dataclass(frozen=True)
class Recording:
    """All that a program registered.

    Attributes:
        resources: In the order of their URNs, which does not depend on the order of registration.
        outputs: The stack's outputs.
        seconds: From the program's first statement to its last registration.
        calls: How often it called each function of a provider, by the function's token.
    """

    resources: list[Registered]
    outputs: dict[str, Any]
    seconds: float
    calls: dict[str, int]

    def of_type(self, type_: str) -> dict[str, Registered]:
        """The resources of a type by their logical name."""
        return {resource.name: resource for resource in self.resources if resource.type == type_}


def record(
    program: Path,
    stack: str,
    config: dict[str, Any] | None = None,
    *,
    only_config: bool = False,
    preview: bool = False,
    checked: bool = False,
) -> Recording:
    """Run a program in a child process, with every registration answered as AWS might answer.

    Args:
        program: The directory with `Pulumi.yaml` and `__main__.py`.
        stack: The stack's name.
        config: Configuration over that of the files; a key without `namespace:` is the project's own.
        only_config: Take `config` and the defaults of `Pulumi.yaml` for all there is, without `Pulumi.{stack}.yaml`.
        preview: Answer as before the first update, when no output of a resource has a value. What is not known yet is
            `UNKNOWN` in the inputs and outputs of the recording.
        checked: Hold each resource's inputs to the SDK and to the models of AWS's services.

    Returns:
        What it registered.

    Raises:
        RecordingError: if the program fails, or uses an output that the recorder does not know.
    """
    request = {
        "program": str(program.absolute()),
        "stack": stack,
        "config": config or {},
        "only_config": only_config,
        "preview": preview,
        "checked": checked,
    }
    child = subprocess.run(
        python("pm_sandbox.recorder"),
        env=environment(),
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode != 0:
        raise RecordingError(f"{program}, stack {stack}: {child.stderr.strip()}")
    answer = json.loads(child.stdout)
    return Recording(
        [Registered(**one) for one in answer["resources"]], answer["outputs"], answer["seconds"], answer["calls"]
    )
