"""Files of the edge with bytes changed anywhere in them: what is whole goes on, the rest is put aside and said.

Real files, written by the real classes, damaged by dice with a seed. Not proved here: damage while a file is open, and
damage that forges a checksum, which needs somebody who means it.
"""

import base64
import datetime as dt
import hashlib
import json
import random
import shutil
import sqlite3
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from pm_contracts.messages import DeadLetter, decode
from pm_edge.components.fault_detector.core import FaultDetector
from pm_edge.components.uplink.admission import Admission, Priority
from pm_edge.components.uplink.dead_letter_store import DeadLetterStore
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.store import Outgoing
from pm_edge.components.uplink.uplink import Uplink
from pm_edge.devices.simulator import sources
from pm_edge.forecasting.core import Forecaster
from pm_edge.runtime.checkpoint import Checkpoint
from pm_edge.runtime.component import Component
from pm_edge.runtime.dead_letters import dead_letter
from pm_edge.runtime.journal import Journal
from pm_edge.runtime.settings import Settings
from pm_edge.runtime.state_file import StateFile

PRIORITIES = (0, 1, 2, 3)
PLENTY = 10**9
SENT = {
    (f"pm/lindau/air-{number}/reading", b'{"number": %d, "text": "' % number + b"x" * (number * 40) + b'"}')
    for number in range(40)
}


def outgoing(topic: str, payload: bytes) -> Outgoing:
    message_id = hashlib.blake2b(payload, digest_size=16).hexdigest()
    return Outgoing(message_id, len(payload) % len(PRIORITIES), topic, payload)


def flipped(content: bytes, dice: random.Random) -> bytes:
    """One byte changed; of each fifth, a block of up to 64."""
    at = dice.randrange(len(content))
    length = dice.randint(2, 64) if not dice.randrange(5) else 1
    noise = bytes(old ^ dice.randint(1, 255) for old in content[at : at + length])
    return content[:at] + noise + content[at + length :]


class Found(NamedTuple):
    """The messages of an outbox, and what was put aside."""

    given: set[tuple[str, bytes]]
    damaged: int
    files_put_aside: int


def read_outbox(path: Path) -> Found:
    """Work as the uplink does: take all, have it delivered, and write on."""
    outbox = Outbox(path, PLENTY, PRIORITIES)
    try:
        given: set[tuple[str, bytes]] = set()
        damaged = 0
        while outbox.has_waiting:
            taken, rows = outbox.take(25), outbox.take_damaged()
            assert taken or rows or not outbox.has_waiting, "something waits for ever"
            given |= {(message.topic, message.payload) for message in taken}
            damaged += len(rows)
            outbox.write([], [*(message.key for message in taken), *(row.key for row in rows)])
        assert outbox.depth == 0
        new = ("pm/lindau/air-99/reading", b"new")
        outbox.write([outgoing(*new)])
        assert [(message.topic, message.payload) for message in outbox.take(7)] == [new]
        return Found(given, damaged, len(outbox.put_aside))
    finally:
        outbox.close()


def written(path: Path) -> None:
    outbox = Outbox(path, PLENTY, PRIORITIES)
    outbox.write([outgoing(*message) for message in sorted(SENT)])
    outbox.close()


def written_by_the_version_before(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE known (message_id BLOB PRIMARY KEY) WITHOUT ROWID")
        database.execute("CREATE TABLE delivered (number INTEGER PRIMARY KEY, message_id BLOB NOT NULL)")
        for priority in PRIORITIES:
            database.execute(
                f"CREATE TABLE message_{priority}"
                " (id INTEGER PRIMARY KEY, message_id BLOB NOT NULL, topic TEXT NOT NULL, payload BLOB NOT NULL)"
            )
        for key, message in enumerate(sorted(SENT), 1):
            message_id, priority, topic, payload = outgoing(*message)
            row = (key, bytes.fromhex(message_id), topic, payload)
            database.execute("INSERT INTO known VALUES (?)", row[1:2])
            database.execute(f"INSERT INTO message_{priority} VALUES (?, ?, ?, ?)", row)
        database.execute("PRAGMA user_version = 1")
    database.close()


@pytest.mark.parametrize("write", [written, written_by_the_version_before])
def test_damage_anywhere_in_an_outbox_neither_ends_it_nor_alters_what_leaves(tmp_path, write):
    whole = tmp_path / "outbox.sqlite"
    write(whole)
    content = whole.read_bytes()
    dice = random.Random(13)
    raised, altered, unsaid = [], 0, 0
    for trial in range(200):
        path = tmp_path / str(trial) / "outbox.sqlite"
        path.parent.mkdir()
        path.write_bytes(flipped(content, dice))
        try:
            found = read_outbox(path)
            altered += not found.given <= SENT
            unsaid += not found.files_put_aside and len(SENT - found.given) > found.damaged
        except Exception as error:
            raised.append(f"{trial}: {type(error).__name__}: {error}")
        shutil.rmtree(path.parent)
    if write is written_by_the_version_before:  # its rows have no checksum
        altered = unsaid = 0
    assert (len(raised), altered, unsaid) == (0, 0, 0), raised


def damaged_payload(path: Path, payload: bytes) -> None:
    """Change one byte of a payload in a file."""
    content = bytearray(path.read_bytes())
    content[content.index(payload) + 3] ^= 1
    path.write_bytes(content)


def test_a_damaged_row_is_given_aside_with_its_reason_and_the_others_leave(tmp_path):
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, PLENTY, PRIORITIES)
    lost = ("pm/lindau/air-0/reading", b'{"this": "one"}')
    outbox.write([outgoing(*message) for message in [lost, *sorted(SENT)]])
    outbox.close()
    damaged_payload(path, lost[1])
    outbox = Outbox(path, PLENTY, PRIORITIES)
    taken = outbox.take(1000)
    assert {(message.topic, message.payload) for message in taken} == SENT
    [row] = outbox.take_damaged()
    assert (row.topic, row.payload) == (lost[0], b'{"tiis": "one"}')
    assert "its checksum is" in row.reason
    assert outbox.counters["damaged"] == 1
    outbox.write([outgoing(*lost)], [row.key, *(message.key for message in taken)])
    assert outbox.counters["repeated"] == 0, "it has not been delivered, and is welcome"
    assert [(message.topic, message.payload) for message in outbox.take(1000)] == [lost]
    outbox.close()


def test_a_file_of_the_version_before_keeps_its_rows_and_what_is_written_to_it_is_checked(tmp_path):
    path = tmp_path / "outbox.sqlite"
    written_by_the_version_before(path)
    outbox = Outbox(path, PLENTY, PRIORITIES)
    new = ("pm/lindau/air-1/reading", b"written after")
    outbox.write([outgoing(*new), outgoing(*min(SENT))])
    assert outbox.counters["repeated"] == 1
    outbox.close()
    damaged_payload(path, new[1])
    outbox = Outbox(path, PLENTY, PRIORITIES)
    assert {(message.topic, message.payload) for message in outbox.take(1000)} == SENT
    assert len(outbox.take_damaged()) == 1
    assert [found.name for found in tmp_path.glob("*.damaged-*")] == []
    outbox.close()


def test_an_outbox_that_is_damaged_while_it_is_open_begins_anew_and_no_key_comes_twice(tmp_path):
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, PLENTY, PRIORITIES)
    outbox.write([outgoing(*message) for message in sorted(SENT)])
    outbox._disk._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox._disk._database.execute("PRAGMA cache_size = 0")
    under_way = outbox.take(3)
    path.write_bytes(path.read_bytes()[:4096] + b"\xa5" * (path.stat().st_size - 4096))
    new = ("pm/lindau/air-1/reading", b"written after")
    outbox.write([outgoing(*new)])
    [aside] = outbox.put_aside
    assert (tmp_path / aside.kept_as).exists()
    outbox.write([], [message.key for message in under_way])
    assert [(message.topic, message.payload) for message in outbox.take(9)] == [new], "an old answer is none to it"
    outbox.close()


class Bus:
    """A bus that keeps what is published."""

    dropped = 0

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes) -> None:
        self.published.append((topic, payload))

    def largest_payload(self, _topic: str) -> int:
        return 100_000


def test_the_uplink_says_what_was_damaged_counted_and_as_dead_letters_here_and_for_the_cloud(tmp_path):
    path = tmp_path / "outbox.sqlite"
    lost = ("pm/lindau/air-0/reading", b'{"this": "one"}')
    priorities = [int(priority) for priority in Priority]
    outbox = Outbox(path, PLENTY, priorities)
    outbox.write([outgoing(*lost)])
    outbox.close()
    damaged_payload(path, lost[1])
    (tmp_path / "dead-letters.sqlite").write_bytes(b"no database" * 1000)
    journal = Journal(tmp_path / "journal", "uplink")
    journal.append(0.0, *lost)
    journal.close()
    damaged_payload(tmp_path / "journal" / "uplink-1", lost[1])

    outbox = Outbox(path, PLENTY, priorities)
    component = Component("pm.Uplink", Settings("lindau", {"air-1": "air_quality"}, tmp_path), Bus())  # type: ignore[arg-type]
    kept = DeadLetterStore(tmp_path / "dead-letters.sqlite")
    uplink = Uplink(
        component,
        Admission("lindau", component.settings.devices),
        outbox,
        kept,
        Journal(tmp_path / "journal", "uplink"),
    )
    outbox.take(9)
    uplink._put_damaged_aside()
    uplink.update_counters()
    counters = component.counters.snapshot()
    assert (counters["damaged"], counters["damaged_files"], counters["journal_damaged"]) == (1, 1, 1)
    letters = [decode(taken.payload, DeadLetter) for taken in outbox.take(9)]
    assert [letter.topic for letter in letters] == [lost[0], "journal/uplink-1", "dead-letters.sqlite"]
    with sqlite3.connect(tmp_path / "dead-letters.sqlite") as database:
        found = [reason for (reason,) in database.execute("SELECT reason FROM dead_letter")]
    database.close()
    assert found == [letter.reason for letter in letters]
    assert "in the outbox is damaged: its checksum is" in found[0]
    assert outbox.depth == 3, "the damaged row is gone"
    outbox.close()


def test_damage_anywhere_in_the_dead_letters_ends_nobody(tmp_path):
    whole = tmp_path / "whole.sqlite"
    store = DeadLetterStore(whole)
    store.keep(dead_letter("lindau", "pm.Uplink", *message, "for a test") for message in sorted(SENT))
    store.close()
    content, dice, raised = whole.read_bytes(), random.Random(13), []
    for trial in range(150):
        path = tmp_path / str(trial) / "dead-letters.sqlite"
        path.parent.mkdir()
        path.write_bytes(flipped(content, dice))
        try:
            store = DeadLetterStore(path)
            store.keep([dead_letter("lindau", "pm.Uplink", "pm/lindau/x", b"", "for a test")])
            store.close()
        except Exception as error:
            raised.append(f"{trial}: {type(error).__name__}: {error}")
    assert raised == []


def test_damage_anywhere_in_a_journal_costs_what_it_hits_and_the_rest_is_recovered(tmp_path):
    messages = sorted(SENT)
    whole = tmp_path / "whole"
    journal = Journal(whole, "uplink")
    for number, message in enumerate(messages):
        journal.append(float(number), *message)
    journal.close()
    content, dice = (whole / "uplink-1").read_bytes(), random.Random(13)
    raised, lost_more, altered = [], 0, 0
    for trial in range(300):
        directory = tmp_path / str(trial)
        directory.mkdir()
        (directory / "uplink-1").write_bytes(flipped(content, dice))
        try:
            found = [(entry.topic, entry.payload) for entry in Journal(directory, "uplink").recovered()]
        except Exception as error:
            raised.append(f"{trial}: {type(error).__name__}: {error}")
            continue
        altered += not set(found) <= SENT
        lost_more += len(found) < len(messages) - 2  # 64 bytes hit two messages at most, or three short ones
    assert (raised, altered) == ([], 0)
    assert lost_more <= 2


def states() -> dict[str, dict[str, object]]:
    """A state of a forecaster and of a fault detector, after some readings."""
    air = list(sources.readings("lindau", {"air-1": "air_quality"}, end=sources.START + dt.timedelta(hours=50)))
    forecaster = Forecaster("lindau", "air-1")
    for reading in air:
        forecaster.observe(reading)
    machines = {
        f"machine-{number}": {"latest": "2026-01-01T00:00:00Z", "latest_sequence": number} for number in range(9)
    }
    states = {
        "forecaster": {"air-1": forecaster.state()},
        "fault_detector": FaultDetector("lindau", None, machines).state(),
    }
    restored: dict[str, dict[str, object]] = json.loads(json.dumps(states))
    return restored


def test_damage_anywhere_in_a_state_gives_the_state_or_none_and_is_said(tmp_path):
    dice = random.Random(13)
    raised, altered = [], 0
    for name, state in states().items():
        path = tmp_path / f"{name}.json"
        StateFile(path).save(state)
        content = path.read_bytes()
        for trial in range(300):
            path.write_bytes(flipped(content, dice))
            try:
                file = StateFile(path)
                found = file.load()
                altered += found not in ({}, state)
                if name == "forecaster":
                    Forecaster("lindau", "air-1", None, found.get("air-1"))
                else:
                    FaultDetector("lindau", None, found)
            except Exception as error:
                raised.append(f"{name} {trial}: {type(error).__name__}: {error}")
                continue
            assert [damaged.name for damaged in file.damaged] == ([path.name] if found == {} else [])
            assert path.exists() == (found != {})
    assert (len(raised), altered) == (0, 0), raised


def test_a_state_of_the_version_before_is_read(tmp_path):
    path = tmp_path / "forecaster.json"
    for state in states().values():
        path.write_bytes(msgspec.json.encode(state))
        file = StateFile(path)
        assert (file.load(), file.damaged) == (state, [])


def test_a_state_nested_without_end_is_put_aside(tmp_path):
    path = tmp_path / "forecaster.json"
    path.write_bytes(b'{"a":' * 200_000)
    assert StateFile(path).load() == {}
    assert path.with_name("forecaster.json.damaged").exists()


@pytest.mark.parametrize("half", [b"\\ud800", b"\xed\xa0\x80"])
def test_a_state_with_half_of_a_character_is_put_aside(tmp_path, half):
    path = tmp_path / "forecaster.json"
    path.write_bytes(b'{"air-1": {"model_version": "%b"}}' % half)
    assert StateFile(path).load() == {}
    assert path.with_name("forecaster.json.damaged").exists()


def test_a_component_publishes_the_dead_letter_of_a_state_that_it_could_not_use(tmp_path):
    path = tmp_path / "state" / "forecaster.json"
    path.parent.mkdir()
    path.write_bytes(b'{"air-1": 1')
    bus = Bus()
    component = Component("pm.Forecaster", Settings("lindau", {}, tmp_path), bus)  # type: ignore[arg-type]
    checkpoint = Checkpoint(component, "forecaster")
    assert checkpoint.load() == {}
    checkpoint.tell_damage()
    checkpoint.tell_damage()
    [(topic, payload)] = bus.published
    letter = decode(payload, DeadLetter)
    assert (topic, letter.topic) == ("pm/lindau/dead-letter", "forecaster.json")
    assert base64.b64decode(letter.payload) == b'{"air-1": 1'
    assert component.counters.snapshot()["damaged_files"] == 1
