"""Policy documents of IAM, AWS IoT and of resources, in words that a reviewer can read down."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from pm_sandbox.recorder import Recording, Registered

#: Inputs that hold a policy document, by type.
_DOCUMENTS = {
    "aws:iam/policy:Policy": "policy",
    "aws:iam/role:Role": "assumeRolePolicy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iot/policy:Policy": "policy",
    "aws:kms/key:Key": "policy",
    "aws:s3/bucketPolicy:BucketPolicy": "policy",
    "aws:sns/topicPolicy:TopicPolicy": "policy",
    "aws:sqs/queuePolicy:QueuePolicy": "policy",
}
_ARN = re.compile(r"^arn:[^:]*:(?P<service>[^:]*):[^:]*:[^:]*:(?P<resource>.+)\Z")
_ROOT = re.compile(r"^arn:[^:]*:iam::\d{12}:root\Z")
_WORDS = {
    "Bool": "is",
    "StringEquals": "is",
    "StringLike": "is like",
    "ArnEquals": "is",
    "ArnLike": "is like",
    "StringNotEquals": "is not",
    "ForAnyValue:StringEquals": "is among",
}


class Permission(NamedTuple):
    """A statement of a policy document: the resource that holds it, and what it says."""

    holder: str
    text: str

    def __str__(self) -> str:
        return f"{self.holder}: {self.text}"


def permissions(recording: Recording) -> list[Permission]:
    """The permissions and refusals of each policy document of a program, by holder."""
    found = [Permission(one.name, text) for one in recording.resources for text in _texts(one)]
    return sorted(set(found))


def _texts(resource: Registered) -> Iterator[str]:
    key = _DOCUMENTS.get(resource.type)
    if key is None or key not in resource.inputs:
        return
    value = resource.inputs[key]
    try:
        document = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return  # A policy of the pack says that it is no JSON.
    for statement in _listed(document.get("Statement")):
        yield in_words(statement)


def in_words(statement: Mapping[str, Any]) -> str:
    """A statement of a policy document as one sentence."""
    actions = [str(action) for action in _listed(statement.get("Action", statement.get("NotAction")))]
    services = sorted({action.partition(":")[0] for action in actions})
    if actions == ["sts:AssumeRole"] and "Principal" in statement:
        what = "take the role"
    else:
        what = "; ".join(_of_service(service, actions) for service in services)
    if "NotAction" in statement:
        what = f"do all but {what}"
    verb = "may" if statement.get("Effect") == "Allow" else "may not"
    words = [verb, what]
    if "Principal" in statement or "NotPrincipal" in statement:
        words.insert(0, _but("Principal", statement, _principal))
    if "Resource" in statement or "NotResource" in statement:
        words += ["on", _but("Resource", statement, lambda value: _resources(value, services))]
    if condition := statement.get("Condition"):
        words += ["where", " and ".join(_conditions(condition))]
    return " ".join(words)


def _but(key: str, statement: Mapping[str, Any], words: Callable[[Any], str]) -> str:
    """The values of `key`, or all but those of its opposite."""
    return words(statement[key]) if key in statement else f"all but {words(statement[f'Not{key}'])}"


def _resources(value: Any, services: list[str]) -> str:
    named = sorted(_short(str(one), services) for one in _listed(value))
    return "everything" if named == ["*"] else ", ".join(named)


def _of_service(service: str, actions: list[str]) -> str:
    names = sorted(name for action in actions for head, _, name in [action.partition(":")] if head == service)
    if service == "*":
        return "(anything)"
    return f"{service} {', '.join('(anything)' if name == '*' else name for name in names)}"


def _conditions(condition: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for operator, keys in sorted(condition.items()):
        for key, value in sorted(keys.items()):
            values = ", ".join(_short(str(one), []) for one in _listed(value))
            yield f"{key} {_WORDS.get(operator, operator)} {values}"


def _principal(principal: Any) -> str:
    if principal == "*":
        return "everyone"
    named = [
        "everyone" if one == "*" else "the account" if _ROOT.match(one) else _short(one, [])
        for values in principal.values()
        for one in _listed(values)
    ]
    return ", ".join(sorted(named))


def _short(arn: str, services: list[str]) -> str:
    """An ARN without what is the same in all of them, and without the service that the actions are of."""
    found = _ARN.match(arn)
    if not found:
        return arn
    return found["resource"] if [found["service"]] == services else f"{found['service']} {found['resource']}"


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
