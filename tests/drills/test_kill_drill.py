"""Components and the local broker are killed at random, seeded moments while readings come in all the time.

The sensor of the drills sends again what the bus has not acknowledged, as any sensor must. Not proved here: a power
cut, which takes the disk's cache with it (`tests/edge/components/uplink/test_outbox_on_disk.py` has that).
"""

import os
import random
import signal
import threading

from pm_contracts import topics
from pm_contracts.messages import FaultScore, Forecast, Outcome, decode

PER_SECOND = 250
COMPONENTS = ("pm.Uplink", "pm.Forecaster", "pm.FaultDetector")


def under_load(plant, readings, work) -> None:
    """Do `work` while `readings` come in; returns when all have been taken."""
    failed: list[BaseException] = []

    def load() -> None:
        try:
            plant.publish(readings, PER_SECOND)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        work()
    finally:
        thread.join()
    assert not failed, failed


def assert_all_answered(plant, air, machines) -> None:
    """Each reading has its forecast or score, each hour its outcome, and the lake has them all."""
    times = {reading.event_time for reading in air}
    forecasts = {m.message_id: m for m in (decode(p, Forecast) for p in plant.on(topics.FORECAST))}
    of_these = [m for m in forecasts.values() if m.issued_at in times]
    assert {m.issued_at for m in of_these} == times
    assert len(of_these) == len(times), "two forecasts of different identity for one reading"
    outcomes = {m.message_id: m for m in (decode(p, Outcome) for p in plant.on(topics.OUTCOME))}
    assert {m.target_time for m in outcomes.values()} >= {m.target_time for m in of_these} & times
    scores = {m.message_id: m for m in (decode(p, FaultScore) for p in plant.on(topics.FAULT))}
    scored = {(m.device, m.event_time) for m in scores.values()}
    assert scored >= {(reading.device, reading.event_time) for reading in machines}
    for table, messages in (("forecast", forecasts), ("outcome", outcomes), ("fault_score", scores)):
        plant.wait_for_lake(table, set(messages))


def test_each_component_killed_at_random_moments_under_load_loses_and_doubles_nothing(plant):
    dice = random.Random(11)
    air, machines = plant.air(3000), plant.machines(300)
    mixed = []
    for number, reading in enumerate(air):
        mixed += [reading, machines[number // 10]] if number % 10 == 0 else [reading]
    before = {name: plant.device.status()["components"][name]["restarts"] for name in COMPONENTS}
    victims = [name for name in COMPONENTS for _ in range(2)]
    dice.shuffle(victims)
    refused = plant.counter("pm.Uplink", "refused")

    def kill() -> None:
        for name in victims:
            threading.Event().wait(dice.uniform(0.1, 0.8))
            plant.kill(name)

    under_load(plant, mixed, kill)
    plant.settle()
    after = plant.device.status()["components"]
    assert {name: after[name]["restarts"] - before[name] for name in COMPONENTS} == dict.fromkeys(COMPONENTS, 2)
    plant.assert_all_in_lake(mixed)
    assert_all_answered(plant, air, machines)
    assert refused == 0
    assert plant.counter("pm.Uplink", "refused") == 0
    copies = plant.rows("air_quality_reading")
    doubled = sum(copies[reading.message_id] - 1 for reading in air)
    print(f"{len(victims)} kills under {len(mixed)} readings; {doubled} arrived twice, and are known by their id")


def test_the_local_broker_killed_under_load_loses_nothing(plant):
    dice = random.Random(12)
    air = plant.air(2000)
    restarts = plant.device.status()["broker_restarts"]
    overtaken = {name: plant.counter("pm.Forecaster", name) for name in ("late", "too_late")}

    def kill() -> None:
        for number in (1, 2):
            threading.Event().wait(dice.uniform(0.5, 1.5))
            os.kill(plant.device.status()["broker_pid"], signal.SIGKILL)
            plant.until(lambda n=number: plant.device.status()["broker_restarts"] == restarts + n, "a new broker")

    under_load(plant, air, kill)
    plant.settle()
    plant.assert_all_in_lake(air)
    # What is sent again comes before what is newer: no reading is late, so each has its forecast.
    assert {name: plant.counter("pm.Forecaster", name) for name in overtaken} == overtaken
    assert_all_answered(plant, air, [])


def test_a_replay_that_was_killed_is_commanded_again_and_nothing_is_doubled(plant):
    operator = plant.factory.operator
    for component, command, start, end in (
        ("pm.Replayer", "replay", "2014-06-01", "2014-07-01"),
        ("pm.DeviceSimulator", "simulate", "2010-09-01", "2010-10-01"),
    ):
        # Ten machines once a day, and the station every hour: 34 readings a day for thirty days.
        parameters = {"start": start, "end": end}
        operator.command("lindau", command, {**parameters, "per_second": 300})
        plant.until(lambda c=component: plant.counter(c, "published") >= 100, f"{component} at work")
        plant.kill(component)
        plant.wait_for_report(component)
        operator.command("lindau", command, parameters)
        plant.until(lambda c=component: plant.counter(c, "finished") == 1, f"{component} to finish")
        assert plant.counter(component, "published") == 30 * 34
        plant.settle()
        where = f"event_time >= TIMESTAMP '{start}' AND event_time < TIMESTAMP '{end}'"

        def stored(where: str = where) -> int:
            return sum(operator.count(table, where)[1] for table in ("air_quality_reading", "machine_reading"))

        plant.until(lambda: stored() >= 30 * 34, "all in the lake")
        assert stored() == 30 * 34
