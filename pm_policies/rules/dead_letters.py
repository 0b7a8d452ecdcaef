"""A message that cannot be processed has a dead-letter queue."""

from collections.abc import Iterator, Sequence

from pulumi_policy.proxy import UnknownValueError

from pm_policies.inputs import at, document, is_set, items
from pm_policies.rule import Finding, Level, Resource, Settings, Severity, Stack, StackRule, judged
from pm_policies.stacks import known_values, refers

_QUEUE = "aws:sqs/queue:Queue"
_REDRIVE = "aws:sqs/redrivePolicy:RedrivePolicy"
_MAPPING = "aws:lambda/eventSourceMapping:EventSourceMapping"
_FUNCTION = "aws:lambda/function:Function"
_PERMISSION = "aws:lambda/permission:Permission"
_INVOKE_CONFIG = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"

#: Inputs in which resources name the queue that takes what they could not hand over: the input, and the way in it.
_TARGETS: dict[str, Sequence[tuple[str, ...]]] = {
    _QUEUE: (("redrivePolicy", "deadLetterTargetArn"),),
    _REDRIVE: (("redrivePolicy", "deadLetterTargetArn"),),
    "aws:iot/topicRule:TopicRule": (("errorAction", "sqs", "queueUrl"),),
    "aws:scheduler/schedule:Schedule": (("target", "deadLetterConfig", "arn"),),
    "aws:cloudwatch/eventTarget:EventTarget": (("deadLetterConfig", "arn"),),
    "aws:sns/topicSubscription:TopicSubscription": (("redrivePolicy", "deadLetterTargetArn"),),
    _FUNCTION: (("deadLetterConfig", "targetArn"),),
    _INVOKE_CONFIG: (("destinationConfig", "onFailure", "destination"),),
    _MAPPING: (("destinationConfig", "onFailure", "destinationArn"),),
}
#: Those that lose what they cannot deliver where they name no queue.
_SENDERS = {
    "aws:scheduler/schedule:Schedule": ("target", "deadLetterConfig", "arn"),
    "aws:cloudwatch/eventTarget:EventTarget": ("deadLetterConfig", "arn"),
}
#: AWS IoT waits for the hook of a provisioning template, as the ARN of the caller tells.
_WAITS = ":provisioningtemplate/"
#: Services that call a function and do not wait for its answer.
_ASYNCHRONOUS = ("sns", "events", "s3", "iot", "scheduler", "ses", "logs", "config")


def check(stack: Stack, _settings: Settings) -> Iterator[Finding]:
    """Find the places that lose messages."""
    for queue in stack.of_type(_QUEUE):
        yield from judged(queue, _queue(stack, queue))
    for type_, path in _SENDERS.items():
        for sender in stack.of_type(type_):
            yield from judged(sender, _sender(sender, path))
    for mapping in stack.of_type(_MAPPING):
        yield from judged(mapping, _stream_source(stack, mapping))
    for function in stack.of_type(_FUNCTION):
        yield from judged(function, _asynchronous(stack, function))


def _queue(stack: Stack, queue: Resource) -> Iterator[str]:
    redriven = is_set(queue.inputs, "redrivePolicy") or any(
        refers(redrive, "queueUrl", queue, "url", "id") for redrive in stack.of_type(_REDRIVE)
    )
    if not redriven and not any(_sends_dead_letters(resource, queue) for resource in stack.resources):
        yield "it has no redrivePolicy, and nothing in the stack sends it dead letters"


def _sends_dead_letters(resource: Resource, queue: Resource) -> bool:
    for path in _TARGETS.get(resource.type, ()):
        try:
            target = at(_opened(resource, path[0]), *path[1:])
        except UnknownValueError:
            return queue.urn in resource.depends_on.get(path[0], ())
        if target and target in known_values(queue.inputs, "arn", "url", "id"):
            return True
    return False


def _opened(resource: Resource, key: str) -> dict[str, object]:
    return document({key: (items(resource.inputs.get(key)) or [None])[0]}, key)


def _sender(sender: Resource, path: tuple[str, ...]) -> Iterator[str]:
    *way, last = path
    holder = at(sender.inputs, *way)
    if holder is None or not is_set(holder, last):
        yield f"{'.'.join(path)} is not set"


def _stream_source(stack: Stack, mapping: Resource) -> Iterator[str]:
    if any(refers(mapping, "eventSourceArn", queue, "arn") for queue in stack.of_type(_QUEUE)):
        return
    source = str(mapping.inputs.get("eventSourceArn"))
    if ":sqs:" not in source and at(mapping.inputs, "destinationConfig", "onFailure") is None:
        yield "its source is a stream, and destinationConfig.onFailure is not set"


def _asynchronous(stack: Stack, function: Resource) -> Iterator[str]:
    callers = sorted(
        str(permission.inputs.get("principal"))
        for permission in stack.of_type(_PERMISSION)
        if refers(permission, "function", function, "name", "arn", "id")
        and str(permission.inputs.get("principal")).split(".")[0] in _ASYNCHRONOUS
        and _WAITS not in str(permission.inputs.get("sourceArn"))
    )
    kept = is_set(function.inputs, "deadLetterConfig") or any(
        refers(config, "functionName", function, "name", "arn", "id")
        and at(config.inputs, "destinationConfig", "onFailure") is not None
        for config in stack.of_type(_INVOKE_CONFIG)
    )
    if callers and not kept:
        yield f"{', '.join(callers)} calls it and does not wait, and deadLetterConfig is not set"


RULE = StackRule(
    name="dead-letters",
    severity=Severity.HIGH,
    level=Level.MANDATORY,
    demand="Each queue, schedule, event target, stream source and asynchronous function has a dead-letter queue.",
    why="A message that cannot be processed would be lost, or come back for ever and hold up those behind it.",
    mend="pm_components.aws.queues.work_queue for a queue, dead_letter_queue for what sends",
    check=check,
)
