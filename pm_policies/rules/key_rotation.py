"""Keys are changed each year."""

from collections.abc import Iterator, Mapping
from typing import Any

from pm_policies.inputs import is_set
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_KEY = "aws:kms/key:Key"
#: "Rotating AWS KMS keys", AWS KMS developer guide: only symmetric encryption keys are rotated by AWS.
_ROTATED = (None, "", "SYMMETRIC_DEFAULT")


def check(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A key that stays the same for ever."""
    if _can_rotate(resource) and resource.inputs.get("enableKeyRotation") is not True:
        yield "enableKeyRotation is not true"


def remedy(resource: Resource, _settings: Settings) -> Mapping[str, Any]:
    """AWS KMS rotates it; what was encrypted before stays readable."""
    if not _can_rotate(resource) or is_set(resource.inputs, "enableKeyRotation"):
        return {}
    return {"enableKeyRotation": True}


def _can_rotate(resource: Resource) -> bool:
    return resource.type == _KEY and resource.inputs.get("customerMasterKeySpec") in _ROTATED


RULE = ResourceRule(
    name="key-rotation",
    severity=Severity.MEDIUM,
    level=Level.REMEDIATE,
    demand="Symmetric keys of AWS KMS are rotated each year.",
    why="The longer a key is used, the more a leak of it opens.",
    mend="set enableKeyRotation to true; the pack does",
    check=check,
    remedy=remedy,
)
