"""Records that Lambda functions are given: by queues, by buckets, by fleet provisioning."""

import contextlib
import datetime as dt
import json
from pathlib import Path
from typing import Any

from resilience.fuzz.boundary import Boundary, Opened


class _Store:
    """A table of items with a version, in memory; emptied at each turn, so that one input does not speak in another."""

    def __init__(self, empty: Any) -> None:
        self.items: dict[str, Any] = {}
        self._empty = empty

    def load(self, name: str) -> tuple[Any, int]:
        return self.items.get(name, self._empty), int(name in self.items)

    def save(self, *given: Any) -> int:
        self.items[given[0] if isinstance(given[0], str) else given[0].name] = given[1 if len(given) > 2 else 0]
        return 1


class _Once:
    """Nothing was told before."""

    def do(self, _message_id: str, work: Any) -> bool:
        work()
        return True


class _NoSchedules:
    """Nobody is told later."""

    def begin(self, *_: Any) -> None:
        pass

    def end(self, _alarm: Any) -> None:
        pass


class _NoStorm:
    """A site's notifications never exceed their limit."""

    def admit(self, _site: str, limit: int, _now: float) -> tuple[int, int]:
        return limit, 0

    def gathered(self, _site: str, _now: float) -> dict[str, Any]:
        return {}

    def forget(self, _site: str, _entries: list[str]) -> None:
        pass


class _Everybody:
    """Each device is registered."""

    def require(self, _site: str, _device: str) -> None:
        pass


def _alarm_keeper(_folder: Path) -> Opened:
    from pm_components.functions.alarm_keeper.alarms import Policy
    from pm_components.functions.alarm_keeper.handler import AlarmKeeper
    from pm_components.functions.alarm_keeper.outlet import Outlet
    from pm_contracts.messages import Refused, encode
    from resilience.samples import SITE, messages

    def now() -> dt.datetime:
        return dt.datetime(2030, 1, 1, tzinfo=dt.UTC)

    store = _Store(None)
    told: list[Any] = []
    schedules: Any = _NoSchedules()
    outlet = Outlet(told.append, _NoStorm(), schedules, Policy(), now)  # type: ignore[arg-type]
    devices: Any = _Everybody()
    keeper = AlarmKeeper(store, _Once(), schedules, schedules, outlet, Policy(), devices, now)  # type: ignore[arg-type]
    arrived = {"SentTimestamp": str(int(now().timestamp() * 1000))}

    def door(content: bytes) -> None:
        told.clear()
        store.items.clear()
        body = content.decode(errors="replace")
        for kind in ("", "", "acknowledgement", "timer"):
            attributes = {"kind": {"stringValue": kind, "dataType": "String"}} if kind else {}
            try:
                keeper.work({"body": body, "attributes": arrived, "messageAttributes": attributes})
            except Refused:
                continue
        for notification in told:
            assert notification.subject.isascii(), "a subject that Amazon SNS refuses"
            assert notification.subject.isprintable(), "a subject that Amazon SNS refuses"

    given = {"site": SITE, "dedupe_key": "fault/machine-01", "by": "Ada", "note": "on my way"}
    late = {"kind": "Escalation", "site": SITE, "dedupe_key": "fault/machine-01", "raised_at": "2014-03-01T05:00:00Z"}
    timers = [
        late,
        {"kind": "Settling", "site": SITE, "dedupe_key": "fault/machine-01"},
        {"kind": "DigestDue", "site": SITE},
    ]
    alerts = [encode(message) for message in messages() if message.kind == "alert"]
    return Opened(door, [*alerts, *(json.dumps(one).encode() for one in (given, *timers))], (Refused,))


def _forecast_quality(_folder: Path) -> Opened:
    from pm_components.functions.forecast_quality.core import Rule, State, from_json, observe, to_json
    from pm_contracts.messages import Outcome, Refused, decode, encode
    from resilience.samples import messages

    rules = (Rule(window=1, minimum_count=1), Rule(tolerance=0.1))

    def door(content: bytes) -> None:
        outcome = decode(content, Outcome)
        for rule in rules:
            state, _ = observe(State(), [outcome], rule)
            assert from_json(to_json(state)) == state, "another state after a way through the table"
            for alert in state.pending:
                encode(alert)

    return Opened(door, [encode(message) for message in messages() if message.kind == "outcome"], (Refused,))


def _start_training(_folder: Path) -> Opened:
    from pm_components.functions.start_training.core import Executions, cause, decide, execution_input
    from pm_contracts.messages import Refused, encode
    from resilience.samples import messages

    now = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)

    def door(content: bytes) -> None:
        alert = cause(content)
        decide(alert, Executions(running=False, latest_start=now), now, 3600)
        json.loads(execution_input(alert))

    return Opened(door, [encode(message) for message in messages() if message.kind == "alert"], (Refused,))


def _announcer(_folder: Path) -> Opened:
    from pm_components.functions.announcer.handler import announce
    from pm_components.functions.spoken_digest import DIGEST
    from pm_contracts.messages import Refused, encode
    from resilience.samples import SITE, messages

    def store(key: str, _recording: bytes) -> None:
        assert ".." not in key.split("/"), "a key that leads out of its folder"

    def door(content: bytes) -> None:
        body = content.decode(errors="replace")
        attributes = {"kind": {"stringValue": DIGEST, "dataType": "String"}}
        for record in ({"body": body}, {"body": body, "messageAttributes": attributes}):
            with contextlib.suppress(Refused):
                announce(record, lambda text: text.encode(), store)

    digest = {
        "site": SITE,
        "digest_id": "5" * 32,
        "made_at": "2014-03-01T05:00:00Z",
        "urgent": True,
        "text": "Many alarms.",
    }
    alerts = [encode(message) for message in messages() if message.kind == "alert"]
    return Opened(door, [*alerts, json.dumps(digest).encode()], (Refused,))


def _dead_letters(_folder: Path) -> Opened:
    import base64

    from pm_components.functions.replay_dead_letters.core import notified_key, of_error_action, of_error_object
    from pm_contracts.messages import encode
    from resilience.samples import messages

    def door(content: bytes) -> None:
        of_error_object("errors/alert/2026/x", content, "errors/")
        of_error_action(content)
        notified_key(content.decode(errors="replace"))

    samples: list[dict[str, Any]] = []
    for message in messages():
        payload = base64.b64encode(encode(message)).decode()
        samples.append({"topic": "pm/lindau/air-1/reading", "base64OriginalPayload": payload, "ruleName": "x"})
        samples.append({"rawData": payload, "errorCode": "x"})
    samples.append({"detail": {"object": {"key": "errors/alert/x"}}})
    return Opened(door, [json.dumps(sample).encode() for sample in samples])


def _certificates(_folder: Path) -> Opened:
    from pm_components.functions.pre_provisioning.core import decide
    from resilience.fuzz.certificate import of

    known = {"SN-1": "lindau-core"}

    def door(content: bytes) -> None:
        decide({"SerialNumber": "SN-1"}, content.decode(errors="replace"), known, {"lindau-core": False})

    return Opened(door, [of("lindau-core")])


BOUNDARIES = (
    Boundary("alarm_keeper", _alarm_keeper, 0.5),
    Boundary("forecast_quality", _forecast_quality, 0.5),
    Boundary("start_training", _start_training, 0.5),
    Boundary("announcer", _announcer, 0.5),
    Boundary("replay_dead_letters", _dead_letters, 0.3),
    Boundary("pre_provisioning", _certificates, 0.3),
)
