"""The outbox's file after a power cut, and its growth.

A power cut is simulated by cutting the write-ahead log at any byte, or by zeros or noise in place of its end: what a
disk may leave that was not asked to sync. Not proved here: that a real disk keeps what it says it has synced.
"""

import hashlib
import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from pm_edge.components.uplink import outbox as outbox_module
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.store import OVERHEAD, Outgoing

PRIORITIES = (0, 1, 2, 3)
PLENTY = 10**9
MEBIBYTE = 1024 * 1024


def outgoing(number: int, priority: int = 3, size: int = 300) -> Outgoing:
    message_id = hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()
    return Outgoing(message_id, priority, "pm/lindau/air-1/reading", b"%d " % number + b"x" * size)


def numbers_in(outbox: Outbox) -> frozenset[int]:
    """The messages that wait, all of them taken."""
    return frozenset(int(taken.payload.split()[0]) for taken in outbox.take(10**6))


def history(path: Path, checkpoint_at: int) -> tuple[bytes, bytes, list[frozenset[int]]]:
    """Write and deliver in forty commits; the file and its log as they are then, and what waited after each commit."""
    outbox = Outbox(path, PLENTY, PRIORITIES)
    outbox._disk._database.execute("PRAGMA wal_autocheckpoint = 0")
    waiting: set[int] = set()
    snapshots = [frozenset(waiting)]
    for commit in range(40):
        arrived = range(commit * 5, commit * 5 + 5)
        taken = outbox.take(3)
        outbox.write([outgoing(number, number % 4) for number in arrived], [message.key for message in taken])
        waiting |= set(arrived)
        waiting -= {int(message.payload.split()[0]) for message in taken}
        snapshots.append(frozenset(waiting))
        if commit == checkpoint_at:
            outbox._disk._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            snapshots = snapshots[-1:]
    # Taken while it is open: the last to close a database brings its log home.
    return path.read_bytes(), path.with_name(f"{path.name}-wal").read_bytes(), snapshots


@pytest.mark.parametrize("checkpoint_at", [-1, 15])
def test_a_log_cut_anywhere_leaves_the_outbox_as_it_was_after_some_commit(tmp_path, checkpoint_at):
    content, log, snapshots = history(tmp_path / "outbox.sqlite", checkpoint_at)
    dice = random.Random(4)
    found: set[int] = set()
    for trial in range(60):
        copy = tmp_path / f"after-{trial}"
        copy.mkdir()
        (copy / "outbox.sqlite").write_bytes(content)
        cut = dice.randrange(len(log)) if trial else len(log)
        rest = (b"", bytes(len(log) - cut), dice.randbytes(len(log) - cut))[trial % 3]
        (copy / "outbox.sqlite-wal").write_bytes(log[:cut] + rest)
        outbox = Outbox(copy / "outbox.sqlite", PLENTY, PRIORITIES)
        assert outbox._disk._database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        depth = outbox.depth
        waiting = numbers_in(outbox)
        assert waiting in snapshots, "it holds something else than after any commit"
        assert depth == len(waiting)
        found.add(snapshots.index(waiting))
        # It goes on from there: what its sources send again is taken, known or not, and all of it leaves.
        outbox.put_back()
        outbox.write([outgoing(number, number % 4) for number in range(200)])
        assert numbers_in(outbox) >= snapshots[-1]
        outbox.close()
        shutil.rmtree(copy)
    assert len(snapshots) - 1 in found, "the whole log gives the whole outbox"
    assert len(found) > 15, "the cuts fell on too few commits to say anything"


def test_an_arrival_waits_for_the_disk_and_a_note_of_delivery_alone_does_not(tmp_path):
    outbox = Outbox(tmp_path / "outbox.sqlite", PLENTY, PRIORITIES)
    said: list[str] = []
    outbox._disk._database.set_trace_callback(said.append)

    def synchronous() -> str:
        [setting] = (each.rpartition(" ")[2] for each in said if each.startswith("PRAGMA synchronous"))
        assert said.index("BEGIN IMMEDIATE") > said.index(f"PRAGMA synchronous = {setting}")
        said.clear()
        return setting

    outbox.write([outgoing(number) for number in range(4)])
    assert synchronous() == "FULL"
    first, second = (taken.key for taken in outbox.take(2))
    said.clear()
    outbox.write([], [first])
    assert synchronous() == "NORMAL"
    outbox.write([outgoing(4)], [second])
    assert synchronous() == "FULL"


def test_the_file_stays_within_its_bound_and_a_stated_allowance_while_full_and_over_many_deliveries(tmp_path):
    maximum = 4 * MEBIBYTE
    outbox = Outbox(tmp_path / "outbox.sqlite", maximum, PRIORITIES)
    largest = 0

    def note_size() -> None:
        nonlocal largest
        largest = max(largest, sum(path.stat().st_size for path in tmp_path.iterdir()))

    sizes = (300, 300, 300, 3500)
    for start in range(0, 20_000, 500):
        outbox.write([outgoing(number, 3, sizes[number % 4]) for number in range(start, start + 500)])
        note_size()
    kept = outbox.depth
    assert outbox.counters["dropped"] == 20_000 - kept
    held = sorted(numbers_in(outbox))
    assert held == list(range(20_000 - kept, 20_000)), "the oldest went, and only they"
    waiting_bytes = sum(len(outgoing(n, 3, sizes[n % 4]).payload) + 23 + OVERHEAD for n in held)
    assert maximum - 4_000 < waiting_bytes <= maximum
    outbox.put_back()
    for start in range(20_000, 50_000, 500):
        outbox.write([outgoing(number, 3, sizes[number % 4]) for number in range(start, start + 500)])
        outbox.write([], [taken.key for taken in outbox.take(5_000)])
        note_size()
    assert outbox.depth == 0
    # A fifth for half-filled pages; the log; the ids of what was delivered, 100,000 of them at most.
    assert largest <= maximum * 1.2 + 8 * MEBIBYTE + 50_000 * 100


def test_what_is_already_bounded_holds_after_a_restart_with_a_smaller_bound(tmp_path):
    outbox = Outbox(tmp_path / "outbox.sqlite", PLENTY, PRIORITIES)
    outbox.write([outgoing(number, 3, 1000) for number in range(1000)] + [outgoing(5000, 0, 1000)])
    outbox.close()
    outbox = Outbox(tmp_path / "outbox.sqlite", 100_000, PRIORITIES)
    outbox.write([outgoing(2000, 3, 1000)])
    waiting = numbers_in(outbox)
    assert {2000, 5000} <= waiting
    assert len(waiting) <= 100_000 // 1000


def test_a_clock_that_jumps_changes_neither_order_nor_what_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(outbox_module, "_RETRY_SECONDS", 0.0)
    path = tmp_path / "outbox.sqlite"
    now = time.time()
    for number, moment in enumerate((now, now - 40 * 365 * 86_400, now + 40 * 365 * 86_400, 0.0)):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        outbox = Outbox(path, PLENTY, PRIORITIES)
        outbox.write([outgoing(number)])
        outbox.write([outgoing(number)])
        assert outbox.counters["repeated"] == 1
        outbox.close()
    outbox = Outbox(path, PLENTY, PRIORITIES)
    assert [int(taken.payload.split()[0]) for taken in outbox.take(10)] == [0, 1, 2, 3]


def test_an_outbox_whose_file_was_cut_in_the_middle_is_put_aside_whole(tmp_path, caplog):
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, PLENTY, PRIORITIES)
    outbox.write([outgoing(number) for number in range(500)])
    outbox.close()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    outbox = Outbox(path, PLENTY, PRIORITIES)
    outbox.write([outgoing(1)])
    assert numbers_in(outbox) >= {1}
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    [aside] = (found for found in tmp_path.glob("outbox.sqlite.damaged-*") if found.name[-1].isdigit())
    assert aside.read_bytes() == content[: len(content) // 2]
    assert "is damaged" in caplog.text


def test_whatever_page_is_damaged_the_next_start_goes_on_with_a_new_file(tmp_path):
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, PLENTY, PRIORITIES)
    # Larger than a page, so that some pages hold nothing but the rest of a payload.
    outbox.write([outgoing(number, size=5_000) for number in range(10)])
    outbox.close()
    content = path.read_bytes()
    pages = range(0, len(content), 4096)
    assert len(pages) >= 20
    for start in pages:
        path.write_bytes(content[:start] + b"\xa5" * 4096 + content[start + 4096 :])
        outbox = Outbox(path, PLENTY, PRIORITIES)
        outbox.write([outgoing(number) for number in range(5, 15)])
        assert numbers_in(outbox) >= set(range(5, 15)), start
        outbox.close()


def test_a_file_with_other_tables_is_put_aside_whole(tmp_path, caplog):
    path = tmp_path / "outbox.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, payload BLOB)")
        database.execute("INSERT INTO message VALUES (1, 'one')")
    database.close()
    outbox = Outbox(path, PLENTY, PRIORITIES)
    outbox.write([outgoing(1)])
    assert numbers_in(outbox) == {1}
    [aside] = tmp_path.glob("outbox.sqlite.damaged-*")
    with sqlite3.connect(aside) as database:
        assert database.execute("SELECT payload FROM message").fetchall() == [("one",)]
    assert "its tables have layout 0, and 2 is read here" in caplog.text
