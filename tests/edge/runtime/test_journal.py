"""The journal on real files: what survives a process, damage at any byte, and a disk that takes no more.

Not proved here: what a power cut leaves; the journal does not wait for the disk.
"""

import errno
import os
from pathlib import Path

import pytest

from pm_edge.runtime.journal import Entry, Journal

MESSAGES = [(float(number), f"pm/lindau/air-{number}/reading", b"x" * number * 100) for number in range(5)]


def written(directory: Path, messages: list[tuple[float, str, bytes]] = MESSAGES) -> Journal:
    journal = Journal(directory, "uplink")
    for message in messages:
        journal.append(*message)
    return journal


def test_the_next_process_finds_what_was_not_forgotten_in_its_order(tmp_path):
    journal = written(tmp_path, MESSAGES[:3])
    boundary = journal.rotate()
    assert journal.rotate() == boundary, "an empty generation needs no successor"
    assert journal.append(*MESSAGES[3]) == boundary
    journal.forget(boundary)
    journal.append(*MESSAGES[4])
    # No close: the process is gone.
    later = Journal(tmp_path, "uplink")
    assert later.recovered() == [Entry(boundary, *MESSAGES[3]), Entry(boundary, *MESSAGES[4])]
    generation = later.append(*MESSAGES[0])
    assert generation > boundary
    assert len(later.recovered()) == 2, "its own messages are not recovered"
    assert [entry.generation for entry in Journal(tmp_path, "uplink").recovered()] == [boundary, boundary, generation]
    later.forget(later.rotate())
    assert list(tmp_path.iterdir()) == []


def test_journals_of_other_names_are_left_alone(tmp_path):
    written(tmp_path)
    other = Journal(tmp_path, "up")
    assert other.recovered() == []
    other.forget(99)
    assert len(Journal(tmp_path, "uplink").recovered()) == len(MESSAGES)


def test_a_journal_cut_at_any_byte_gives_whole_messages_only(tmp_path):
    written(tmp_path)
    [path] = tmp_path.iterdir()
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        found = [entry[1:] for entry in Journal(tmp_path, "uplink").recovered()]
        assert found == MESSAGES[: len(found)]
        assert len(found) < len(MESSAGES)
    # Blocks that a power cut has left as zeros.
    path.write_bytes(content[:200] + bytes(len(content) - 200))
    assert [entry[1:] for entry in Journal(tmp_path, "uplink").recovered()] == MESSAGES[:2]


def test_a_disk_that_takes_no_more_is_said_once_and_leaves_no_half_message(tmp_path, monkeypatch, caplog):
    journal = written(tmp_path, MESSAGES[:1])
    real = os.write

    def half(file: int, record: bytes) -> int:
        return real(file, record[: len(record) // 2])

    def full(file: int, record: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for failing in (half, full):
        monkeypatch.setattr(os, "write", failing)
        journal.append(*MESSAGES[1])
    monkeypatch.setattr(os, "write", real)
    journal.append(*MESSAGES[2])
    assert journal.missed == 2
    assert [entry[1:] for entry in Journal(tmp_path, "uplink").recovered()] == [MESSAGES[0], MESSAGES[2]]
    assert [record.message.split(":")[0] for record in caplog.records] == ["the journal is not written"]


def test_what_a_read_only_disk_does_not_let_go_of_ends_nobody_and_comes_again(tmp_path, monkeypatch):
    journal = written(tmp_path, MESSAGES)

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", read_only)
        journal.forget(journal.rotate())
    assert [entry[1:] for entry in Journal(tmp_path, "uplink").recovered()] == MESSAGES


def test_a_folder_that_cannot_be_made_costs_only_the_safety(tmp_path):
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file" / "journal", "uplink")
    journal.append(*MESSAGES[0])
    assert journal.missed == 1
    journal.forget(journal.rotate())
    with pytest.raises(NotADirectoryError):
        (tmp_path / "file" / "journal").iterdir().__next__()
