"""Each function's log group is the stack's own."""

from collections.abc import Iterator

from policies.rule import Finding, Level, Resource, Settings, Severity, Stack, StackRule, judged

_FUNCTION = "aws:lambda/function:Function"
_LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"


def check(stack: Stack, _settings: Settings) -> Iterator[Finding]:
    """The functions whose log group AWS Lambda would make, without end and left behind."""
    names: set[object] = set()
    for group in stack.of_type(_LOG_GROUP):
        for finding in judged(group, _collected(group, names)):
            yield finding
    for function in stack.of_type(_FUNCTION):
        yield from judged(function, _problems(function, names))


def _collected(group: Resource, names: set[object]) -> Iterator[str]:
    names.add(group.inputs.get("name"))
    yield from ()


def _problems(function: Resource, names: set[object]) -> Iterator[str]:
    logging = function.inputs.get("loggingConfig") or {}
    expected = logging.get("logGroup") or f"/aws/lambda/{function.inputs.get('name')}"
    if expected not in names:
        yield f"there is no log group {expected}"


RULE = StackRule(
    name="function-log-groups",
    severity=Severity.LOW,
    level=Level.MANDATORY,
    demand="Each function's log group is a resource of the stack.",
    why="One that AWS Lambda makes is kept for ever, and stays when the stack is destroyed.",
    mend="make the function with pm_components.lambda_function, or register its log group",
    check=check,
)
