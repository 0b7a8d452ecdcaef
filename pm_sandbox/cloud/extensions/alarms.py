"""Metric alarms told whole: the emulator leaves out most of an alarm over the query protocol, and adds a statistic.

Providers built with an older SDK speak that protocol. What CloudWatch takes and tells is the same in all of them.
"""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any, cast
from xml.sax.saxutils import escape

import botocore.session
from botocore.model import Shape, StructureShape
from ministack.core import responses
from ministack.services import cloudwatch

from pm_sandbox.cloud import seams

_Answer = tuple[int, dict[str, str], bytes]
_Handler = Callable[[dict[str, Any], dict[str, Any], bool, bool], _Answer]


def _whole(put: _Handler) -> _Handler:
    """Replace the making of an alarm: one of a percentile has no statistic beside it."""

    def made(params: dict[str, Any], data: dict[str, Any], is_cbor: bool, is_json: bool = False) -> _Answer:
        answer = put(params, data, is_cbor, is_json)
        alarm = cloudwatch._alarms.get(data.get("AlarmName", ""))
        if alarm is not None and alarm.get("ExtendedStatistic"):
            alarm.pop("Statistic", None)
        return answer

    return made


def _over_query(handle: _Handler, operation: str) -> _Handler:
    """Answer the query protocol by what is answered over JSON, put into the model's shapes."""
    model = botocore.session.get_session().get_service_model("cloudwatch").operation_model(operation)
    taken, told = model.input_shape, model.output_shape

    def handled(params: dict[str, Any], data: dict[str, Any], is_cbor: bool, is_json: bool = False) -> _Answer:
        if is_cbor or is_json:
            return handle(params, data, is_cbor, is_json)
        flat = {key: value[0] if isinstance(value, list) else value for key, value in params.items()}
        status, _, body = handle({}, _structure(taken, flat, ""), False, True)
        if status != 200:
            error = json.loads(body)
            return cast(_Answer, cloudwatch._error(error["__type"].rpartition("#")[2], error["message"], status))
        content = _xml(told, json.loads(body)) if isinstance(told, StructureShape) else ""
        answer = cloudwatch._xml(200, f"{operation}Response", f"<{operation}Result>{content}</{operation}Result>")
        return cast(_Answer, answer)

    return handled


def _structure(shape: Any, flat: dict[str, str], prefix: str) -> dict[str, Any]:
    """The members of a structure in a form: `Dimensions.member.1.Name=a`."""
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        value = _value(member, flat, f"{prefix}{name}")
        if value is not None:
            found[name] = value
    return found


def _value(shape: Shape, flat: dict[str, str], key: str) -> Any:
    if shape.type_name == "structure":
        return _structure(shape, flat, f"{key}.") or None
    if shape.type_name == "list":
        items: list[Any] = []
        while (item := _value(shape.member, flat, f"{key}.member.{len(items) + 1}")) is not None:
            items.append(item)
        return items or None
    if key not in flat:
        return None
    kinds: dict[str, Callable[[str], Any]] = {"integer": int, "double": float, "boolean": lambda text: text == "true"}
    return kinds.get(shape.type_name, str)(flat[key])


def _xml(shape: Any, value: Any) -> str:
    if shape.type_name == "structure":
        return "".join(
            f"<{name}>{_xml(member, value[name])}</{name}>"
            for name, member in shape.members.items()
            if value.get(name) is not None
        )
    if shape.type_name == "list":
        return "".join(f"<member>{_xml(shape.member, item)}</member>" for item in value)
    if shape.type_name == "timestamp":
        return dt.datetime.fromtimestamp(value, dt.UTC).isoformat().replace("+00:00", "Z")
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


def install() -> None:
    """Take the calls that make and describe alarms."""
    names = ("params", "cbor_data", "is_cbor", "is_json")
    seams.require(cloudwatch, "_error", "code", "message", "status", "use_json", "use_cbor")
    seams.require(cloudwatch, "_xml", "status", "root_tag", "inner")
    seams.require_value(cloudwatch, "_alarms", responses.AccountRegionScopedDict)
    put = _whole(seams.require(cloudwatch, "_put_metric_alarm", *names))
    cloudwatch._put_metric_alarm = _over_query(put, "PutMetricAlarm")
    cloudwatch._describe_alarms = _over_query(seams.require(cloudwatch, "_describe_alarms", *names), "DescribeAlarms")
