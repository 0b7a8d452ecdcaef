"""Policies allow exact actions on exact resources."""

from collections.abc import Iterator

from pm_components.aws.permissions import excess
from pm_policies.inputs import items
from pm_policies.policy_documents import grants
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

#: AWS's own policies that allow everything, or everything but.
_BROAD_MANAGED = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")
#: Inputs with ARNs of managed policies, by type.
MANAGED_POLICIES = {
    "aws:iam/role:Role": "managedPolicyArns",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "policyArn",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": "policyArn",
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment": "policyArn",
    "aws:iam/policyAttachment:PolicyAttachment": "policyArn",
    "aws:iam/rolePolicyAttachmentsExclusive:RolePolicyAttachmentsExclusive": "policyArns",
    "aws:iam/userPolicyAttachmentsExclusive:UserPolicyAttachmentsExclusive": "policyArns",
    "aws:iam/groupPolicyAttachmentsExclusive:GroupPolicyAttachmentsExclusive": "policyArns",
    "aws:ssoadmin/managedPolicyAttachment:ManagedPolicyAttachment": "managedPolicyArn",
}


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Find grants of a policy beyond need."""
    for statement in grants(resource.type, resource.inputs):
        if statement.allows:
            for opposite in statement.opposites:
                yield f"{opposite} in an Allow: allowed is to name what is allowed, not what is not"
            yield from excess(statement.actions, statement.resources)
    if resource.type in MANAGED_POLICIES:
        for arn in items(resource.inputs.get(MANAGED_POLICIES[resource.type])):
            yield from _managed(str(arn))


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
