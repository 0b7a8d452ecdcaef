"""A component's report that it works, and of its end: `main` in this process, on a bus that only listens.

Not proved here: that a nucleus hears it (`test_greengrass_bus.py`, `tests/sandbox/core_device/test_judging.py`).
"""

import datetime as dt
import json
from collections.abc import Callable

import pytest

from pm_contracts.messages import Status, decode, encode
from pm_edge.runtime import component as component_module
from pm_edge.runtime import last_end
from pm_edge.runtime.bus import BusError
from pm_edge.runtime.component import Component, ComponentError, main
from pm_edge.runtime.settings import Settings, parse_settings

NAME = "pm.Test"


class Ear:
    """A bus that notes what it is told, in order."""

    dropped = 0

    def __init__(self) -> None:
        self.heard: list[str | Status] = []
        self.is_lost = False

    def publish(self, topic: str, payload: bytes) -> None:
        assert topic == "pm/lindau/status"
        if self.is_lost:
            raise BusError("the bus is lost")
        self.heard.append(decode(payload, Status))

    publish_at_most_once = publish

    def ready(self) -> None:
        self.heard.append("ready")

    def flush(self, _seconds: float) -> bool:
        return True

    def stop_receiving(self) -> None:
        self.heard.append("stop")

    def close(self) -> None:
        pass


class EndedBySignalError(Exception):
    """Stands for the end of the process by the signal that it was sent."""


@pytest.fixture
def ear(monkeypatch) -> Ear:
    listening = Ear()
    monkeypatch.setattr(component_module, "connect", lambda *_: listening)
    monkeypatch.setattr(component_module, "on_end", lambda _: lambda: None)
    return listening


@pytest.fixture
def run_until_asked(ear, settings, monkeypatch) -> Callable[..., None]:
    def end() -> None:
        raise EndedBySignalError

    def run(work: Callable[[Component], None] = runs) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(component_module, "on_end", lambda _: end)
            with pytest.raises(EndedBySignalError):
                main(NAME, settings, work)

    return run


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings("lindau", {}, tmp_path)


def runs(component: Component) -> None:
    component.run(lambda: None, component.stop)


def test_it_is_ready_once_before_its_first_status_and_has_nothing_to_tell_of_an_end_it_was_asked_for(
    ear, settings, run_until_asked
):
    run_until_asked()
    assert ear.heard[0] == "ready"
    assert [said for said in ear.heard if said == "ready"] == ["ready"]
    assert {said.reason for said in ear.heard if isinstance(said, Status)} == {""}
    assert last_end.told(settings.data_directory, NAME) == ""


def test_an_end_that_nobody_has_asked_for_is_none_with_0(ear, settings):
    assert main(NAME, settings, lambda _: None) == 1
    assert ear.heard[-1].reason == "nobody has asked it to"


def fails(_: Component) -> None:
    raise ComponentError("the model on trial is refused: its checksum is wrong")


def test_why_it_ends_is_its_last_word_and_the_first_of_its_next_start(ear, settings, run_until_asked):
    assert main(NAME, settings, fails) == 1
    [last] = ear.heard
    assert (last.state, last.reason) == ("stopping", "the model on trial is refused: its checksum is wrong")
    ear.heard.clear()
    run_until_asked()
    first = next(said for said in ear.heard if isinstance(said, Status))
    assert first.reason.startswith("it ended at 20")
    assert first.reason.endswith(": the model on trial is refused: its checksum is wrong")


def test_without_a_bus_the_next_start_tells_it(ear, settings, run_until_asked):
    ear.is_lost = True
    assert main(NAME, settings, runs) == 1
    ear.is_lost = False
    run_until_asked()
    assert any("the bus is lost" in said.reason for said in ear.heard if isinstance(said, Status))


def test_an_error_that_nobody_foresaw_is_told_too_and_stays_one(ear, settings):
    def breaks(_: Component) -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(ZeroDivisionError):
        main(NAME, settings, breaks)
    assert ear.heard[-1].reason == "ZeroDivisionError: by zero"


def test_wrong_settings_are_told_by_the_start_that_comes_after_them(ear, settings, monkeypatch, run_until_asked):
    wrong = ["--site", "lindau", "--devices", "air-1=air", "--data-directory", str(settings.data_directory)]
    monkeypatch.setattr("sys.argv", ["edge.test", *wrong])
    with pytest.raises(SystemExit) as ended:
        parse_settings("edge.test", "")
    assert ended.value.code == 2
    run_until_asked()
    [first, *_] = [said for said in ear.heard if isinstance(said, Status)]
    assert "wrong settings: argument --devices: device 'air-1' has type 'air'" in first.reason


def test_what_is_wrong_now_is_told_before_what_was_and_a_reason_is_forgotten_after_a_day(
    ear, settings, run_until_asked
):
    last_end.note(settings.data_directory, NAME, "long ago")

    def has_trouble(component: Component) -> None:
        component.trouble("the model is refused")
        runs(component)

    run_until_asked(has_trouble)
    assert ear.heard[1].reason == "the model is refused"
    [file] = settings.data_directory.glob("state/*.end.json")
    document = json.loads(file.read_text())
    long_ago = dt.datetime.fromisoformat(document["at"]) - dt.timedelta(days=1)
    file.write_text(json.dumps(document | {"at": long_ago.isoformat()}))
    assert last_end.told(settings.data_directory, NAME) == ""
    file.write_text("{")
    assert last_end.told(settings.data_directory, NAME) == ""


def test_a_status_says_no_more_than_before_where_all_is_well_and_may_grow():
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    status = Status(site="lindau", component=NAME, reported_at=at, state="running")
    assert set(json.loads(encode(status))) == {"site", "message_id", "component", "reported_at", "state"}
    grown = json.dumps({**json.loads(encode(status)), "mood": "good"}).encode()
    assert decode(grown, Status) == status
