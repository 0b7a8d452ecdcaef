"""Many factories: order, parallelism, failure and teardown of the orchestration, and the real program for each target.

The orchestration is driven with stacks that a test can hold under way and make fail. The program of each target is run
with the recorder in the place of Pulumi's engine. The Automation API drives a stand-in for the Pulumi command, which
proves the commands that are given and how their answers are read.

Not proved here: what the real Pulumi command does with them; tests/engine previews one factory's stack with it.
"""

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from examples.many_factories import targets
from examples.many_factories.__main__ import app
from examples.many_factories.automation import AutomationStack
from examples.many_factories.orchestration import Result, State, roll_out, tear_down
from examples.many_factories.recorded import RecordedStack
from examples.many_factories.workspaces import prepare
from pm_sandbox.recorder import RecordingError, record
from tests.guards import guard_of, unguarded
from tests.previews import differences, unknown_inputs

FILE = Path(targets.__file__).with_name("factories.yaml")
DEADLINE_SECONDS = 60


class Journal:
    """The events of a test's stacks, in order, and the number that were under way at once."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    def begin(self, event: str) -> None:
        with self._lock:
            self.events.append(event)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)

    def end(self) -> None:
        with self._lock:
            self._at_once -= 1


class Held:
    """A stack that fails, or stays under way until it is let go, as the test says."""

    def __init__(
        self, name: str, journal: Journal, *, fails: bool = False, until: threading.Event | None = None
    ) -> None:
        self.name = name
        self.begun = threading.Event()
        self._journal = journal
        self._fails = fails
        self._until = until

    def up(self) -> Mapping[str, int]:
        return self._act("up")

    def destroy(self) -> Mapping[str, int]:
        return self._act("destroy")

    def _act(self, what: str) -> Mapping[str, int]:
        self._journal.begin(f"{what} {self.name}")
        self.begun.set()
        try:
            if self._until is not None:
                assert self._until.wait(DEADLINE_SECONDS), "nobody let it go"
            if self._fails:
                raise RuntimeError("no more addresses")
        finally:
            self._journal.end()
        return {"create": 3}


def _states(results: list[Result]) -> dict[str, str]:
    return {result.stack: result.state.value for result in results}


def test_a_stage_begins_once_the_whole_stage_before_is_up() -> None:
    journal, let_go = Journal(), threading.Event()
    slow = Held("a-dev", journal, until=let_go)
    later = Held("a-staging", journal)
    waves = [[slow, Held("b-dev", journal)], [later]]
    seen: list[Result] = []

    def on_result(result: Result) -> None:
        seen.append(result)
        if result.stack == "b-dev":
            assert slow.begun.is_set()
            assert not later.begun.is_set(), "promoted while a stack of the stage before is under way"
            let_go.set()

    results = roll_out(waves, 2, on_result)
    assert [result.stack for result in results] == ["a-dev", "b-dev", "a-staging"]
    assert [result.stack for result in seen] == ["b-dev", "a-dev", "a-staging"]
    assert journal.events[-1] == "up a-staging"
    assert all(result.state is State.DONE and result.changes == {"create": 3} for result in results)


def test_nothing_is_started_after_a_failure_and_what_is_under_way_comes_to_its_end() -> None:
    journal, let_go = Journal(), threading.Event()
    waves = [
        [
            Held("a-dev", journal, until=let_go),
            Held("b-dev", journal, fails=True),
            Held("c-dev", journal),
        ],
        [Held("a-prod", journal)],
    ]

    def on_result(result: Result) -> None:
        if result.state is State.FAILED:
            let_go.set()

    results = roll_out(waves, 2, on_result)
    assert _states(results) == {"a-dev": "done", "b-dev": "failed", "c-dev": "not started", "a-prod": "not started"}
    assert sorted(journal.events) == ["up a-dev", "up b-dev"]
    reasons = {result.stack: result.reason for result in results}
    assert reasons["b-dev"] == "RuntimeError: no more addresses"
    assert reasons["c-dev"] == reasons["a-prod"] == "b-dev failed"


def test_teardown_goes_the_other_way_and_stops_at_a_failure() -> None:
    journal = Journal()
    waves = [[Held("a-dev", journal), Held("b-dev", journal)], [Held("a-prod", journal), Held("b-prod", journal)]]
    results = tear_down(waves, 1)
    assert journal.events == ["destroy b-prod", "destroy a-prod", "destroy b-dev", "destroy a-dev"]
    assert [result.stack for result in results] == ["b-prod", "a-prod", "b-dev", "a-dev"]

    journal.events.clear()
    waves[1][0] = Held("a-prod", journal, fails=True)
    assert _states(tear_down(waves, 1)) == {
        "b-prod": "done", "a-prod": "failed", "b-dev": "not started", "a-dev": "not started",
    }  # fmt: skip
    assert journal.events == ["destroy b-prod", "destroy a-prod"]


def test_as_many_are_under_way_as_is_allowed_and_not_more() -> None:
    journal, let_go = Journal(), threading.Event()
    stacks = [Held(f"{number}-dev", journal, until=let_go) for number in range(6)]
    running = threading.Thread(target=lambda: roll_out([stacks], 3))
    running.start()
    for stack in stacks[:3]:
        assert stack.begun.wait(DEADLINE_SECONDS)
    assert not any(stack.begun.is_set() for stack in stacks[3:])
    let_go.set()
    running.join(DEADLINE_SECONDS)
    assert journal.most_at_once == 3
    assert len(journal.events) == 6


@given(
    waves=st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=1, max_size=4),
    parallel=st.integers(1, 3),
)
@settings(deadline=None, max_examples=60)
def test_every_stack_has_a_result_and_no_stage_begins_after_a_failure(waves: list[list[bool]], parallel: int) -> None:
    journal = Journal()
    stacks = [
        [Held(f"{wave}-{place}", journal, fails=fails) for place, fails in enumerate(row)]
        for wave, row in enumerate(waves)
    ]
    results = roll_out(stacks, parallel)
    assert [result.stack for result in results] == [stack.name for row in stacks for stack in row]
    first_bad = next((wave for wave, row in enumerate(waves) if any(row)), len(waves))
    for wave, row in enumerate(stacks):
        states = {result.state for result in results if result.stack in {stack.name for stack in row}}
        if wave < first_bad:
            assert states == {State.DONE}
        elif wave > first_bad:
            assert states == {State.NOT_STARTED}
        else:
            assert State.FAILED in states
    assert journal.most_at_once <= parallel


def test_no_stack_at_all_and_no_parallelism() -> None:
    assert roll_out([], 1) == []
    with pytest.raises(ValueError, match="parallel: found 0, allowed are 1 and more"):
        roll_out([[]], 0)


def test_the_factories_become_targets_by_stage() -> None:
    waves = targets.load(FILE)
    assert [[target.stack for target in wave] for wave in waves] == [
        ["lindau-dev", "bregenz-dev"],
        ["lindau-staging", "bregenz-staging"],
        ["lindau-prod", "bregenz-prod", "toledo-prod"],
    ]
    accounts = {target.stage: target.config["aws:allowedAccountIds"] for wave in waves for target in wave}
    assert len({account for (account,) in accounts.values()}) == 3
    assert [[one.stack for one in wave] for wave in targets.chosen(waves, ["prod"], ["toledo"])] == [["toledo-prod"]]
    assert [len(wave) for wave in targets.chosen(waves, [], ["lindau"])] == [1, 1, 1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda file: file["factories"][2].update(core_devices=[]), "toledo in prod: pm:sites[0].core_devices"),
        (lambda file: file["factories"][0].update(region="Bavaria"), "factories[0].region"),
        (lambda file: file["factories"][0].update(stages=["qa"]), "stages of lindau: found qa, allowed are dev"),
        (lambda file: file["factories"][1].update(name="lindau"), "factories[].name: found lindau more than once"),
        (lambda file: file["stages"][1].update(account="111111111111"), "stages[].account: found 111111111111"),
        (lambda file: file["factories"][0].update(config={"colour": True}), "pm:colour: there is no such key"),
        (lambda file: file.pop("owner"), "owner"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_starts(change: Any, reason: str, tmp_path: Path) -> None:
    content = yaml.safe_load(FILE.read_text())
    change(content)
    file = tmp_path / "factories.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(targets.TargetsError) as refusal:
        targets.load(file)
    assert str(file) in str(refusal.value)
    assert reason in str(refusal.value)


def test_the_one_program_runs_for_targets_of_two_stages(tmp_path: Path) -> None:
    waves = [wave[:1] for wave in (targets.load(FILE)[0], targets.load(FILE)[2])]
    stacks = {target.stage: RecordedStack(target, tmp_path) for wave in waves for target in wave}
    results = roll_out([[stack] for stack in stacks.values()], 2)
    assert _states(results) == {"lindau-dev": "done", "lindau-prod": "done"}
    assert all(result.changes and result.changes["create"] > 150 for result in results)
    recordings = {stage: stack.recording for stage, stack in stacks.items() if stack.recording is not None}
    assert set(recordings) == {"dev", "prod"}
    assert {next(iter(recording.outputs["sites"])) for recording in recordings.values()} == {"lindau"}
    protected = {stage: sum(one.protect for one in recording.resources) for stage, recording in recordings.items()}
    assert protected["dev"] == 0
    assert protected["prod"] > 0
    assert unguarded(recordings["prod"].resources) == []
    assert guard_of(recordings["prod"].resources).protect
    for recording, (target,) in zip(recordings.values(), waves, strict=True):
        preview = record(prepare(target, tmp_path), target.stack, preview=True)
        assert differences(recording.resources, preview.resources) == []
        assert unknown_inputs(preview.resources) > 200
    names = [set(recording.of_type("aws:s3/bucket:Bucket")) for recording in recordings.values()]
    assert names[0] == names[1], "the same program"
    buckets = [
        {one.inputs["bucket"] for one in recording.of_type("aws:s3/bucket:Bucket").values()}
        for recording in recordings.values()
    ]
    assert not buckets[0] & buckets[1], "stacks of one factory share a bucket's name"


def test_a_program_that_fails_stops_the_promotion_and_says_why(tmp_path: Path) -> None:
    first, second = targets.load(FILE)[0][0], targets.load(FILE)[1][0]
    broken = targets.Target(first.stage, first.factory, {**first.config, "pm:sites": []})
    results = roll_out([[RecordedStack(broken, tmp_path)], [RecordedStack(second, tmp_path)]], 1)
    assert _states(results) == {"lindau-dev": "failed", "lindau-staging": "not started"}
    assert RecordingError.__name__ in results[0].reason
    assert "pm:sites" in results[0].reason


def test_what_pulumi_keeps_in_a_stack_s_file_survives(tmp_path: Path) -> None:
    target = targets.load(FILE)[0][0]
    file = prepare(target, tmp_path) / f"Pulumi.{target.stack}.yaml"
    file.write_text(yaml.safe_dump({"encryptionsalt": "v1:abc", "config": {"old": "value"}}))
    prepare(target, tmp_path)
    assert yaml.safe_load(file.read_text()) == {"encryptionsalt": "v1:abc", "config": target.config}


#: Stands in for the Pulumi command: notes each call, knows the stacks that were made, and fails `up` where it is told.
_COMMAND = """#!{python}
import json, os, pathlib, sys
calls = pathlib.Path(os.environ["PULUMI_CALLS"])
words = [word for word in sys.argv[1:] if word != "--non-interactive"]
if words[0] == "version":
    print("v3.272.0")
    sys.exit()
with calls.open("a") as file:
    file.write(json.dumps([pathlib.Path.cwd().name, *words]) + "\\n")
if words[:2] == ["stack", "select"] and not any('"init"' in line for line in calls.read_text().splitlines()):
    sys.exit("error: no stack named '" + words[-1] + "' found")
if words[0] == "up" and os.environ.get("PULUMI_FAILS"):
    sys.exit("error: the quota of thing groups is used up")
if words[:2] == ["stack", "output"]:
    print("{{}}")
if words[:2] == ["stack", "history"]:
    print(json.dumps([{{"kind": "update", "startTime": "2026-01-01T00:00:00.000Z", "message": "", "environment": {{}},
        "config": {{}}, "result": "succeeded", "endTime": "2026-01-01T00:00:01.000Z", "version": 1,
        "resourceChanges": {{"create": 171}}}}]))
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file in which the stand-in for the Pulumi command notes how it was called."""
    command = tmp_path / "bin" / "pulumi"
    command.parent.mkdir()
    command.write_text(_COMMAND.format(python=sys.executable))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def test_the_automation_api_creates_selects_and_updates_the_stack_in_its_folder(calls: Path, tmp_path: Path) -> None:
    target = targets.load(FILE)[0][0]
    stack = AutomationStack(target, tmp_path)
    assert stack.up() == {"create": 171}
    assert stack.destroy() == {"create": 171}
    made = [json.loads(line) for line in calls.read_text().splitlines()]
    assert {call[0] for call in made} == {"lindau-dev"}, "run in another folder than the stack's"
    verbs = [" ".join(word for word in call[1:3] if not word.startswith("-")) for call in made]
    assert verbs.index("stack init") < verbs.index("up") < verbs.index("destroy")
    assert (tmp_path / "lindau-dev" / "pulumi.log").exists()


def test_a_pulumi_command_that_fails_is_a_failed_stack(
    calls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_FAILS", "1")
    (first, second) = (AutomationStack(wave[0], tmp_path) for wave in targets.load(FILE)[:2])
    results = roll_out([[first], [second]], 1)
    assert _states(results) == {"lindau-dev": "failed", "lindau-staging": "not started"}
    assert "quota of thing groups" in results[0].reason
    assert "lindau-staging" not in calls.read_text()


def test_without_the_pulumi_command_up_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    ran = CliRunner().invoke(app, ["up"])
    assert ran.exit_code == 2
    assert "Pulumi command is not installed" in ran.output


def test_an_unknown_stage_is_named() -> None:
    ran = CliRunner().invoke(app, ["plan", "--stage", "qa"])
    assert ran.exit_code == 2
    assert "stage: found qa, allowed are dev, prod, staging" in " ".join(ran.output.split())


def test_the_table_tells_every_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Counted:
        def __init__(self, target: targets.Target, directory: Path) -> None:
            self.name = target.stack

        def up(self) -> Mapping[str, int]:
            if self.name == "bregenz-staging":
                raise RuntimeError("no more addresses")
            return {"create": 171}

        def destroy(self) -> Mapping[str, int]:
            return {}

    monkeypatch.setattr("examples.many_factories.__main__.RecordedStack", Counted)
    ran = CliRunner().invoke(app, ["plan", "--parallel", "1"], env={"COLUMNS": "160"})
    assert ran.exit_code == 1
    rows = [line for line in ran.output.splitlines() if "│" in line]
    assert len(rows) == 7
    assert [row.split("│")[2].strip() for row in rows] == ["done"] * 3 + ["failed"] + ["not started"] * 3
    assert "171 create" in rows[0]
