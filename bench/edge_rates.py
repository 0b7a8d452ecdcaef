"""The capacity of a core device: readings a second in its daily work, and while it catches up after an outage.

`pipeline_rate`: readings of a station through the local bus, the forecaster, the bus again, the uplink's outbox and a
TLS connection with quality of service 1, each part a process. A reading becomes three messages (itself, a forecast, an
outcome), and the reference is messages a second: the rate at which the same broker acknowledges the same readings to
one client that does nothing else. `pipeline_messages` is the same run counted in messages.

`catch_up`: readings a second from an outbox that an outage has left with 100,000, first arrival to last, against the
same reference. `catch_up_bridge` is held against mosquitto as a store-and-forward bridge, where it is installed.
"""

import itertools
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench import edge_bridge, edge_models
from bench.edge_device import Arrivals, EdgeDevice, Message, Statuses, Stuck, direct_rate, end
from bench.edge_models import SITE, STATION
from bench.edge_timing import Advance, silent
from bench.figure import Figure, more_is_better, without_reference
from pm_contracts import topics
from pm_contracts.measurements import AIR_QUALITY
from pm_contracts.messages import AirQualityReading, Reading, encode
from pm_contracts.model_kinds import FORECAST
from pm_edge.components.uplink.admission import Priority
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.store import Outgoing
from pm_edge.devices.simulator import sources
from pm_edge.runtime.mqtt_bus import MqttBus

#: "At least" of the issue's table.
_PIPELINE, _CATCH_UP, _BRIDGE = 0.25, 0.25, 0.5
PIPELINE_READINGS, CATCH_UP_READINGS, DIRECT_MESSAGES = 5_000, 100_000, 10_000
RUNS = 3
#: A message on a topic of its own says when all before it have arrived.
FIRST, LAST = "first", "last"
#: Readings before the measurement: the model needs a day of history.
_WARM_UP = 100
_OUTBOX_BYTES = 1 << 30
_MESSAGES_OF_A_READING = 3
_FLUSH_SECONDS = 300.0


def pipeline_figures(
    runs: int = RUNS, count: int = PIPELINE_READINGS, direct: int = DIRECT_MESSAGES, advance: Advance = silent
) -> Iterator[Figure]:
    """Readings a second in daily work."""
    model = edge_models.model_directory(FORECAST)
    lasts = [f"{LAST}-{run}" for run in range(runs)]
    devices = dict.fromkeys((STATION, *lasts), AIR_QUALITY)
    readings = edge_models.air_readings(_WARM_UP + runs * count)
    with tempfile.TemporaryDirectory() as name, EdgeDevice(Path(name), devices) as edge:
        models = edge.directory / "models" / FORECAST.name
        models.mkdir(parents=True)
        (models / "current").symlink_to(model)
        arrivals = Arrivals()
        client = edge.client("publisher", f"{topics.ROOT}/{SITE}/nothing", arrivals)
        for last in lasts:
            for channel in (topics.READING, topics.FORECAST):
                edge.client(f"{last}-{channel}", topics.device_topic(SITE, last, channel), arrivals)
        bus = edge.bus("feeder")
        statuses = Statuses(edge.bus("listener"))
        edge.start("pm_edge.components.forecaster")
        edge.start("pm_edge.components.uplink", "--flow-control", "none")
        statuses.wait("pm.Forecaster")
        statuses.wait("pm.Uplink")
        _publish(bus, map(_message, readings[:_WARM_UP]))
        statuses.wait("pm.Uplink", published=_MESSAGES_OF_A_READING * _WARM_UP - 1)

        ours, reference = [], []
        for run, last in enumerate(lasts):
            first = _WARM_UP + run * count
            messages = [_message(each) for each in readings[first : first + count - 1]]
            messages.append(_message(_of(readings[first + count - 1], last)))
            began = time.perf_counter()
            _publish(bus, messages)
            ended = max(
                arrivals.wait(*(topics.device_topic(SITE, last, each) for each in (topics.READING, topics.FORECAST)))
            )
            ours.append(count / (ended - began))
            reference.append(direct_rate(client, _elsewhere(itertools.islice(itertools.cycle(messages), direct))))
            advance((run + 1) / runs)
        # Each reading, its forecast and the outcome of the one before. Of these there is none for the only reading of a
        # station that says the end, nor for the first after a reading that such a station has in the other's place.
        sent = _MESSAGES_OF_A_READING * (_WARM_UP + runs * count) - 2 * runs
        _check_nothing_lost(statuses.wait("pm.Uplink", published=sent), sent)
        _check_model_answered(statuses.wait("pm.Forecaster", forecasts=_WARM_UP + runs * (count - 1)))
    yield more_is_better("pipeline_rate", "readings/s", ours, reference, _PIPELINE)
    messages_a_second = [_MESSAGES_OF_A_READING * rate for rate in ours]
    yield more_is_better("pipeline_messages", "messages/s", messages_a_second, reference, _PIPELINE)


def catch_up_figures(
    runs: int = RUNS, count: int = CATCH_UP_READINGS, direct: int = DIRECT_MESSAGES, advance: Advance = silent
) -> Iterator[Figure]:
    """Readings a second while an outage's readings drain."""
    with_bridge = edge_bridge.program() is not None
    names = [f"{which}-{way}-{run}" for which in (FIRST, LAST) for way in ("ours", "bridge") for run in range(runs)]
    stations = [f"air-{number}" for number in range(1, 2 + count // (sources.DAYS * 24))]
    devices = dict.fromkeys((*stations, *names), AIR_QUALITY)
    readings = list(itertools.islice(sources.readings(SITE, dict.fromkeys(stations, AIR_QUALITY)), count))
    ours, reference, bridge = [], [], []
    steps = itertools.count(1)
    parts = runs * (3 if with_bridge else 2)

    def done() -> None:
        advance(next(steps) / parts)

    with tempfile.TemporaryDirectory() as name, EdgeDevice(Path(name), devices) as edge:
        arrivals = Arrivals()
        client = edge.client("publisher", f"{topics.ROOT}/{SITE}/nothing", arrivals)
        for device in names:
            edge.client(f"hears-{device}", topics.device_topic(SITE, device, topics.READING), arrivals)
        statuses = Statuses(edge.bus("listener"))
        for run in range(runs):
            first, last = f"{FIRST}-ours-{run}", f"{LAST}-ours-{run}"
            seconds = _our_catch_up_seconds(edge, statuses, _marked(readings, first, last), arrivals)
            ours.append(count / seconds)
            done()
            messages = map(_message, itertools.islice(itertools.cycle(readings), direct))
            reference.append(direct_rate(client, _elsewhere(messages)))
            done()
            if with_bridge:
                first, last = f"{FIRST}-bridge-{run}", f"{LAST}-bridge-{run}"
                messages_of_run = [_message(each) for each in _marked(readings, first, last)]
                ends = (messages_of_run[0][0], messages_of_run[-1][0])
                bridge.append(count / edge_bridge.catch_up_seconds(edge, messages_of_run, *ends, arrivals))
                done()
    yield more_is_better("catch_up", "readings/s", ours, reference, _CATCH_UP)
    if with_bridge:
        yield more_is_better("catch_up_bridge", "readings/s", ours, bridge, _BRIDGE)
    else:
        reason = f"{edge_bridge.PROGRAM} is not installed"
        yield without_reference("catch_up_bridge", "readings/s", ours, _BRIDGE, reason)


def _our_catch_up_seconds(
    edge: EdgeDevice, statuses: Statuses, readings: Sequence[AirQualityReading], arrivals: Arrivals
) -> float:
    """Seconds from the first to the last arrival, of an outbox as an outage has left it."""
    files = [edge.directory / f"outbox.sqlite{suffix}" for suffix in ("", "-wal", "-shm")]
    for file in files:
        file.unlink(missing_ok=True)
    outbox = Outbox(files[0], _OUTBOX_BYTES, [int(priority) for priority in Priority])
    outgoing = [Outgoing(each.message_id, int(Priority.READING), *_message(each)) for each in readings]
    for first in range(0, len(outgoing), 1000):
        outbox.write(outgoing[first : first + 1000])
    outbox.close()
    statuses.forget("pm.Uplink")
    process = edge.start(
        "pm_edge.components.uplink", "--flow-control", "none", "--outbox-mebibytes", str(_OUTBOX_BYTES >> 20)
    )
    began, ended = arrivals.wait(outgoing[0].topic, outgoing[-1].topic)
    counters = statuses.wait("pm.Uplink", published=len(readings))
    _check_nothing_lost(counters, len(readings))
    end(process)
    return ended - began


def _check_nothing_lost(counters: dict[str, int], sent: int) -> None:
    lost = {name: counters.get(name, 0) for name in ("refused", "rejected", "dropped", "buffered")}
    if any(lost.values()) or counters["published"] != sent:
        raise AssertionError(f"{counters['published']} of {sent} messages were delivered: {lost}")


def _check_model_answered(counters: dict[str, int]) -> None:
    """The look-back of the first day aside, no forecast may be persistence's, which costs nothing."""
    if counters["persistence_forecasts"] > _WARM_UP:
        raise AssertionError(f"the model has not answered: {counters}")


def _marked(readings: Sequence[Reading], first: str, last: str) -> list[AirQualityReading]:
    """The readings, the first and the last said to be of stations of their own."""
    return [_of(readings[0], first), *readings[1:-1], _of(readings[-1], last)]  # type: ignore[list-item]


def _of(reading: Reading, device: str) -> AirQualityReading:
    assert isinstance(reading, AirQualityReading)  # noqa: S101 - they come from a station
    return AirQualityReading(
        site=reading.site, device=device, sequence=reading.sequence,
        event_time=reading.event_time, measurements=reading.measurements,
    )  # fmt: skip


def _elsewhere(messages: Iterable[Message]) -> Iterator[Message]:
    """The same payloads on a topic that nobody hears."""
    for _, payload in messages:
        yield f"{topics.ROOT}/{SITE}/{STATION}/direct", payload


def _publish(bus: MqttBus, messages: Iterable[Message]) -> None:
    for topic, payload in messages:
        bus.publish(topic, payload)
    if not bus.flush(_FLUSH_SECONDS):
        raise Stuck("the local bus has not acknowledged all readings")


def _message(reading: Reading) -> Message:
    return topics.device_topic(reading.site, reading.device, topics.READING), encode(reading)
