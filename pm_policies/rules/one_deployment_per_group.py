"""A thing group has one Greengrass deployment."""

from collections.abc import Iterator

from pulumi_policy.proxy import UnknownValueError

from pm_policies.rule import Finding, Level, Resource, Settings, Severity, Stack, StackRule

_DEPLOYMENT = "aws-native:greengrassv2:Deployment"


def check(stack: Stack, _settings: Settings) -> Iterator[Finding]:
    """The deployments beyond the first of each target."""
    first: dict[str, Resource] = {}
    for deployment in sorted(stack.of_type(_DEPLOYMENT), key=lambda one: one.urn):
        target = _target(deployment)
        owner = first.setdefault(target, deployment)
        if owner is not deployment:
            yield Finding(deployment.urn, f"its target {target} has the deployment {owner.name} already")


def _target(deployment: Resource) -> str:
    """The target's ARN, or where it is not known yet the resource that it comes from."""
    try:
        return str(deployment.inputs.get("targetArn"))
    except UnknownValueError:
        sources = deployment.depends_on.get("targetArn", ())
        if not sources:
            raise
        return ", ".join(sorted(sources))


RULE = StackRule(
    name="one-deployment-per-group",
    severity=Severity.HIGH,
    level=Level.MANDATORY,
    demand="A thing group or thing is the target of one deployment of AWS IoT Greengrass.",
    why="A new deployment replaces the earlier one of the same target: two owners undo each other's work for ever.",
    mend="put the components into one deployment, or give them a thing group of their own",
    check=check,
)
