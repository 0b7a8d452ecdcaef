"""A provider with all that the lives of its types need, and the form of a life."""

import functools
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi

from pm_sandbox.cloud import Cloud
from pm_sandbox.provider import Context, Made, Provider


class Lab:
    """A provider, names that no other test has, and what many types need beside them, made once.

    Attributes:
        provider: The provider's core.
        context: What its functions work with.
        prefix: The beginning of all names.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.context = Context(cloud)
        self.provider = Provider(self.context)
        self.prefix = f"t{uuid.uuid4().hex[:10]}"

    def name(self, suffix: str = "") -> str:
        return f"{self.prefix}-{suffix or uuid.uuid4().hex[:6]}"

    def make(self, token: str, **inputs: Any) -> Made:
        return self.provider.create(token, inputs)

    def client(self, service: str) -> Any:
        return self.context.client(service)

    def bucket(self) -> str:
        """A bucket of the caller's own."""
        return self.make("aws:s3/bucket:Bucket", bucket=self.name()).id

    @functools.cached_property
    def role(self) -> str:
        """ARN of a role that all services may assume and that may do all."""
        services = [f"{name}.amazonaws.com" for name in ("lambda", "iot", "scheduler", "states", "firehose", "events")]
        trust = allow("sts:AssumeRole", Principal={"Service": services})
        name = self.name("any")
        arn: str = self.make("aws:iam/role:Role", name=name, assumeRolePolicy=trust).outputs["arn"]
        self.make("aws:iam/rolePolicy:RolePolicy", role=name, name="all", policy=allow("*", Resource="*"))
        return arn

    @functools.cached_property
    def key(self) -> str:
        """ARN of a key, with the policy that gives it to the account and its services."""
        everybody = allow("kms:*", Principal={"AWS": "*", "Service": "logs.eu-central-1.amazonaws.com"}, Resource="*")
        arn: str = self.make("aws:kms/key:Key", policy=everybody).outputs["arn"]
        return arn

    def queue(self) -> Made:
        return self.make("aws:sqs/queue:Queue", name=self.name())

    @functools.cached_property
    def topic(self) -> str:
        """ARN of a topic."""
        return self.make("aws:sns/topic:Topic", name=self.name("topic")).id

    @functools.cached_property
    def function(self) -> str:
        """Name of a function."""
        return self.make("aws:lambda/function:Function", **function(self.name("function"), self.role)).id

    def thing(self) -> str:
        return self.make("aws:iot/thing:Thing", name=self.name()).id

    def thing_group(self) -> Made:
        return self.make("aws:iot/thingGroup:ThingGroup", name=self.name())


@dataclass(frozen=True)
class Life:
    """The life of a resource.

    Attributes:
        inputs: What it is made of.
        changes: One input after the other that is set to another value; None takes it away.
        untold: The inputs that the cloud does not tell.
        left: What reading tells after the deletion, of a setting that something else always has; else it is gone.
    """

    inputs: dict[str, Any]
    changes: dict[str, Any] = field(default_factory=dict)
    untold: frozenset[str] = frozenset()
    left: dict[str, Any] | None = None


LIVES: dict[str, Callable[[Lab], Life]] = {}
TAGS, OTHER_TAGS = {"Stack": "a", "Owner": "b"}, {"Stack": "c", "Tier": "dev"}


def life(token: str) -> Callable[[Callable[[Lab], Life]], Callable[[Lab], Life]]:
    def register(function_: Callable[[Lab], Life]) -> Callable[[Lab], Life]:
        LIVES[token] = function_
        return function_

    return register


def allow(action: str, **others: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **others}]})


def code(text: str) -> pulumi.Archive:
    return pulumi.AssetArchive({"handler.py": pulumi.StringAsset(text)})


def function(name: str, role: str, **others: Any) -> dict[str, Any]:
    source = code("def handle(event, context):\n    return 1\n")
    return {"name": name, "role": role, "runtime": "python3.11", "handler": "handler.handle", "code": source, **others}
