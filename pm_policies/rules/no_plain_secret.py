"""No secret lies in plain text."""

import base64
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pulumi_policy.proxy import UnknownValueError

from pm_policies.inputs import at, texts
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity


class Kind(NamedTuple):
    """A kind of secret that its form gives away."""

    name: str
    form: "re.Pattern[str]"


KINDS = (
    # "Unique identifiers", AWS IAM user guide: prefixes of access key ids.
    Kind("an AWS access key id", re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")),
    Kind("a private key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")),
    # "About authentication to GitHub", GitHub docs: token formats.
    Kind("a GitHub token", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}\b")),
    Kind("a password in a URL", re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s:@]+@")),
)
_NAME = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIALS?)\Z", re.IGNORECASE)
#: Names that point to a secret without holding it: its ARN, or where it lies.
_REFERENCE = re.compile(r"^(?:arn:|\{\{resolve:|ssm:|/[A-Za-z0-9_./-]+\Z)")
_FUNCTIONS = ("aws:lambda/function:Function", "aws-native:lambda:Function")
#: Inputs with a host's script, in base64 or as it is.
_SCRIPTS = ("userData", "userDataBase64")


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Find values that look like a secret, by their form or by their name."""
    for path, text in texts(resource.inputs):
        written = _decoded(text) if path.rpartition(".")[2] in _SCRIPTS else text
        for kind in KINDS:
            if kind.form.search(written):
                yield f"{path} holds {kind.name}"
    if resource.type in _FUNCTIONS:
        variables = at(resource.inputs, "environment", "variables") or {}
        for name in variables:
            if _NAME.search(name) and _is_value(variables, name):
                yield f"environment variable {name} holds a value, allowed is the ARN or path of a secret"


def _decoded(script: str) -> str:
    """A host's script out of base64; as it is where it is none."""
    try:
        return base64.b64decode(script, validate=True).decode()
    except ValueError:
        return script


def _is_value(variables: Any, name: str) -> bool:
    try:
        value = variables[name]
    except UnknownValueError:
        # What a resource answers with is an ARN or a name.
        return False
    return bool(value) and not _REFERENCE.match(str(value))


RULE = ResourceRule(
    name="no-plain-secret",
    severity=Severity.CRITICAL,
    level=Level.MANDATORY,
    demand="No input holds a secret in plain text.",
    why="Inputs are in the state, in the console and in the logs of whoever updates the stack.",
    mend="keep it in AWS Secrets Manager or Parameter Store and hand over its ARN; change the secret, it has been seen",
    check=check,
    as_written=True,
)
