"""Files that a component of a core device finds when it starts, with whatever has become of them."""

import contextlib
import datetime as dt
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from resilience.fuzz.boundary import Boundary, Opened

_PRIORITIES = (0, 1, 2, 3)
_PLENTY = 10**9
_SENT = {
    (f"pm/lindau/air-{number}/reading", b'{"number": %d, "text": "' % number + b"x" * (number * 40) + b'"}')
    for number in range(12)
}


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _journal(folder: Path) -> Opened:
    from pm_edge.runtime.journal import Journal

    with contextlib.closing(Journal(folder / "whole", "uplink")) as journal:
        for number, message in enumerate(sorted(_SENT)):
            journal.append(float(number), *message)
    directory = folder / "damaged"

    def door(content: bytes) -> None:
        (_emptied(directory) / "uplink-1").write_bytes(content)
        found = {(entry.topic, entry.payload) for entry in Journal(directory, "uplink").recovered()}
        assert found <= _SENT, "a message that nobody has written"

    return Opened(door, [(folder / "whole" / "uplink-1").read_bytes()])


def _outbox(folder: Path) -> Opened:
    from pm_edge.components.uplink.outbox import Outbox
    from pm_edge.components.uplink.store import Outgoing

    def outgoing(topic: str, payload: bytes) -> Outgoing:
        message_id = hashlib.blake2b(payload, digest_size=16).hexdigest()
        return Outgoing(message_id, len(payload) % len(_PRIORITIES), topic, payload)

    whole = folder / "whole.sqlite"
    with contextlib.closing(Outbox(whole, _PLENTY, _PRIORITIES)) as outbox:
        outbox.write([outgoing(*message) for message in sorted(_SENT)])
    new = ("pm/lindau/air-99/reading", b"new")
    directory = folder / "damaged"

    def door(content: bytes) -> None:
        path = _emptied(directory) / "outbox.sqlite"
        path.write_bytes(content)
        with contextlib.closing(Outbox(path, _PLENTY, _PRIORITIES)) as outbox:
            given: set[tuple[str, bytes]] = set()
            while outbox.has_waiting:
                taken, damaged = outbox.take(25), outbox.take_damaged()
                assert taken or damaged or not outbox.has_waiting, "something waits for ever"
                given |= {(message.topic, message.payload) for message in taken}
                outbox.write([], [*(message.key for message in taken), *(row.key for row in damaged)])
            assert given <= _SENT, "a message that nobody has written"
            outbox.write([outgoing(*new)])
            assert [(message.topic, message.payload) for message in outbox.take(7)] == [new], "nothing new is kept"

    return Opened(door, [whole.read_bytes()])


def _dead_letters(folder: Path) -> Opened:
    from pm_edge.components.uplink.dead_letter_store import DeadLetterStore
    from pm_edge.runtime.dead_letters import dead_letter

    whole = folder / "whole.sqlite"
    with contextlib.closing(DeadLetterStore(whole)) as store:
        store.keep(dead_letter("lindau", "pm.Uplink", *message, "for a test") for message in sorted(_SENT))
    directory = folder / "damaged"

    def door(content: bytes) -> None:
        path = _emptied(directory) / "dead-letters.sqlite"
        path.write_bytes(content)
        with contextlib.closing(DeadLetterStore(path)) as store:
            store.keep([dead_letter("lindau", "pm.Uplink", "pm/lindau/x", b"", "for a test")])

    return Opened(door, [whole.read_bytes()])


def _state(folder: Path) -> Opened:
    from pm_contracts.messages import Refused
    from pm_edge.components.fault_detector.core import FaultDetector
    from pm_edge.devices.simulator import sources
    from pm_edge.forecasting.core import Forecaster
    from pm_edge.runtime.state_file import StateFile

    path = folder / "state.json"
    forecaster = Forecaster("lindau", "air-1")
    for reading in sources.readings("lindau", {"air-1": "air_quality"}, end=sources.START + dt.timedelta(hours=30)):
        forecaster.observe(reading)  # type: ignore[arg-type]
    machines = {f"machine-{n}": {"latest": "2026-01-01T00:00:00Z", "latest_sequence": n} for n in range(3)}
    states: list[dict[str, Any]] = [{"air-1": forecaster.state()}, FaultDetector("lindau", None, machines).state()]
    samples = []
    for state in states:
        StateFile(path).save(json.loads(json.dumps(state)))
        # With its checksum, and without: a file of the version before, or one that somebody has written by hand.
        samples += [path.read_bytes(), json.dumps(state).encode()]

    def door(content: bytes) -> None:
        path.write_bytes(content)
        found = StateFile(path).load()
        Forecaster("lindau", "air-1", None, found.get("air-1"))
        FaultDetector("lindau", None, found)

    # A state of another shape is put aside by whoever begins with it.
    return Opened(door, samples, (Refused,))


def _sandbox_state(folder: Path) -> Opened:
    from pm_sandbox.state_files import DamagedFileError, read_json, recovered

    path = folder / "state.json"

    def door(content: bytes) -> None:
        path.write_bytes(content)
        recovered(path)
        path.write_bytes(content)
        read_json(path, "pid", advice="start anew")

    samples = [{"pid": 7, "control": {"port": 1, "secret": "x"}}, {"lindau_air-1 00": 1.5}]
    return Opened(door, [json.dumps(sample).encode() for sample in samples], (DamagedFileError,))


BOUNDARIES = (
    Boundary("journal_file", _journal, 0.2),
    Boundary("outbox_file", _outbox, 0.02),
    Boundary("dead_letters_file", _dead_letters, 0.02),
    Boundary("checkpoint_file", _state, 0.2),
    Boundary("sandbox_state_file", _sandbox_state, 0.2),
)
