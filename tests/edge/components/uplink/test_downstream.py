"""The way from the local bus to lake and forecast quality: each message counts once, whatever crashes or overtakes.

Journal, identities at admission, outbox, the lake's own query for each message once, and the cloud's forecast quality
are the real ones; the way between is a list that doubles and shuffles. Not proved here: the ways of AWS itself.
"""

import datetime as dt
import random
import tempfile
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pm_components.analytics_store.named_queries import _once
from pm_components.functions.forecast_quality.core import Rule, State, observe
from pm_contracts.messages import Outcome, decode, encode
from pm_edge.components.uplink.outbox import Outbox
from pm_edge.components.uplink.store import Outgoing
from pm_edge.runtime.journal import Journal

START = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)
PLENTY = 10**9
RULE = Rule(window=30, minimum_count=5, maximum_share=0.3, clear_share=0.2)


def outcome(hour: int) -> Outcome:
    issued = START + dt.timedelta(hours=hour)
    actual = 50.0 + (hour % 7) * 10
    return Outcome(
        site="lindau", device="air-1", issued_at=issued, target_time=issued + dt.timedelta(hours=1), horizon_hours=1,
        value=50.0, lower=30.0, upper=80.0, interval_level=0.9, last_value=50.0, model_version="1.0.1",
        actual=actual, inside_interval=actual <= 80.0,
    )  # fmt: skip


OUTCOMES = [outcome(hour) for hour in range(40)]
TOPIC = "pm/lindau/air-1/outcome"


class Way(RuleBasedStateMachine):
    """A site's way to the cloud; what the cloud has got is `arrived`."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.offered: set[int] = set()
        self.arrived: list[bytes] = []
        self.under_way: list[tuple[int, bytes]] = []
        self.inbox: list[tuple[int, bytes]] = []
        self.start()

    def start(self) -> None:
        self.journal = Journal(Path(self.directory.name), "uplink")
        self.inbox = [(entry.generation, entry.payload) for entry in self.journal.recovered()]
        self.outbox = Outbox(Path(self.directory.name) / "outbox.sqlite", PLENTY, [0])
        self.under_way = []

    @rule(hours=st.lists(st.integers(0, len(OUTCOMES) - 1), min_size=1, max_size=10))
    def come_from_the_bus(self, hours):
        for hour in hours:
            payload = encode(OUTCOMES[hour])
            self.inbox.append((self.journal.append(0.0, TOPIC, payload), payload))
            self.offered.add(hour)

    @rule(share=st.sampled_from([0.5, 1.0]), note=st.booleans())
    def keep(self, share, note):
        generation = self.journal.rotate()
        count = int(len(self.inbox) * share)
        batch, self.inbox = self.inbox[:count], self.inbox[count:]
        messages = [decode(payload, Outcome) for _, payload in batch]
        self.outbox.write([Outgoing(m.message_id, 0, TOPIC, encode(m)) for m in messages])
        if note:  # without it: killed between the commit and this
            self.journal.forget(min(generation, self.inbox[0][0] if self.inbox else generation))

    @rule(limit=st.integers(1, 10))
    def send(self, limit):
        self.under_way += [(taken.key, taken.payload) for taken in self.outbox.take(limit)]

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), copies=st.integers(0, 2), is_acknowledged=st.booleans())
    def arrive(self, data, copies, is_acknowledged):
        key, payload = data.draw(st.sampled_from(self.under_way))
        self.arrived += [payload] * max(copies, is_acknowledged)
        if is_acknowledged:
            self.under_way.remove((key, payload))
            self.outbox.write([], [key])

    @rule()
    def lose_the_connection(self):
        self.outbox.put_back()
        self.under_way = []

    @rule()
    def crash(self):
        self.start()

    @invariant()
    def nobody_makes_messages_up(self):
        assert {decode(payload, Outcome).issued_at for payload in self.arrived} <= {
            OUTCOMES[hour].issued_at for hour in self.offered
        }

    def teardown(self):
        self.keep(1.0, True)
        self.lose_the_connection()
        while taken := self.outbox.take(7):
            self.arrived += [message.payload for message in taken]
            self.outbox.write([], [message.key for message in taken])
        dice = random.Random(len(self.arrived))
        dice.shuffle(self.arrived)
        if self.offered:
            self.check_lake(dice)
            self.check_forecast_quality(dice)
        self.outbox.close()
        self.directory.cleanup()

    def check_lake(self, dice):
        today = dt.date.today()
        rows = pd.DataFrame(
            [
                {"message_id": m.message_id, "actual": m.actual, "ingest_day": str(today - dt.timedelta(days=day))}
                for m in (decode(payload, Outcome) for payload in self.arrived)
                for day in [dice.randrange(3)]
            ]
        )
        lake = duckdb.connect()
        lake.register("outcome", rows)
        found = lake.execute(f"{_once('outcome', 7)} SELECT message_id FROM messages").fetchall()
        assert sorted(each for (each,) in found) == sorted(OUTCOMES[hour].message_id for hour in self.offered)

    def check_forecast_quality(self, dice):
        state, rest = State(), [decode(payload, Outcome) for payload in self.arrived]
        while rest:
            size = dice.randint(1, len(rest))
            state, _ = observe(state, rest[:size], RULE)
            rest = rest[size:]
        once, _ = observe(State(), [OUTCOMES[hour] for hour in sorted(self.offered)], RULE)
        if len(self.offered) <= RULE.window:
            assert state.outcomes == once.outcomes
        ids = [alert.message_id for alert in state.pending]
        assert len(ids) == len(set(ids)), "an alert raised twice"


Way.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestWay = pytest.mark.filterwarnings("ignore")(Way.TestCase)
