"""Bad input from outside and below: poisoned messages, a clock that jumps, a disk that is full.

The disk is full for one process: no file of it may grow (`RLIMIT_FSIZE`), from the outside and while it runs. Not
proved here: what other components do with a disk that is full for all of them.
"""

import datetime as dt
import random
import resource
import sqlite3

import psutil

from pm_contracts import topics
from pm_contracts.event_times import PATIENCE
from pm_contracts.messages import AirQualityReading, DeadLetter, Forecast, decode, encode

TOPIC = topics.device_topic("lindau", "air-1", topics.READING)


def letters(plant) -> list[DeadLetter]:
    with sqlite3.connect(plant.device.directory / "dead-letters.sqlite") as database:
        rows = database.execute("SELECT message FROM dead_letter ORDER BY id").fetchall()
    return [decode(text.encode(), DeadLetter) for (text,) in rows]


def test_one_message_in_a_hundred_is_poison_and_all_others_arrive(plant):
    dice = random.Random(13)
    air = plant.air(3000)
    refused, known = plant.counter("pm.Uplink", "refused"), len(letters(plant))
    poisonous = set(dice.sample(range(len(air)), len(air) // 100))
    ways = (
        lambda payload: payload[: dice.randrange(len(payload))],
        lambda payload: payload.replace(b'"pollution":', b'"polution":'),
        lambda payload: payload.replace(b'"air-1"', b'"air-2"'),
        lambda payload: payload.replace(b'"event_time":"2', b'"event_time":"x'),
        lambda payload: dice.randbytes(200),
        lambda payload: b"[" * 100_000,
    )
    for number, reading in enumerate(air):
        if number in poisonous:
            plant.mouth.publish(TOPIC, dice.choice(ways)(encode(reading)))
        plant.mouth.publish(TOPIC, encode(reading))
    plant.settle()
    assert plant.counter("pm.Uplink", "refused") - refused == len(poisonous)
    found = letters(plant)[known:]
    assert len(found) == len({letter.message_id for letter in found}) == len(poisonous)
    assert all(letter.reason and letter.topic == TOPIC for letter in found)
    plant.assert_all_in_lake(air)


def test_a_full_disk_keeps_what_comes_in_memory_and_brings_it_to_the_disk_later(plant):
    process = psutil.Process(plant.pid("pm.Uplink"))
    before = process.rlimit(psutil.RLIMIT_FSIZE)
    air = plant.air(800)
    plant.device.cut_uplink()
    plant.until(lambda: plant.state("pm.Uplink") == "offline", "the uplink to notice")
    plant.publish(air[:200])
    plant.until(lambda: plant.counter("pm.Uplink", "buffered") >= 600, "readings and answers on the disk")
    process.rlimit(psutil.RLIMIT_FSIZE, (4096, before[1]))
    plant.publish(air[200:])
    plant.until(lambda: plant.counter("pm.Uplink", "in_memory") >= 1200, "messages in memory")
    process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, before[1]))
    # The forecaster may still be at its answers when the disk takes messages again.
    plant.until(
        lambda: plant.counter("pm.Uplink", "in_memory") == 0 and plant.counter("pm.Uplink", "buffered") >= 2400,
        "messages to move to the disk",
    )
    assert plant.counter("pm.Uplink", "dropped") == 0
    plant.kill("pm.Uplink")  # now the disk alone has them
    plant.device.restore_uplink()
    plant.settle()
    plant.assert_all_in_lake(air)
    log = plant.device.logs("pm.Uplink")
    assert "the disk takes no more" in log
    assert "the disk takes messages again" in log


def test_a_station_s_clock_that_jumps_ahead_costs_a_day_of_forecasts_and_no_reading(plant):
    def moved(reading: AirQualityReading) -> AirQualityReading:
        return AirQualityReading(
            site=reading.site, device=reading.device, sequence=reading.sequence,
            event_time=reading.event_time + dt.timedelta(days=3650), measurements=reading.measurements,
        )  # fmt: skip

    first, jumped, later = plant.air(30), [moved(r) for r in plant.air(3)], plant.air(60)
    too_late, restarts = (plant.counter("pm.Forecaster", name) for name in ("too_late", "restarts"))
    plant.publish([*first, *jumped, *later])
    plant.until(lambda: plant.counter("pm.Forecaster", "restarts") == restarts + 1, "it to begin anew")
    plant.settle()
    assert plant.counter("pm.Forecaster", "too_late") - too_late == PATIENCE
    plant.assert_all_in_lake([*first, *jumped, *later])
    forecast_at = {decode(p, Forecast).issued_at for p in plant.on(topics.FORECAST)}
    missing = [r for r in [*first, *later] if r.event_time not in forecast_at]
    assert [r.event_time for r in missing] == [r.event_time for r in later[: PATIENCE - 1]]
