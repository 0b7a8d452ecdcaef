"""The messages on the wire: JSON objects, validated as they are decoded.

`decode` is the one door for bytes from outside: what it returns is of the contract, what it raises is a `Refused` that
names the field and the reason. Each message has a deterministic `message_id`, a hash of what makes it that message, so
that a redelivery can be recognised anywhere, by anyone, without state.
"""

import datetime as dt
import hashlib
import math
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from pm_contracts.measurements import AIR_QUALITY, MACHINE, AirQualityMeasurements, MachineMeasurements

#: Sites and devices are named as an MQTT topic level, a thing name and part of a bucket name at once. Patterns end with
#: `\Z`, since `$` matches before a line break at the end, too.
NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\Z"
#: AWS IoT Core refuses a larger publish: "Message size", 128 KB, AWS IoT Core message broker limits.
MAXIMUM_MESSAGE_BYTES = 128 * 1024

Name = Annotated[str, Meta(pattern=NAME_PATTERN, description="1 to 32 of a-z, 0-9 and inner hyphens")]
Time = Annotated[dt.datetime, Meta(tz=True, description="UTC, ISO 8601")]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
ModelVersion = Annotated[str, Meta(min_length=1, max_length=64, description="version of the model, or 'persistence'")]
Text = Annotated[str, Meta(min_length=1, max_length=1000)]

PERSISTENCE = "persistence"
"""The `model_version` of forecasts made before the first model has arrived: the last value, held."""


CAUSE_FAULT = "fault"
"""The `cause` of alerts of a machine's fault."""
CAUSE_FORECAST_QUALITY = "forecast_quality"
"""The `cause` of alerts that forecasts have left the acceptable range."""


class Refused(ValueError):
    """Bytes that are no message of the contract; the text says which field, what was found and what is allowed."""


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fields of every message: the site it belongs to and its identity."""

    #: The fields that make the message that message, in order.
    identity: ClassVar[tuple[str, ...]] = ()
    #: One word for the kind of message: the lake's table of that name, the dead letters' label.
    kind: ClassVar[str] = ""
    #: The field with the time of the event that the message is about, by which readers order; empty where none do.
    time_field: ClassVar[str] = ""

    site: Name
    message_id: Annotated[str, Meta(description="32 hex digits, a hash of the identity; filled in where left out")] = ""

    @property
    def happened_at(self) -> dt.datetime | None:
        """The time of the event that the message is about, UTC; None where nobody orders by it."""
        return getattr(self, self.time_field) if self.time_field else None

    def __post_init__(self) -> None:
        parts = [self.kind]
        for field in self.identity:
            value = getattr(self, field)
            if isinstance(value, dt.datetime):
                if value.utcoffset():
                    value = value.astimezone(dt.UTC)
                    force_setattr(self, field, value)
                value = value.isoformat()
            parts.append(str(value))
        expected = hashlib.blake2b("|".join(parts).encode(), digest_size=16).hexdigest()
        if not self.message_id:
            force_setattr(self, "message_id", expected)
        elif self.message_id != expected:
            raise ValueError(
                f"message_id {self.message_id!r} does not belong to this {self.kind}; it must be {expected!r}"
            )


class _Reading(_Message, frozen=True, kw_only=True):
    identity: ClassVar[tuple[str, ...]] = ("site", "device", "sequence", "event_time")
    time_field: ClassVar[str] = "event_time"

    device: Name
    sequence: Annotated[Count, Meta(description="grows by one with each reading of the device")]
    event_time: Annotated[Time, Meta(description="when the device measured, UTC")]


class AirQualityReading(_Reading, frozen=True, kw_only=True, tag_field="device_type", tag=AIR_QUALITY):
    """One hour of air quality and weather, from a station."""

    kind: ClassVar[str] = "air_quality_reading"

    measurements: AirQualityMeasurements


class MachineReading(_Reading, frozen=True, kw_only=True, tag_field="device_type", tag=MACHINE):
    """One report of a machine's air-pressure system."""

    kind: ClassVar[str] = "machine_reading"

    measurements: MachineMeasurements  # type: ignore[valid-type]
    faulty: Annotated[bool, Meta(description="the workshop's verdict, null while nobody has looked")] | None = None


Reading = AirQualityReading | MachineReading


class Forecast(_Message, frozen=True, kw_only=True):
    """The value forecast for `target_time`, in the unit of the measurement (PM2.5, ug/m3)."""

    kind: ClassVar[str] = "forecast"
    identity: ClassVar[tuple[str, ...]] = ("site", "device", "issued_at", "horizon_hours", "model_version")
    time_field: ClassVar[str] = "issued_at"

    device: Name
    issued_at: Annotated[Time, Meta(description="event time of the latest reading that the forecast used, UTC")]
    target_time: Annotated[Time, Meta(description="the time forecast, UTC")]
    horizon_hours: Annotated[int, Meta(ge=1, le=168)]
    value: Annotated[float, Meta(description="the forecast")]
    lower: Annotated[float, Meta(description="lower end of the interval")]
    upper: Annotated[float, Meta(description="upper end of the interval")]
    interval_level: Annotated[Fraction, Meta(description="share of outcomes that the interval is made to hold")]
    last_value: Annotated[float, Meta(description="the latest value at issue: what persistence would have said")]
    model_version: ModelVersion

    def __post_init__(self) -> None:
        # The one time that is no part of an identity: whoever makes an alert of it must not meet one that UTC has not.
        if self.target_time.utcoffset():
            force_setattr(self, "target_time", self.target_time.astimezone(dt.UTC))
        super().__post_init__()


class Outcome(Forecast, frozen=True, kw_only=True):
    """A forecast and what came true."""

    kind: ClassVar[str] = "outcome"
    time_field: ClassVar[str] = "target_time"

    actual: Annotated[float, Meta(description="the value measured at the target time")]
    inside_interval: bool


class TrialOutcome(Outcome, frozen=True, kw_only=True):
    """An outcome of a model on trial, which runs beside the one in charge: nobody acts on its forecasts."""

    kind: ClassVar[str] = "trial_outcome"


class Contribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A measurement's share in the log-odds of a fault, beyond what use and age explain of it: its SHAP value."""

    measurement: str
    log_odds_change: Annotated[float, Meta(description="against what it does on average over the training readings")]


class FaultScore(_Message, frozen=True, kw_only=True):
    """The fault model's answer to one machine reading."""

    kind: ClassVar[str] = "fault_score"
    identity: ClassVar[tuple[str, ...]] = ("site", "device", "sequence", "event_time", "model_version")
    time_field: ClassVar[str] = "event_time"

    device: Name
    sequence: Count
    event_time: Time
    probability: Annotated[Fraction, Meta(description="of a fault")]
    threshold: Annotated[Fraction, Meta(description="a probability at or above it is called a fault")]
    faulty: Annotated[bool, Meta(description="the decision")]
    model_version: ModelVersion
    top_contributions: Annotated[
        list[Contribution], Meta(max_length=10, description="of a fault: the measurements that spoke loudest for it")
    ] = []


class Alert(_Message, frozen=True, kw_only=True):
    """Something that people should know; the same `dedupe_key` is the same trouble, active until it is cleared."""

    kind: ClassVar[str] = "alert"
    identity: ClassVar[tuple[str, ...]] = ("site", "dedupe_key", "state", "raised_at")
    time_field: ClassVar[str] = "raised_at"

    device: Name
    cause: Annotated[str, Meta(pattern=rf"^({CAUSE_FAULT}|{CAUSE_FORECAST_QUALITY})\Z")]
    severity: Annotated[str, Meta(pattern=r"^(warning|critical)\Z")]
    state: Annotated[str, Meta(pattern=r"^(active|cleared)\Z")]
    acknowledged: bool = False
    raised_at: Annotated[Time, Meta(description="event time of what raised or cleared it, UTC")]
    dedupe_key: Annotated[str, Meta(min_length=1, max_length=128)]
    text: Annotated[Text, Meta(description="one sentence for a person, also spoken on the floor")]


class Command(_Message, frozen=True, kw_only=True):
    """A request to a site, by name: `replay`, `simulate`."""

    kind: ClassVar[str] = "command"
    identity: ClassVar[tuple[str, ...]] = ("site", "name", "issued_at")

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z_]{0,31}\Z")]
    issued_at: Time
    parameters: dict[str, str | int | float | bool | None] = {}


class Status(_Message, frozen=True, kw_only=True, forbid_unknown_fields=False, omit_defaults=True):
    """The condition of a component of a site.

    The one message that may grow: whoever reads it passes over fields that it does not know, and `reason` is there only
    where there is one, for those who do not.
    """

    kind: ClassVar[str] = "status"
    identity: ClassVar[tuple[str, ...]] = ("site", "component", "reported_at")

    component: Annotated[str, Meta(min_length=1, max_length=128)]
    reported_at: Annotated[Time, Meta(description="by the component's own clock, UTC")]
    state: Annotated[str, Meta(pattern=r"^(running|offline|idle|stopping)\Z")]
    counters: dict[str, int] = {}
    reason: Annotated[
        str, Meta(max_length=2000, description="why it is not well, or why it ended the last time; empty where neither")
    ] = ""


class DeadLetter(_Message, frozen=True, kw_only=True):
    """A refused message with the reason; nothing is thrown away without one."""

    kind: ClassVar[str] = "dead_letter"
    identity: ClassVar[tuple[str, ...]] = ("site", "component", "refused_at", "topic", "payload")

    component: Annotated[str, Meta(min_length=1, max_length=128)]
    refused_at: Time
    topic: Annotated[str, Meta(max_length=256)]
    reason: Annotated[str, Meta(max_length=2000)]
    payload: Annotated[str, Meta(description="what came, as Base64; cut where it exceeds what IoT Core carries")]


Message = (
    AirQualityReading | MachineReading | Forecast | Outcome | TrialOutcome | FaultScore
    | Alert | Command | Status | DeadLetter
)  # fmt: skip
MESSAGE_TYPES: tuple[type[_Message], ...] = (
    AirQualityReading, MachineReading, Forecast, Outcome, TrialOutcome, FaultScore, Alert, Command, Status, DeadLetter,
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_Type = TypeVar("_Type")
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def encode(message: Message) -> bytes:
    """The message as it goes over the wire: one JSON object, UTF-8.

    Raises:
        ValueError: if a number is not finite, which JSON cannot say, or the message is larger than AWS IoT Core takes.
    """
    encoded = _encoder.encode(message)
    # The encoder writes null for such a number, so that there is none where there is no null.
    if b"null" in encoded:
        for path, number in _not_finite(message, ""):
            raise ValueError(f"{message.kind}: {path} is {number}, allowed are finite numbers")
    if len(encoded) > MAXIMUM_MESSAGE_BYTES:
        raise ValueError(f"{message.kind} has {len(encoded)} bytes, and AWS IoT Core takes {MAXIMUM_MESSAGE_BYTES}")
    return encoded


def _not_finite(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """The numbers in `value` that JSON cannot say, each with its path."""
    if isinstance(value, float):
        if not math.isfinite(value):
            yield path, value
        return
    fields: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, msgspec.Struct):
        fields = zip(value.__struct_fields__, msgspec.structs.astuple(value), strict=True)
    elif isinstance(value, dict):
        fields = value.items()
    elif isinstance(value, list):
        fields = enumerate(value)
    for key, item in fields:
        if item is not None:
            yield from _not_finite(item, f"{path}.{key}" if path else str(key))


def decode(payload: bytes, as_type: type[_Type]) -> _Type:
    """The message in `payload`, checked against the contract of `as_type` (a message type, or a union as `Reading`).

    Raises:
        Refused: if it is invalid; the text names the field, what was found and what is allowed.
    """
    decoder = _decoders.get(as_type)
    if decoder is None:
        decoder = _decoders[as_type] = msgspec.json.Decoder(as_type)
    if len(payload) > MAXIMUM_MESSAGE_BYTES:
        raise Refused(f"{len(payload)} bytes, and at most {MAXIMUM_MESSAGE_BYTES} are allowed")
    try:
        return decoder.decode(payload)
    except UnicodeDecodeError as error:
        raise Refused(f"not UTF-8: {error}") from error
    # Beside its own errors: a time that UTC has not, and nesting that the decoder does not follow.
    except (msgspec.MsgspecError, OverflowError, RecursionError) as error:
        raise Refused(str(error)) from error
