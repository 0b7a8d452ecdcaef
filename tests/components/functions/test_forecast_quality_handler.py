"""The handler of forecast quality on a real table of the emulated DynamoDB: guarded state, alerts that survive a crash.

Not proved here: the way from the broker to the function and the permissions (test_deployed_lake_and_alerting.py), and
that AWS's DynamoDB evaluates the conditions as the emulator does.
"""

import datetime as dt
import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from pm_components.functions.forecast_quality.core import Rule, State
from pm_components.functions.forecast_quality.handler import ForecastQuality
from pm_components.functions.forecast_quality.store import StateStore
from pm_components.functions.versioned_items import Conflict
from pm_contracts.messages import Alert, Outcome, decode, encode
from pm_sandbox.cloud import Cloud

RULE = Rule(window=10, minimum_count=5, maximum_share=0.3, clear_share=0.2)


START = dt.datetime(2014, 1, 1, tzinfo=dt.UTC)


def record(hour: int, inside: bool = True, device: str = "air-1") -> dict[str, Any]:
    outcome = Outcome(
        site="lindau",
        device=device,
        issued_at=START + dt.timedelta(hours=hour - 1),
        target_time=START + dt.timedelta(hours=hour),
        horizon_hours=1,
        value=10.0,
        lower=9.0,
        upper=11.0,
        interval_level=0.9,
        last_value=10.0,
        model_version="v1",
        actual=10.0,
        inside_interval=inside,
    )
    arrived_at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    return {
        "messageId": f"{device}-{hour}",
        "body": encode(outcome).decode(),
        "attributes": {"SentTimestamp": str(int(arrived_at.timestamp() * 1000))},
    }


@pytest.fixture
def store(cloud: Cloud) -> Iterator[StateStore]:
    client, table = cloud.client("dynamodb"), f"detector-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "detector", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "detector", "AttributeType": "S"}],
    )
    yield StateStore(client, table)
    client.delete_table(TableName=table)


class Broker:
    """Takes alerts, unless it is down."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.drift: list[Alert] = []
        self.down = False

    def publish(self, topic: str, payload: bytes) -> None:
        if self.down:
            raise ConnectionError("the broker is down")
        assert topic in ("pm/lindau/alert", "pm-cloud/lindau/drift")
        (self.alerts if topic == "pm/lindau/alert" else self.drift).append(decode(payload, Alert))


@pytest.fixture
def broker() -> Broker:
    return Broker()


def test_batches_of_two_devices_become_states_and_one_alert(
    store: StateStore, broker: Broker, registry: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    quality = ForecastQuality(store, broker.publish, RULE, registry)
    records = [record(hour, inside=False) for hour in range(6)] + [record(hour, device="air-2") for hour in range(6)]
    for start in range(0, len(records), 5):
        assert quality.handle({"Records": records[start : start + 5]}) == {"batchItemFailures": []}
    (alert,) = broker.alerts
    assert (alert.device, alert.state) == ("air-1", "active")
    assert broker.drift == [alert]
    bad, _ = store.load("lindau/air-1")
    good, _ = store.load("lindau/air-2")
    assert (bad.active, bad.misses, len(bad.outcomes), bad.pending) == (True, 6, 6, [])
    assert (good.active, good.misses, len(good.outcomes)) == (False, 0, 6)
    counts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(line["Taken"] for line in counts) == 12
    assert sum(line.get("Alerts", 0) for line in counts) == 1
    assert {line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in counts} == {"PredictiveMaintenance"}
    assert {line["FunctionName"] for line in counts} == {"pm-test-function"}


def test_a_record_that_is_no_outcome_fails_alone(
    store: StateStore, broker: Broker, registry: Any, dead_letters: list[tuple[str, str]]
) -> None:
    quality = ForecastQuality(store, broker.publish, RULE, registry)
    bad = {"messageId": "bad", "body": '{"site": "lindau"}'}
    assert quality.handle({"Records": [record(0), bad, record(1)]}) == {"batchItemFailures": []}
    assert [body for body, _ in dead_letters] == [bad["body"]]
    state, _ = store.load("lindau/air-1")
    assert len(state.outcomes) == 2


def test_a_record_that_breaks_the_decoder_fails_alone(
    store: StateStore, broker: Broker, registry: Any, dead_letters: list[tuple[str, str]]
) -> None:
    quality = ForecastQuality(store, broker.publish, RULE, registry)
    bad = [
        {"messageId": "no UTF-8", "body": "\ud800"},
        {"messageId": "deep", "body": "[" * 60_000},
        {"messageId": "line break", "body": record(7)["body"].replace("lindau", "lindau\\n")},
    ]
    assert quality.handle({"Records": [record(0), *bad, record(1)]}) == {
        "batchItemFailures": [{"itemIdentifier": "no UTF-8"}]
    }
    assert [body for body, _ in dead_letters] == [one["body"] for one in bad[1:]]
    assert len(store.load("lindau/air-1")[0].outcomes) == 2


def test_outcomes_of_a_time_to_come_and_of_strangers_are_refused_and_silence_nothing(
    store: StateStore, broker: Broker, registry: Any, dead_letters: list[tuple[str, str]]
) -> None:
    quality = ForecastQuality(store, broker.publish, RULE, registry)
    ahead = [record(85 * 365 * 24 + hour) for hour in range(48)]
    assert quality.handle({"Records": [*ahead, record(0, device="air-9")]}) == {"batchItemFailures": []}
    assert len(dead_letters) == 49
    assert "target_time is 2098" in dead_letters[0][1]
    assert "device 'air-9'" in dead_letters[-1][1]
    quality.handle({"Records": [record(hour, inside=False) for hour in range(6)]})
    assert [alert.state for alert in broker.alerts] == ["active"]


def test_an_outcome_that_its_device_chokes_on_does_not_hold_up_the_others(
    store: StateStore, broker: Broker, registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = store.save

    def choking(detector: str, state: State, version: int) -> int:
        if any(seen.target_time.startswith("2014-01-01T02") for seen in state.outcomes):
            raise OverflowError("no such time")
        return save(detector, state, version)

    monkeypatch.setattr(store, "save", choking)
    quality = ForecastQuality(store, broker.publish, RULE, registry)
    failed = quality.handle({"Records": [record(hour) for hour in range(5)]})
    assert failed == {"batchItemFailures": [{"itemIdentifier": "air-1-2"}]}
    assert len(store.load("lindau/air-1")[0].outcomes) == 4


def test_an_alert_outlives_a_broker_that_is_down(store: StateStore, broker: Broker, registry: Any) -> None:
    quality = ForecastQuality(store, broker.publish, RULE, registry)
    batch = {"Records": [record(hour, inside=False) for hour in range(6)]}
    broker.down = True
    assert len(quality.handle(batch)["batchItemFailures"]) == 6
    state, _ = store.load("lindau/air-1")
    assert [alert.state for alert in state.pending] == ["active"]
    broker.down = False
    assert quality.handle(batch) == {"batchItemFailures": []}  # SQS delivers it again: nothing new in it
    assert [alert.state for alert in broker.alerts] == ["active"]
    quality.handle(batch)
    assert len(broker.alerts) == 1
    quality.handle({"Records": [record(hour) for hour in range(6, 20)]})
    assert [alert.state for alert in broker.alerts] == ["active", "cleared"]
    assert [alert.state for alert in broker.drift] == ["active"]


def test_the_store_refuses_to_write_over_a_state_that_it_has_not_seen(store: StateStore) -> None:
    assert store.load("lindau/air-1") == (State(), 0)
    store.save("lindau/air-1", State(), 0)
    _, version = store.load("lindau/air-1")
    store.save("lindau/air-1", State(active=True), version)
    for stale in (0, version):
        with pytest.raises(Conflict):
            store.save("lindau/air-1", State(), stale)
    assert store.load("lindau/air-1") == (State(active=True), version + 1)


def test_a_batch_that_is_overtaken_while_it_publishes_does_not_publish_again(
    store: StateStore, broker: Broker, registry: Any
) -> None:
    overtaking = ForecastQuality(store, lambda topic, payload: None, RULE, registry)

    def publish(topic: str, payload: bytes) -> None:
        broker.publish(topic, payload)
        assert overtaking.handle({"Records": [record(6)]}) == {"batchItemFailures": []}

    quality = ForecastQuality(store, publish, RULE, registry)
    assert quality.handle({"Records": [record(hour, inside=False) for hour in range(6)]}) == {"batchItemFailures": []}
    assert len(broker.alerts) == 1
    state, _ = store.load("lindau/air-1")
    assert (len(state.outcomes), state.pending) == (7, [])


def test_functions_at_once_wait_for_one_another_and_lose_nothing(
    store: StateStore, broker: Broker, registry: Any
) -> None:
    rule = Rule(window=1000, minimum_count=1000, maximum_share=0.3, clear_share=0.2)
    failed: list[Any] = []

    def work(first: int) -> None:
        quality = ForecastQuality(store, broker.publish, rule, registry)
        for hour in range(first, 60, 3):
            failed.extend(quality.handle({"Records": [record(hour)]})["batchItemFailures"])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state, version = store.load("lindau/air-1")
    assert failed == []
    assert len(state.outcomes) == version == 60
