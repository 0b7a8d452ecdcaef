"""The record of a stack: its outputs and one entry for each resource, kept as JSON beside the cloud."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, Self

from pm_sandbox.resource import Resource
from pm_sandbox.state_files import write_json

#: Kinds of steps, as Pulumi's engine names them. What is replaced is told thrice: as such, by the deletion of the old
#: one and by the creation of the new one.
Operation = Literal["same", "create", "update", "delete", "replace", "create-replacement", "delete-replaced"]
_COUNTED: dict[Operation, str] = {
    "create": "made",
    "update": "changed",
    "replace": "replaced",
    "delete": "deleted",
    "same": "unchanged",
}


class DeploymentError(Exception):
    """A deployment that did not come about; the text names the resource and the reason."""


class HasDirectory(Protocol):
    """A cloud, as far as the records need it: the folder that it lives in."""

    @property
    def directory(self) -> Path:
        """The folder of the cloud's state and of what is said about it."""


class Step(NamedTuple):
    """A step of a deployment that is done.

    Attributes:
        operation: What was done.
        type: The resource's type token.
        name: Its logical name.
        urn: Pulumi's name for it.
        inputs: The inputs that changed; of what was replaced, those that replaced it.
    """

    operation: Operation
    type: str
    name: str
    urn: str
    inputs: list[str]


@dataclass(frozen=True, kw_only=True)
class ResourceRecord(Resource):
    """One resource of the program, as it is in the cloud.

    Attributes:
        physical_id: Its id in the cloud; empty for a component.
        inputs: What the program asked for; archives and files are told by their hash and size, and secrets by a mask.
        outputs: What the program got back.
        provider: URN and id of its explicit provider, or empty.
        protect: Whether it may not be deleted or replaced.
        retain_on_delete: Whether the cloud keeps it when it is deleted.
        replace_on_changes: Paths of the inputs whose changes replace it, beside those of the provider.
        sealed: Its inputs and outputs, encrypted, where some of them are secret.
        pending_delete: Whether it was replaced and is still to be deleted.
    """

    physical_id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    provider: str = ""
    protect: bool = False
    retain_on_delete: bool = False
    replace_on_changes: list[str] = field(default_factory=list)
    sealed: str = ""
    pending_delete: bool = False


@dataclass(frozen=True)
class Deployment:
    """A stack in a cloud.

    Attributes:
        project: The project's name.
        stack: The stack's name.
        outputs: The stack's outputs, as the program exported them when it last came to its end.
        resources: One record for each resource, each after what it depends on.
        engine: The engine that deployed it, `own` or `pulumi`; the other one knows too little to go on from there.
        steps: What was done by this deployment; none of one that was read from its file.
    """

    project: str
    stack: str
    outputs: dict[str, Any]
    resources: list[ResourceRecord]
    engine: Literal["own", "pulumi"] = "own"
    steps: list[Step] = field(default_factory=list, compare=False)

    def save(self, file: Path) -> None:
        """Write all but the steps to a file."""
        write_json(file, {key: value for key, value in asdict(self).items() if key != "steps"})

    def physical_id(self, type_: str, name: str) -> str:
        """The id in the cloud of the resource with this type and logical name.

        Raises:
            DeploymentError: if there is none.
        """
        for resource in self.resources:
            if (resource.type, resource.name) == (type_, name):
                return resource.physical_id
        raise DeploymentError(f"the program has registered no {type_} named {name!r}")

    def summary(self) -> list[str]:
        """The steps in words: how many of each kind, and which resources were replaced for the sake of which inputs."""
        counts = Counter(step.operation for step in self.steps)
        said = [f"{counts[operation]} {word}" for operation, word in _COUNTED.items() if counts[operation]]
        replaced = [step for step in self.steps if step.operation == "replace"]
        return [
            f"resources: {', '.join(said) or 'none'}",
            *(
                f"replaced {step.type} {step.name}: "
                + (f"{', '.join(step.inputs)} changed" if step.inputs else "what it depends on was replaced")
                for step in replaced
            ),
        ]

    @classmethod
    def load(cls, cloud: HasDirectory) -> Self:
        """Read the first deployment of a cloud.

        Raises:
            DeploymentError: if nothing was deployed to it, or its file is not one of ours.
        """
        for file in _files(cloud.directory):
            return cls.read(file)
        raise DeploymentError(f"nothing is deployed to this cloud: {cloud.directory} holds no deployment.json")

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a deployment's file.

        Raises:
            DeploymentError: if it is not one of ours.
        """
        try:
            read = json.loads(file.read_text())
            return cls(
                project=read["project"],
                stack=read["stack"],
                outputs=read["outputs"],
                resources=[record(values) for values in read["resources"]],
                engine=read["engine"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DeploymentError(f"{file} is not a deployment's record: {error!r}") from error


def record(values: dict[str, Any]) -> ResourceRecord:
    """A resource's record from its JSON object; KeyError where a field is missing."""
    return ResourceRecord(**{one.name: values[one.name] for one in fields(ResourceRecord)})


def deployments(directory: Path) -> dict[Path, Deployment]:
    """The deployments of a cloud by their files, in the order in which the stacks came.

    Raises:
        DeploymentError: if a file is not one of ours.
    """
    return {file: Deployment.read(file) for file in _files(directory)}


def new_file(directory: Path) -> Path:
    """The file for a stack that the cloud does not have yet; the first one's is `deployment.json`."""
    last = max(map(_number, _files(directory)), default=0)
    return directory / (f"deployment-{last + 1}.json" if last else "deployment.json")


def _files(directory: Path) -> Iterator[Path]:
    yield from sorted(directory.glob("deployment*.json"), key=_number)


def _number(file: Path) -> int:
    return int(file.stem.removeprefix("deployment").removeprefix("-") or 1)
