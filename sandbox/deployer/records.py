"""The record of a deployment: the stack's outputs and one entry for each resource, kept as JSON beside the cloud."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol, Self


def file_name(number: int) -> str:
    """The name of the file with a cloud's deployment, that of the first one for `number` 0, in the cloud's folder."""
    return f"deployment-{number + 1}.json" if number else "deployment.json"


class DeploymentError(Exception):
    """A deployment that did not come about; the text names the resource and the reason."""


class HasDirectory(Protocol):
    """A cloud, as far as the records need it: the folder that it lives in."""

    @property
    def directory(self) -> Path:
        """The folder of the cloud's state and of what is said about it."""


@dataclass(frozen=True)
class ResourceRecord:
    """One resource of the program.

    Attributes:
        type: Pulumi's type token, such as `aws:s3/bucket:Bucket`.
        name: The resource's logical name in the program.
        urn: Pulumi's name for it, which holds the types of its parents.
        parent: The parent's URN.
        physical_id: Its id in the cloud; empty for a component.
        inputs: What the program asked for; archives and files are told by their hash and size.
        outputs: What the program got back.
    """

    type: str
    name: str
    urn: str
    parent: str
    physical_id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]


@dataclass(frozen=True)
class Deployment:
    """A finished deployment.

    Attributes:
        stack: The stack's name.
        outputs: The stack's outputs, as the program exported them.
        resources: One record for each resource, in the order in which they came to be.
    """

    stack: str
    outputs: dict[str, Any]
    resources: list[ResourceRecord]

    def save(self, file: Path) -> None:
        """Write the deployment to a file, see `file_name`."""
        file.write_text(json.dumps(asdict(self), indent=1))

    def physical_id(self, type_: str, name: str) -> str:
        """The id in the cloud of the resource with this type and logical name.

        Raises:
            DeploymentError: where there is none.
        """
        for resource in self.resources:
            if (resource.type, resource.name) == (type_, name):
                return resource.physical_id
        raise DeploymentError(f"the program has registered no {type_} named {name!r}")

    @classmethod
    def load(cls, cloud: HasDirectory) -> Self:
        """Read the first deployment of a cloud.

        Raises:
            DeploymentError: where nothing was deployed to it, or its file is not one of ours.
        """
        path = cloud.directory / file_name(0)
        try:
            read = json.loads(path.read_text())
            return cls(
                stack=read["stack"],
                outputs=read["outputs"],
                resources=[record(values) for values in read["resources"]],
            )
        except FileNotFoundError:
            raise DeploymentError(f"nothing is deployed to this cloud: {path} is not there") from None
        except (ValueError, KeyError, TypeError) as error:
            raise DeploymentError(f"{path} is not a deployment's record: {error!r}") from error


def record(values: dict[str, Any]) -> ResourceRecord:
    """A resource's record from its JSON object; KeyError where a field is missing."""
    return ResourceRecord(**{field.name: values[field.name] for field in fields(ResourceRecord)})
