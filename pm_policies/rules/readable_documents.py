"""Policies, definitions and recipes are texts that can be read."""

from collections.abc import Iterator, Mapping
from typing import Any

from pm_policies.inputs import RECIPE, UnreadableError, items, read_document
from pm_policies.policy_documents import INLINE_POLICIES, POLICY_KEYS, RESOURCE_POLICY_KEYS
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_KEYS: Mapping[str, tuple[str, ...]] = {
    **{
        type_: (*POLICY_KEYS.get(type_, ()), *RESOURCE_POLICY_KEYS.get(type_, ()))
        for type_ in {*POLICY_KEYS, *RESOURCE_POLICY_KEYS}
    },
    "aws:sqs/queue:Queue": ("policy", "redrivePolicy"),
    "aws:sqs/redrivePolicy:RedrivePolicy": ("redrivePolicy",),
    "aws:sns/topicSubscription:TopicSubscription": ("redrivePolicy",),
    "aws:sfn/stateMachine:StateMachine": ("definition",),
    "aws-native:greengrassv2:ComponentVersion": (RECIPE,),
}


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """The documents of a resource that cannot be read."""
    for key in _KEYS.get(resource.type, ()):
        yield from _problem(resource.inputs, key, "")
    if resource.type in INLINE_POLICIES:
        policies, key = INLINE_POLICIES[resource.type]
        for index, inline in enumerate(items(resource.inputs.get(policies))):
            yield from _problem(inline, key, f"{policies}[{index}].")


def _problem(inputs: Mapping[str, Any], key: str, path: str) -> Iterator[str]:
    try:
        read_document(inputs, key)
    except UnreadableError as problem:
        yield f"{path}{problem}"


RULE = ResourceRule(
    name="readable-documents",
    severity=Severity.HIGH,
    level=Level.MANDATORY,
    demand="Each policy, redrive policy, state machine definition and recipe is a document that can be read.",
    why="AWS refuses it in the middle of the update, and until then no rule can tell what it allows.",
    mend="write it with json.dumps, or pulumi.Output.json_dumps where it holds outputs",
    check=check,
)
