"""No policy of a resource lets everybody in."""

from collections.abc import Iterator

from pm_policies.inputs import document, items, statements
from pm_policies.policy_documents import RESOURCE_POLICY_KEYS
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """The statements that allow everybody, unless a condition says who."""
    for key in RESOURCE_POLICY_KEYS.get(resource.type, ()):
        for statement in statements(document(resource.inputs, key)):
            principal = statement.get("Principal")
            named = items(principal.get("AWS")) if isinstance(principal, dict) else items(principal)
            if statement.get("Effect") == "Allow" and "*" in named and not statement.get("Condition"):
                yield f"{key}: Principal '*' without a condition, allowed are services, accounts and roles by name"
            if statement.get("Effect") == "Allow" and "NotPrincipal" in statement:
                yield f"{key}: NotPrincipal in an Allow, allowed is to name who may"


RULE = ResourceRule(
    name="no-public-principal",
    severity=Severity.CRITICAL,
    level=Level.MANDATORY,
    demand="No policy of a bucket, queue, topic, key, table or role lets everybody in.",
    why="Anyone on the internet with an AWS account could read, write or take on what it guards.",
    mend="name the service with aws:SourceArn or aws:SourceAccount, the account or the role",
    check=check,
)
