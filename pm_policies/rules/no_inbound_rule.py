"""Nothing listens to the network."""

from collections.abc import Iterator

from pm_policies.inputs import is_set
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_GROUPS = (
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
)
_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
_INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A way in."""
    if resource.type in _GROUPS and is_set(resource.inputs, "ingress") and _some(resource):
        yield "ingress is set, allowed is none"
    if resource.type == _RULE and resource.inputs.get("type") == "ingress":
        yield "type is ingress, allowed is egress"
    if resource.type == _INGRESS:
        yield "it is an ingress rule, allowed is none"


def _some(group: Resource) -> bool:
    return len(group.inputs["ingress"]) > 0


RULE = ResourceRule(
    name="no-inbound-rule",
    severity=Severity.CRITICAL,
    level=Level.MANDATORY,
    demand="No security group lets anything in.",
    why="Core devices and hosts call out and are reached by Session Manager; an open port only serves an intruder.",
    mend="remove the rule; open a shell with `aws ssm start-session`",
    check=check,
)
