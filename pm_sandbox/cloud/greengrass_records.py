"""The records of the Greengrass service: component versions and deployments."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from pm_sandbox.cloud.modelled_service import ApiError


@dataclass
class ComponentVersion:
    """One registered version of a component, with its recipe (artifact digests included)."""

    arn: str
    name: str
    version: str
    recipe: dict[str, Any]
    created: dt.datetime
    tags: dict[str, str]


@dataclass
class Deployment:
    """One deployment to a thing or a thing group.

    Attributes:
        id: the deployment's id.
        revision: counts the deployments of its target from 1.
        components: the API's component specifications by component name.
        policies: the API's deployment policies, defaults filled in.
        job_configuration: the API's job configuration as given.
        job_id: the AWS IoT job that carries it to the devices.
        canceled: whether its user canceled it.
        superseded: whether its target has a later one.
    """

    id: str
    name: str
    arn: str
    target_arn: str
    revision: int
    components: dict[str, Any]
    policies: dict[str, Any]
    job_configuration: dict[str, Any]
    job_id: str
    job_arn: str
    created: dt.datetime
    tags: dict[str, str]
    canceled: bool = False
    superseded: bool = False

    @property
    def for_group(self) -> bool:
        """True if the target is a thing group, False if it is one thing."""
        return ":thinggroup/" in self.target_arn


def not_found(kind: str, identifier: str) -> ApiError:
    """The error for a thing that is not there: its kind, such as `Deployment`, and its id or ARN."""
    message = f"{kind} {identifier} does not exist"
    return ApiError("ResourceNotFoundException", message, resourceId=identifier, resourceType=kind)
