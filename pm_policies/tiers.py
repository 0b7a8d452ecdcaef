"""The tier of a stack, by which allow-lists and limits differ."""

from collections.abc import Mapping
from typing import Any

from pm_components.stack import tiers

#: The setting of a rule that has the tier, and where the stack's configuration has it.
SETTING = {"tier": {"type": "string", "description": "the stack's tier, by default that of `pm:tier`"}}
FROM_STACK = {"tier": "pm:tier"}


def of(stack_name: str, settings: Mapping[str, Any]) -> str:
    """The tier in `settings`, or the one that the stack's name is or ends with (`lindau-dev`), or production.

    Whoever says nothing is held to the strictest, as the library does.
    """
    if settings.get("tier"):
        return str(settings["tier"])
    return next((tier for tier in (stack_name, stack_name.rpartition("-")[2]) if tier in tiers.DEFAULTS), tiers.PROD)
