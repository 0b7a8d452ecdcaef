"""An AWS service of ours behind the emulator's endpoint, driven by botocore's model of it.

The model gives the routes, the input shapes with their constraints, and the output shapes, so that a service is one
function for each operation: input members in, output members out. What the model cannot give is done here too: the
authorization of the call under `AUTH=true`, and the wire format of answers and errors. Only the two JSON protocols are
known: `json` and `rest-json`.
"""

import base64
import datetime as dt
import inspect
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.model import OperationModel, Shape

from pm_sandbox.cloud.constraints import violations

log = logging.getLogger("pm.cloud")

Answer = tuple[int, dict[str, str], bytes]


class ApiError(Exception):
    """An error that the caller of the API receives.

    Args:
        code: the error's name in the service's model, such as `ValidationException`.
        message: what is wrong, for a person.
        status: the HTTP status; None takes it from the model (400 where the model has none).
        members: further members of the error's shape, such as `resourceId`.
    """

    def __init__(self, code: str, message: str, status: int | None = None, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members


@dataclass(frozen=True)
class Request:
    """One call of an operation.

    Attributes:
        operation: the operation's name, such as `CreateDeployment`.
        input: the input's members by their names in the model; blobs are bytes.
        account_id: the account of the caller.
        region: the region that the call was signed for.
        access_key: the caller's access key id.
    """

    operation: str
    input: dict[str, Any]
    account_id: str
    region: str
    access_key: str

    def arn_prefix(self, service: str) -> str:
        """The ARN of a resource of the service, up to the colon before the resource."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}"

    def authorize(self, action: str, resource: str, context: Mapping[str, str] | None = None) -> None:
        """Check, under `AUTH=true`, that the caller may do an action.

        Args:
            action: the IAM action, such as `iot:CreateJob`.
            resource: the ARN that it is done on.
            context: condition keys of the service for this call, such as `iam:PassedToService`.

        Raises:
            ApiError: no policy of the caller allows it, or one denies it.
        """
        from ministack import app
        from ministack.core import iam_evaluator

        if not app.AUTH:
            return
        denied = iam_evaluator.enforce(
            self.access_key, action, action.partition(":")[0], self.region, resource, dict(context or {})
        )
        if isinstance(denied, iam_evaluator.AuthError):
            raise ApiError(denied.code, denied.message, 403)
        if denied is not None:
            reason = (
                "with an explicit deny in an identity-based policy"
                if denied.decision == "Deny"
                else f"because no identity-based policy allows the {action} action"
            )
            raise ApiError(
                "AccessDeniedException",
                f"User: {denied.principal_arn} is not authorized to perform: {action} on resource: {resource} {reason}",
                403,
            )


Handler = Callable[[Request], dict[str, Any] | Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Operation:
    """One operation that a service honours.

    Attributes:
        handler: takes the request, gives the output's members; may be a coroutine function.
        resources: gives the ARNs that the caller must be allowed to act on; "*" where AWS knows no resource for it.
        refused: input members that the sandbox cannot honour: name, or `name.name` for a member of a structure. A call
            with one is an error, never a silent loss.
    """

    handler: Handler
    resources: Callable[[Request], list[str]] = field(default=lambda _request: ["*"])
    refused: tuple[str, ...] = ()


class ModelledService:
    """The front of a service: finds the operation, checks the input and the caller, and writes the answer.

    Args:
        model: botocore's name of the service, such as `greengrassv2`.
        action_prefix: the prefix of its IAM actions, such as `greengrass`.
        operations: the honoured operations by their names; any other answers with a clear error.
        denied_code: the error code of a refused authorization.
    """

    def __init__(self, model: str, action_prefix: str, operations: Mapping[str, Operation]) -> None:
        self._model = botocore.session.get_session().get_service_model(model)
        self._prefix = action_prefix
        self._operations = dict(operations)
        unknown = set(operations) - set(self._model.operation_names)
        if unknown:
            raise ValueError(f"{model} has no operations {sorted(unknown)}")
        self._rest = self._model.protocol == "rest-json"
        self._routes = self._routing_table() if self._rest else []

    async def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Answer:
        """Answer one HTTP request; has the signature of the emulator's service handlers.

        Args:
            method: the HTTP method.
            path: the path, percent-decoded.
            headers: the headers by lower-case name.
            body: the body.
            query: the query's values by name, each a list of strings.

        Returns:
            The status, the headers and the body.
        """
        from ministack.core.responses import get_account_id, get_region
        from ministack.core.router import extract_access_key_id

        try:
            name, uri_values = self._find(method, path, headers)
            model = self._model.operation_model(name)
            given = self._read_input(model, uri_values, headers, body, query)
            request = Request(name, given, get_account_id(), get_region(), extract_access_key_id(headers, query) or "")
            return self._write_output(model, await self.call(request))
        except ApiError as error:
            return self._write_error(error)

    async def call(self, request: Request) -> dict[str, Any]:
        """Do an operation, as for a request that came over HTTP; other services in this process call it too.

        Returns:
            The output's members.

        Raises:
            ApiError: the operation is not honoured, its input is wrong, or the caller may not do it.
        """
        operation = self._operations.get(request.operation)
        if operation is None:
            raise ApiError(
                "UnsupportedOperation",
                f"the sandbox has no {self._prefix}:{request.operation}; it has {', '.join(sorted(self._operations))}",
                400,
            )
        self._check_input(self._model.operation_model(request.operation), operation, request.input)
        for resource in operation.resources(request):
            request.authorize(f"{self._prefix}:{request.operation}", resource)
        output = operation.handler(request)
        return await output if inspect.isawaitable(output) else output

    def _routing_table(self) -> list[tuple[str, re.Pattern[str], str]]:
        routes = []
        for name in self._model.operation_names:
            http = self._model.operation_model(name).http
            template = http["requestUri"].partition("?")[0]
            pattern = re.sub(
                r"\\\{(\w+)(\\\+)?\\\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", re.escape(template)
            )
            routes.append((http["method"], re.compile(pattern + "/?"), name))
        return routes

    def _find(self, method: str, path: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
        if not self._rest:
            name = headers.get("x-amz-target", "").rpartition(".")[2]
            if name in self._model.operation_names:
                return name, {}
            raise ApiError("UnknownOperationException", f"{self._prefix} has no operation {name!r}", 400)
        for route_method, pattern, name in self._routes:
            match = pattern.fullmatch(path)
            if match and method == route_method:
                return name, {key: unquote(value) for key, value in match.groupdict().items()}
        raise ApiError("UnknownOperationException", f"{self._prefix} has no operation at {method} {path}", 404)

    def _read_input(
        self, model: OperationModel, uri: dict[str, str], headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> dict[str, Any]:
        shape = model.input_shape
        if shape is None:
            return {}
        document = self._parse_body(body)
        given: dict[str, Any] = {}
        for name, member in shape.members.items():
            wire = member.serialization.get("name", name)
            location = member.serialization.get("location")
            if location == "uri":
                given[name] = uri[wire]
            elif location == "querystring":
                if wire in query:
                    values = query[wire]
                    given[name] = list(values) if member.type_name == "list" else _from_text(member, values[0], name)
            elif location == "header":
                if wire.lower() in headers:
                    given[name] = _from_text(member, headers[wire.lower()], name)
            elif document.get(wire) is not None:
                given[name] = _from_json(member, document.pop(wire), name)
        unknown = sorted(set(document) - {m.serialization.get("name", n) for n, m in shape.members.items()})
        if unknown:
            raise ApiError(
                "ValidationException", f"{model.name} has no input {unknown}; it has {sorted(shape.members)}", 400
            )
        return given

    @staticmethod
    def _parse_body(body: bytes) -> dict[str, Any]:
        if not body.strip():
            return {}
        try:
            document = json.loads(body)
        except ValueError as error:
            raise ApiError("SerializationException", f"the body is not JSON: {error}", 400) from error
        if not isinstance(document, dict):
            raise ApiError("SerializationException", "the body must be a JSON object", 400)
        return document

    def _check_input(self, model: OperationModel, operation: Operation, given: dict[str, Any]) -> None:
        found = violations(model.input_shape, given)
        if found:
            plural = "error" if len(found) == 1 else "errors"
            raise ApiError("ValidationException", f"{len(found)} validation {plural} detected: {'; '.join(found)}", 400)
        for path in operation.refused:
            value: Any = given
            for part in path.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value is not None:
                raise ApiError(
                    "ValidationException", f"the sandbox cannot honour {path} of {self._prefix}:{model.name}", 400
                )

    def _write_output(self, model: OperationModel, output: dict[str, Any]) -> Answer:
        status = model.http.get("responseCode", 200)
        shape = model.output_shape
        headers = {
            "Content-Type": "application/json" if self._rest else f"application/x-amz-json-{self._json_version()}"
        }
        if shape is None:
            return status, headers, b"" if self._rest else b"{}"
        unknown = sorted(set(output) - set(shape.members))
        if unknown:
            raise TypeError(f"{model.name} has no output members {unknown}")
        payload = shape.serialization.get("payload")
        if payload and shape.members[payload].type_name == "blob":
            content = output.pop(payload)
            for name, value in output.items():
                headers[shape.members[name].serialization["name"]] = str(value)
            return status, headers, content
        return status, headers, json.dumps(_to_json(shape, output)).encode()

    def _write_error(self, error: ApiError) -> Answer:
        status = error.status
        if status is None:
            shapes = {shape.name: shape for shape in self._model.error_shapes}
            status = (
                shapes[error.code].metadata.get("error", {}).get("httpStatusCode", 400) if error.code in shapes else 400
            )
        document = {"__type": error.code, "message": error.message, **error.members}
        content_type = "application/json" if self._rest else f"application/x-amz-json-{self._json_version()}"
        return status, {"Content-Type": content_type, "x-amzn-ErrorType": error.code}, json.dumps(document).encode()

    def _json_version(self) -> str:
        return str(self._model.metadata.get("jsonVersion", "1.1"))


def page(
    items: list[Any], given: Mapping[str, Any], size: str = "maxResults", next_page: str = "nextToken"
) -> tuple[list[Any], str | None]:
    """Cut one page out of a list.

    Args:
        items: the whole list, in a stable order.
        given: the call's input, with the page's size (1 to 100; 100 when absent) and the token of an earlier page.
        size: the name of the size's input member.
        next_page: the name of the token's input member.

    Returns:
        The page's items and the token of the next page, or None at the end.

    Raises:
        ApiError: the token is none of ours.
    """
    earlier = given.get(next_page) or "0"
    if not earlier.isdigit() or int(earlier) > len(items):
        raise ApiError("ValidationException", f"{next_page} {earlier!r} is not a token of an earlier page", 400)
    start = int(earlier)
    end = start + int(given.get(size) or 100)
    return items[start:end], str(end) if end < len(items) else None


def new_id() -> str:
    """A random identifier in the form that AWS uses."""
    return str(uuid.uuid4())


def now() -> dt.datetime:
    """The current time, UTC."""
    return dt.datetime.now(dt.UTC)


def _from_text(shape: Shape, text: str, name: str) -> Any:
    try:
        if shape.type_name in ("integer", "long"):
            return int(text)
        if shape.type_name in ("float", "double"):
            return float(text)
    except ValueError as error:
        raise ApiError("ValidationException", f"{name} must be a number, not {text!r}", 400) from error
    return text == "true" if shape.type_name == "boolean" else text


def _from_json(shape: Shape, value: Any, name: str) -> Any:
    """A value of the body by the model: blobs are bytes, and members have their own names, not those on the wire."""
    if shape.type_name == "blob":
        try:
            return base64.b64decode(value, validate=True)
        except (ValueError, TypeError) as error:
            raise ApiError("SerializationException", f"{name} is not base64: {error}", 400) from error
    if shape.type_name == "structure" and isinstance(value, dict):
        members = {member.serialization.get("name", key): (key, member) for key, member in shape.members.items()}
        # What the model does not know stays as it is, for the check of the input to name it.
        known = {wire: members.get(wire) for wire in value}
        return {
            found[0] if found else wire: _from_json(found[1], value[wire], found[0]) if found else value[wire]
            for wire, found in known.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_from_json(shape.member, item, name) for item in value]
    return value


def _to_json(shape: Shape, value: Any) -> Any:
    if value is None:
        return None
    if shape.type_name == "structure":
        return {
            member.serialization.get("name", name): _to_json(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if shape.type_name == "list":
        return [_to_json(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {key: _to_json(shape.value, item) for key, item in value.items()}
    if shape.type_name == "timestamp":
        return value.timestamp()
    return base64.b64encode(value).decode() if shape.type_name == "blob" else value
