"""The configuration of a stack: Pulumi's namespace `pm`, checked key by key before anything is created.

Here are the keys of an environment. What its components can be set to stands in their own `settings.py`.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from pulumi.runtime import config as pulumi_config

from pm_components.analytics_store.settings import LakeSettings
from pm_components.aws.limits import LOG_RETENTION_DAYS, TAG_VALUE_LENGTH
from pm_components.aws.settings import AbsolutePath, Days, Settings, is_optional, without_meta
from pm_components.aws.tagging import OwnershipArgs
from pm_components.fault_alerting.settings import (
    AlarmSettings,
    DetectorSettings,
    FaultAlertingSettings,
    Voice,
    VoiceEngine,
    VoiceLanguage,
)
from pm_components.forecast_pipeline.settings import TrainingSettings
from pm_components.forecast_pipeline.training_jobs import check_hyperparameters
from pm_components.greengrass_site.device_policies import connection_problem
from pm_components.greengrass_site.settings import FlowControl, GreengrassSiteSettings, Name, SiteSettings
from pm_components.stack import tiers
from pm_components.stack.refusals import NAMESPACE, ConfigError, explained
from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.topics import COMMAND

_Email = Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+\Z", description="an e-mail address")]
_Tag = Annotated[
    str,
    Meta(
        # "Tag naming limits and requirements", Tagging AWS Resources user guide: letters and numbers of all languages.
        pattern=rf"^[\w .:/=+@-]{{1,{TAG_VALUE_LENGTH}}}\Z",
        description=f"1 to {TAG_VALUE_LENGTH} letters of any language, numbers, spaces and _ . : / = + - @",
    ),
]
_ALERTING, _SITE = FaultAlertingSettings(), GreengrassSiteSettings()


class Device(Settings, frozen=True, kw_only=True):
    """A device of a site."""

    name: Name
    """Its name, a level of its topics."""
    type: Annotated[str, Meta(pattern=rf"^({AIR_QUALITY}|{MACHINE})\Z", description=f"{AIR_QUALITY} or {MACHINE}")]
    """Kind of its measurements."""


class Site(SiteSettings, frozen=True, kw_only=True):
    """A plant: its core devices, by thing name, and the devices behind them."""

    name: Name
    """The site's name, a level of its topics."""
    core_devices: Annotated[list[Name], Meta(min_length=1, description="at least one thing name")]
    """Thing names of its core devices."""
    devices: Annotated[list[Device], Meta(min_length=1, description="at least one device")]
    """The devices behind them."""
    configuration: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    """By component name: what is merged over the site's own configuration of it."""

    @property
    def canaries(self) -> list[str]:
        """The core devices that try new models first."""
        return self.core_devices[:1] if self.canary_devices is None else self.canary_devices

    @property
    def device_types(self) -> dict[str, str]:
        """The type of each device by its name."""
        return {device.name: device.type for device in self.devices}


class Config(Settings, frozen=True, kw_only=True):
    """All that a stack sets. Keys without a default here take the tier's: `pm_components/stack/tiers.py`."""

    tier: Annotated[str, Meta(pattern=rf"^({'|'.join(tiers.DEFAULTS)})\Z", description=", ".join(tiers.DEFAULTS))]
    """The stack's tier, and with it the defaults of the keys that say so."""
    sites: Annotated[list[Site], Meta(min_length=1, description="at least one site")]
    """The plants."""
    owner: _Tag = "unassigned"
    """The team that answers for the stack: the tag `Owner` of every resource."""
    cost_centre: _Tag = "unassigned"
    """The cost centre that pays for the stack: the tag `CostCentre` of every resource."""
    alert_emails: list[_Email] = msgspec.field(default_factory=list)
    """Addresses that alerts are mailed to."""
    escalation_emails: list[_Email] = msgspec.field(default_factory=list)
    """Addresses that are mailed to when nobody has acknowledged an alarm in time."""
    alarms: AlarmSettings = AlarmSettings()
    """Reminders, escalation and digests of alarms."""
    flow_control: FlowControl = _SITE.flow_control
    """Hold uplinks to the limits of AWS IoT Core."""
    python: AbsolutePath = _SITE.python
    """Python interpreter on the core devices."""
    data_directory: AbsolutePath = _SITE.data_directory
    """Directory on the core devices that keeps outbox, models and identity."""
    voice: Voice = _ALERTING.voice
    """Amazon Polly's voice of the announcements."""
    voice_engine: VoiceEngine = _ALERTING.voice_engine
    """Amazon Polly's engine that the voice is of."""
    voice_language: VoiceLanguage = _ALERTING.voice_language
    """The language of a voice that has several; empty: its own."""
    retention_days: Days
    """Days that the lake, the exports and the announcements are kept."""
    log_retention_days: Annotated[int, Meta(description="what Amazon CloudWatch Logs keeps logs for")]
    """Days that every log group keeps its events."""
    disposable: bool
    """Let `pulumi destroy` delete buckets that still hold data, and keys after the shortest wait."""
    protected: bool
    """Have Pulumi refuse to destroy the stack, and to delete or replace buckets, tables, keys and volumes."""
    alarm_actions: bool
    """Notify people of CloudWatch alarms; if false, only the console shows them."""
    cost_limit_usd: Annotated[float, Meta(gt=0, description="US dollars, above 0")]
    """The most that the stack may cost in a month by the estimate of `pm review`, in US dollars."""
    lake: LakeSettings = LakeSettings()
    """Encryption and queries of the lake, as `AnalyticsStore` has them."""
    detector: DetectorSettings = DetectorSettings()
    """The acceptable range of forecasts."""
    training: TrainingSettings = TrainingSettings()
    """Training, gate and roll-out of models, as `ForecastPipeline` has them."""

    @property
    def site_names(self) -> list[str]:
        """The names of the plants."""
        return [site.name for site in self.sites]

    @property
    def ownership(self) -> OwnershipArgs:
        """The part of the stack that every component takes."""
        return {"tier": self.tier, "owner": self.owner, "cost_centre": self.cost_centre}


def load() -> Config:
    """The configuration of the stack that runs.

    Raises:
        ConfigError: if a key is unknown, missing or has a value that is not allowed.
    """
    values = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    prefix = f"{NAMESPACE}:"
    return parse({key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)})


def parse(values: Mapping[str, str]) -> Config:
    """The configuration in `values`, as Pulumi keeps them: text by key, JSON where a value is structured.

    A stack without a tier is taken for production: what is forgotten must not make data easy to lose.

    Raises:
        ConfigError: if a key is unknown, missing or has a value that is not allowed.
    """
    fields = {field.name: without_meta(field.type) for field in msgspec.structs.fields(Config)}
    texts = {name for name, type_ in fields.items() if type_ is str}
    plain: dict[str, Any] = {}
    for key, text in values.items():
        if key not in fields:
            raise ConfigError(f"{NAMESPACE}:{key}: there is no such key, allowed are {', '.join(sorted(fields))}")
        try:
            plain[key] = text if key in texts or text == tiers.OF_TIER else json.loads(text)
            # Half of a character, which JSON can escape, is in no value that can be passed on.
            json.dumps(plain[key], ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{NAMESPACE}:{key}: found {text!r}, allowed is JSON ({error})") from error
    tier = plain.setdefault("tier", tiers.PROD)
    if tier in tiers.DEFAULTS:
        plain = _left_to_defaults(tiers.with_defaults(plain, tier), Config)
    try:
        config = msgspec.convert(plain, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(explained(str(error), plain, Config)) from error
    _check_names(config)
    _check_lives(config)
    _check_trial(config)
    _check_hyperparameters(config)
    return config


def _left_to_defaults(value: Any, annotation: Any) -> Any:
    """`value` without the nulls of fields that have a default and take no null: they are left to it."""
    form = without_meta(annotation)
    if isinstance(value, list) and getattr(form, "__origin__", None) is list:
        return [_left_to_defaults(item, form.__args__[0]) for item in value]
    if not isinstance(value, dict) or not isinstance(form, type) or not issubclass(form, msgspec.Struct):
        return value
    fields = {field.name: field for field in msgspec.structs.fields(form)}
    return {
        name: _left_to_defaults(inner, fields[name].type if name in fields else Any)
        for name, inner in value.items()
        if inner is not None or name not in fields or fields[name].required or is_optional(fields[name].type)
    }


def _check_lives(config: Config) -> None:
    """Refuse retention periods that contradict one another."""
    if config.log_retention_days not in LOG_RETENTION_DAYS:
        raise ConfigError(
            f"{NAMESPACE}:log_retention_days: found {config.log_retention_days}, allowed are "
            f"{', '.join(map(str, LOG_RETENTION_DAYS))}"
        )
    if config.disposable and config.protected:
        raise ConfigError(
            f"{NAMESPACE}:disposable: found true beside {NAMESPACE}:protected true, allowed is one. To let go of "
            f"a stack and its data: set {NAMESPACE}:protected to false, run `pulumi up`, and then `pulumi destroy`"
        )


def _check_trial(config: Config) -> None:
    """A trial without anybody to try would end every forecast model."""
    stations = [site for site in config.sites if AIR_QUALITY in site.device_types.values()]
    if config.training.canary is not None and stations and all(site.canary_devices == [] for site in stations):
        raise ConfigError(
            f"{NAMESPACE}:training.canary: found a trial and no core device for it, allowed is null, or a core device "
            f"in sites[].canary_devices of {', '.join(site.name for site in stations)}"
        )


def _check_hyperparameters(config: Config) -> None:
    """Hold hyperparameters to SageMaker's limits for a training job."""
    try:
        check_hyperparameters(config.training.hyperparameters)
    except ValueError as error:
        raise ConfigError(f"{NAMESPACE}:training.{error}") from error


def _check_names(config: Config) -> None:
    """Names that become physical names, topic levels or keys, and what resources are named by, may be given once."""
    _check_unique("sites[].name", [site.name for site in config.sites])
    _check_unique("sites[].core_devices", [core for site in config.sites for core in site.core_devices])
    for index, site in enumerate(config.sites):
        devices = [device.name for device in site.devices]
        _check_unique(f"sites[{index}].devices[].name", devices)
        _check_unique(f"sites[{index}].canary_devices", site.canary_devices or [])
        if COMMAND in devices:
            raise ConfigError(
                f"{NAMESPACE}:sites[{index}].devices[].name: found {COMMAND}, a level of the site's own topics, "
                "allowed is another"
            )
        if problem := connection_problem(site.core_devices):
            raise ConfigError(f"{NAMESPACE}:sites[{index}].core_devices: {problem}")
        if both := sorted(set(devices) & set(site.core_devices)):
            raise ConfigError(
                f"{NAMESPACE}:sites[{index}].devices[].name: found {', '.join(both)}, the name of a core device of "
                "the site, allowed is another"
            )
    # A site's name and that of a thing together name the thing's resource: `a` with `b-c` as `a-b` with `c`.
    _check_unique(
        "sites[].name with the names of its core devices and devices",
        [f"{site.name}-{thing}" for site in config.sites for thing in (*site.core_devices, *site.device_types)],
    )
    _check_unique("alert_emails", config.alert_emails)
    _check_unique("escalation_emails", config.escalation_emails)


def _check_unique(key: str, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"{NAMESPACE}:{key}: found {', '.join(repeated)} more than once, each name is allowed once")
