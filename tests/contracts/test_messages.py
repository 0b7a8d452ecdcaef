"""The contract of the messages: what is of it passes unchanged, what is not is refused with the field and the reason.

Does not prove that any part obeys it; the parts' own tests do.
"""

import datetime as dt
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pm_contracts import messages as m
from pm_contracts.measurements import (
    AIR_QUALITY_MEASUREMENTS,
    MACHINE_MEASUREMENTS,
    AirQualityMeasurements,
    MachineMeasurements,
)

TIME = dt.datetime(2014, 3, 1, 5, tzinfo=dt.UTC)
MEASUREMENTS = dict.fromkeys(AIR_QUALITY_MEASUREMENTS, 1.5) | {"press": 1000.0}


def reading(**changes: object) -> dict:
    fields = {"device_type": "air_quality", "site": "lindau", "device": "air-1", "sequence": 7,
              "event_time": "2014-03-01T05:00:00Z", "measurements": MEASUREMENTS}  # fmt: skip
    return {**fields, **changes}


def refusal(fields: dict) -> str:
    with pytest.raises(m.Refused) as refused:
        m.decode(json.dumps(fields).encode(), m.Reading)
    return str(refused.value)


names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
times = st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))
optional = st.none() | st.floats(0, 1e12)


@given(names, names, st.integers(0, 2**63 - 1), times, st.dictionaries(st.sampled_from(MACHINE_MEASUREMENTS), optional))
def test_a_machine_reading_survives_the_wire(site, device, sequence, event_time, measurements):
    sent = m.MachineReading(
        site=site, device=device, sequence=sequence, event_time=event_time,
        measurements=MachineMeasurements(**measurements),
    )  # fmt: skip
    assert m.decode(m.encode(sent), m.Reading) == sent


def test_the_identity_is_of_the_message_and_of_nothing_else():
    first = m.decode(json.dumps(reading()).encode(), m.Reading)
    same = m.decode(json.dumps(reading(measurements={**MEASUREMENTS, "dew": 3})).encode(), m.Reading)
    zone = m.decode(json.dumps(reading(event_time="2014-03-01T06:00:00+01:00")).encode(), m.Reading)
    other = m.decode(json.dumps(reading(sequence=8)).encode(), m.Reading)
    assert first.message_id == same.message_id == zone.message_id != other.message_id
    assert zone.event_time == TIME
    assert zone.event_time.utcoffset() == dt.timedelta(0)


def test_a_forecast_is_for_a_time_that_utc_has():
    fields = {"site": "lindau", "device": "air-1", "issued_at": "2014-03-01T05:00:00Z", "horizon_hours": 1, "value": 1,
              "lower": 1, "upper": 1, "interval_level": 0.9, "last_value": 1, "model_version": "v1",
              "target_time": "2014-03-01T07:00:00+01:00"}  # fmt: skip
    assert m.decode(json.dumps(fields).encode(), m.Forecast).target_time == dt.datetime(2014, 3, 1, 6, tzinfo=dt.UTC)
    with pytest.raises(m.Refused):
        m.decode(json.dumps(fields | {"target_time": "0001-01-01T00:00:00+23:59"}).encode(), m.Forecast)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"measurements": {**MEASUREMENTS, "dew": "1"}}, "$.measurements.dew"),
        ({"measurements": {**MEASUREMENTS, "pollution": -1}}, "$.measurements.pollution"),
        ({"measurements": {**MEASUREMENTS, "humidity": 1}}, "humidity"),
        ({"measurements": {k: v for k, v in MEASUREMENTS.items() if k != "temp"}}, "temp"),
        ({"event_time": "2014-03-01T05:00:00"}, "$.event_time"),
        ({"event_time": "yesterday"}, "$.event_time"),
        ({"sequence": -1}, "$.sequence"),
        ({"site": "Not A Name"}, "$.site"),
        ({"site": "a" * 33}, "$.site"),
        ({"device_type": "toaster"}, "toaster"),
        ({"colour": "red"}, "colour"),
        ({"message_id": "0" * 32}, "message_id"),
    ],
)
def test_what_is_not_of_the_contract_is_refused_by_name(changes, said):
    assert said in refusal(reading(**changes))


@pytest.mark.parametrize("end", ["\n", "\n\n", "\r\n", "\x85", "\u2028", "\x1b"])
def test_no_name_or_word_of_any_message_may_end_in_a_line_break(end):
    word = {"site": "lindau", "device": "air-1", "cause": "fault", "severity": "critical", "name": "replay"}
    found = 0
    for message in m.MESSAGE_TYPES:
        for field in msgspec.structs.fields(message):
            patterns = [one for one in (getattr(getattr(field, "type", None), "__metadata__", ())) if one.pattern]
            for _ in patterns:
                text = word.get(field.name) or {"alert": "active", "status": "running"}[message.kind]
                assert msgspec.convert(text, field.type) == text
                with pytest.raises(msgspec.ValidationError):
                    msgspec.convert(text + end, field.type)
                found += 1
    assert found >= 2 * len(m.MESSAGE_TYPES)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"device_type": "air_quality"'])
def test_what_is_no_message_at_all_is_refused(payload):
    with pytest.raises(m.Refused):
        m.decode(payload, m.Reading)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (json.dumps(reading(event_time="0001-01-01T00:00:00+10:00")).encode(), "out of range"),
        (b'{"x":' + b"[" * 60_000 + b"]" * 60_000 + b"}", "recursion"),
    ],
    ids=["a time before the first that there is in UTC", "nested deeper than a decoder goes"],
)
def test_what_breaks_the_decoder_is_refused_like_any_other(payload, said):
    with pytest.raises(m.Refused, match=said):
        m.decode(payload, m.Reading)


def test_a_message_larger_than_iot_core_carries_is_refused():
    with pytest.raises(m.Refused, match="131072"):
        m.decode(b" " * (m.MAXIMUM_MESSAGE_BYTES + 1), m.Reading)


def test_every_message_type_has_a_kind_of_its_own_and_an_identity():
    assert len({message.kind for message in m.MESSAGE_TYPES}) == len(m.MESSAGE_TYPES)
    for message in m.MESSAGE_TYPES:
        fields = {field.name for field in msgspec.structs.fields(message)}
        assert message.identity
        assert set(message.identity) <= fields, message


def test_the_data_set_has_170_measurements_each_named_once():
    assert len(MACHINE_MEASUREMENTS) == len(set(MACHINE_MEASUREMENTS)) == 170
    assert (MACHINE_MEASUREMENTS[0], MACHINE_MEASUREMENTS[-1]) == ("aa_000", "eg_000")
    assert AirQualityMeasurements.__struct_fields__ == AIR_QUALITY_MEASUREMENTS


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_cannot_say_is_not_sent_as_null(number):
    forecast = m.Forecast(
        site="lindau", device="air-1", issued_at=TIME, target_time=TIME, horizon_hours=1, value=1.0, lower=0.0,
        upper=2.0, interval_level=0.9, last_value=1.0, model_version="v1",
    )  # fmt: skip
    assert m.decode(m.encode(forecast), m.Forecast) == forecast
    with pytest.raises(ValueError, match=r"forecast: upper is (nan|inf|-inf), allowed are finite numbers"):
        m.encode(msgspec.structs.replace(forecast, upper=number, message_id=""))
    command = m.Command(site="lindau", name="replay", issued_at=TIME, parameters={"none": None, "speed": number})
    with pytest.raises(ValueError, match=r"command: parameters\.speed is"):
        m.encode(command)
    sent = m.MachineReading(
        site="lindau", device="m-1", sequence=1, event_time=TIME,
        measurements=MachineMeasurements(aa_000=None, ab_000=number),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"machine_reading: measurements\.ab_000 is"):
        m.encode(sent)
