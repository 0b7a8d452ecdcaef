"""The configuration of a stack: Pulumi's namespace `pm`, checked key by key before anything is created."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Optional

import msgspec
from msgspec import Meta
from pulumi.runtime import config as pulumi_config

from pm_components.aws.limits import (
    ATHENA_SCAN_LIMIT_MINIMUM_BYTES,
    EXPIRATION_DAYS_MINIMUM,
    HYPERPARAMETER_NAME_LENGTH,
    INSTANCE_TYPE,
    LOG_RETENTION_DAYS,
    ML_INSTANCE_TYPE,
    NETWORK_ID_LENGTH,
    NOTEBOOK_SECURITY_GROUPS,
    NOTEBOOK_VOLUME_GIBIBYTES,
    SCHEDULE_EXPRESSION_LENGTH,
    TAG_VALUE_LENGTH,
    TRAINING_IMAGE_LENGTH,
    TRAINING_SECONDS,
)
from pm_components.aws.tagging import OwnershipArgs
from pm_components.forecast_pipeline.training_jobs import check_hyperparameters
from pm_components.stack import tiers
from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.messages import NAME_PATTERN

NAMESPACE = "pm"

_Name = Annotated[str, Meta(pattern=NAME_PATTERN, description="1 to 32 of a-z, 0-9 and inner hyphens")]
_AbsolutePath = Annotated[str, Meta(pattern="^/[A-Za-z0-9._/-]+$", description="an absolute POSIX path")]
_Email = Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", description="an e-mail address")]
_Share = Annotated[float, Meta(ge=0, le=1, description="a share, 0 to 1")]
_Severity = Annotated[str, Meta(pattern="^(warning|critical)$", description="warning or critical")]
_Days = Annotated[int, Meta(ge=EXPIRATION_DAYS_MINIMUM, le=3650, description="1 to 3650 days")]
_Tag = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Za-z0-9 _.:/=+@-]{{1,{TAG_VALUE_LENGTH}}}$",
        description=f"1 to {TAG_VALUE_LENGTH} characters that a tag takes",
    ),
]
_SerialNumber = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$", description="1 to 64 of letters, digits, '.', '_', ':' and '-'")
]
_ScanLimit = Annotated[
    int, Meta(ge=ATHENA_SCAN_LIMIT_MINIMUM_BYTES, description=f"{ATHENA_SCAN_LIMIT_MINIMUM_BYTES} bytes and more")
]
_Hyperparameter = Annotated[
    str,
    Meta(
        pattern=rf"^.{{1,{HYPERPARAMETER_NAME_LENGTH}}}$", description=f"1 to {HYPERPARAMETER_NAME_LENGTH} characters"
    ),
]
_InstanceType = Annotated[str, Meta(pattern=INSTANCE_TYPE, description="FAMILY.SIZE")]
_MlInstanceType = Annotated[str, Meta(pattern=ML_INSTANCE_TYPE, description="ml.FAMILY.SIZE")]
_TrainingSeconds = Annotated[int, Meta(ge=60, le=TRAINING_SECONDS, description=f"60 to {TRAINING_SECONDS} seconds")]
_Image = Annotated[
    str, Meta(pattern=rf"^\S{{1,{TRAINING_IMAGE_LENGTH}}}$", description=f"1 to {TRAINING_IMAGE_LENGTH} characters")
]
_Schedule = Annotated[
    str,
    Meta(
        pattern=r"^(rate|cron)\(.+\)$",
        max_length=SCHEDULE_EXPRESSION_LENGTH,
        description=f"rate(...) or cron(...), {SCHEDULE_EXPRESSION_LENGTH} characters at most",
    ),
]
_NotebookVolume = Annotated[
    int,
    Meta(
        ge=NOTEBOOK_VOLUME_GIBIBYTES[0],
        le=NOTEBOOK_VOLUME_GIBIBYTES[1],
        description="{} to {} GiB".format(*NOTEBOOK_VOLUME_GIBIBYTES),
    ),
]
_SubnetId = Annotated[
    str,
    Meta(
        pattern="^subnet-[0-9a-f]+$",
        max_length=NETWORK_ID_LENGTH,
        description=f"subnet-ID, {NETWORK_ID_LENGTH} characters at most",
    ),
]
_SecurityGroupId = Annotated[
    str,
    Meta(
        pattern="^sg-[0-9a-f]+$",
        max_length=NETWORK_ID_LENGTH,
        description=f"sg-ID, {NETWORK_ID_LENGTH} characters at most",
    ),
]
_SecurityGroups = Annotated[
    list[_SecurityGroupId],
    Meta(max_length=NOTEBOOK_SECURITY_GROUPS, description=f"{NOTEBOOK_SECURITY_GROUPS} at most"),
]
_Voice = Annotated[str, Meta(pattern="^[A-Z][a-zA-Z]+$", description="a voice of Amazon Polly")]
_ENGINES = "standard, neural, long-form or generative"
_Engine = Annotated[str, Meta(pattern="^(standard|neural|long-form|generative)$", description=_ENGINES)]
_Language = Annotated[
    str, Meta(pattern="^([a-z]{2,3}(-[A-Z]{2})?)?$", description="a language of Amazon Polly as en-IN, or nothing")
]


class ConfigError(ValueError):
    """A key of the configuration that is wrong; the text names it, what was found and what is allowed."""


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    @property
    def arguments(self) -> dict[str, Any]:
        """The settings by name, those that are not set left out."""
        return {
            name: value.arguments if isinstance(value, _Settings) else value
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not None
        }


class Device(_Settings, frozen=True, kw_only=True):
    """A device of a site."""

    name: _Name
    type: Annotated[str, Meta(pattern=f"^({AIR_QUALITY}|{MACHINE})$", description=f"{AIR_QUALITY} or {MACHINE}")]


class NucleusSettings(_Settings, frozen=True, kw_only=True):
    """The nucleus of a site's core devices; what is not set is the component's default."""

    kind: Annotated[str, Meta(pattern="^(classic|lite)$", description="classic or lite")] | None = None
    version: Annotated[str, Meta(pattern=r"^\d+\.\d+\.\d+$", description="a version as 2.16.1")] | None = None
    """A version that is stated for classic is deployed: a core device that has another one changes to it."""


class Site(_Settings, frozen=True, kw_only=True):
    """A plant: its core devices, by thing name, and the devices behind them; `GreengrassSite` says more of each key."""

    name: _Name
    core_devices: Annotated[list[_Name], Meta(min_length=1, description="at least one thing name")]
    devices: Annotated[list[Device], Meta(min_length=1, description="at least one device")]
    canary_devices: list[_Name] | None = None
    """Core devices that try new models first; by default the first of `core_devices`."""
    client_devices: bool = True
    """Let devices connect to the core devices by MQTT; false for core devices with nucleus lite."""
    serial_numbers: dict[_Name, _SerialNumber] = {}
    """Serial number by core device, of those that may enrol themselves with a claim certificate."""
    host_instance_type: _InstanceType | None = None
    """Instance type of an EC2 host that plays the first core device; it needs a serial number."""
    nucleus: NucleusSettings | None = None
    """Nucleus of its core devices; lite goes with `client_devices` false."""
    configuration: dict[str, dict[str, Any]] = {}
    """By component: what is merged over the site's own configuration of it."""

    @property
    def device_types(self) -> dict[str, str]:
        """The type of each device by its name."""
        return {device.name: device.type for device in self.devices}

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `GreengrassSite` for a site."""
        given = super().arguments
        del given["name"]
        configuration = {name: json.dumps(own, sort_keys=True) for name, own in self.configuration.items()}
        return {**given, "site": self.name, "devices": self.device_types, "configuration": configuration}


class LakeSettings(_Settings, frozen=True, kw_only=True):
    """The settings of the lake's encryption and queries; a missing one has the component's default."""

    customer_key: bool | None = None
    """Encrypt the lake and all on the way to it with a key of the account's own."""
    scan_limit_bytes: _ScanLimit | None = None
    """Bytes after which Athena ends a query."""


class DetectorSettings(_Settings, frozen=True, kw_only=True):
    """The acceptable range of a device's forecasts; a missing setting has the component's default."""

    window: Annotated[int, Meta(ge=1, le=1000, description="1 to 1000 outcomes")] | None = None
    minimum_count: Annotated[int, Meta(ge=1, le=1000, description="1 to 1000 outcomes")] | None = None
    maximum_share: _Share | None = None
    clear_share: _Share | None = None
    tolerance: Annotated[float, Meta(gt=0, le=10, description="relative error, above 0")] | None = None


class CanarySettings(_Settings, frozen=True, kw_only=True):
    """The rule by which a challenger replaces the champion; a missing setting has the component's default."""

    minimum_outcomes: Annotated[int, Meta(ge=1, le=10_000, description="1 to 10000 outcomes")] | None = None
    """Forecasts of both models that have come true, before which nothing is decided."""
    maximum_seconds: Annotated[int, Meta(ge=1, le=2_592_000, description="1 to 2592000 seconds, 30 days")] | None = None
    """After which a trial with fewer outcomes is lost."""
    margin: Annotated[float, Meta(gt=-1, le=1, description="a share above -1 and up to 1")] | None = None
    """Share by which the error on trial may exceed the champion's; below 0 it must be smaller."""
    interval_seconds: Annotated[int, Meta(ge=1, le=86_400, description="1 to 86400 seconds")] | None = None
    """Between two looks."""


class WorkbenchSettings(_Settings, frozen=True, kw_only=True):
    """A notebook instance; what is not set is the component's default."""

    instance_type: _MlInstanceType | None = None
    volume_gibibytes: _NotebookVolume | None = None
    """Size of its encrypted volume."""
    subnet_id: _SubnetId | None = None
    """Subnet that it is in, instead of SageMaker's own network with its way to the internet."""
    security_group_ids: _SecurityGroups | None = None
    """Security groups in the subnet; needed with it."""


class AlarmSettings(_Settings, frozen=True, kw_only=True):
    """The settings of reminders and escalations; a missing one has the component's default."""

    dedupe_seconds: Annotated[int, Meta(ge=0, le=604_800, description="0 to 604800 seconds")] | None = None
    """Seconds in which an active alarm that is raised again is counted and not told."""
    escalation_seconds: Annotated[int, Meta(ge=0, le=604_800, description="0 (never) to 604800 seconds")] | None = None
    """Seconds after which an alarm that nobody has acknowledged is escalated."""
    escalation_severities: list[_Severity] | None = None
    """Severities that are escalated."""


class TrainingSettings(_Settings, frozen=True, kw_only=True):
    """The settings of training, gate and roll-out; a missing one has the component's default."""

    image_uri: _Image | None = None
    instance_type: _MlInstanceType | None = None
    maximum_seconds: _TrainingSeconds | None = None
    spot: bool | None = None
    hyperparameters: dict[_Hyperparameter, str] = {}
    minimum_skill: Annotated[float, Meta(ge=0, lt=1, description="0 to below 1")] | None = None
    champion_margin: _Share | None = None
    """Share by which a model may save less than the model approved last."""
    canary: CanarySettings | None = None
    """The trial of a forecast model on a canary core device before it is approved; null: none."""
    drift_enabled: bool | None = None
    """Retrain on the alert that forecasts have left the acceptable range."""
    drift_cooldown_seconds: Annotated[int, Meta(ge=60, le=2_592_000, description="60 to 2592000 seconds")] | None = None
    """Seconds in which a start, whatever caused it, is not followed by one for drift."""
    workbench: WorkbenchSettings | None = None
    """A notebook instance on `pm_ml/notebooks`; null: there is none."""
    schedule: _Schedule | None = None
    schedule_enabled: bool | None = None
    watch_interval_seconds: Annotated[int, Meta(ge=1, le=3600, description="1 to 3600 seconds")] | None = None
    watch_seconds: Annotated[int, Meta(ge=1, le=86_400, description="1 to 86400 seconds")] | None = None


class Config(_Settings, frozen=True, kw_only=True):
    """All that a stack sets. Keys without a default here take the tier's: `pm_components/stack/tiers.py`."""

    tier: Annotated[str, Meta(pattern=f"^({'|'.join(tiers.DEFAULTS)})$", description=", ".join(tiers.DEFAULTS))]
    """The stack's tier, and with it the defaults of the keys that say so."""
    sites: Annotated[list[Site], Meta(min_length=1, description="at least one site")]
    """The plants."""
    owner: _Tag = "unassigned"
    """The team that answers for the stack: the tag `Owner` of every resource."""
    cost_centre: _Tag = "unassigned"
    """The cost centre that pays for the stack: the tag `CostCentre` of every resource."""
    alert_emails: list[_Email] = []
    """Addresses that alerts are mailed to."""
    escalation_emails: list[_Email] = []
    """Addresses that are mailed to when nobody has acknowledged an alarm in time."""
    alarms: AlarmSettings = AlarmSettings()
    """Reminders and escalation of alarms."""
    flow_control: Annotated[str, Meta(pattern="^(aws|none)$", description="aws or none")] = "aws"
    """Hold uplinks to the limits of AWS IoT Core."""
    python: _AbsolutePath = "/opt/pm/venv/bin/python"
    """Python interpreter on the core devices."""
    data_directory: _AbsolutePath = "/var/lib/pm"
    """Directory on the core devices that keeps outbox, models and identity."""
    voice: _Voice = "Joanna"
    """Amazon Polly's voice of the announcements."""
    voice_engine: _Engine = "neural"
    """Amazon Polly's engine that the voice is of."""
    voice_language: _Language = ""
    """The language of a voice that has several; empty: its own."""
    retention_days: _Days
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
    """Encryption and queries of the lake."""
    detector: DetectorSettings = DetectorSettings()
    """The acceptable range of forecasts."""
    training: TrainingSettings = TrainingSettings()
    """Training, gate and roll-out of models."""

    @property
    def alerting(self) -> dict[str, Any]:
        """The arguments of `FaultAlerting` for the stack."""
        return {
            "ownership": self.ownership,
            "sites": [site.name for site in self.sites],
            "emails": self.alert_emails,
            "escalation_emails": self.escalation_emails,
            "alarms": self.alarms.arguments,
            "voice": self.voice,
            "voice_engine": self.voice_engine,
            "voice_language": self.voice_language,
            "detector": self.detector.arguments,
            "announcement_days": self.retention_days,
            "disposable": self.disposable,
        }

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
    fields = {field.name: _without_meta(field.type) for field in msgspec.structs.fields(Config)}
    texts = {name for name, type_ in fields.items() if type_ is str}
    plain: dict[str, Any] = {}
    for key, text in values.items():
        if key not in fields:
            raise ConfigError(f"{NAMESPACE}:{key}: there is no such key, allowed are {', '.join(sorted(fields))}")
        try:
            plain[key] = text if key in texts or text == tiers.OF_TIER else json.loads(text)
        except ValueError as error:
            raise ConfigError(f"{NAMESPACE}:{key}: found {text!r}, allowed is JSON ({error})") from error
    tier = plain.setdefault("tier", tiers.PROD)
    if tier in tiers.DEFAULTS:
        plain = tiers.with_defaults(plain, tier)
    try:
        config = msgspec.convert(plain, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_explained(str(error), plain)) from error
    _check_names(config)
    _check_lives(config)
    _check_trial(config)
    _check_hyperparameters(config)
    return config


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


_PLACE = re.compile(r" - at (?P<of_a_key>`key` in )?`\$(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]*)`")
_STEP = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")


def _explained(error: str, plain: Mapping[str, Any]) -> str:
    """The error that msgspec found, with the key as the user writes it, the value found and the values allowed."""
    place = _PLACE.search(error)
    path = place["path"] if place else ""
    found: Any = plain
    expected: Any = Config
    for step in _STEP.finditer(path):
        found, expected = _descend(found, expected, step)
    if place and place["of_a_key"]:
        expected = _without_meta(expected).__args__[0]
    unknown = _UNKNOWN.search(error)
    key = f"{NAMESPACE}:{path.removeprefix('.')}" if path else NAMESPACE
    structure = _without_meta(expected)
    if unknown:
        allowed = ", ".join(sorted(structure.__struct_fields__))
        return f"{key}{'.' if path else ':'}{unknown['name']}: there is no such key, allowed are {allowed}"
    reason = _PLACE.sub("", error)
    if "missing required field" in error:
        return f"{key}: {reason[0].lower()}{reason[1:]}; allowed are {', '.join(sorted(structure.__struct_fields__))}"
    description = _meta_description(expected)
    return (
        f"{key}: found {found!r}; {reason[0].lower()}{reason[1:]}{f', allowed is {description}' if description else ''}"
    )


def _descend(found: Any, expected: Any, step: "re.Match[str]") -> tuple[Any, Any]:
    expected = _without_meta(expected)
    if step["key"]:
        fields = {field.name: field.type for field in msgspec.structs.fields(expected)}
        return found[step["key"]], fields[step["key"]]
    if step["index"] == "...":  # a value of a mapping; which one is not told, so that the whole of it is shown
        return found, expected.__args__[1]
    return found[int(step["index"])], expected.__args__[0]


def _without_meta(annotation: Any) -> Any:
    """The type in an annotation, without `Annotated` and `None`."""
    arguments = [argument for argument in getattr(annotation, "__args__", ()) if argument is not type(None)]
    if hasattr(annotation, "__metadata__") or (len(arguments) == 1 and _is_optional(annotation)):
        return _without_meta(arguments[0])
    return annotation


def _is_optional(annotation: Any) -> bool:
    return type(None) in getattr(annotation, "__args__", ())


def _meta_description(annotation: Any) -> Optional[str]:
    for meta in getattr(annotation, "__metadata__", ()):
        if meta.description:
            return str(meta.description)
    if _is_optional(annotation):
        return next((text for part in annotation.__args__ if (text := _meta_description(part))), None)
    return None
