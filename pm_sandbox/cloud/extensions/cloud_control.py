"""AWS Cloud Control API for the resources that the provider `aws-native` makes of our program: those of Greengrass V2.

The emulator's own keeps any resource and makes none of them. This one makes, reads, tags and deletes component versions
and deployments by the Greengrass service beside it, with the caller's permissions, and refuses every other type. A
request has succeeded or failed when it is answered. Properties are those of the types' CloudFormation schemas: what is
only written is not told, and of the two types tags alone may change.
"""

import copy
import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ministack import app

from pm_sandbox.cloud import seams
from pm_sandbox.cloud.modelled_service import ApiError, ModelledService, Operation, Request

#: Keys of these objects are names of the program's own.
_OWN_KEYS = ("components", "tags")
#: Cloud Control's code of a handler's error -> Greengrass's; any other is an `InvalidRequest`.
_CODES = {"ConflictException": "ResourceConflict", "ResourceNotFoundException": "NotFound"}


@dataclass(frozen=True)
class Kind:
    """A resource type: how it is made, read, and deleted.

    Attributes:
        identifier: the property that identifies a resource.
        create: the operation of Greengrass that makes it.
        read: the operation that tells its properties, and the member that takes the identifier.
        properties: the properties that it tells, as its members are called.
        arn: the end of its ARN, after that of the service, where that is not the identifier.
        delete: operations and the member that takes the identifier, in order.
    """

    identifier: str
    create: str
    read: tuple[str, str]
    properties: tuple[str, ...]
    arn: str
    delete: tuple[tuple[str, str], ...]


KINDS = {
    "AWS::GreengrassV2::ComponentVersion": Kind(
        "arn",
        "CreateComponentVersion",
        ("DescribeComponent", "arn"),
        ("arn", "componentName", "componentVersion", "tags"),
        "",
        (("DeleteComponent", "arn"),),
    ),
    "AWS::GreengrassV2::Deployment": Kind(
        "deploymentId",
        "CreateDeployment",
        ("GetDeployment", "deploymentId"),
        (
            "deploymentId",
            "targetArn",
            "parentTargetArn",
            "deploymentName",
            "components",
            "deploymentPolicies",
            "iotJobConfiguration",
            "tags",
        ),
        ":deployments:",
        (("CancelDeployment", "deploymentId"), ("DeleteDeployment", "deploymentId")),
    ),
}


@dataclass(frozen=True)
class Resources:
    """The operations on resources.

    Attributes:
        greengrass: does an operation of Greengrass.
        events: what became of each request, by its token.
    """

    greengrass: Callable[[Request], Any]
    events: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def create_resource(self, request: Request) -> dict[str, Any]:
        """Make a resource."""
        kind = _kind(request)
        given = _members(_json(request, "DesiredState"))
        if "inlineRecipe" in given:
            given["inlineRecipe"] = given["inlineRecipe"].encode()
        try:
            identifier = (await self._call(request, kind.create, **given))[kind.identifier]
            model = await self._properties(request, kind, identifier)
        except ApiError as error:
            return self._event(request, error=error)
        return self._event(request, identifier, model)

    async def get_resource(self, request: Request) -> dict[str, Any]:
        """The properties of a resource."""
        kind, identifier = _kind(request), request.input["Identifier"]
        properties = json.dumps(await self._properties(request, kind, identifier))
        description = {"Identifier": identifier, "Properties": properties}
        return {"TypeName": request.input["TypeName"], "ResourceDescription": description}

    async def update_resource(self, request: Request) -> dict[str, Any]:
        """Change a resource's tags; a patch of any other property is one that would have to make it anew."""
        kind, identifier = _kind(request), request.input["Identifier"]
        before = await self._properties(request, kind, identifier)
        after = patched(before, _json(request, "PatchDocument"))
        fixed = sorted(
            name for name in before.keys() | after.keys() if name != "Tags" and before.get(name) != after.get(name)
        )
        if fixed:
            text = f"properties [{', '.join(f'/properties/{name}' for name in fixed)}] cannot be updated"
            return self._event(request, identifier, error=ApiError("NotUpdatable", text))
        old, new = before.get("Tags") or {}, after.get("Tags") or {}
        arn = f"{request.arn_prefix('greengrass')}{kind.arn}{identifier}" if kind.arn else identifier
        try:
            if gone := sorted(old.keys() - new.keys()):
                await self._call(request, "UntagResource", resourceArn=arn, tagKeys=gone)
            if come := {key: value for key, value in new.items() if old.get(key) != value}:
                await self._call(request, "TagResource", resourceArn=arn, tags=come)
        except ApiError as error:
            return self._event(request, identifier, error=error)
        return self._event(request, identifier, after)

    async def delete_resource(self, request: Request) -> dict[str, Any]:
        """Delete a resource; a deployment is cancelled first, and one that cannot be cancelled is not deleted.

        So does the handler of `AWS::GreengrassV2::Deployment` (DeleteHandler.java in
        github.com/aws-cloudformation/aws-cloudformation-resource-providers-greengrassv2): a deployment that another one
        of its target has taken the place of is not active any more, and so cannot be deleted.
        """
        kind, identifier = _kind(request), request.input["Identifier"]
        for operation, member in kind.delete:
            try:
                await self._call(request, operation, **{member: identifier})
            except ApiError as error:
                return self._event(request, identifier, error=error)
        return self._event(request, identifier)

    def get_resource_request_status(self, request: Request) -> dict[str, Any]:
        """The status of a request."""
        token = request.input["RequestToken"]
        if token not in self.events:
            raise ApiError("RequestTokenNotFoundException", f"there was no request {token}")
        return {"ProgressEvent": self.events[token]}

    async def _call(self, request: Request, operation: str, **given: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.greengrass(replace(request, operation=operation, input=given))
        return answer

    async def _properties(self, request: Request, kind: Kind, identifier: str) -> dict[str, Any]:
        operation, member = kind.read
        found = await self._call(request, operation, **{member: identifier})
        told = {name: found[name] for name in kind.properties if found.get(name)}
        properties: dict[str, Any] = _renamed(told, str.upper)
        return properties

    def _event(
        self, request: Request, identifier: str = "", model: dict[str, Any] | None = None, error: ApiError | None = None
    ) -> dict[str, Any]:
        token = str(uuid.uuid4())
        event = {
            "TypeName": request.input["TypeName"],
            "RequestToken": token,
            "Operation": request.operation.removesuffix("Resource").upper(),
            "OperationStatus": "FAILED" if error else "SUCCESS",
            "EventTime": dt.datetime.now(dt.UTC),
        }
        if identifier:
            event["Identifier"] = identifier
        if model:
            event["ResourceModel"] = json.dumps(model)
        if error:
            code = error.code if error.code == "NotUpdatable" else _CODES.get(error.code, "InvalidRequest")
            event |= {"StatusMessage": f"{error.code}: {error.message}", "ErrorCode": code}
        self.events[token] = event
        return {"ProgressEvent": event}


def _kind(request: Request) -> Kind:
    type_ = request.input["TypeName"]
    if type_ not in KINDS:
        raise ApiError(
            "UnsupportedActionException", f"the sandbox's Cloud Control API has no {type_}; it has {', '.join(KINDS)}"
        )
    return KINDS[type_]


def _json(request: Request, member: str) -> Any:
    try:
        return json.loads(request.input[member])
    except ValueError as error:
        raise ApiError("InvalidRequestException", f"{member} is no JSON: {error}") from error


def _members(properties: Any) -> dict[str, Any]:
    """Properties as the members of an operation's input."""
    members: dict[str, Any] = _renamed(properties, str.lower)
    return members


def _renamed(value: Any, first_letter: Callable[[str], str], key: str = "") -> Any:
    """The same with another case of the first letters of names; names of the program's own are kept."""
    if isinstance(value, Mapping):
        own = key[:1].lower() + key[1:] in _OWN_KEYS
        return {
            name if own else first_letter(name[:1]) + name[1:]: _renamed(item, first_letter, name)
            for name, item in value.items()
        }
    return [_renamed(item, first_letter) for item in value] if isinstance(value, list) else value


def patched(document: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The document after a JSON Patch (RFC 6902) of operations on members of objects.

    Raises:
        ApiError: if the patch is none, does more, or is of something that is not there.
    """
    result = copy.deepcopy(document)
    for step in patch if isinstance(patch, list) else [patch]:
        try:
            operation, path = step["op"], step["path"]
            *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])
            place = result
            for part in parents:
                place = place[part]
            if operation == "remove":
                del place[last]
            elif operation == "add" or (operation in ("replace", "test") and last in place):
                if operation == "test" and place[last] != step["value"]:
                    raise ValueError(f"{path} is not {step['value']!r}")
                place[last] = step["value"]
            else:
                raise ValueError(f"cannot {operation} {path}")
        except (KeyError, TypeError, ValueError) as error:
            raise ApiError("InvalidRequestException", f"PatchDocument: {error} in {json.dumps(step)}") from error
    return result


def install() -> None:
    """Serve the Cloud Control API behind the emulator's endpoint."""
    handlers = seams.require_value(app, "SERVICE_HANDLERS", dict)
    greengrass: ModelledService = handlers["greengrass"].__self__
    resources = Resources(greengrass.call)
    refused = ("TypeVersionId", "RoleArn")
    service = ModelledService(
        "cloudcontrol",
        "cloudformation",
        {
            "CreateResource": Operation(resources.create_resource, refused=refused),
            "GetResource": Operation(resources.get_resource, refused=refused),
            "UpdateResource": Operation(resources.update_resource, refused=refused),
            "DeleteResource": Operation(resources.delete_resource, refused=refused),
            "GetResourceRequestStatus": Operation(resources.get_resource_request_status),
        },
    )
    handlers["cloudcontrol"] = service.handle
