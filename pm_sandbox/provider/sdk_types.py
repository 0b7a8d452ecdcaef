"""The classes of Pulumi's SDKs that describe a type's inputs: which there are, of which types, which are required."""

import collections.abc
import functools
import importlib
import inspect
import operator
import sys
import threading
import types
import typing
from typing import Any, NamedTuple

import pulumi
from pulumi import _types

_PACKAGES = {"aws": "pulumi_aws", "aws-native": "pulumi_aws_native"}
#: Modules that are named otherwise than in a type's token, since Python has the word for itself.
_MODULES = {"lambda": "lambda_"}
#: The SDKs' modules import each other in circles: a thread that finds another one at it would take half a module.
_IMPORTING = threading.Lock()


class Field(NamedTuple):
    """An input.

    Attributes:
        annotation: Its type, with all names in it resolved.
        required: Whether it must be given.
        documentation: What the provider says of it.
    """

    annotation: Any
    required: bool
    documentation: str


class UnknownTypeError(LookupError):
    """A type that the SDK does not have."""


@functools.cache
def resource_of(token: str) -> type:
    """The class of a resource.

    Raises:
        UnknownTypeError: if no installed SDK has the type.
    """
    package, module, name = token.split(":")
    service = module.split("/")[0]
    if package not in _PACKAGES:
        raise UnknownTypeError(token)
    try:
        with _IMPORTING:
            sdk = importlib.import_module(f"{_PACKAGES[package]}.{_MODULES.get(service, service)}")
            resource: type = getattr(sdk, name)
    except (ImportError, AttributeError) as error:
        raise UnknownTypeError(token) from error
    if getattr(resource, "pulumi_type", None) != token:
        raise UnknownTypeError(token)
    return resource


@functools.cache
def arguments_of(token: str) -> type:
    """The class of a resource's inputs.

    Raises:
        UnknownTypeError: if no installed SDK has the type.
    """
    resource, name = resource_of(token), token.rpartition(":")[2]
    # A resource with an input called `args` has its class of inputs under another name.
    own = sys.modules[resource.__module__]
    found: type = getattr(own, f"{name}InitArgs", None) or getattr(own, f"{name}Args")
    return found


@functools.cache
def fields_of(arguments: type) -> dict[str, Field]:
    """The inputs that a class of the SDK describes, by the name that reaches the engine."""
    module = vars(sys.modules[arguments.__module__])
    parameters = inspect.signature(arguments).parameters
    found = {}
    for name, wire in _types.input_type_py_to_pulumi_names(arguments).items():
        getter = getattr(arguments, name).fget
        # A parameter that Python has a word for, or another module a name, is renamed in the constructor alone.
        parameter = parameters.get(name)
        required = parameter is not None and parameter.default is parameter.empty
        annotation = _resolved(inspect.get_annotations(getter)["return"], module)
        found[wire] = Field(annotation, required, inspect.cleandoc(getter.__doc__ or ""))
    return found


def is_block(annotation: Any) -> bool:
    """Return whether a type is a class of inputs of the SDK."""
    return isinstance(annotation, type) and _types.is_input_type(annotation)


def alternatives(annotation: Any) -> list[Any]:
    """The types a value may have, without `None`, outputs and the dictionaries that stand for a class of inputs."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return [one for part in typing.get_args(annotation) for one in alternatives(part)]
    if origin is typing.Annotated:
        return alternatives(typing.get_args(annotation)[0])
    if origin in (collections.abc.Awaitable, pulumi.Output) or annotation in (type(None), pulumi.Output):
        return []
    if typing.is_typeddict(annotation):
        return []
    return [annotation]


def _resolved(annotation: Any, module: dict[str, Any]) -> Any:
    """A type whose parts in quotes are replaced by what they name."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if annotation == "Output[T]":  # of `pulumi.Input`, and of no module of the SDK
        return pulumi.Output
    if isinstance(annotation, str):
        # The names that the SDK's own annotations use.
        return _resolved(eval(annotation, module), module)  # noqa: S307
    parts = typing.get_args(annotation)
    origin: Any = typing.get_origin(annotation)
    resolved = tuple(_resolved(part, module) for part in parts)
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, resolved)
    if origin in (collections.abc.Sequence, collections.abc.Mapping):
        return origin[resolved if len(resolved) > 1 else resolved[0]]
    return annotation
