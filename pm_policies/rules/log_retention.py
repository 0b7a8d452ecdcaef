"""Logs end some day."""

from collections.abc import Iterator, Mapping
from typing import Any

from pm_policies.inputs import is_set
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
#: RetentionInDays of PutRetentionPolicy, Amazon CloudWatch Logs API reference, knows steps; this is one of them.
DEFAULT_DAYS = 30


def check(resource: Resource, settings: Settings) -> Iterator[str]:
    """A log group without end, or with one that is too far away."""
    if resource.type != _LOG_GROUP:
        return
    if not is_set(resource.inputs, "retentionInDays"):
        yield "retentionInDays is not set, so that it is kept for ever"
    elif resource.inputs["retentionInDays"] > settings["maximum_days"]:
        yield f"retentionInDays is {resource.inputs['retentionInDays']:g}, allowed are {settings['maximum_days']:g}"


def remedy(resource: Resource, settings: Settings) -> Mapping[str, Any]:
    """A log group without end is given the default."""
    if resource.type != _LOG_GROUP or is_set(resource.inputs, "retentionInDays"):
        return {}
    return {"retentionInDays": settings["default_days"]}


RULE = ResourceRule(
    name="log-retention",
    severity=Severity.MEDIUM,
    level=Level.REMEDIATE,
    demand="Each log group says for how many days it is kept.",
    why="Kept for ever, logs cost more each month and hold personal data longer than anyone may.",
    mend="set retentionInDays; one without it is given the default by the pack",
    settings={
        "default_days": {"type": "number", "default": DEFAULT_DAYS, "description": "days that the pack sets"},
        "maximum_days": {"type": "number", "default": 731, "description": "days that are allowed"},
    },
    check=check,
    remedy=remedy,
)
