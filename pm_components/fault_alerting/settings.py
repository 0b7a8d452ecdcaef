"""The settings of `FaultAlerting`. Those of its functions are the functions' own rules, as these decode them."""

from collections.abc import Sequence
from typing import Annotated, TypedDict

import pulumi
from msgspec import Meta

from pm_components.aws.limits import SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM
from pm_components.aws.settings import Days, Settings
from pm_components.functions.alarm_keeper.alarms import Policy as AlarmSettings
from pm_components.functions.forecast_quality.core import Rule as DetectorSettings

__all__ = [
    "AlarmArgs",
    "AlarmSettings",
    "DetectorArgs",
    "DetectorSettings",
    "FaultAlertingSettings",
    "FaultAlertingSettingsArgs",
]

_ENGINES = "standard, neural, long-form or generative"

Voice = Annotated[str, Meta(pattern=r"^[A-Z][a-zA-Z]+\Z", description="a voice of Amazon Polly")]
VoiceEngine = Annotated[str, Meta(pattern=r"^(standard|neural|long-form|generative)\Z", description=_ENGINES)]
VoiceLanguage = Annotated[
    str, Meta(pattern=r"^([a-z]{2,3}(-[A-Z]{2})?)?\Z", description="a language of Amazon Polly as en-IN, or nothing")
]
ReservedConcurrency = Annotated[
    int,
    Meta(ge=SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM, description=f"{SQS_EVENT_SOURCE_CONCURRENCY_MINIMUM} and more"),
]


class FaultAlertingSettings(Settings, frozen=True, kw_only=True):
    """All settings of the component."""

    voice: Voice = "Joanna"
    """Voice of Amazon Polly that speaks the announcements."""
    voice_engine: VoiceEngine = "neural"
    """Engine of Amazon Polly that the voice is of."""
    voice_language: VoiceLanguage = ""
    """The language of a voice that has several. By default the voice's own."""
    announcement_days: Days = 90
    """Days after which an announcement is deleted."""
    detector: DetectorSettings = DetectorSettings()
    """The acceptable range of forecasts."""
    alarms: AlarmSettings = AlarmSettings()
    """Reminders of active alarms, escalation of those that nobody acknowledges, and digests of many at once."""
    reserved_concurrency: ReservedConcurrency | None = None
    """Executions that the account keeps for telling alerts, so that nothing else in it delays them. By default none: a
    new account has ten in all and lets nobody reserve any."""
    disposable: bool = False
    """Delete the announcements with the stack. Otherwise a bucket that holds some stays, and says so."""


class DetectorArgs(TypedDict, total=False):
    """The acceptable range of a device's forecasts."""

    window: pulumi.Input[int]
    minimum_count: pulumi.Input[int]
    maximum_share: pulumi.Input[float]
    clear_share: pulumi.Input[float]
    tolerance: pulumi.Input[float]


class AlarmArgs(TypedDict, total=False):
    """The settings of reminders, escalations and digests."""

    dedupe_seconds: pulumi.Input[int]
    escalation_seconds: pulumi.Input[int]
    escalation_severities: pulumi.Input[Sequence[pulumi.Input[str]]]
    mail_limit: pulumi.Input[int]
    digest_seconds: pulumi.Input[int]


class FaultAlertingSettingsArgs(TypedDict, total=False):
    """`FaultAlertingSettings` as arguments."""

    voice: pulumi.Input[str]
    voice_engine: pulumi.Input[str]
    voice_language: pulumi.Input[str]
    announcement_days: pulumi.Input[int]
    detector: pulumi.Input[DetectorArgs]
    alarms: pulumi.Input[AlarmArgs]
    reserved_concurrency: pulumi.Input[int]
    disposable: pulumi.Input[bool]
