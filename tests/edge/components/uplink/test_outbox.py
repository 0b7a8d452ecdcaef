"""The outbox and its store against real SQLite files.

The state machine offers, repeats, takes, acknowledges out of order, loses connections, crashes and fills the disk in
any order, and holds the outbox to a model. It crashes by abandoning an open outbox; the crash of a process under way
has a test of its own. Not proved here: what a power cut leaves, which is SQLite's `synchronous = FULL` to keep.
"""

import hashlib
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pm_edge.components.uplink import outbox as outbox_module
from pm_edge.components.uplink import store as store_module
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.store import OVERHEAD, Outgoing, Store

PRIORITIES = (0, 1, 2)
PLENTY = 10**9


def outgoing(number: int, priority: int = 2, size: int = 10) -> Outgoing:
    message_id = hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()
    return Outgoing(message_id, priority, f"pm/lindau/air-1/{number}", b"x" * size)


def fill_disk(outbox: Outbox, full: bool) -> None:
    """Make SQLite answer a write with "database or disk is full", as a full disk does, or end that."""
    database = outbox._disk._database
    (used,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {used if full else 2**30}")


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "outbox.sqlite"
        self.outbox = Outbox(self.path, PLENTY, PRIORITIES)
        self.offered: dict[str, Outgoing] = {}
        self.delivered: list[str] = []
        self.under_way: dict[int, str] = {}
        self.full = False

    @rule(numbers=st.lists(st.integers(0, 60), max_size=8), size=st.sampled_from([10, 3000]))
    def offer(self, numbers, size):
        batch = [outgoing(number, number % len(PRIORITIES), size) for number in numbers]
        repeated = self.outbox.counters["repeated"]
        new = {message.message_id: message for message in batch if message.message_id not in self.offered}
        self.outbox.write(batch)
        self.offered |= new
        assert self.outbox.counters["repeated"] - repeated == len(batch) - len(new)

    @rule(limit=st.integers(0, 10))
    def take(self, limit):
        taken = self.outbox.take(limit)
        assert len(taken) <= limit
        by_topic = {message.topic: message for message in self.offered.values()}
        for message in taken:
            message_id = by_topic[message.topic].message_id
            assert message_id not in self.delivered, "handed out again after it was noted as delivered"
            assert message_id not in self.under_way.values(), "handed out twice"
            self.under_way[message.key] = message_id
        priorities = [by_topic[message.topic].priority for message in taken]
        assert priorities == sorted(priorities)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def acknowledge(self, data):
        keys = data.draw(st.lists(st.sampled_from(sorted(self.under_way)), unique=True, min_size=1))
        self.outbox.write([], keys)
        for key in keys:
            self.delivered.append(self.under_way.pop(key))

    @rule()
    def lose_the_connection(self):
        self.outbox.put_back()
        self.under_way.clear()

    @precondition(lambda self: not self.full)
    @rule()
    def crash(self):
        self.outbox.write([])  # what waits in memory since the disk was full is not expected to survive a crash
        if self.outbox.counters["in_memory"]:
            return
        self.outbox = Outbox(self.path, PLENTY, PRIORITIES)
        self.under_way.clear()

    @rule(full=st.booleans())
    def change_disk(self, full):
        self.full = full
        fill_disk(self.outbox, full)

    @invariant()
    def nothing_is_lost_or_doubled(self):
        assert len(set(self.delivered)) == len(self.delivered)
        assert self.outbox.depth >= len(self.offered) - len(self.delivered)

    def teardown(self):
        fill_disk(self.outbox, False)
        self.outbox.write([])
        self.outbox.put_back()
        self.under_way.clear()
        while taken := self.outbox.take(7):
            topics = {message.topic: message.message_id for message in self.offered.values()}
            self.delivered += [topics[message.topic] for message in taken]
            self.outbox.write([], [message.key for message in taken])
        assert self.outbox.depth == 0
        assert sorted(self.delivered) == sorted(self.offered)
        self.outbox.close()
        self.directory.cleanup()


@pytest.fixture(autouse=True)
def retry_at_once(monkeypatch):
    monkeypatch.setattr(outbox_module, "_RETRY_SECONDS", 0.0)


OutboxMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestOutboxMachine = pytest.mark.usefixtures("retry_at_once")(OutboxMachine.TestCase)


def test_alerts_leave_first_and_readings_in_their_order(tmp_path):
    outbox = Outbox(tmp_path / "outbox.sqlite", PLENTY, PRIORITIES)
    outbox.write([outgoing(1), outgoing(2), outgoing(3, 0), outgoing(4, 1), outgoing(5)])
    assert [message.topic[-1] for message in outbox.take(10)] == ["3", "4", "1", "2", "5"]
    assert outbox.take(10) == []
    outbox.put_back()
    assert [message.topic[-1] for message in outbox.take(2)] == ["3", "4"]


def test_past_its_size_the_oldest_of_the_last_priority_go_and_are_counted(tmp_path):
    outbox = Outbox(tmp_path / "outbox.sqlite", 10 * (OVERHEAD + 1000), PRIORITIES)
    size = 1000 - len("pm/lindau/air-1/10")
    outbox.write([outgoing(number, 2, size) for number in range(10, 18)] + [outgoing(20, 0, size)])
    assert outbox.counters["dropped"] == 0
    outbox.write([outgoing(number, 1, size) for number in range(30, 34)])
    assert outbox.counters["dropped"] == 3
    assert [message.topic[-2:] for message in outbox.take(99)] == [
        "20",
        "30",
        "31",
        "32",
        "33",
        "13",
        "14",
        "15",
        "16",
        "17",
    ]
    # What was dropped is no repeat when it comes again.
    outbox.put_back()
    outbox.write([outgoing(10, 2, size)])
    assert (outbox.counters["accepted"], outbox.counters["repeated"]) == (14, 0)


def test_a_message_alone_too_large_for_what_is_left_goes_itself_rather_than_an_alert(tmp_path):
    outbox = Outbox(tmp_path / "outbox.sqlite", 2000, PRIORITIES)
    outbox.write([outgoing(1, 0, 1500)])
    outbox.write([outgoing(2, 2, 1500)])
    assert [message.topic[-1] for message in outbox.take(9)] == ["1"]
    assert outbox.counters["dropped"] == 1


def test_a_repeat_is_recognised_after_delivery_and_a_restart_until_it_is_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "REMEMBERED", 5)
    monkeypatch.setattr(store_module, "_PRUNE_STEP", 0)
    store = Store(str(tmp_path / "outbox.sqlite"), PLENTY, PRIORITIES)
    for number in range(20):
        store.write([outgoing(number)])
        store.write([], [message.key for message in store.take(2, 1)])
    store.close()
    store = Store(str(tmp_path / "outbox.sqlite"), PLENTY, PRIORITIES)
    assert store.depth == 0
    assert store.write([outgoing(number) for number in range(15, 20)]).repeated == 5
    assert store.write([outgoing(number) for number in range(15)]).accepted == 15


def test_with_a_full_disk_messages_wait_in_memory_leave_from_there_and_move_to_the_disk_later(tmp_path, caplog):
    outbox = Outbox(tmp_path / "outbox.sqlite", PLENTY, PRIORITIES)
    outbox.write([outgoing(1)])
    fill_disk(outbox, True)
    outbox.write([outgoing(number, 2, 3000) for number in range(2, 12)])
    assert outbox.counters["in_memory"] == 10
    assert outbox.counters["accepted"] == 11
    taken = outbox.take(4)
    assert [message.topic.rsplit("/")[-1] for message in taken] == ["1", "2", "3", "4"]
    outbox.write([outgoing(1), outgoing(5)], [message.key for message in taken[:2]])
    assert outbox.counters["repeated"] == 2
    assert outbox.depth == 9 + 1, "the delivery of what the disk holds is noted when it takes it"

    fill_disk(outbox, False)
    outbox.write([])
    assert outbox.depth == 9
    outbox.write([], [message.key for message in taken[2:]])
    assert (outbox.depth, outbox.counters["in_memory"]) == (7, 0)
    outbox.close()
    assert Outbox(tmp_path / "outbox.sqlite", PLENTY, PRIORITIES).depth == 7
    said = [record.message for record in caplog.records]
    assert len(said) == 2, said
    assert "database or disk is full" in said[0]
    assert "takes messages again" in said[1]


def test_a_damaged_file_is_kept_aside_and_a_new_one_begun(tmp_path, caplog):
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"this is no database at all, but long enough to look like a header" * 100)
    outbox = Outbox(path, PLENTY, PRIORITIES)
    outbox.write([outgoing(1)])
    assert outbox.depth == 1
    [aside] = tmp_path.glob("outbox.sqlite.damaged-*")
    assert aside.read_bytes().startswith(b"this is no database")
    assert "is damaged" in caplog.text


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_outbox import PLENTY, PRIORITIES, outgoing
from pm_edge.components.uplink.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]), PLENTY, PRIORITIES)
number = 0
while True:
    outbox.write([outgoing(n) for n in range(number, number + 10)])
    number += 10
    taken = outbox.take(3)
    outbox.write([], [message.key for message in taken])
    print(number, len(taken), flush=True)
"""


def test_a_process_killed_while_it_writes_has_kept_all_it_said_it_had(tmp_path):
    path = tmp_path / "outbox.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    written = delivered = 0
    for _ in range(40):
        number, taken = map(int, process.stdout.readline().split())
        written, delivered = number, delivered + taken
    process.send_signal(signal.SIGKILL)
    for line in process.stdout.read().splitlines():
        if len(line.split()) == 2:
            written, delivered = int(line.split()[0]), delivered + int(line.split()[1])
    process.wait()
    outbox = Outbox(path, PLENTY, PRIORITIES)
    # The kill may have come after a commit and before its line: then there is one batch more, or one delivery.
    assert written - delivered - 3 <= outbox.depth <= written - delivered + 10
    repeated = outbox.counters["repeated"]
    outbox.write([outgoing(number) for number in range(written)])
    assert outbox.counters["repeated"] - repeated == written, "some that were said to be kept are not"
