"""The functions that make, read, change and delete each Pulumi type, and the inputs that are ignored, and why."""

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from botocore.exceptions import ClientError

from pm_sandbox.provider.absence import is_absence
from pm_sandbox.provider.inputs import Inputs

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Cloud(Protocol):
    """The cloud, as far as a handler needs it."""

    region: str
    account_id: str
    mqtt_host: str

    def client(self, service: str) -> Any:
        """A boto3 client of the service."""


class Context:
    """The cloud's clients and names, for handlers. Used from several threads."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.region = cloud.region
        self.account_id = cloud.account_id
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A boto3 client; made once, under a lock, since boto3's session is not safe for threads."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self.cloud.client(service)
            return self._clients[service]

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"


Made = tuple[str, dict[str, Any]]
Create = Callable[[Inputs, Context], Made]
#: `(id, state, context)`: the inputs as the cloud has them now, as far as it tells them; None if it is gone.
Read = Callable[[str, dict[str, Any], Context], dict[str, Any] | None]
#: `(id, olds, news, context)`: what does not replace is changed, from the state `olds`; answers outputs beside inputs.
Update = Callable[[str, dict[str, Any], Inputs, Context], dict[str, Any]]
#: `(id, state, context)`: raises what AWS refuses; what is not there any more is no error of a deletion.
Delete = Callable[[str, dict[str, Any], Context], None]


@dataclass(frozen=True)
class Creation:
    """The handler that makes a type, and the inputs that it ignores, each with the reason."""

    create: Create
    ignores: Mapping[str, str]


@dataclass(frozen=True)
class Renewal:
    """The change in place after which an output has another value.

    Attributes:
        inputs: The inputs of which one changes.
        where: The input that must be true besides; None if none must.
    """

    inputs: tuple[str, ...]
    where: str | None = None


HANDLERS: dict[str, Creation] = {}
"""By type token; the modules of `handlers` fill this and the next four."""
READS: dict[str, Read] = {}
UPDATES: dict[str, Update] = {}
DELETES: dict[str, Delete] = {}
RENEWS: dict[str, Mapping[str, "Renewal"]] = {}
"""Type token -> the outputs that a change in place gives anew, and when."""

#: Reason to ignore an input as a resource is made: its deletion reads it from the state.
ON_DELETION = "is honoured when the resource is deleted"


def handles(token: str, **ignores: str) -> Callable[[Create], Create]:
    """Register how a type is made; the keywords are the inputs that this ignores, with the reason."""

    def register(function: Create) -> Create:
        HANDLERS[token] = Creation(function, ignores)
        return function

    return register


def puts(token: str, **ignores: str) -> Callable[[Create], Create]:
    """Register how a type is made and, by the same calls, changed."""

    def register(function: Create) -> Create:
        updates(token)(lambda id_, olds, news, context: function(news, context)[1])  # noqa: ARG005 - as all updates
        return handles(token, **ignores)(function)

    return register


def reads(*tokens: str) -> Callable[[Read], Read]:
    """Register how types are read back; where the cloud says that something is not there, the resource is gone."""

    def register(function: Read) -> Read:
        return _registers(READS, tokens)(_none_if_absent(function))

    return register


def updates(*tokens: str, renews: Mapping[str, "Renewal"] | None = None) -> Callable[[Update], Update]:
    """Register how types are changed in place, and which outputs that gives anew."""
    RENEWS.update(dict.fromkeys(tokens, renews or {}))
    return _registers(UPDATES, tokens)


def deletes(*tokens: str) -> Callable[[Delete], Delete]:
    """Register how types are deleted; what the cloud does not have any more is deleted."""

    def register(function: Delete) -> Delete:
        return _registers(DELETES, tokens)(_none_if_absent(function))

    return register


def _none_if_absent(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def asked(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except ClientError as error:
            if is_absence(error):
                return None
            raise

    return asked


def _registers(table: dict[str, _Function], tokens: tuple[str, ...]) -> Callable[[_Function], _Function]:
    def register(function: _Function) -> _Function:
        table.update(dict.fromkeys(tokens, function))
        return function

    return register
