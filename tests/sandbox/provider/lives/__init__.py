"""The inputs of each type that the tests give it a life with: made, changed in all that does not replace, deleted."""

from tests.sandbox.provider.lives import (
    analytics,
    events,
    functions,
    hosts,
    identity,
    iot,
    messaging,
    monitoring,
    s3,
    sagemaker,
    tables,
    workflows,
)
from tests.sandbox.provider.lives.lab import LIVES, Lab, Life, allow

__all__ = [
    "LIVES",
    "Lab",
    "Life",
    "allow",
    "analytics",
    "events",
    "functions",
    "hosts",
    "identity",
    "iot",
    "messaging",
    "monitoring",
    "s3",
    "sagemaker",
    "tables",
    "workflows",
]
