"""One file, with each odd form that a CSV may have, given to simulator, replay, sensor and training.

Simulator and replay are processes on a real local broker. Not proved here: that the accepted forms are all that the
historian of a plant writes.
"""

import base64
import datetime as dt
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pm_contracts import csv_readings, topics
from pm_contracts.csv_readings import COLUMNS, CsvRefused, RefusedRow, time_of
from pm_contracts.measurements import AirQualityMeasurements, limits_of
from pm_contracts.messages import AirQualityReading, Command, DeadLetter, Reading, decode, encode
from pm_edge.devices.player import RECORDINGS
from pm_edge.devices.sensor.__main__ import Sensor
from pm_edge.devices.simulator import sources
from pm_edge.runtime.files import write_atomically
from pm_edge.runtime.settings import Settings
from pm_edge.runtime.state_file import StateFile
from pm_ml.data import DataRefused, read_air_quality

HEADER = ",".join(COLUMNS)
STATION = {"air-1": "air_quality"}
#: Time, temperature, and the reason to refuse the row, empty where it is good.
FORMS = [
    ("2013-01-01 00:00:00", "1.5", ""),
    ("2013-01-01T01:00:00", "-1e1", ""),
    ("2013-01-01T02:00", " +2. ", ""),
    (" 2013-01-01 03:00:00.250 ", ".5", ""),
    ("2013-01-01T04:00:00Z", "nan", ""),
    ("2013-01-01T06:00:00+01:00", "NaN", ""),
    ("2013-01-01 06:00:00-00:00", "NA", ""),
    ("2013-01-02", "na", ""),
    ('"2013-01-02 01:00:00"', '"3"', ""),
    ("2013-01-02 02:00:00", "null", ""),
    ("2013-01-02 03:00:00", "", ""),
    ("2013-01-02 04:00:00", "NULL", ""),
    ("2013-01-02 05:00:00", "   ", ""),
    ("20130103", "1", "date: '20130103' is no ISO 8601 time"),
    ("2013-W01-4", "1", "date: '2013-W01-4' is no ISO 8601 time"),
    ("2013-01-03 00:00:00 CET", "1", "is no ISO 8601 time"),
    ("2013-01-03x00:00:00", "1", "is no ISO 8601 time"),
    ("03.01.2013 00:00", "1", "is no ISO 8601 time"),
    ("1357171200", "1", "is no ISO 8601 time"),
    ("2013-01-03 24:00:00", "1", "is no ISO 8601 time"),
    ("2013-02-29 00:00:00", "1", "date: '2013-02-29 00:00:00' is no time: day is out of range"),
    ("0001-01-01T00:00:00+14:00", "1", "is no time: date value out of range"),
    ("", "1", "date: '' is no ISO 8601 time"),
    ("nan", "1", "date: 'nan' is no ISO 8601 time"),
    ("2013-01-04 00:00:00", "warm", "temp: 'warm' is no number (temperature, degrees Celsius)"),
    ("2013-01-04 01:00:00", "1_0", "temp: '1_0' is no number"),
    ("2013-01-04 02:00:00", "0x10", "temp: '0x10' is no number"),
    ("2013-01-04 03:00:00", '"1,5"', "temp: '1,5' is no number"),
    ("2013-01-04 04:00:00", "inf", "temp: 'inf' is no number"),
    ("2013-01-04 05:00:00", "True", "temp: 'True' is no number"),
    ("2013-01-04 06:00:00", "\u0661", "is no number"),
    ("2013-01-04 07:00:00", "n/a", "temp: 'n/a' is no number"),
    ("2013-01-04 08:00:00", "1e999", "temp: '1e999' is outside -80 to 70"),
    ("2013-01-04 09:00:00", "71", "temp: '71' is outside -80 to 70 (temperature, degrees Celsius)"),
    ("2013-01-04 10:00:00", "1,5", "more than the 9 columns of the header"),
    ("2013-01-04 11:00:00", '"1', "no row of a CSV file"),
    ("2013-01-04 12:00:00", '"1"5', "no row of a CSV file"),
    ("2013-01-05 00:00:00", "4", ""),
    ("2013-01-01 00:00:00", "5", ""),
]
GOOD_SEQUENCES = [number for number, (*_, reason) in enumerate(FORMS) if not reason]


def row(time: str, temperature: str) -> str:
    return f"{time},129.0,-16,{temperature},1020.0,2,1.79,0,0"


@pytest.fixture
def odd_file(tmp_path: Path) -> Path:
    """A file with all forms, a blank line, a byte order mark, Windows' line ends, and none at its end."""
    lines = [HEADER, "", *(row(time, temperature) for time, temperature, _ in FORMS), "2013-01-06", ",,,,,,,,"]
    file = tmp_path / "odd.csv"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n2013-01-06 00:00:00,1\xff,1,1,1000,1,1,0,0")
    return file


def training(file: Path) -> tuple[list[tuple[Any, ...]], list[tuple[int, str, str]]]:
    """The readings of a file for training, and the refused rows with line, text and reason."""
    checked = read_air_quality(file)
    good = [
        (row.sequence, row.event_time.to_pydatetime().replace(tzinfo=dt.UTC), _none_for_nan(row._asdict()))
        for row in checked.good.itertuples(index=False)
    ]
    return good, list(checked.refused[["line", "row", "reason"]].itertuples(index=False, name=None))


def _none_for_nan(row: dict[str, Any]) -> dict[str, float | None]:
    return {name: None if math.isnan(row[name]) else row[name] for name in COLUMNS[1:]}


def edge(file: Path) -> tuple[list[tuple[Any, ...]], list[tuple[int, str, str]]]:
    """The same for the edge's stream of readings."""
    refused: list[tuple[int, str, str]] = []
    span = {"start": dt.datetime.min.replace(tzinfo=dt.UTC), "end": dt.datetime.max.replace(tzinfo=dt.UTC)}
    found = sources.readings("lindau", STATION, data=file, on_refused=lambda *r: refused.append(r), **span)
    return [_fields(reading) for reading in found], refused


def _fields(reading: Reading) -> tuple[Any, ...]:
    assert isinstance(reading, AirQualityReading)
    measurements = {name: getattr(reading.measurements, name) for name in COLUMNS[1:]}
    return reading.sequence, reading.event_time, measurements


def test_each_form_is_taken_or_refused_as_the_rules_say(odd_file: Path) -> None:
    good, refused = edge(odd_file)
    assert [sequence for sequence, *_ in good] == GOOD_SEQUENCES
    by_line = {line: reason for line, _, reason in refused}
    for line, (_, _, reason) in enumerate(FORMS, start=3):
        assert reason in by_line.get(line, ""), line
        assert bool(reason) == (line in by_line)
    last = 3 + len(FORMS)
    assert by_line[last] == "fewer than the 9 columns of the header"
    assert by_line[last + 1].startswith("date: ''")
    assert by_line[last + 2].startswith("pollution: '1\ufffd' is no number")
    assert len(good) + len(refused) == len(FORMS) + 3
    hours = [time.isoformat() for _, time, _ in good]
    assert hours[3:6] == [
        "2013-01-01T03:00:00.250000+00:00",
        "2013-01-01T04:00:00+00:00",
        "2013-01-01T05:00:00+00:00",
    ]
    assert [measurements["temp"] for _, _, measurements in good[:5]] == [1.5, -10.0, 2.0, 0.5, None]


def test_training_takes_and_refuses_what_the_edge_does(odd_file: Path) -> None:
    assert training(odd_file) == edge(odd_file)


@pytest.mark.parametrize(
    ("module", "component", "command", "channel"),
    [
        ("pm_edge.components.replayer", "pm.Replayer", "replay", topics.HISTORY),
        ("pm_edge.components.device_simulator", "pm.DeviceSimulator", "simulate", topics.READING),
    ],
)
def test_replay_and_simulator_take_and_refuse_what_training_does(
    ear,
    floor,
    odd_file: Path,
    module: str,
    component: str,
    command: str,
    channel: str,
) -> None:
    floor.devices = STATION
    write_atomically(floor.directory / RECORDINGS / odd_file.name, odd_file.read_bytes())
    floor.start(module)
    ear.wait_for_state(component, "idle")
    parameters = {"data": odd_file.name, "start": "2010-01-02", "end": "2015-01-01T00:00"}
    order = Command(site=ear.site, name=command, issued_at=dt.datetime.now(dt.UTC), parameters=parameters)
    ear.bus.publish(topics.command_topic(ear.site, command), encode(order))
    ear.wait_for_counter(component, "finished", 1)
    good, refused = training(odd_file)
    assert [_fields(decode(payload, Reading)) for payload in ear.on(channel)] == good
    letters = [decode(payload, DeadLetter) for payload in ear.on(topics.DEAD_LETTER)]
    assert [(letter.topic, base64.b64decode(letter.payload).decode(), letter.reason) for letter in letters] == [
        (f"{odd_file.name}:{line}", text, reason) for line, text, reason in refused
    ]
    assert ear.status(component).counters["refused"] == len(refused)


class Wire:
    """Takes readings and reports, as a core device does."""

    unacknowledged = connections = 0

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.reported: dict[str, Any] = {}

    def publish(self, _sequence: int, _topic: str, payload: bytes) -> bool:
        self.readings.append(decode(payload, Reading))
        return True

    def flush(self, _seconds: float) -> bool:
        return True

    finish = flush

    def report(self, state: dict[str, Any]) -> None:
        self.reported = state


def test_a_sensor_goes_on_after_a_refused_row_and_counts_it_in_its_shadow(odd_file: Path, tmp_path: Path) -> None:
    wire = Wire()
    settings = Settings(site="lindau", data_directory=tmp_path, devices=STATION)
    sensor = Sensor(settings, 0, wire, StateFile(tmp_path / "sensor.json"))  # type: ignore[arg-type]
    sensor.run(sources.readings("lindau", STATION, data=odd_file, on_refused=sensor.refuse))
    good, refused = training(odd_file)
    assert [_fields(reading) for reading in wire.readings] == good
    assert wire.reported["refused"] == len(refused)


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        (HEADER, "2013-01-01,129,1,2,1020,2,1,0,0"),
        (" rain ,snow,wnd_spd,wnd_dir,press,temp,dew,pollution,date", "0,0,1,2,1020,2,1,129,2013-01-01"),
        (",".join(f'"{name}"' for name in COLUMNS), '"2013-01-01","129","1","2","1020","2","1","0","0"'),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_may_be_in_any_order_quoted_and_marked(tmp_path: Path, header: str, cells: str, mark: str) -> None:
    file = tmp_path / "series.csv"
    file.write_text(f"{mark}{header}\n{cells}\n")
    values = {"pollution": 129, "dew": 1, "temp": 2, "press": 1020, "wnd_dir": 2, "wnd_spd": 1, "snow": 0, "rain": 0}
    assert edge(file) == training(file) == ([(0, dt.datetime(2013, 1, 1, tzinfo=dt.UTC), values)], [])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "missing column 'date', 'pollution'"),
        (HEADER.replace(",temp", "").encode(), "missing column 'temp'"),
        (HEADER.replace("temp", "Temp").encode(), "missing column 'temp'; unknown column 'Temp'"),
        (HEADER.replace(",", ";").encode(), "unknown column 'date;pollution"),
        ((HEADER + ",").encode(), "unknown column ''"),
        ((HEADER + ",rain").encode(), "repeated column 'rain'"),
        (('"' + HEADER).encode(), "its first line is no row of a CSV file"),
        (HEADER.encode("utf-16"), "cannot be read: its first line is no UTF-8 text"),
        (None, "cannot be read"),
    ],
)
def test_a_file_with_other_columns_is_refused_whole_by_each(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "series.csv"
    if content is not None:
        file.write_bytes(content + b"\n2013-01-01,129,1,2,1020,2,1,0,0\n")
    for read, refusal in ((csv_readings.rows, CsvRefused), (edge, sources.SourceError), (training, DataRefused)):
        with pytest.raises(refusal) as refused:
            read(file)
        assert said in str(refused.value)
        assert str(file) in str(refused.value)


def test_what_is_no_regular_file_of_a_bounded_size_is_refused_at_once_by_each(tmp_path: Path) -> None:
    pipe, folder, large = (tmp_path / name for name in ("pipe.csv", "folder.csv", "large.csv"))
    os.mkfifo(pipe)
    folder.mkdir()
    large.write_text(f"{HEADER}\n")
    os.truncate(large, csv_readings.MAXIMUM_FILE_BYTES + 1)
    for read, refusal in ((csv_readings.rows, CsvRefused), (edge, sources.SourceError), (training, DataRefused)):
        for file in (pipe, folder, large, Path("/dev/zero"), Path("/dev/full")):
            with pytest.raises(refusal, match="allowed is") as refused:
                read(file)
            assert str(file) in str(refused.value)


def test_a_link_is_followed_unless_that_is_forbidden(tmp_path: Path) -> None:
    file, link = tmp_path / "series.csv", tmp_path / "link.csv"
    file.write_text(f"{HEADER}\n{row('2013-01-01', '1')}\n")
    link.symlink_to(file)
    assert list(csv_readings.rows(link)) == list(csv_readings.rows(file, follow_links=False))
    with pytest.raises(CsvRefused, match="a symbolic link, allowed is a regular file"):
        csv_readings.rows(link, follow_links=False)


def test_a_line_of_any_length_is_one_row_and_its_refusal_keeps_the_beginning(tmp_path: Path) -> None:
    file = tmp_path / "series.csv"
    longest = row("2013-01-01", "1" + " " * (csv_readings.MAXIMUM_LINE - len(row("2013-01-01", "1"))))
    lines = [longest, "x" * csv_readings.MAXIMUM_LINE + "y", "z" * 1_000_000, row("2013-01-02", "2")]
    file.write_text("\n".join([HEADER, *lines]) + "\n")
    first, second, third, last = csv_readings.rows(file)
    assert [first.line, second.line, third.line, last.line] == [2, 3, 4, 5]
    assert not isinstance(first, RefusedRow)
    assert not isinstance(last, RefusedRow)
    for refused in (second, third):
        assert isinstance(refused, RefusedRow)
        assert refused.reason == "a longer line than the 4096 characters that are allowed"
        assert len(refused.text) == csv_readings.MAXIMUM_LINE
    assert (first.sequence, last.sequence) == (0, 3)
    file.write_text("x" * 1_000_000)
    with pytest.raises(CsvRefused, match="its first line is longer than the 4096 characters that are allowed"):
        csv_readings.rows(file)


_TEMPERATURE = limits_of(AirQualityMeasurements)["temp"]


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=40), max_size=8),
    st.lists(st.floats(_TEMPERATURE.lowest, _TEMPERATURE.highest), max_size=4),
)
@example(["\x0b", "\x85", "\u2028", '"', ","], [])
def test_each_line_is_a_row_and_none_is_lost(
    tmp_path_factory: pytest.TempPathFactory, noise: list[str], good: list[float]
) -> None:
    file = tmp_path_factory.mktemp("rows") / "series.csv"
    lines = [*noise, *(row("2013-01-01", repr(value)) for value in good)]
    file.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    found = list(csv_readings.rows(file))
    assert [each.line for each in found] == [number for number, line in enumerate(lines, start=2) if line.strip()]
    taken = [each.measurements["temp"] for each in found if not isinstance(each, RefusedRow)]
    assert taken == good


@given(st.datetimes(timezones=st.timezones()))
def test_a_time_with_an_offset_is_the_same_moment(moment: dt.datetime) -> None:
    moment = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=moment.utcoffset() // dt.timedelta(minutes=1))))
    try:
        expected = moment.astimezone(dt.UTC)
    except OverflowError:
        with pytest.raises(ValueError, match="is no time"):
            time_of(moment.isoformat())
    else:
        assert time_of(moment.isoformat()) == expected
