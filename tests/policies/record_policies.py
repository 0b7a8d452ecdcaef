"""Prints, as JSON, the permissions that a stack of the project asks for: [[resource, policy document]]."""

import json
import sys
from pathlib import Path

from pm_policies.policy_documents import POLICY_KEYS
from pm_sandbox.deployer.program import run_program
from pm_sandbox.deployer.project import read_project
from pm_sandbox.recorder.monitor import RecordingMonitor

ROOT = Path(__file__).parents[2]


def main(stack: str) -> None:
    """Record and print."""
    project = read_project(ROOT, stack, {})
    monitor = RecordingMonitor(project.name, stack, project.config["aws:region"])
    run_program(ROOT, stack, project, monitor)
    found = [
        [resource.name, json.loads(resource.inputs[key])]
        for _, resource in sorted(monitor.registered.items())
        for key in POLICY_KEYS.get(resource.type, ())
    ]
    json.dump(found, sys.stdout)


main(sys.argv[1])
