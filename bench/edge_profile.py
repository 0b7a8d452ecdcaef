"""The parts of a message's time: `python -m bench.edge_profile`, in microseconds of processor time, and of the
clock where the disk is waited for.

The parts are called on their own, one after the other, as the components call them; their sum leaves out what passes
messages between processes.
"""

import itertools
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.table import Table

from bench import edge_models
from pm_contracts import topics
from pm_contracts.forecast_features import MEMORY_HOURS
from pm_contracts.messages import AirQualityReading, MachineReading, decode, encode
from pm_contracts.model_kinds import FAULT, FORECAST
from pm_edge.components.fault_detector.core import FaultDetector
from pm_edge.components.fault_detector.model import FaultModel
from pm_edge.components.uplink.admission import Admission, Priority
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.store import Outgoing
from pm_edge.forecasting.core import Forecaster
from pm_edge.forecasting.features import FeatureWindow
from pm_edge.forecasting.model import ForecastModel
from pm_edge.runtime.journal import Journal
from pm_edge.runtime.models import load_model
from pm_sandbox.terminal import Terminal

CALLS = 2000
#: As the uplink does under load.
BATCH = 1000
_MICROSECONDS = 1e6
_OUTBOX_BYTES = 1 << 30
_SECONDS_PER_HOUR = 3600


class Part(NamedTuple):
    """A part of the way of a message: of which component, what, and microseconds a message."""

    component: str
    what: str
    processor: float
    clock: float


def parts(calls: int = CALLS) -> Iterator[Part]:
    """The parts, in the order in which a message meets them."""
    yield from _forecaster_parts(calls)
    yield from _fault_parts(calls)
    yield from _uplink_parts(calls)


def _forecaster_parts(calls: int) -> Iterator[Part]:
    name = "forecaster"
    model = load_model(edge_models.model_directory(FORECAST), ForecastModel)
    readings = edge_models.air_readings(MEMORY_HOURS + calls)
    payloads = [encode(each) for each in readings[MEMORY_HOURS:]]
    yield _timed(name, "decode and check the reading", calls, lambda i: decode(payloads[i], AirQualityReading))
    window = FeatureWindow()
    hours = [
        (int(each.event_time.timestamp()) // _SECONDS_PER_HOUR, 0, msgspec.structs.astuple(each.measurements))
        for each in readings
    ]
    for hour in hours[:MEMORY_HOURS]:
        window.place(*hour)
    yield _timed(name, "features: take the hour in", calls, lambda i: window.place(*hours[MEMORY_HOURS + i]))
    yield _timed(name, "features: compute all", calls, lambda _: window.features())
    features = window.features()
    yield _timed(name, "model: write, run, check", calls, lambda _: model.answer(features))
    yield _timed(name, "  of which onnxruntime", calls, lambda _: model._session.run_with_iobinding(model._binding))
    forecaster = Forecaster(edge_models.SITE, edge_models.STATION, model)
    for reading in readings[:MEMORY_HOURS]:
        forecaster.observe(reading)
    yield _timed(name, "observe: reading to answers", calls, lambda i: forecaster.observe(readings[MEMORY_HOURS + i]))
    answers = Forecaster(edge_models.SITE, edge_models.STATION, model)
    both = [answer for reading in readings for answer in answers.observe(reading)][-2:]
    yield _timed(name, "encode forecast and outcome", calls, lambda _: [encode(answer) for answer in both])


def _fault_parts(calls: int) -> Iterator[Part]:
    name = "fault detector"
    model = load_model(edge_models.model_directory(FAULT), FaultModel)
    readings = edge_models.machine_readings(calls)
    payloads = [encode(each) for each in readings]
    yield _timed(name, "decode and check the reading", calls, lambda i: decode(payloads[i], MachineReading))
    values = [msgspec.structs.astuple(each.measurements) for each in readings]
    yield _timed(name, "model: write, run, check", calls, lambda i: model.probability(values[i]))
    yield _timed(name, "  of which onnxruntime", calls, lambda _: model._session.run_with_iobinding(model._binding))
    healthy = FaultDetector(edge_models.SITE, model)
    yield _timed(name, "score: reading to score", calls, lambda i: healthy.score(readings[i]))


def _uplink_parts(calls: int) -> Iterator[Part]:
    name = "uplink"
    readings = edge_models.air_readings(calls)
    said = [(topics.device_topic(each.site, each.device, topics.READING), encode(each)) for each in readings]
    admission = Admission(edge_models.SITE, edge_models.DEVICES)
    outgoing = [
        Outgoing(each.message_id, int(Priority.READING), *message) for each, message in zip(readings, said, strict=True)
    ]
    with tempfile.TemporaryDirectory(dir=edge_models.DIRECTORY) as directory:
        journal = Journal(Path(directory), "profile")
        yield _timed(name, "journal: one write", calls, lambda i: journal.append(0.0, *said[i]))
        journal.close()
        yield _timed(name, "decode and check the message", calls, lambda i: admission.check(*said[i]))
        messages = [admission.check(*one)[0] for one in said]
        yield _timed(name, "encode it again", calls, lambda i: encode(messages[i]))
        outbox = Outbox(Path(directory) / "outbox.sqlite", _OUTBOX_BYTES, [int(one) for one in Priority])
        batches = [outgoing[first : first + BATCH] for first in range(0, len(outgoing), BATCH)]
        yield _timed(name, "outbox: write", len(batches), lambda i: outbox.write(batches[i]), of=len(outgoing))
        taken = [outbox.take(len(batch)) for batch in batches]
        keys = [[one.key for one in some] for some in taken]
        yield _timed(
            name, "outbox: note the delivery", len(keys), lambda i: outbox.write((), keys[i]), of=len(outgoing)
        )
        outbox.close()
        with sqlite3.connect(Path(directory) / "commits.sqlite", isolation_level=None) as database:
            database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE one (x)")
            yield _timed(
                name, "of it, a commit with its fsync", 20,
                lambda _: database.execute("INSERT INTO one VALUES (1)"), of=20 * BATCH,
            )  # fmt: skip


def _timed(component: str, what: str, calls: int, call: Callable[[int], object], of: int = 0) -> Part:
    """Time `calls` calls, given the numbers from 0 on, for `of` messages (as many as calls where left out)."""
    clock, processor = time.perf_counter(), time.process_time()
    for number in range(calls):
        call(number)
    processor, clock = time.process_time() - processor, time.perf_counter() - clock
    messages = of or calls
    return Part(component, what, _MICROSECONDS * processor / messages, _MICROSECONDS * clock / messages)


def main() -> None:
    """Print the parts."""
    table = Table(title="Microseconds a message")
    for column in ("Component", "Part", "Processor", "Clock"):
        table.add_column(column, justify="left" if column in ("Component", "Part") else "right")
    for _, same in itertools.groupby(parts(), key=lambda part: part.component):
        for part in same:
            table.add_row(part.component, part.what, f"{part.processor:.1f}", f"{part.clock:.1f}")
        table.add_section()
    Terminal().print(table)


if __name__ == "__main__":
    main()
