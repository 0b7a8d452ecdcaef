"""Functions end, and do not run without number."""

from collections.abc import Iterator

from pm_components.aws.limits import LAMBDA_TIMEOUT_SECONDS
from pm_policies.inputs import at, is_set
from pm_policies.rule import Finding, Level, Resource, Settings, Severity, Stack, StackRule, judged
from pm_policies.stacks import refers

_FUNCTION = "aws:lambda/function:Function"
_MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
_PERMISSION = "aws:lambda/permission:Permission"


def check(stack: Stack, _settings: Settings) -> Iterator[Finding]:
    """The functions without a timeout of their own, or that whoever feeds them can start without number."""
    for function in stack.of_type(_FUNCTION):
        yield from judged(function, _timeout(function))
        yield from judged(function, _concurrency(stack, function))


def _timeout(function: Resource) -> Iterator[str]:
    if not is_set(function.inputs, "timeout"):
        yield "timeout is not set, so that it ends after 3 seconds whatever it does"
    elif function.inputs["timeout"] >= LAMBDA_TIMEOUT_SECONDS:
        yield f"timeout is {function.inputs['timeout']:g}, the longest there is"


def _concurrency(stack: Stack, function: Resource) -> Iterator[str]:
    if is_set(function.inputs, "reservedConcurrentExecutions"):
        return
    for mapping in stack.of_type(_MAPPING):
        if refers(mapping, "functionName", function, "name", "arn", "id"):
            scaling = at(mapping.inputs, "scalingConfig") or {}
            if not is_set(scaling, "maximumConcurrency"):
                yield f"{mapping.name} has no scalingConfig.maximumConcurrency and the function no reserved concurrency"
    for permission in stack.of_type(_PERMISSION):
        if refers(permission, "function", function, "name", "arn", "id"):
            yield f"{permission.inputs.get('principal')} may call it and reservedConcurrentExecutions is not set"


RULE = StackRule(
    name="function-limits",
    severity=Severity.LOW,
    level=Level.ADVISORY,
    demand="Each function has a timeout, and what is fed from outside a limit of how many run at once.",
    why="A flood of messages takes the concurrency of the whole account, and what else runs there stands still.",
    mend="set timeout, and scalingConfig.maximumConcurrency or reservedConcurrentExecutions",
    check=check,
)
