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
