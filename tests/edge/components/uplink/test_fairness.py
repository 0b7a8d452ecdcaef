"""The uplink beside a device that talks too much: at the pace of AWS IoT Core everybody else's messages go on.

Not proved here: that the client of AWS IoT Core keeps to that pace itself (`test_uplink.py` shows that it delivers).
"""

import base64
import datetime as dt
import sqlite3

import msgspec
import pytest

from pm_contracts import budgets, topics
from pm_contracts.messages import Alert, DeadLetter, Reading, Status, decode, encode
from pm_edge.components.uplink.admission import Priority
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.store import Outgoing
from pm_edge.devices.simulator import sources
from pm_edge.runtime.dead_letters import dead_letter
from tests.edge.components.uplink.plant_floor import DEVICES, SITE, make_floor  # noqa: F401 - a fixture

AIR_TOPIC = topics.device_topic(SITE, "air-1", topics.READING)
MACHINE_TOPIC = topics.device_topic(SITE, "machine-01", topics.READING)
SECONDS = 60


def readings(device: str, count: int) -> list[Reading]:
    stream = sources.readings(SITE, {device: DEVICES[device]})
    few = [next(stream) for _ in range(100)]
    return [msgspec.structs.replace(few[number % 100], sequence=number, message_id="") for number in range(count)]


@pytest.mark.parametrize(("per_second", "size"), [(150, 40), (8, 120_000)])
def test_garbage_of_one_device_keeps_no_reading_of_another_from_going(make_floor, per_second, size):  # noqa: F811
    floor = make_floor()
    sent = readings("air-1", SECONDS * 5)
    for second in range(SECONDS):
        for number in range(per_second):
            floor.uplink.arrived(MACHINE_TOPIC, b"%d %d " % (second, number) + b"x" * size)
        for reading in sent[second * 5 : second * 5 + 5]:
            floor.uplink.arrived(AIR_TOPIC, encode(reading))
        floor.pass_time(1.0)
        # Those of the last second may be behind what is under way.
        assert len(floor.cloud.on(topics.READING)) >= second * 5
    floor.pass_time(2.0)
    assert [decode(payload, Reading) for payload in floor.cloud.on(topics.READING)] == sent
    assert floor.counters["refused"] == SECONDS * per_second


def test_repeated_refusals_of_a_topic_are_one_dead_letter_a_period(make_floor):  # noqa: F811
    floor = make_floor()
    before = dt.datetime.now(dt.UTC)
    for number in range(500):
        floor.uplink.arrived(MACHINE_TOPIC, b"no JSON %d" % number)
        floor.uplink.arrived(f"pm/{SITE}/made-up-{number}/gossip", b"{}")
    floor.pass_time(5.0)
    apart = floor.cloud.letters()
    assert [letter.topic for letter in apart].count(MACHINE_TOPIC) == 1
    assert len(apart) == 1 + budgets.DEAD_LETTERS_OF_A_TOPIC, "anybody can make topics up, so they share"
    assert floor.counters["summed_up"] == 1000 - len(apart)
    floor.pass_time(budgets.DEAD_LETTER_PERIOD_SECONDS)
    machine, made_up = sorted(floor.cloud.letters()[len(apart) :], key=lambda letter: letter.topic != MACHINE_TOPIC)
    assert machine.topic == MACHINE_TOPIC
    assert machine.reason.startswith("499 more on this topic were refused from 20")
    assert "malformed" in machine.reason
    assert base64.b64decode(machine.payload) == b"no JSON 1"
    assert before <= machine.refused_at <= dt.datetime.now(dt.UTC)
    assert f"{500 - budgets.DEAD_LETTERS_OF_A_TOPIC} more on topics that are none of the site's" in made_up.reason
    floor.uplink.arrived(MACHINE_TOPIC, b"again")
    floor.pass_time(1.0)
    assert floor.cloud.letters()[-1].payload == base64.b64encode(b"again").decode(), "a new period"


def test_what_was_counted_and_not_told_is_told_after_a_kill(make_floor):  # noqa: F811
    floor = make_floor()
    for number in range(30):
        floor.uplink.arrived(MACHINE_TOPIC, b"no JSON %d" % number)
    floor.pass_time(1.0)
    assert len(floor.cloud.letters()) == 1
    later = make_floor()  # the other one is gone, without an end
    later.pass_time(1.0)
    [letter] = later.cloud.letters()
    assert letter.reason.startswith("29 more on this topic")
    again = make_floor()
    again.pass_time(1.0)
    assert again.cloud.letters() == []


def test_the_device_keeps_each_refusal_as_far_as_the_pace_goes_and_counts_the_rest(make_floor, tmp_path):  # noqa: F811
    floor = make_floor()
    burst = int(budgets.DEVICE_BURST_SECONDS * budgets.DEVICE_PUBLISHES_PER_SECOND)
    for number in range(burst + 200):
        floor.uplink.arrived(MACHINE_TOPIC, b"no JSON %d" % number)
    floor.pass_time(0.5)
    with sqlite3.connect(tmp_path / "dead-letters.sqlite") as database:
        (kept,) = database.execute("SELECT count(*) FROM dead_letter").fetchone()
    database.close()
    assert burst <= kept < burst + 20
    assert floor.counters["cut"] == burst + 200 - kept
    floor.uplink.update_counters()
    assert "machine-01 sends more than 10 messages" in floor.component._trouble


def test_what_a_device_sends_beyond_its_pace_leaves_after_all_others_and_nothing_is_lost(make_floor):  # noqa: F811
    floor = make_floor()
    flood, sent = readings("machine-01", 3_000), readings("air-1", 100)
    for reading in flood:
        floor.uplink.arrived(MACHINE_TOPIC, encode(reading))
    floor.pass_time(1.0)
    for second in range(20):
        for reading in sent[second * 5 : second * 5 + 5]:
            floor.uplink.arrived(AIR_TOPIC, encode(reading))
        floor.pass_time(1.0)
    of_air = [payload for topic, payload in floor.cloud.took if topic == AIR_TOPIC]
    # The burst of the machine was there before, and is within its pace.
    assert len(of_air) >= 50
    assert floor.counters["beyond_pace"] > 2_000
    floor.pass_time(60.0)
    assert [payload for topic, payload in floor.cloud.took if topic == AIR_TOPIC] == [encode(each) for each in sent]
    of_machine = [payload for topic, payload in floor.cloud.took if topic == MACHINE_TOPIC]
    assert sorted(of_machine) == sorted(encode(each) for each in flood)


def test_an_alert_waits_for_no_more_than_is_under_way(make_floor):  # noqa: F811
    floor = make_floor()
    letters = [dead_letter(SITE, "pm.Replayer", f"row {number}", b"x" * 10**6, "a long row") for number in range(40)]
    for letter in letters:
        floor.uplink.arrived(topics.site_topic(SITE, topics.DEAD_LETTER), encode(letter))
    floor.pass_time(0.3)
    alert = Alert(
        site=SITE, device="machine-01", cause="fault", severity="critical", state="active",
        raised_at=dt.datetime.now(dt.UTC), dedupe_key="fault/machine-01", text="machine-01 is faulty.",
    )  # fmt: skip
    floor.uplink.arrived(topics.site_topic(SITE, topics.ALERT), encode(alert))
    floor.pass_time(3.0)
    assert floor.cloud.on(topics.ALERT) == [encode(alert)]
    assert len(floor.cloud.letters()) < len(letters)


def test_made_up_statuses_take_neither_the_pace_nor_the_memory(make_floor):  # noqa: F811
    floor = make_floor()
    topic = topics.site_topic(SITE, topics.STATUS)

    def status(component: str, size: int = 0) -> bytes:
        counters = {f"{number:050}": number for number in range(size // 60)}
        return encode(
            Status(
                site=SITE, component=component, reported_at=dt.datetime.now(dt.UTC), state="running", counters=counters
            )
        )

    for number in range(300):
        floor.uplink.arrived(topic, status(f"made.Up{number}"))
    floor.uplink.arrived(topic, status("made.Up0", 100_000))
    for _ in range(20):
        floor.uplink.arrived(topic, status("pm.Forecaster"))
    sent = readings("air-1", 50)
    for reading in sent:
        floor.uplink.arrived(AIR_TOPIC, encode(reading))
    floor.pass_time(20.0)
    assert floor.counters["refused"] == 300 - budgets.STATUS_NAMES + 1
    told = [decode(payload, Status).component for payload in floor.cloud.told]
    assert told.count("pm.Forecaster") == 1
    assert len(told) == budgets.STATUS_NAMES + 1
    assert len(floor.cloud.on(topics.READING)) == len(sent)


def outgoing(letter: DeadLetter, priority: int) -> Outgoing:
    return Outgoing(letter.message_id, priority, topics.site_topic(SITE, topics.DEAD_LETTER), encode(letter))


def test_an_outbox_of_the_version_before_with_its_dead_letters_is_emptied(make_floor, tmp_path):  # noqa: F811
    before = Outbox(tmp_path / "outbox.sqlite", 10**8, [0, 1, 2, 3])
    letters = [dead_letter(SITE, "pm.Uplink", "t", b"%d" % number, "why") for number in range(20)]
    before.write([outgoing(letter, Priority.OUTCOME) for letter in letters])
    before.close()
    floor = make_floor()
    floor.uplink.arrived(MACHINE_TOPIC, b"no JSON")
    floor.pass_time(2.0)
    assert floor.cloud.letters()[:20] == letters
    assert len(floor.cloud.letters()) == 21
    assert floor.outbox.depth == 0
    assert list(tmp_path.glob("*.damaged-*")) == []


def test_a_full_outbox_lets_dead_letters_go_first_the_oldest_before_the_others(tmp_path):
    outbox = Outbox(tmp_path / "outbox.sqlite", 100_000, [int(each) for each in Priority], Priority.DEAD_LETTER)
    letters = [dead_letter(SITE, "pm.Uplink", f"{number}", b"x" * 600, "why") for number in range(40)]
    outbox.write([outgoing(letter, Priority.DEAD_LETTER) for letter in letters])
    within = int(100_000 * budgets.OUTBOX_DEAD_LETTERS_SHARE)
    assert outbox.depth * 1_000 < within < (outbox.depth + 1) * 1_300
    dropped = outbox.counters["dropped_dead_letters"]
    assert dropped == 40 - outbox.depth
    air = readings("air-1", 300)
    outbox.write([Outgoing(each.message_id, Priority.READING, AIR_TOPIC, encode(each)) for each in air[:150]])
    assert (outbox.counters["dropped"], outbox.counters["dropped_dead_letters"]) == (0, dropped)
    outbox.write([Outgoing(each.message_id, Priority.READING, AIR_TOPIC, encode(each)) for each in air[150:]])
    assert outbox.counters["dropped_dead_letters"] == 40
    assert outbox.counters["dropped"] > 0
    outbox.close()


def test_the_dead_letters_of_damaged_rows_are_summed_up_too(make_floor, tmp_path):  # noqa: F811
    before = Outbox(tmp_path / "outbox.sqlite", 10**8, [int(each) for each in Priority], Priority.DEAD_LETTER)
    air = readings("air-1", 50)
    before.write([Outgoing(each.message_id, Priority.READING, AIR_TOPIC, encode(each)) for each in air])
    before.close()
    with sqlite3.connect(tmp_path / "outbox.sqlite") as database:
        database.execute(f"UPDATE message_{int(Priority.READING)} SET checksum = checksum + 1")
    database.close()
    floor = make_floor()
    floor.pass_time(1.0)
    assert floor.outbox.counters["damaged"] == 50
    assert len(floor.cloud.letters()) == budgets.DEAD_LETTERS_OF_A_TOPIC
    floor.pass_time(budgets.DEAD_LETTER_PERIOD_SECONDS + 1)
    *_, last = floor.cloud.letters()
    assert last.reason.startswith(f"{50 - budgets.DEAD_LETTERS_OF_A_TOPIC} more on this topic")
    assert floor.outbox.depth == 0
