"""The uplink within its budgets: resident memory of the real process, and its files with their logs.

Not proved here: the memory of a process whose disk is full for long, and another allocator than this machine's.
"""

import datetime as dt
import json
import re
import sqlite3
from pathlib import Path

import pytest

from pm_contracts import budgets, topics
from pm_contracts.messages import Status, encode
from pm_edge.components.uplink import dead_letter_store
from pm_edge.components.uplink.admission import Priority
from pm_edge.components.uplink.dead_letter_store import DeadLetterStore
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.store import Outgoing
from pm_edge.runtime.dead_letters import dead_letter
from pm_edge.runtime.mqtt_bus import MqttBus
from tests.edge.silent_broker import make_identity
from tests.waiting import eventually


def peak_bytes(pid: int) -> int:
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


@pytest.fixture
def mouth(local_broker, site):
    bus = MqttBus("127.0.0.1", local_broker, f"mouth-{site}")
    yield bus
    bus.close()


def sizes(directory: Path, name: str) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in directory.glob(f"{name}*")}


def test_large_messages_and_made_up_statuses_keep_the_process_within_its_memory(floor, mouth, site, tmp_path):
    make_identity(tmp_path / "identity")
    process = floor.start("pm_edge.components.uplink", AWS_IOT_THING_NAME="x-core", PM_IOT_ENDPOINT="127.0.0.1:1")
    eventually(lambda: (tmp_path / "outbox.sqlite").exists(), "the uplink")
    topic = topics.device_topic(site, "machine-01", topics.READING)
    for number in range(1_000):
        mouth.publish(topic, b"%d" % number + b"x" * 250_000)
    for number in range(500):
        letter = dead_letter(site, "pm.Replayer", f"row {number}", b"x" * 10**6, "for a test")
        mouth.publish(topics.site_topic(site, topics.DEAD_LETTER), encode(letter))
    counters = {f"{number:0100}": number for number in range(1_000)}
    for number in range(3_000):
        name, now = f"made.Up{number}", dt.datetime.now(dt.UTC)
        status = Status(site=site, component=name, reported_at=now, state="idle", counters=counters)
        mouth.publish(topics.site_topic(site, topics.STATUS), encode(status))
    # The broker acknowledges what its subscribers have acknowledged: the uplink has taken all of it.
    assert mouth.flush(120)
    assert process.poll() is None, floor.log("pm_edge.components.uplink")
    assert peak_bytes(process.pid) < budgets.PROCESS_BYTES["pm.Uplink"]
    assert sum(sizes(tmp_path, "dead-letters.sqlite").values()) <= budgets.DEAD_LETTER_STORE_BYTES
    assert sizes(tmp_path, "outbox.sqlite")["outbox.sqlite-wal"] <= budgets.WAL_BYTES
    assert sum(path.stat().st_size for path in (tmp_path / "journal").iterdir()) <= budgets.JOURNAL_BYTES


def test_the_dead_letters_keep_to_their_budget_with_the_log_and_keep_the_latest(tmp_path):
    store = DeadLetterStore(tmp_path / "dead-letters.sqlite")
    largest = 0
    for start in range(0, 1_200, 100):
        store.keep(
            dead_letter("lindau", "pm.Uplink", f"topic/{number}", b"%d" % number + b"x" * 10**6, "why")
            for number in range(start, start + 100)
        )
        largest = max(largest, sum(sizes(tmp_path, "dead-letters.sqlite").values()))
    store.close()
    assert largest <= budgets.DEAD_LETTER_STORE_BYTES
    with sqlite3.connect(tmp_path / "dead-letters.sqlite") as database:
        kept = [topic for (topic,) in database.execute("SELECT topic FROM dead_letter ORDER BY id")]
    database.close()
    assert kept == [f"topic/{number}" for number in range(1_200 - len(kept), 1_200)]
    assert len(kept) * 114_000 > budgets.DEAD_LETTER_STORE_BYTES / 2


def test_a_file_of_the_version_before_that_is_too_large_is_made_smaller(tmp_path, monkeypatch):
    path = tmp_path / "dead-letters.sqlite"
    with monkeypatch.context() as before:
        before.setattr(dead_letter_store, "FILE_BYTES", 10**9)
        store = DeadLetterStore(path)
        store.keep(dead_letter("lindau", "pm.Uplink", f"{number}", b"x" * 10**6, "why") for number in range(700))
        store.close()
    assert path.stat().st_size > budgets.DEAD_LETTER_STORE_BYTES
    store = DeadLetterStore(path)
    assert sum(sizes(tmp_path, "dead-letters.sqlite").values()) <= budgets.DEAD_LETTER_STORE_BYTES
    store.close()
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT topic FROM dead_letter ORDER BY id DESC LIMIT 1").fetchone() == ("699",)
    database.close()


@pytest.mark.parametrize("size", [120_000, 2_100])
def test_the_outbox_keeps_to_its_bytes_on_the_disk_and_its_log_to_its_own(tmp_path, size):
    maximum = 24 * budgets.MEBIBYTE
    outbox = Outbox(tmp_path / "outbox.sqlite", maximum, [int(each) for each in Priority], Priority.DEAD_LETTER)
    batch = min(budgets.BATCH_BYTES // size, 1_000)
    logs, files = [], []
    for start in range(0, 80 * budgets.MEBIBYTE // size, batch):
        outbox.write(
            [
                Outgoing(f"{number:032x}", Priority.READING, "pm/lindau/air-1/reading", b"x" * size)
                for number in range(start, start + batch)
            ]
        )
        if start % 3 == 0:
            outbox.write([], [taken.key for taken in outbox.take(batch)])
        found = sizes(tmp_path, "outbox.sqlite")
        logs.append(found["outbox.sqlite-wal"])
        files.append(found["outbox.sqlite"])
    assert outbox.counters["dropped"] > 0
    outbox.close()
    assert max(logs) <= budgets.WAL_BYTES
    assert max(files) <= maximum * 1.2 + budgets.OUTBOX_BESIDE_BYTES


def test_what_waited_in_memory_moves_to_the_disk_in_small_transactions(tmp_path, monkeypatch):
    outbox = Outbox(tmp_path / "outbox.sqlite", 10**9, [int(each) for each in Priority], Priority.DEAD_LETTER)
    database = outbox._disk._database
    (used,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {used}")
    numbers = range(400)
    for number in numbers:
        outbox.write([Outgoing(f"{number:032x}", Priority.READING, f"t/{number}", b"x" * 120_000)])
    assert outbox.counters["in_memory"] == len(numbers)
    database.execute(f"PRAGMA max_page_count = {2**30}")
    monkeypatch.setattr("pm_edge.components.uplink.outbox.time.monotonic", lambda: 10.0**9)
    outbox.write([Outgoing("f" * 32, Priority.READING, "t/last", b"")])
    assert outbox.counters["in_memory"] == 0
    assert sizes(tmp_path, "outbox.sqlite")["outbox.sqlite-wal"] <= budgets.WAL_BYTES
    taken = outbox.take(1_000, 10**9)
    assert [message.topic for message in taken] == [*(f"t/{number}" for number in numbers), "t/last"]
    outbox.close()


def test_a_disk_that_damages_files_again_and_again_is_not_filled_with_them(tmp_path):
    path = tmp_path / "outbox.sqlite"
    for number in range(budgets.DAMAGED_FILES + 3):
        path.write_bytes(b"no database, but long enough to have a header" * 100 + b"%d" % number)
        Outbox(path, 10**6, [0]).close()
    kept = sorted(tmp_path.glob("outbox.sqlite.damaged-*"))
    assert [file.read_bytes()[-1:] for file in kept] == [b"%d" % number for number in range(3, 3 + len(kept))]
    assert len(kept) == budgets.DAMAGED_FILES


def test_a_sum_that_is_damaged_is_passed_over(tmp_path):
    path = tmp_path / "dead-letters.sqlite"
    DeadLetterStore(path).close()
    with sqlite3.connect(path) as database:
        for row in (("a", 1, "x", "y", "{}"), ("b", 1, None, b"\xff", json.dumps({}))):
            database.execute("INSERT OR IGNORE INTO sum VALUES (?, ?, ?, ?, ?)", row)
    database.close()
    store = DeadLetterStore(path)
    assert store.sums() == []
    store.close()
