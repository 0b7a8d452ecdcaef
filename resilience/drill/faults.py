"""The kinds of faults. Each is injected into a running plant for some seconds, and mended when it returns."""

import contextlib
import datetime as dt
import functools
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

from pm_contracts import topics
from pm_contracts.messages import Alert, Command, Outcome, encode
from pm_sandbox.core_device.client_devices.configuration import BROKER as GATEWAY
from resilience.drill.field import Field
from resilience.drill.forgery import OTHER_SITE, forged, of_nobody
from resilience.plant import SITE
from resilience.samples import messages

#: Seconds that a healthy reading may take to the cloud beside a device that never stops talking.
STARVED_SECONDS = 30.0
#: The attack: messages a second, and bytes of each.
GARBAGE_PER_SECOND, GARBAGE = 150, b"\x00garbage"
LARGE_PER_SECOND, LARGE_BYTES = 8, 120_000
#: Distinct alerts of a storm, and the times that one alarm flaps.
STORM_ALERTS, STORM_FLAPS = 200, 100
COMMANDS = 150
#: The time of a clock that is far ahead.
FAR_AHEAD = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
#: Bytes that a file may have when the disk is full.
_FULL_AT = 4096
_STEP_SECONDS = 0.2


class Fault(NamedTuple):
    """A kind of fault: its name, what it is in a line, and how it is injected for so many seconds."""

    kind: str
    says: str
    inject: Callable[[Field, float], None]


def _kill(component: str, field: Field, seconds: float) -> None:
    field.plant.kill(component)
    field.wait(field.dice.uniform(0, seconds))


def _kill_broker(field: Field, seconds: float) -> None:
    before = field.plant.device.status()
    os.kill(before["broker_pid"], signal.SIGKILL)
    field.plant.until(
        lambda: field.plant.device.status()["broker_restarts"] > before["broker_restarts"], "a new broker"
    )
    field.wait(field.dice.uniform(0, seconds))


def _kill_nucleus(field: Field, _seconds: float) -> None:
    field.plant.kill_nucleus()
    field.plant.until(field.plant.is_healthy, "all components to run again")


def _outage(field: Field, seconds: float) -> None:
    field.plant.device.cut_uplink()
    try:
        field.wait(seconds / 2)
        if field.dice.randrange(2):  # the disk alone has what waits
            field.plant.kill("pm.Uplink")
        field.wait(seconds / 2)
    finally:
        field.plant.device.restore_uplink()


def _full_disk(field: Field, seconds: float) -> None:
    """As `ulimit -f` does it from outside: no file of the uplink grows."""
    process = psutil.Process(field.plant.pid("pm.Uplink"))
    soft, hard = process.rlimit(psutil.RLIMIT_FSIZE)
    field.plant.device.cut_uplink()
    try:
        process.rlimit(psutil.RLIMIT_FSIZE, (_FULL_AT, hard))
        field.wait(seconds)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY if soft < 0 else soft, hard))
        field.plant.device.restore_uplink()
    # Who is killed before has lost what the disk did not take: it had nowhere else to be.
    field.plant.wait_for_report("pm.Uplink")
    field.plant.until(lambda: field.plant.counter("pm.Uplink", "in_memory") == 0, "the memory to be on the disk")


def _alert_storm(field: Field, _seconds: float) -> None:
    [alert] = [message for message in messages() if isinstance(message, Alert)]
    start = dt.datetime(2011, 1, 1, tzinfo=dt.UTC)

    def raised(key: str, state: str, second: int) -> tuple[str, bytes]:
        at = start + dt.timedelta(seconds=second)
        changed = msgspec.structs.replace(alert, message_id="", dedupe_key=key, state=state, raised_at=at)
        return topics.site_topic(SITE, topics.ALERT), encode(changed)

    number = field.next_number()
    storm = [raised(f"drill/{number}/{n}", "active", n) for n in range(STORM_ALERTS)]
    flaps = [raised(f"drill/{number}/flap", ("active", "cleared")[n % 2], n) for n in range(STORM_FLAPS)]
    field.dice.shuffle(storm)
    field.on_the_floor([*storm, *flaps])


def _talkative(payloads: Callable[[Field], bytes], per_second: float, field: Field, seconds: float) -> None:
    """The broken device talks, and each reading of the others is to come in time nevertheless."""
    topic = topics.device_topic(SITE, field.broken.name, topics.READING)
    before = field.sent
    meanwhile: dict[str, float] = {}
    with field.broken_device() as connection:
        began = time.monotonic()
        said = 0
        # It goes on until the last of them is told: who is starved must not be helped by its end.
        while (passed := time.monotonic() - began) < seconds or not field.arrivals.all_told(meanwhile, STARVED_SECONDS):
            if passed < seconds:
                meanwhile = {reading: at for reading, at in field.sent.items() if reading not in before}
            due = int(passed * per_second) - said
            connection.say((topic, payloads(field)) for _ in range(due))
            said += due
            field.wait(_STEP_SECONDS)
    field.starved |= field.arrivals.late(meanwhile, STARVED_SECONDS)


def _frozen(field: Field, seconds: float) -> None:
    """A subscriber of the local bus that is there and acknowledges nothing."""
    component = field.dice.choice(("pm.Forecaster", "pm.FaultDetector"))
    with _stopped_group(field.plant.pid(component)):
        field.wait(seconds)


def _forged(field: Field, _seconds: float) -> None:
    """On every channel as another site and as another device: over the cloud, by the gateway, and on the floor."""
    number = field.next_number()
    at = dt.datetime(2012, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=number)
    own = list(forged(SITE, at, number))
    nobody = of_nobody(SITE, at, number)
    field.forged |= {each.message.message_id for each in own}
    said = [(each.topic, each.payload) for each in own]
    with field.core_device() as connection:
        connection.say([*said, (nobody.topic, nobody.payload)])
        field.wait(_STEP_SECONDS)
    # Of the other site's topics the IoT policy keeps it: each over a connection that may end by it.
    for each in forged(OTHER_SITE, at + dt.timedelta(minutes=1), number):
        field.forged.add(each.message.message_id)
        with contextlib.suppress(ConnectionError), field.core_device() as connection:
            connection.say([(each.topic, each.payload)])
    own_topic = topics.device_topic(SITE, field.broken.name, topics.READING)
    with field.broken_device() as connection:
        connection.say([*said, *((own_topic, payload) for _, payload in said)])
        field.wait(_STEP_SECONDS)
    field.on_the_floor(said)


def _clock_ahead(field: Field, _seconds: float) -> None:
    """A device, an alert and the outcomes of a clock that is decades ahead."""
    number = field.next_number()
    said: list[tuple[str, bytes]] = []
    for message in messages():
        if isinstance(message, Outcome) and type(message) is Outcome:
            for hour in range(60):
                at = FAR_AHEAD + dt.timedelta(hours=60 * number + hour)
                changed = msgspec.structs.replace(message, message_id="", issued_at=at, target_time=at)
                said.append((topics.device_topic(SITE, message.device, topics.OUTCOME), encode(changed)))
        if isinstance(message, Alert):
            at = FAR_AHEAD + dt.timedelta(hours=number)
            changed_alert = msgspec.structs.replace(message, message_id="", raised_at=at)
            said.append((topics.site_topic(SITE, topics.ALERT), encode(changed_alert)))
    field.on_the_floor(said)
    reading = next(message for message in messages() if message.kind == "machine_reading")
    at = FAR_AHEAD + dt.timedelta(hours=number)
    ahead = msgspec.structs.replace(reading, message_id="", device=field.broken.name, event_time=at, sequence=number)
    with field.broken_device() as connection:
        connection.say([(topics.device_topic(SITE, field.broken.name, topics.READING), encode(ahead))])
        field.wait(_STEP_SECONDS)


def _damaged_bytes(field: Field, _seconds: float) -> None:
    """Bytes of the files of a component that is down are changed.

    The sensors pause and the outbox drains before: what waits in a damaged row is told as a dead letter and not as a
    reading, and would be counted as lost.
    """
    component, names = field.dice.choice(
        (
            ("pm.Uplink", ("outbox.sqlite", "dead-letters.sqlite")),
            ("pm.Forecaster", ("state/forecaster.json",)),
            ("pm.FaultDetector", ("state/fault_detector.json",)),
        )
    )
    plant = field.plant
    for sensor in field.sensors.values():
        sensor.pause()
    try:
        plant.settle()
        before = plant.pid(component)
        # The nucleus would start it anew before its files are damaged.
        with _stopped(plant.device.status()["pid"]):
            os.killpg(before, signal.SIGKILL)
            for name in names:
                _damage(plant.device.directory / name, field)
        plant.until(lambda: plant.pid(component) not in (0, before), f"{component} to come back")
    finally:
        for sensor in field.sensors.values():
            sensor.resume()


def _command_flood(field: Field, _seconds: float) -> None:
    """More commands than anybody gives; half of them ask for nothing that there is."""
    data = field.plant.cloud.client("iot-data")
    now = dt.datetime.now(dt.UTC)
    for number in range(COMMANDS):
        name = ("replay", "simulate", "explode")[number % 3]
        command = Command(
            site=SITE, name=name, issued_at=now + dt.timedelta(microseconds=number), parameters={"start": "nowhere"}
        )
        data.publish(topic=topics.command_topic(SITE, name), qos=1, payload=encode(command))


FAULTS: tuple[Fault, ...] = (
    Fault("kill_uplink", "kill -9 of the uplink", functools.partial(_kill, "pm.Uplink")),
    Fault("kill_forecaster", "kill -9 of the forecaster", functools.partial(_kill, "pm.Forecaster")),
    Fault("kill_fault_detector", "kill -9 of the fault detector", functools.partial(_kill, "pm.FaultDetector")),
    Fault("kill_replayer", "kill -9 of the replayer", functools.partial(_kill, "pm.Replayer")),
    Fault("kill_gateway", "kill -9 of the client-device gateway", functools.partial(_kill, GATEWAY)),
    Fault("kill_broker", "kill -9 of the local broker", _kill_broker),
    Fault("kill_nucleus", "kill -9 of the nucleus, which is then started anew", _kill_nucleus),
    Fault("outage", "no way to the cloud, half of the time with the uplink killed meanwhile", _outage),
    Fault("full_disk", "no file of the uplink may grow, and there is no way to the cloud", _full_disk),
    Fault("alert_storm", f"{STORM_ALERTS} alerts at once, and one alarm that flaps {STORM_FLAPS} times", _alert_storm),
    Fault(
        "garbage",
        f"{GARBAGE_PER_SECOND} messages a second of a broken device, none of the contract",
        functools.partial(_talkative, lambda field: GARBAGE + field.dice.randbytes(8), GARBAGE_PER_SECOND),
    ),
    Fault(
        "large_garbage",
        f"{LARGE_PER_SECOND} messages a second of {LARGE_BYTES:,} bytes, none of the contract",
        functools.partial(_talkative, lambda field: field.dice.randbytes(LARGE_BYTES), LARGE_PER_SECOND),
    ),
    Fault("frozen_subscriber", "a component is there and acknowledges nothing", _frozen),
    Fault("forged_messages", "every channel as another site and as another device, by three ways", _forged),
    Fault("clock_ahead", "a reading, an alert and outcomes of 2099", _clock_ahead),
    Fault("damaged_files", "bytes of states and databases changed while their component is down", _damaged_bytes),
    Fault("command_flood", f"{COMMANDS} commands at once, most of them none", _command_flood),
)


@contextlib.contextmanager
def _stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


@contextlib.contextmanager
def _stopped_group(leader: int) -> Iterator[None]:
    os.killpg(leader, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGCONT)


def _damage(path: Path, field: Field) -> None:
    """Change up to 16 bytes of a file that is there."""
    if not path.exists():
        return
    content = bytearray(path.read_bytes())
    for _ in range(field.dice.randint(1, 16)):
        if content:
            content[field.dice.randrange(len(content))] ^= 1 << field.dice.randrange(8)
    path.write_bytes(content)
