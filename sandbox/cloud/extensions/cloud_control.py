"""AWS Cloud Control API for the resources that the provider `aws-native` makes of our program: those of Greengrass V2.

The emulator's own keeps any resource and makes none of them. This one makes component versions and deployments by the
Greengrass service beside it, with the caller's permissions, and refuses every other type. A resource is made at once,
so that a request has succeeded or failed when it is answered. Nothing but tags could be updated of the two, and that is
refused.
"""

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ministack import app

from sandbox.cloud import seams
from sandbox.cloud.modelled_service import ApiError, ModelledService, Operation, Request

#: Keys of these objects are names of the program's own.
_OWN_KEYS = ("Components", "Tags")


@dataclass(frozen=True)
class Kind:
    """How a resource type is made and deleted.

    Attributes:
        identifier: the property that identifies a resource.
        create: the operation of Greengrass that makes it.
        read_only: property -> member of that operation's answer.
        delete: operations and the member that takes the identifier, in order.
    """

    identifier: str
    create: str
    read_only: Mapping[str, str]
    delete: tuple[tuple[str, str], ...]


KINDS = {
    "AWS::GreengrassV2::ComponentVersion": Kind(
        "Arn",
        "CreateComponentVersion",
        {"Arn": "arn", "ComponentName": "componentName", "ComponentVersion": "componentVersion"},
        (("DeleteComponent", "arn"),),
    ),
    "AWS::GreengrassV2::Deployment": Kind(
        "DeploymentId",
        "CreateDeployment",
        {"DeploymentId": "deploymentId"},
        (("CancelDeployment", "deploymentId"), ("DeleteDeployment", "deploymentId")),
    ),
}


@dataclass(frozen=True)
class Resources:
    """The operations on resources.

    Attributes:
        greengrass: does an operation of Greengrass.
        properties: the properties of each resource by type and identifier.
        events: what became of each request, by its token.
    """

    greengrass: Callable[[Request], Any]
    properties: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def create_resource(self, request: Request) -> dict[str, Any]:
        """Make a resource."""
        type_, kind = _kind(request)
        try:
            desired = json.loads(request.input["DesiredState"])
        except ValueError as error:
            raise ApiError("InvalidRequestException", f"DesiredState is no JSON: {error}") from error
        given = _members(desired)
        if "inlineRecipe" in given:
            given["inlineRecipe"] = given["inlineRecipe"].encode()
        try:
            made = await self.greengrass(replace(request, operation=kind.create, input=given))
        except ApiError as error:
            return self._event("CREATE", type_, error=error)
        properties = {**desired, **{name: made[member] for name, member in kind.read_only.items()}}
        self.properties[type_, properties[kind.identifier]] = properties
        return self._event("CREATE", type_, properties[kind.identifier], json.dumps(properties))

    def get_resource(self, request: Request) -> dict[str, Any]:
        """The properties of a resource."""
        type_, _ = _kind(request)
        identifier = request.input["Identifier"]
        description = {"Identifier": identifier, "Properties": json.dumps(self._known(type_, identifier))}
        return {"TypeName": type_, "ResourceDescription": description}

    async def delete_resource(self, request: Request) -> dict[str, Any]:
        """Delete a resource; a deployment is cancelled first, and one that cannot be cancelled is not deleted.

        So does the handler of `AWS::GreengrassV2::Deployment` (DeleteHandler.java in
        github.com/aws-cloudformation/aws-cloudformation-resource-providers-greengrassv2): a deployment that another one
        of its target has taken the place of is not active any more, and so cannot be deleted.
        """
        type_, kind = _kind(request)
        identifier = request.input["Identifier"]
        self._known(type_, identifier)
        for operation, member in kind.delete:
            try:
                await self.greengrass(replace(request, operation=operation, input={member: identifier}))
            except ApiError as error:
                return self._event("DELETE", type_, identifier, error=error)
        del self.properties[type_, identifier]
        return self._event("DELETE", type_, identifier)

    def get_resource_request_status(self, request: Request) -> dict[str, Any]:
        """What became of a request."""
        token = request.input["RequestToken"]
        if token not in self.events:
            raise ApiError("RequestTokenNotFoundException", f"there was no request {token}")
        return {"ProgressEvent": self.events[token]}

    def _known(self, type_: str, identifier: str) -> dict[str, Any]:
        if (type_, identifier) not in self.properties:
            raise ApiError("ResourceNotFoundException", f"there is no {type_} {identifier}")
        return self.properties[type_, identifier]

    def _event(
        self, operation: str, type_: str, identifier: str = "", model: str = "", error: ApiError | None = None
    ) -> dict[str, Any]:
        token = str(uuid.uuid4())
        event = {
            "TypeName": type_,
            "RequestToken": token,
            "Operation": operation,
            "OperationStatus": "FAILED" if error else "SUCCESS",
            "EventTime": dt.datetime.now(dt.UTC),
        }
        if identifier:
            event["Identifier"] = identifier
        if model:
            event["ResourceModel"] = model
        if error:
            code = "ResourceConflict" if error.code == "ConflictException" else "InvalidRequest"
            event |= {"StatusMessage": f"{error.code}: {error.message}", "ErrorCode": code}
        self.events[token] = event
        return {"ProgressEvent": event}


def _kind(request: Request) -> tuple[str, Kind]:
    type_ = request.input["TypeName"]
    if type_ not in KINDS:
        raise ApiError(
            "UnsupportedActionException", f"the sandbox's Cloud Control API has no {type_}; it has {', '.join(KINDS)}"
        )
    return type_, KINDS[type_]


def _members(value: Any, key: str = "") -> Any:
    """Properties as the members of an operation's input: their first letters small, the program's own names kept."""
    if isinstance(value, dict):
        own = key in _OWN_KEYS
        return {name if own else name[:1].lower() + name[1:]: _members(item, name) for name, item in value.items()}
    return [_members(item) for item in value] if isinstance(value, list) else value


def install() -> None:
    """Serve the Cloud Control API behind the emulator's endpoint."""
    handlers = seams.require_value(app, "SERVICE_HANDLERS", dict)
    greengrass: ModelledService = handlers["greengrass"].__self__
    resources = Resources(greengrass.call)
    service = ModelledService(
        "cloudcontrol",
        "cloudformation",
        {
            "CreateResource": Operation(resources.create_resource, refused=("TypeVersionId", "RoleArn")),
            "GetResource": Operation(resources.get_resource, refused=("TypeVersionId", "RoleArn")),
            "DeleteResource": Operation(resources.delete_resource, refused=("TypeVersionId", "RoleArn")),
            "GetResourceRequestStatus": Operation(resources.get_resource_request_status),
        },
    )
    handlers["cloudcontrol"] = service.handle
