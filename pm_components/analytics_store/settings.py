"""The settings of `AnalyticsStore`."""

from typing import Annotated, TypedDict

import pulumi
from msgspec import Meta

from pm_components.aws.limits import ATHENA_SCAN_LIMIT_MINIMUM_BYTES
from pm_components.aws.settings import Days, Settings

ScanLimit = Annotated[
    int, Meta(ge=ATHENA_SCAN_LIMIT_MINIMUM_BYTES, description=f"{ATHENA_SCAN_LIMIT_MINIMUM_BYTES} bytes and more")
]


class LakeSettings(Settings, frozen=True, kw_only=True):
    """Encryption and queries of the lake: a stack's key `lake`."""

    customer_key: bool = False
    """Encrypt with a key of your own, made here and rotated each year: lake, query results, streams, queues and
    delivery log; otherwise AWS's keys do. Known while the program runs."""
    scan_limit_bytes: ScanLimit = 10 * 1000**3
    """Bytes after which Athena ends a query."""


class AnalyticsStoreSettings(LakeSettings, frozen=True, kw_only=True):
    """All settings of the component."""

    retention_days: Days = 5 * 365
    """Days after which data is deleted, counted from its arrival."""
    disposable: bool = False
    """Delete the data with the stack. Otherwise a bucket that holds data stays, and the error says so."""


class LakeArgs(TypedDict, total=False):
    """`LakeSettings` as arguments."""

    customer_key: pulumi.Input[bool]
    scan_limit_bytes: pulumi.Input[int]


class AnalyticsStoreSettingsArgs(LakeArgs, total=False):
    """`AnalyticsStoreSettings` as arguments."""

    retention_days: pulumi.Input[int]
    disposable: pulumi.Input[bool]
