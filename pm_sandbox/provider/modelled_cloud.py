"""A cloud in which nothing happens: each call is held to its service's model, and answered as if it had succeeded."""

import datetime
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel, Shape

from pm_sandbox.cloud.constraints import violations
from pm_sandbox.provider.wire import UNKNOWN

_A_TIME = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_PLAIN: dict[str, Any] = {
    "blob": b"",
    "boolean": False,
    "double": 1.0,
    "float": 1.0,
    "integer": 1,
    "long": 1,
    "timestamp": _A_TIME,
}
#: Members of answers that tell of failures, as `FailedEntries`, and what they are where there was none.
_OF_FAILURES = re.compile("Failed|Failure|Error|Unprocessed")
_NONE: dict[str, Any] = {"list": [], "integer": 0, "long": 0}


class ModelledCloud:
    """A cloud, as far as a handler needs one.

    Attributes:
        refused: What the services' models have against the calls that were made; a value that is `UNKNOWN` is not
            judged.
    """

    def __init__(self, region: str, account_id: str) -> None:
        self.region = region
        self.account_id = account_id
        self.mqtt_host = f"endpoint-ats.iot.{region}.amazonaws.com"
        self.refused: list[str] = []

    def client(self, service: str) -> Any:
        """A client of the service, in the place of boto3's."""
        return _Client(service, self.refused)


class _Client:
    """A service's operations by their names in boto3, its pages and its waiters, which wait for nothing."""

    def __init__(self, service: str, refused: list[str]) -> None:
        self._service = service
        self._refused = refused
        self.exceptions = _Exceptions()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operations = _operations(self._service)
        if name not in operations:
            raise AttributeError(f"{self._service} has no operation {name}")
        return functools.partial(self._call, operations[name])

    def get_paginator(self, name: str) -> Any:
        """The pages of an operation: one."""
        return _Paginator(getattr(self, name))

    def get_waiter(self, name: str) -> Any:
        """The waiter of a name: it makes the call that it would wait with, once."""
        return _Waiter(functools.partial(self._call, _waiters(self._service)[name]))

    def _call(self, operation: str, **arguments: Any) -> Any:
        model: OperationModel = _model(self._service).operation_model(operation)
        found = violations(model.input_shape, arguments, unknown=UNKNOWN)
        self._refused += [f"{self._service} {operation}: {text}" for text in found]
        return {} if model.output_shape is None else _answer(model.output_shape, ())


class _Paginator:
    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def paginate(self, **arguments: Any) -> Iterator[Any]:
        yield self._call(**arguments)


class _Waiter:
    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def wait(self, WaiterConfig: Any = None, **arguments: Any) -> None:  # noqa: N803, ARG002 - as boto3 has it
        self._call(**arguments)


class _Exceptions:
    """Errors of a service, none of which is ever raised."""

    def __getattr__(self, name: str) -> type[Exception]:
        return type(name, (Exception,), {})


@functools.cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@functools.cache
def _model(service: str) -> ServiceModel:
    return _session().get_service_model(service)


@functools.cache
def _operations(service: str) -> dict[str, str]:
    return {xform_name(operation): operation for operation in _model(service).operation_names}


@functools.cache
def _waiters(service: str) -> dict[str, str]:
    """The operation of each of a service's waiters."""
    waiters = _session().get_component("data_loader").load_service_model(service, "waiters-2")["waiters"]
    return {xform_name(name): waiter["operation"] for name, waiter in waiters.items()}


def _answer(shape: Shape, within: tuple[str, ...]) -> Any:
    """Some value of a shape: texts are not known, a list has one element, and a shape within itself is left out."""
    if shape.name in within:
        return None
    within = (*within, shape.name)
    if shape.type_name == "structure":
        members = {
            name: _NONE.get(member.type_name) if _OF_FAILURES.search(name) else _answer(member, within)
            for name, member in shape.members.items()
        }
        return {name: member for name, member in members.items() if member is not None}
    if shape.type_name == "list":
        member = _answer(shape.member, within)
        return [] if member is None else [member]
    if shape.type_name == "map":
        return {}
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else UNKNOWN
    return _PLAIN[shape.type_name]
