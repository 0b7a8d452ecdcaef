"""The replayer and the device simulator as processes on a real local broker, and the check of their parameters.

Not proved here: that the readings are good data (`test_simulator.py`) and how fast the whole floor is.
"""

import base64
import datetime as dt
import itertools
import os
import signal
import time

import pytest

from pm_contracts import csv_readings, topics
from pm_contracts.messages import (
    AirQualityReading,
    Command,
    DeadLetter,
    MachineReading,
    Reading,
    Refused,
    decode,
    encode,
)
from pm_edge.devices.player import RECORDINGS, WAITING_COMMANDS, Play
from pm_edge.devices.simulator import sources

REPLAYER, SIMULATOR = "pm.Replayer", "pm.DeviceSimulator"
DAY = {"start": "2010-01-05", "end": "2010-01-06T00:00:00+00:00"}

_clock = itertools.count()


def say(ear, name: str, **parameters: str | int | float) -> Command:
    issued_at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=next(_clock))
    command = Command(site=ear.site, name=name, issued_at=issued_at, parameters=parameters)
    ear.bus.publish(topics.command_topic(ear.site, name), encode(command))
    return command


def test_a_replay_publishes_each_reading_of_the_span_in_order_with_verdicts(ear, floor, site):
    process = floor.start("pm_edge.components.replayer")
    ear.wait_for_state(REPLAYER, "idle")
    say(ear, "replay", **DAY)
    ear.wait_for_counter(REPLAYER, "finished", 1)
    ear.wait_for_state(REPLAYER, "idle")
    start, end = dt.datetime(2010, 1, 5, tzinfo=dt.UTC), dt.datetime(2010, 1, 6, tzinfo=dt.UTC)
    expected = list(sources.readings(site, floor.devices, start=start, end=end, verdicts=True))
    assert len(expected) == 24 + 2
    assert [decode(payload, Reading) for payload in ear.on(topics.HISTORY)] == expected
    assert all(reading.faulty is not None for reading in expected if isinstance(reading, MachineReading))
    assert ear.on(topics.READING) == []
    counters = ear.status(REPLAYER).counters
    assert (counters["published"], counters["refused"]) == (26, 0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM


def test_the_simulator_plays_live_readings_without_verdicts(ear, floor):
    floor.start("pm_edge.components.device_simulator")
    ear.wait_for_state(SIMULATOR, "idle")
    say(ear, "simulate", **DAY)
    ear.wait_for_counter(SIMULATOR, "finished", 1)
    readings = [decode(payload, Reading) for payload in ear.on(topics.READING)]
    assert len(readings) == 26
    assert {reading.faulty for reading in readings if isinstance(reading, MachineReading)} == {None}
    assert ear.on(topics.HISTORY) == []


def test_a_command_delivered_twice_is_played_once_and_the_next_waits_its_turn(ear, floor):
    floor.start("pm_edge.components.replayer")
    ear.wait_for_state(REPLAYER, "idle")
    command = say(ear, "replay", **DAY)
    ear.bus.publish(topics.command_topic(ear.site, "replay"), encode(command))
    say(ear, "replay", start="2010-01-07", end="2010-01-08")
    ear.wait_for_counter(REPLAYER, "finished", 2)
    days = [decode(payload, Reading).event_time.day for payload in ear.on(topics.HISTORY)]
    assert days == [5] * 26 + [7] * 26
    assert ear.status(REPLAYER).counters["repeated"] == 1


def test_a_pace_is_kept_and_a_stop_in_the_middle_is_obeyed(ear, floor):
    process = floor.start("pm_edge.components.replayer")
    ear.wait_for_state(REPLAYER, "idle")
    began = time.monotonic()
    say(ear, "replay", per_second=40, **DAY)
    ear.wait_for_counter(REPLAYER, "finished", 1)
    assert time.monotonic() - began >= 25 / 40
    say(ear, "replay", per_second=0.5, **DAY)
    ear.wait(lambda: len(ear.on(topics.HISTORY)) > 26, "the second replay to begin")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM
    assert len(ear.on(topics.HISTORY)) < 2 * 26


def _csv(directory, *rows: str, header: str = ",".join(csv_readings.COLUMNS)) -> str:
    """Put a file into the folder of recordings of a component's data directory; its name."""
    folder = directory / RECORDINGS
    folder.mkdir(exist_ok=True)
    (folder / "data.csv").write_text("\n".join([header, *rows]) + "\n")
    return "data.csv"


ROWS = [f"2010-01-05 {hour:02d}:00:00,{100 + hour},-5,1,1020,1,3,0,0" for hour in range(6)]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("date,pollution,dew,temp,press,wnd_dir,wnd_spd,snow", "missing column 'rain'"),
        ("date,pollution,dew,temp,press,wnd_dir,wnd_spd,snow,rain,noise", "unknown column 'noise'"),
    ],
)
def test_a_file_with_other_columns_is_refused_before_anything_is_published(ear, floor, tmp_path, header, said):
    floor.start("pm_edge.components.replayer")
    ear.wait_for_state(REPLAYER, "idle")
    command = say(ear, "replay", data=_csv(tmp_path, *ROWS, header=header), **DAY)
    ear.wait_for_counter(REPLAYER, "finished", 1)
    [letter] = [decode(payload, DeadLetter) for payload in ear.on(topics.DEAD_LETTER)]
    assert said in letter.reason
    assert base64.b64decode(letter.payload) == encode(command)
    assert ear.on(topics.HISTORY) == []


def test_a_bad_row_becomes_a_dead_letter_and_the_good_ones_go_on(ear, floor, tmp_path):
    floor.start("pm_edge.components.replayer")
    ear.wait_for_state(REPLAYER, "idle")
    rows = [*ROWS[:3], "2010-01-05 03:00:00,a lot,-5,1,1020,1,3,0,0", *ROWS[4:]]
    name = _csv(tmp_path, *rows)
    say(ear, "replay", data=name, **DAY)
    ear.wait_for_counter(REPLAYER, "finished", 1)
    [letter] = [decode(payload, DeadLetter) for payload in ear.on(topics.DEAD_LETTER)]
    assert letter.topic == f"{name}:5"
    assert "pollution: 'a lot' is no number" in letter.reason
    assert base64.b64decode(letter.payload).startswith(b"2010-01-05 03:00:00,a lot")
    readings = [decode(payload, Reading) for payload in ear.on(topics.HISTORY)]
    hours = [reading.event_time.hour for reading in readings if isinstance(reading, AirQualityReading)]
    assert hours == [0, 1, 2, 4, 5]
    counters = ear.status(REPLAYER).counters
    assert (counters["published"], counters["refused"]) == (5 + 2, 1)


def test_a_command_opens_nothing_but_regular_files_of_a_bounded_size_in_one_folder(ear, floor, tmp_path):
    secret = "date,2010-01-05 00:00:00,top secret"
    (tmp_path / "secret.csv").write_text(f"{','.join(csv_readings.COLUMNS)}\n{secret}\n")
    folder = tmp_path / RECORDINGS
    folder.mkdir()
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "zero.csv").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.csv")
    (folder / "folder.csv").mkdir()
    with (folder / "large.csv").open("wb") as large:
        large.truncate(csv_readings.MAXIMUM_FILE_BYTES + 1)
    names = [
        *("/etc/passwd", "/proc/self/environ", "/dev/zero", "../secret.csv", str(tmp_path / "secret.csv"), "."),
        *("link.csv", "zero.csv", "pipe.csv", "folder.csv", "large.csv", "absent.csv"),
    ]
    floor.start("pm_edge.components.replayer", SECRET="top secret")
    ear.wait_for_state(REPLAYER, "idle")
    for name in names:
        say(ear, "replay", data=name, **DAY)
    ear.wait_for_counter(REPLAYER, "finished", len(names))
    letters = [decode(payload, DeadLetter) for payload in ear.on(topics.DEAD_LETTER)]
    assert len(letters) == len(names)
    for name, letter in zip(names, letters, strict=True):
        assert name in letter.reason
        assert "allowed" in letter.reason
        assert "\n" not in letter.reason
        for elsewhere in ("top secret", "root:"):
            assert elsewhere not in letter.reason
            assert elsewhere.encode() not in base64.b64decode(letter.payload)
    assert ear.on(topics.HISTORY) == []


def test_commands_beyond_those_that_may_wait_are_refused(ear, floor):
    floor.start("pm_edge.components.replayer")
    ear.wait_for_state(REPLAYER, "idle")
    say(ear, "replay", per_second=1, **DAY)
    ear.wait(lambda: len(ear.on(topics.HISTORY)) > 0, "the first replay to begin")
    for _ in range(WAITING_COMMANDS + 3):
        say(ear, "replay", **DAY)
    ear.wait_for_counter(REPLAYER, "refused", 3)
    letters = [decode(payload, DeadLetter) for payload in ear.on(topics.DEAD_LETTER)]
    assert len(letters) == 3
    assert all(f"{WAITING_COMMANDS} commands wait, and no more are allowed" in letter.reason for letter in letters)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"speed": 5}, "parameter speed: allowed are data, start, end, per_second, seed"),
        ({"data": 7}, "parameter data is 7: allowed is the name of a file in the folder recordings, or nothing"),
        *(
            ({"data": name}, f"parameter data is {name!r}: allowed is the name of a file in the folder recordings")
            for name in ("/etc/passwd", "../data.csv", "a/data.csv", ".", "..", "a\n.csv", "a\0.csv", "a" * 256)
        ),
        ({"start": "yesterday"}, "parameter start is 'yesterday': allowed is an ISO 8601"),
        ({"end": 5}, "parameter end is 5: allowed is an ISO 8601"),
        ({"start": "2010-02-01", "end": "2010-02-01"}, "the end must be later"),
        ({"per_second": -1}, "parameter per_second is -1: allowed are 0 (no limit) to 1,000,000"),
        ({"per_second": True}, "parameter per_second is True"),
        ({"per_second": "fast"}, "parameter per_second is 'fast'"),
        ({"seed": 1.5}, "parameter seed is 1.5: allowed are whole numbers from 0"),
        ({"seed": -1}, "parameter seed is -1"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_is_allowed(parameters, said):
    with pytest.raises(Refused) as caught:
        Play.of(parameters)
    assert said in str(caught.value)


def test_what_a_command_leaves_out_is_the_simulator_s_whole_span():
    assert Play.of({}) == Play("", sources.START, sources.END, 0.0, 0)
    assert Play.of({"start": "2011-01-01"}).start == dt.datetime(2011, 1, 1, tzinfo=dt.UTC)
