"""The resources that a stack has, as Pulumi's state or the sandbox's own deployer tells them."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class StateError(Exception):
    """A state that cannot be had or read; the text says why and what to do."""


@dataclass(frozen=True)
class Owned:
    """A resource of a stack.

    Attributes:
        type: Pulumi's type token.
        urn: Pulumi's name for it.
        id: its id in the cloud.
        protect: whether Pulumi refuses to delete it.
        values: its inputs, and over them its outputs.
    """

    type: str
    urn: str
    id: str
    protect: bool
    values: dict[str, Any]


@dataclass(frozen=True)
class StackState:
    """The resources of a stack, with those that its program no longer registers and Pulumi has not deleted yet.

    Attributes:
        resources: those in the cloud, components left out.
    """

    resources: list[Owned]

    def values(self, type_: str, key: str) -> set[str]:
        """An input or output of all resources of a type, where they have it."""
        return {str(one.values[key]) for one in self.resources if one.type == type_ and one.values.get(key)}

    def arns(self) -> set[str]:
        """The ARNs of the resources."""
        found = (one.values.get("arn") for one in self.resources)
        return {arn for arn in found if isinstance(arn, str) and arn.startswith("arn:")}

    def protected(self) -> list[str]:
        """URNs of what Pulumi refuses to delete."""
        return [one.urn for one in self.resources if one.protect]


def read(path: Path) -> StackState:
    """The state in a file: what `pulumi stack export` writes, or `deployment.json` of the sandbox's deployer.

    Raises:
        StateError: if it is neither.
    """
    try:
        return _state(json.loads(path.read_text()))
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(f"{path}: allowed is what `pulumi stack export` writes, or a deployment.json") from error


def exported(program: Path, stack: str) -> StackState:
    """The state that Pulumi's command line exports.

    Args:
        program: directory with `Pulumi.yaml`.
        stack: the stack's name.

    Raises:
        StateError: if there is no such command, or it fails.
    """
    command = ["pulumi", "stack", "export", "--stack", stack, "--cwd", str(program), "--non-interactive"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise StateError(
            f"what stack {stack} has made is in Pulumi's state, and there is no command pulumi: install it, or give "
            f"--state FILE, as `pulumi stack export --stack {stack} --file FILE` writes it"
        ) from None
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise StateError(f"`{' '.join(command)}` failed: {reason}")
    return _state(json.loads(done.stdout))


def _state(content: dict[str, Any]) -> StackState:
    if "deployment" in content:
        # A stack that nothing was deployed to has no resources at all.
        return StackState(list(_of_pulumi(content["deployment"].get("resources") or [])))
    return StackState(list(_of_sandbox(content["resources"])))


def _of_pulumi(resources: list[dict[str, Any]]) -> Iterator[Owned]:
    for one in resources:
        # What a program only looks up is external: another stack, or nobody, has made it.
        if one.get("custom") and not one.get("external") and not one["type"].startswith("pulumi:"):
            values = {**one.get("inputs", {}), **one.get("outputs", {})}
            yield Owned(one["type"], one["urn"], one.get("id", ""), bool(one.get("protect")), values)


def _of_sandbox(resources: list[dict[str, Any]]) -> Iterator[Owned]:
    for one in resources:
        if one["physical_id"] and not one["type"].startswith("pulumi:"):
            values = {**one["inputs"], **one["outputs"]}
            yield Owned(one["type"], one["urn"], one["physical_id"], one["protect"], values)
