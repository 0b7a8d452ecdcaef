"""Prints, as JSON, what each of the programs named on the command line registers: {name: [resources]}.

A process of its own, since running a program changes the process. All that takes tags is given the required ones.
"""

import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pm_sandbox.deployer.program import run_program
from pm_sandbox.deployer.project import Project
from pm_sandbox.recorder.monitor import RecordingMonitor

TAGS = """
import pulumi
from pm_components.aws.tagging import with_tags

TAGS = {"Project": "pm", "Stack": "dev", "Tier": "dev", "Owner": "tests", "CostCentre": "tests"}
pulumi.runtime.register_stack_transformation(
    lambda args: pulumi.ResourceTransformationResult(with_tags(args.type_, args.props, TAGS), args.opts)
)
"""


def recorded(path: Path) -> list[dict[str, Any]]:
    """The registrations of one program in the stack `dev`."""
    monitor = RecordingMonitor("pm", "dev", "eu-central-1")
    with tempfile.TemporaryDirectory() as directory:
        main = f"{TAGS}\nimport runpy\nrunpy.run_path({str(path)!r})\n"
        (Path(directory) / "__main__.py").write_text(main)
        run_program(Path(directory), "dev", Project("pm", {"aws:region": "eu-central-1"}), monitor)
        os.chdir("/")
    return [asdict(monitor.registered[urn]) for urn in sorted(monitor.registered)]


def main() -> None:
    """Record all and print."""
    paths = [Path(path).resolve() for path in sys.argv[1:]]
    json.dump({path.stem: recorded(path) for path in paths}, sys.stdout)


main()
