"""No policy of a resource lets everybody in."""

from collections.abc import Iterator

from pm_policies.inputs import is_set
from pm_policies.policy_documents import RESOURCE_POLICY_KEYS, statements
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

#: A statement of a function's policy, written as inputs.
_PERMISSION = "aws:lambda/permission:Permission"
_LIMITS_CALLER = ("sourceAccount", "sourceArn", "principalOrgId")


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """The statements that allow everybody, unless a condition says who."""
    for key in RESOURCE_POLICY_KEYS.get(resource.type, ()):
        for statement in statements(resource.inputs, key):
            if not statement.allows:
                continue
            if statement.everybody and not any(one.limits_who for one in statement.conditions):
                without = "with no condition that says who" if statement.conditions else "without a condition"
                yield f"{key}: Principal '*' {without}, allowed are services, accounts and roles by name"
            if "NotPrincipal" in statement.opposites:
                yield f"{key}: NotPrincipal in an Allow, allowed is to name who may"
    everybody = resource.type == _PERMISSION and resource.inputs.get("principal") == "*"
    if everybody and not any(is_set(resource.inputs, key) for key in _LIMITS_CALLER):
        yield f"principal is '*' without {', '.join(_LIMITS_CALLER)}: allowed are services and accounts by name"


RULE = ResourceRule(
    name="no-public-principal",
    severity=Severity.CRITICAL,
    level=Level.MANDATORY,
    demand="No policy of a bucket, queue, topic, key, table, secret, function or role lets everybody in.",
    why="Anyone on the internet with an AWS account could read, write or take on what it guards.",
    mend="name the service with aws:SourceArn or aws:SourceAccount, the account or the role",
    check=check,
)
