"""Which Pulumi type is made by which handler, what is only recorded, and what a handler ignores and why."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sandbox.deployer.inputs import InputError, Inputs


class Cloud(Protocol):
    """The cloud, as far as a handler needs it."""

    region: str
    account_id: str
    mqtt_host: str

    def client(self, service: str) -> Any:
        """A boto3 client of the service."""


class Context:
    """What a handler works with: the cloud's clients and names. Used from several threads."""

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
Handler = Callable[[Inputs, Context], Made]


@dataclass(frozen=True)
class Registration:
    """A handler and the inputs that it ignores, each with the reason."""

    handler: Handler
    ignores: Mapping[str, str]


HANDLERS: dict[str, Registration] = {}
"""Handler by type token; the modules of `handlers` fill it."""

RECORD_ONLY: dict[str, tuple[str, Handler]] = {}
"""Type token -> why nothing is made in the cloud, and the handler that says its id and outputs."""

THROWN_AWAY = "the sandbox is thrown away as a whole, nothing is deleted one by one"


def handles(token: str, **ignores: str) -> Callable[[Handler], Handler]:
    """Register the handler of a type; the keywords are the inputs that it ignores, with the reason."""

    def register(handler: Handler) -> Handler:
        HANDLERS[token] = Registration(handler, ignores)
        return handler

    return register


def records(token: str, reason: str) -> Callable[[Handler], Handler]:
    """Register a type that the sandbox only records; the handler says its id and outputs."""

    def register(handler: Handler) -> Handler:
        RECORD_ONLY[token] = (reason, handler)
        return handler

    return register


def make(token: str, values: dict[str, Any], context: Context) -> tuple[str, dict[str, Any], str]:
    """Make a resource.

    Returns:
        Its physical id, its outputs beside the inputs, and why it was only recorded ("" where it was made).

    Raises:
        InputError: for a type without handler, or an input that was neither honoured nor declared as ignored.
    """
    inputs = Inputs(values)
    if token in RECORD_ONLY:
        reason, handler = RECORD_ONLY[token]
        physical_id, outputs = handler(inputs, context)
        return physical_id, outputs, reason
    if token not in HANDLERS:
        raise InputError("the sandbox has no handler for this type, and it is not among those that it only records")
    registration = HANDLERS[token]
    physical_id, outputs = registration.handler(inputs, context)
    dropped = [path for path in inputs.unread() if path not in registration.ignores]
    if dropped:
        raise InputError(f"the sandbox cannot honour the input(s) {', '.join(dropped)}")
    return physical_id, outputs, ""
