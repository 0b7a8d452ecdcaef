"""A public access block blocks all four ways in."""

from collections.abc import Iterator, Mapping
from typing import Any

from pm_policies.inputs import is_set
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_TYPES = (
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock",
)
_FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """The ways that are open."""
    if resource.type in _TYPES:
        for flag in _FLAGS:
            if resource.inputs.get(flag) is not True:
                yield f"{flag} is not true"


def remedy(resource: Resource, _settings: Settings) -> Mapping[str, Any]:
    """All four are set."""
    if resource.type not in _TYPES:
        return {}
    return {flag: True for flag in _FLAGS if not is_set(resource.inputs, flag)}


RULE = ResourceRule(
    name="public-access-block",
    severity=Severity.CRITICAL,
    level=Level.REMEDIATE,
    demand="A public access block blocks public lists and policies, new ones and old ones.",
    why="Each of the four covers a way that the others leave open.",
    mend="set all four to true",
    check=check,
    remedy=remedy,
)
