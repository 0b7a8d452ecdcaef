"""The defaults of each tier: how long data is kept, and how well it is protected."""

from collections.abc import Mapping
from typing import Any

DEV, STAGING, PROD = "dev", "staging", "prod"

#: Read from top to bottom: development is cheap and leaves nothing behind; staging behaves as production does, on less;
#: production keeps its data and does not let go of it by accident.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    DEV: {
        "retention_days": 30,
        "log_retention_days": 7,
        "disposable": True,
        "protected": False,
        "alarm_actions": False,
        "cost_limit_usd": 100,
        # One core device is enough to develop on: a model that passed the gate is released at once.
        "training": {"instance_type": "ml.m5.large", "schedule_enabled": False, "canary": None},
    },
    STAGING: {
        "retention_days": 90,
        "log_retention_days": 30,
        "disposable": True,
        "protected": False,
        "alarm_actions": True,
        "cost_limit_usd": 250,
        "training": {"instance_type": "ml.m5.xlarge", "schedule_enabled": True, "canary": {}},
    },
    PROD: {
        "retention_days": 1825,
        "log_retention_days": 365,
        "disposable": False,
        "protected": True,
        "alarm_actions": True,
        "cost_limit_usd": 1000,
        "training": {"instance_type": "ml.m5.xlarge", "schedule_enabled": True, "canary": {}},
    },
}
#: Value by which a stack, or `Pulumi.yaml` for it, leaves a setting to its tier.
OF_TIER = "tier"


def with_defaults(values: Mapping[str, Any], tier: str) -> dict[str, Any]:
    """`values` with what the tier sets where they say nothing, or `tier`; a structured key is filled field by field."""
    filled = {key: value for key, value in values.items() if value != OF_TIER}
    for key, default in DEFAULTS[tier].items():
        if isinstance(default, Mapping):
            given = filled.get(key, {})
            # What is no mapping is refused by name later, with the rest.
            filled[key] = {**default, **given} if isinstance(given, Mapping) else given
        else:
            filled.setdefault(key, default)
    return filled
