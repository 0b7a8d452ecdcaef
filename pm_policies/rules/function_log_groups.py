"""Each function's log group is the stack's own."""

from collections.abc import Iterator, Sequence

from pm_policies.rule import Finding, Level, Resource, Settings, Severity, Stack, StackRule, Undecided, judged
from pm_policies.stacks import known_values

_FUNCTION = "aws:lambda/function:Function"
_LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


def check(stack: Stack, _settings: Settings) -> Iterator[Finding]:
    """The functions whose log group AWS Lambda would make, without end and left behind."""
    groups = stack.of_type(_LOG_GROUP)
    names = [known_values(group.inputs, "name") for group in groups]
    for function in stack.of_type(_FUNCTION):
        yield from judged(function, _problems(function, names))


def _problems(function: Resource, names: Sequence[set[object]]) -> Iterator[str]:
    logging = function.inputs.get("loggingConfig") or {}
    name = function.inputs.get("name")
    if not name and not logging.get("logGroup"):
        yield "neither name nor loggingConfig.logGroup is set, so that its log group cannot be told"
        return
    expected = logging.get("logGroup") or f"/aws/lambda/{name}"
    if any(expected in name for name in names):
        return
    if not all(names):
        yield Undecided(f"cannot be judged before the update: log group {expected} may be one without a name yet")
    else:
        yield f"there is no log group {expected}"


RULE = StackRule(
    name="function-log-groups",
    severity=Severity.LOW,
    level=Level.MANDATORY,
    demand="Each function's log group is a resource of the stack.",
    why="One that AWS Lambda makes is kept for ever, and stays when the stack is destroyed.",
    mend="make the function with pm_components.aws.lambda_function, or register its log group",
    check=check,
)
