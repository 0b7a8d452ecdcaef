"""The contents of dead letters, and a replay against clients that refuse, run dry and are busy.

Not proved here: that Firehose, S3 and SQS answer so (the emulated ones do, in test_deployed_lake_replay.py).
"""

import base64
import datetime as dt
import io
import json
from typing import Any

import pytest

from pm_components.functions.replay_dead_letters import handler
from pm_components.functions.replay_dead_letters.core import of_error_action, of_error_object
from pm_components.functions.replay_dead_letters.handler import Place, Replay
from pm_contracts.messages import Alert, Status, encode

ALERT = encode(
    Alert(
        site="lindau",
        device="machine-01",
        cause="fault",
        severity="critical",
        state="active",
        raised_at=dt.datetime(2014, 1, 1, tzinfo=dt.UTC),
        dedupe_key="fault/machine-01",
        text="Look!",
    )
)


def line(payload: bytes) -> bytes:
    return json.dumps({"errorMessage": "no", "rawData": base64.b64encode(payload).decode()}).encode()


def action(topic: str, payload: bytes) -> bytes:
    return json.dumps({"topic": topic, "base64OriginalPayload": base64.b64encode(payload).decode()}).encode()


def test_letters_of_an_object_are_its_lines() -> None:
    body = b"\n".join([line(ALERT + b"\n"), line(b"{}"), b"no JSON", b""])
    good, bad, none = of_error_object("errors/alert/format-conversion-failed/x", body, "errors/")
    assert (good.table, good.payload, good.problem) == ("alert", ALERT, "")
    assert "missing required field" in bad.problem
    assert "no dead letter" in none.problem
    (stranger,) = of_error_object("errors/alarms/x", line(ALERT), "errors/")
    assert stranger.problem == "there is no table 'alarms'"


@pytest.mark.parametrize(
    ("text", "table", "problem"),
    [
        (action("pm/lindau/alert", ALERT), "alert", ""),
        (action("pm/lindau/alert", b"{}"), "", "missing required field"),
        (action("pm/gera/alert", ALERT), "", "they must be those of the topic"),
        (action("other/topic", ALERT), "", "is none of ours"),
        (b"{}", "", "no message of an error action"),
        (b'{"topic": 3}', "", "no message of an error action"),
        (b"[" * 60_000 + b"]" * 60_000, "", "no message of an error action: maximum recursion"),
        (b'{"topic": "pm/lindau/alert"}', "", "no dead letter with base64OriginalPayload"),
    ],
)
def test_a_letter_of_an_error_action_is_for_the_table_of_its_message(text: bytes, table: str, problem: str) -> None:
    letter = of_error_action(text)
    assert letter.table == table
    assert problem in letter.problem
    assert bool(letter.problem) == bool(problem)


def test_a_message_that_no_table_takes_says_so() -> None:
    status = Status(
        site="lindau", component="pm.Uplink", reported_at=dt.datetime(2014, 1, 1, tzinfo=dt.UTC), state="running"
    )
    assert of_error_action(action("pm/lindau/status", encode(status))).problem == "no table takes a status"


class Clients:
    """S3 with objects, an empty SQS, and a Firehose that is busy for a while."""

    def __init__(self, objects: dict[str, bytes], busy: list[set[int]]) -> None:
        self.objects, self.busy, self.put, self.held = dict(objects), busy, [], []
        self.notices: list[str] = []
        self.deleted: list[str] = []

    def __call__(self, _service: str) -> "Clients":
        return self

    def get_paginator(self, _operation: str) -> "Clients":
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803 - boto3's names
        assert Bucket == "lake"
        return [{"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)]}, {}]

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == "lake"
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        assert Bucket == "lake"
        self.objects[Key] = Body

    def delete_object(self, Bucket: str, Key: str) -> None:  # noqa: N803
        assert Bucket == "lake"
        del self.objects[Key]

    def receive_message(self, QueueUrl: str, WaitTimeSeconds: int = 0, **_: Any) -> dict[str, Any]:  # noqa: N803
        # "Short and long polling", SQS developer guide: without a wait an empty answer says nothing of the queue.
        assert WaitTimeSeconds > 0
        waiting, self.notices = (self.notices, []) if QueueUrl == "notices" else ([], self.notices)
        return {"Messages": [{"Body": body, "ReceiptHandle": body} for body in waiting]} if waiting else {}

    def list_objects_v2(self, Prefix: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"KeyCount": sum(key.startswith(Prefix) for key in self.objects)}

    def delete_message(self, ReceiptHandle: str, **_: Any) -> None:  # noqa: N803
        self.deleted.append(ReceiptHandle)

    def change_message_visibility(self, ReceiptHandle: str, **_: Any) -> None:  # noqa: N803
        self.held.append(ReceiptHandle)

    def put_record_batch(self, DeliveryStreamName: str, Records: list[dict[str, bytes]]) -> dict[str, Any]:  # noqa: N803
        assert DeliveryStreamName == "alerts"
        refused = self.busy.pop(0) if self.busy else set()
        self.put += [record["Data"] for index, record in enumerate(Records) if index not in refused]
        return {"RequestResponses": [{"ErrorCode": "x"} if i in refused else {} for i in range(len(Records))]}


PLACE = Place("lake", "errors/", "notices", "letters", {"alert": "alerts"})
KEY = "errors/alert/x"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handler.time, "sleep", lambda _: None)


def run(clients: Clients, has_time: bool = True) -> tuple[Replay, bool]:
    replay = Replay(PLACE, clients, lambda: has_time)
    return replay, replay.run("")


def test_what_is_left_of_an_object_stays_and_the_rest_goes() -> None:
    clients = Clients({KEY: line(ALERT) + b"\n" + line(b"{}") + b"\n"}, [])
    replay, complete = run(clients)
    assert complete
    assert clients.put == [ALERT + b"\n"]
    assert clients.objects == {KEY: line(b"{}") + b"\n"}
    assert (replay.replayed, replay.refused.total()) == ({"alert": 1}, 1)


def test_a_busy_stream_is_asked_again_for_what_it_did_not_take() -> None:
    clients = Clients({KEY: b"\n".join([line(ALERT)] * 3)}, [{0, 2}, {1}])
    replay, _ = run(clients)
    assert len(clients.put) == 3
    assert clients.objects == {}
    assert replay.replayed == {"alert": 3}


def test_what_a_stream_never_takes_is_not_lost() -> None:
    clients = Clients({KEY: line(ALERT)}, [{0}] * 10)
    replay, _ = run(clients)
    assert clients.objects == {KEY: line(ALERT)}
    assert replay.refused == {"the stream is too busy": 1}
    assert replay.replayed.total() == 0


def test_more_than_a_batch_takes_goes_in_several() -> None:
    clients = Clients({KEY: b"\n".join([line(ALERT)] * 1201)}, [])
    replay, _ = run(clients)
    assert replay.replayed == {"alert": 1201}
    assert clients.objects == {}


def test_a_notice_that_cannot_be_read_stays_and_holds_up_no_other() -> None:
    clients = Clients({KEY: line(b"{}")}, [])
    gone, left = (json.dumps({"detail": {"object": {"key": key}}}) for key in ("errors/alert/gone", KEY))
    poison = ["{", "[]", '{"detail": null}', "[" * 60_000]
    clients.notices = [*poison, gone, left]
    replay, complete = run(clients)
    assert complete
    assert clients.deleted == [gone]
    assert clients.held == [*poison, left]
    assert replay.refused["no notice of an object"] == 4


def test_without_time_nothing_is_begun_and_that_is_said() -> None:
    clients = Clients({KEY: line(ALERT)}, [])
    _, complete = run(clients, has_time=False)
    assert not complete
    assert clients.objects == {KEY: line(ALERT)}
