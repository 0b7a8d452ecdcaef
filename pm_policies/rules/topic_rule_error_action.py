"""Each topic rule says where a message goes that its actions fail on."""

from collections.abc import Iterator

from pm_policies.inputs import is_set, items
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_RULE = "aws:iot/topicRule:TopicRule"


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A rule that loses messages."""
    if resource.type != _RULE:
        return
    if not is_set(resource.inputs, "errorAction"):
        yield "errorAction is not set"
    for firehose in items(resource.inputs.get("firehoses")):
        if firehose.get("batchMode"):
            yield "firehose action in batchMode: what Firehose refuses is then not given to the error action"


RULE = ResourceRule(
    name="topic-rule-error-action",
    severity=Severity.HIGH,
    level=Level.MANDATORY,
    demand="Each topic rule has an error action, and no action that goes round it.",
    why="Without one, AWS IoT drops a message whose action fails, and says so in a log at best.",
    mend="set errorAction to a dead-letter queue (pm_components.aws.queues.dead_letter_queue), batchMode to false",
    check=check,
)
