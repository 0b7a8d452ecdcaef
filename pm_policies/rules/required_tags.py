"""Resources that can be tagged name their tier, owner and cost centre."""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pm_policies.inputs import is_list, items
from pm_policies.rule import Level, Resource, ResourceRule, Settings, Severity

_DEFAULT = ["Project", "Stack", "Tier", "Owner", "CostCentre"]


def check(resource: Resource, settings: Settings) -> Iterator[str]:
    """The tags that are missing or empty."""
    if not takes_tags(resource.type):
        return
    tags = _by_key(resource.inputs.get("tags"))
    missing = [key for key in settings["keys"] if not tags.get(key)]
    if missing:
        yield f"tag {', '.join(missing)} not set, required are {', '.join(settings['keys'])}"


def _by_key(tags: Any) -> Mapping[str, Any]:
    """Tags by key; AWS Native has them as a list for some types."""
    if is_list(tags):
        return {tag["key"]: tag["value"] for tag in items(tags)}
    return tags or {}


@cache
def takes_tags(type_: str) -> bool:
    """True if resources of a type have an input `tags`, by the class of the provider's SDK.

    A type that the installed SDK does not know, from another version or language, is not asked.
    """
    package, _, rest = type_.partition(":")
    module, _, name = rest.partition(":")
    if package not in ("aws", "aws-native") or not name:
        return False
    folder = module.partition("/")[0]
    path = {"lambda": "lambda_"}.get(folder, folder)
    try:
        class_ = getattr(importlib.import_module(f"pulumi_{package.replace('-', '_')}.{path}"), name)
    except (ImportError, AttributeError):
        return False
    return "tags" in inspect.signature(class_._internal_init).parameters


RULE = ResourceRule(
    name="required-tags",
    severity=Severity.LOW,
    level=Level.MANDATORY,
    demand="Each resource that takes tags says its project, stack, tier, owner and cost centre.",
    why="Whoever finds it on a bill or in an alarm has to know whom to ask, and what goes when the stack goes.",
    mend="give the library's component that it is in the input `ownership` (tier, owner, costCentre; in Python "
    "cost_centre), and what is in no component its tags. This project's program takes them from pm:tier, pm:owner and "
    "pm:cost_centre",
    settings={
        "keys": {
            "type": "array",
            "items": {"type": "string"},
            "default": _DEFAULT,
            "description": "the tags that are required",
        }
    },
    check=check,
    as_written=True,
)
