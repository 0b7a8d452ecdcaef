"""The lake's tables and the channels that feed them, derived from the messages.

A table has the columns of its message but for `site`, which is a partition key. The other key is the day of arrival,
not of the event: a replay of years, or a device that was offline for weeks, then opens one partition and not one a day
(Firehose keeps 500 open at most: "active partitions", Amazon Data Firehose quota).
"""

import datetime as dt
import types
import typing
from typing import Any, NamedTuple, Union

import msgspec

from pm_contracts import topics
from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.messages import AirQualityReading, Alert, MachineReading, _Message
from pm_contracts.model_kinds import MODEL_KINDS

PARTITION_KEYS = (("site", "string"), ("ingest_day", "string"))


class Column(NamedTuple):
    """A column of the lake: Glue (Hive) type and what it means."""

    name: str
    type: str
    comment: str


class Table(NamedTuple):
    """A table of the lake, and what feeds it."""

    message_type: type[_Message]
    topic_filters: tuple[str, ...]
    """Those of the channels that carry its messages."""
    device_type: str = ""
    """The type of device whose messages it takes, where channels carry those of several; empty where they do not."""

    @property
    def name(self) -> str:
        """The table's name, which is the message's kind."""
        return self.message_type.kind

    @property
    def columns(self) -> list[Column]:
        """The table's columns, in the order of the message's fields."""
        fields = [field for field in msgspec.structs.fields(self.message_type) if field.name != "site"]
        return [Column(field.name, hive_type(field.type), _description(field.type)) for field in fields]


_READINGS = tuple(topics.device_topic("+", "+", channel) for channel in (topics.READING, topics.HISTORY))

TABLES: tuple[Table, ...] = (
    Table(AirQualityReading, _READINGS, AIR_QUALITY),
    Table(MachineReading, _READINGS, MACHINE),
    *(
        Table(message, (topics.device_topic("+", "+", channel),))
        for kind in MODEL_KINDS.values()
        for channel, message in kind.channels.items()
    ),
    Table(Alert, (topics.site_topic("+", topics.ALERT),)),
)

_SCALARS = {str: "string", int: "bigint", float: "double", bool: "boolean", dt.datetime: "timestamp"}


def hive_type(annotation: Any) -> str:
    """The Glue (Hive) type of a message field's annotation.

    Raises:
        TypeError: for an annotation that the lake has no type for.
    """
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return hive_type(typing.get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        options = [option for option in typing.get_args(annotation) if option is not type(None)]
        if len(options) == 1:
            return hive_type(options[0])
    if origin is list:
        return f"array<{hive_type(typing.get_args(annotation)[0])}>"
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        inner = ",".join(f"{f.name}:{hive_type(f.type)}" for f in msgspec.structs.fields(annotation))
        return f"struct<{inner}>"
    raise TypeError(f"the lake has no type for {annotation!r}")


def _description(annotation: Any) -> str:
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *metas = typing.get_args(annotation)
        for meta in reversed(metas):
            if isinstance(meta, msgspec.Meta) and meta.description:
                return meta.description
        return _description(inner)
    for argument in typing.get_args(annotation):
        if described := _description(argument):
            return described
    return ""
