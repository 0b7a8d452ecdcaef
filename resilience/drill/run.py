"""A drill from the start of the factory to the count in the lake."""

import contextlib
import itertools
import random
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pm_contracts.budgets import PROCESS_BYTES
from pm_contracts.measurements import AIR_QUALITY, MACHINE
from pm_contracts.tables import TABLES
from pm_edge.devices.simulator import sources
from pm_sandbox.deployer import deploy
from pm_sandbox.factory import Factory
from pm_sandbox.operator import OperationFailed
from pm_sandbox.progress import Progress
from resilience.drill.arrivals import Arrivals
from resilience.drill.faults import FAULTS, Fault
from resilience.drill.field import Field
from resilience.drill.forgery import MARK, OTHER_SITE
from resilience.drill.memory import PeakMemory
from resilience.drill.schedule import lasting, order
from resilience.drill.sensors import Enrolled, Sensor
from resilience.drill.verdict import Result, doubled
from resilience.plant import SITE, Plant

#: The healthy devices with their type and readings a second. With the answers to them they take half of what a
#: connection to AWS IoT Core takes, so that a site catches up after an outage.
DEVICES = {
    "air-1": (AIR_QUALITY, 4.0),
    "machine-01": (MACHINE, 4.0),
    "machine-02": (MACHINE, 4.0),
    "machine-03": (MACHINE, 4.0),
}
#: A device of the site that is broken.
BROKEN = "machine-09"
_READINGS = ("air_quality_reading", "machine_reading")
#: Seconds that a factory has to bring everything to the lake once it is mended.
_DRAIN_SECONDS = 180.0
_LOOK_EVERY = 1.0


def run(seconds: float, seed: int, work: Path, progress: Progress, faults: Sequence[Fault] = FAULTS) -> Result:
    """Attack a new factory.

    Args:
        seconds: Of the attack; to start, drain and count takes about a minute more.
        seed: Of the faults' order and details.
        work: Folder of the factory, which is emptied.
        progress: Whom to tell.
        faults: The kinds.

    Raises:
        RuntimeError: if the factory does not come up.
    """
    shutil.rmtree(work / "factory", ignore_errors=True)
    shutil.rmtree(work / "devices", ignore_errors=True)
    with contextlib.ExitStack() as undo:
        factory = undo.enter_context(
            Factory.start(work / "factory", _configuration(), progress=progress, deployer=deploy)
        )
        plant = Plant(factory)
        undo.callback(plant.close)
        progress.step("Connecting the sensors")
        arrivals = undo.enter_context(Arrivals(plant.cloud))
        memory = PeakMemory(plant)
        undo.callback(memory.close)
        dice = random.Random(seed)  # noqa: S311 - no secret
        series = {name: sources.readings(SITE, {name: type_}) for name, (type_, _) in DEVICES.items()}
        devices = {name: Enrolled(plant, work / "devices", name) for name in (*DEVICES, BROKEN)}
        sensors: dict[str, Sensor] = {}
        for name, (_, per_second) in DEVICES.items():
            sensors[name] = Sensor(devices[name], series[name], per_second)
            undo.callback(sensors[name].close)
        field = Field(plant, dice, sensors, devices[BROKEN], arrivals)
        began = time.monotonic()
        injected = _attack(field, seconds, faults, progress)
        attacked = time.monotonic() - began
        progress.step("Draining what is on its way")
        _drain(field, progress)
        progress.step("Counting in the lake")
        sent = set(field.sent)
        found = _in_the_lake(plant, sent)
        forged = _forged_in_the_cloud(field)
        for kind, count in field.during(sent - set(found)).items():
            progress.say(f"{count} of the lost readings were sent around {kind}")
        memory.close()
        undo.pop_all().close()
    return Result(
        seconds=round(attacked, 1),
        readings=len(sent),
        lost=len(sent - set(found)),
        doubled=doubled(sent, found),
        forged=forged,
        starved=len(field.starved),
        faults=injected,
        peak_bytes=dict(sorted(memory.peaks.items())),
        budgets={name: PROCESS_BYTES[name] for name in sorted(memory.peaks)},
    )


def _configuration() -> dict[str, Any]:
    types = {name: type_ for name, (type_, _) in DEVICES.items()} | {BROKEN: MACHINE}
    site = {
        "name": SITE,
        "core_devices": [f"{SITE}-core"],
        "devices": [{"name": name, "type": type_} for name, type_ in types.items()],
    }
    # The pace is AWS's: without it nobody could be starved.
    return {"sites": [site], "flow_control": "aws", "training": {"drift_enabled": False, "schedule_enabled": False}}


def _attack(field: Field, seconds: float, faults: Sequence[Fault], progress: Progress) -> dict[str, int]:
    """Inject faults one after the other until the time is over; the times of each kind."""
    injected: Counter[str] = Counter({fault.kind: 0 for fault in faults})
    began = time.monotonic()
    progress.step(f"Attacking for {seconds:.0f} s", int(seconds))
    for number, fault in enumerate(order(faults, field.dice)):
        passed = time.monotonic() - began
        # Each kind has its turn, however short the drill.
        if passed >= seconds and number >= len(faults):
            break
        progress.advance(int(min(passed, seconds)), fault.kind)
        at = time.monotonic()
        try:
            fault.inject(field, lasting(seconds, len(faults), field.dice))
        except Exception as error:  # whatever it is: the others are still to be injected, and it is told
            progress.say(f"{fault.kind} could not be injected: {type(error).__name__}: {error}")
        else:
            injected[fault.kind] += 1
        field.spans.append((fault.kind, at, time.monotonic()))
        field.wait(field.dice.uniform(0, lasting(seconds, len(faults), field.dice)))
    return dict(injected)


def _drain(field: Field, progress: Progress) -> None:
    """Have the sensors finish, and wait until all that was sent has left the floor."""
    for name, sensor in field.sensors.items():
        if not sensor.finish():
            progress.say(f"the core device has not taken all of {name}")
    try:
        field.plant.settle(_DRAIN_SECONDS)
    except (TimeoutError, RuntimeError) as error:
        progress.say(f"the floor does not settle: {error}")


def _in_the_lake(plant: Plant, sent: set[str]) -> dict[str, tuple[str, int]]:
    """The readings in the lake by `message_id`, once all that was sent is there, or nothing more comes."""
    found: dict[str, tuple[str, int]] = {}
    ends = time.monotonic() + _DRAIN_SECONDS
    for _ in itertools.count():
        found = {
            row["message_id"]: (row["device"], row["sequence"])
            for table in _READINGS
            for row in _rows(plant, f"SELECT message_id, device, sequence FROM {table}")
        }
        if sent <= set(found) or time.monotonic() > ends:
            break
        time.sleep(_LOOK_EVERY)
    return found


def _forged_in_the_cloud(field: Field) -> int:
    """Forged messages in the lake, and forged alarms that are kept or told."""
    plant = field.plant
    taken = set()
    for table in TABLES:
        taken |= {row["message_id"] for row in _rows(plant, f"SELECT message_id FROM {table.name}")} & field.forged
    alarms = plant.cloud.client("dynamodb").get_paginator("scan")
    pages = alarms.paginate(TableName=plant.factory.deployment.outputs["alarm_table"])
    names = {item["alarm"]["S"] for page in pages for item in page["Items"]}
    kept = {name for name in names if MARK in name or name.startswith(f"{OTHER_SITE}/")}
    mails = (path.read_text(errors="replace") for path in (plant.cloud.directory / "mail").glob("*.eml"))
    return len(taken) + len(kept) + sum(MARK in mail for mail in mails)


def _rows(plant: Plant, statement: str) -> list[dict[str, Any]]:
    try:
        return plant.factory.operator.query(statement)
    except OperationFailed:  # a table without a partition yet
        return []
