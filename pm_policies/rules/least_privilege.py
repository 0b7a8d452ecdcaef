"""Policies allow exact actions on exact resources."""

from collections.abc import Iterator

from pm_components.aws.permissions import actions_of, excess, resources_of
from pm_policies.inputs import document, items, statements
from pm_policies.policy_documents import POLICY_KEYS
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

#: AWS's own policies that allow everything, or everything but.
_BROAD_MANAGED = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")
_ATTACHMENTS = ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:iam/policyAttachment:PolicyAttachment")


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Find grants of a policy beyond need."""
    for key in POLICY_KEYS.get(resource.type, ()):
        for statement in statements(document(resource.inputs, key)):
            if statement.get("Effect") != "Allow":
                continue
            for opposite in ("NotAction", "NotResource"):
                if opposite in statement:
                    yield f"{opposite} in an Allow: allowed is to name what is allowed, not what is not"
            yield from excess(actions_of(statement), resources_of(statement))
    if resource.type == "aws:iam/role:Role":
        for inline in items(resource.inputs.get("inlinePolicies")):
            for statement in statements(document(inline, "policy")):
                if statement.get("Effect") == "Allow":
                    yield from excess(actions_of(statement), resources_of(statement))
        for arn in items(resource.inputs.get("managedPolicyArns")):
            yield from _managed(arn)
    if resource.type in _ATTACHMENTS:
        yield from _managed(str(resource.inputs.get("policyArn")))


def _managed(arn: str) -> Iterator[str]:
    name = arn.rpartition("/")[2]
    if ":iam::aws:policy/" in arn and (name in _BROAD_MANAGED or name.endswith("FullAccess")):
        yield f"managed policy {name}: allowed is a policy of the actions and resources that are needed"


RULE = ResourceRule(
    name="least-privilege",
    severity=Severity.HIGH,
    level=Level.MANDATORY,
    demand="A policy allows exact actions, and on exact resources wherever AWS can hold an action to a resource.",
    why="Whoever takes over a function or a device can do what its policy allows, in the whole account.",
    mend="name the actions and the ARNs (pm_components.aws.permissions.allow refuses the rest where it is written)",
    check=check,
)
