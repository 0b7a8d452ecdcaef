"""A component's recipe is one that AWS IoT Greengrass takes."""

from collections.abc import Iterator

from pm_components.aws.recipe_format import size_problem
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_VERSION = "aws-native:greengrassv2:ComponentVersion"


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A recipe that is too long."""
    if resource.type == _VERSION:
        problem = size_problem(str(resource.inputs.get("inlineRecipe") or ""))
        if problem:
            yield problem


RULE = ResourceRule(
    name="recipe-size",
    severity=Severity.MEDIUM,
    level=Level.MANDATORY,
    demand="A component's recipe has at most 16,000 bytes.",
    why="AWS IoT Greengrass refuses a longer one, in the middle of an update.",
    mend="move what is long into the artifact, or configuration into the deployment",
    check=check,
)
