"""The handlers, by service: each makes one Pulumi type in the cloud. Importing this package registers them all."""

from sandbox.provider.handlers import (
    analytics,
    events,
    functions,
    greengrass,
    hosts,
    identity,
    iot,
    keys,
    messaging,
    monitoring,
    s3,
    tables,
    workflows,
)

__all__ = [
    "analytics",
    "events",
    "functions",
    "greengrass",
    "hosts",
    "identity",
    "iot",
    "keys",
    "messaging",
    "monitoring",
    "s3",
    "tables",
    "workflows",
]
