"""The harness of the edge's figures: its arithmetic, its order, its rows, and that each measurement runs when tiny.

Not proved here: any time or ratio; `make bench` measures them.
"""

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import __main__ as command
from bench import edge_answers, edge_bridge, edge_footprint, edge_models, edge_rates
from bench.edge_timing import in_turns, one_processor
from bench.figure import Figure, less_is_better, more_is_better, without_reference, written
from pm_edge.devices.simulator import sources

ROOT = Path(__file__).parents[2]
KEYS = ["name", "unit", "ours", "reference", "ratio", "limit", "runs"]


@pytest.fixture(scope="module")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Models of some months instead of years, trained by the same scripts."""
    with pytest.MonkeyPatch.context() as patch:
        directory = tmp_path_factory.mktemp("models")
        patch.setattr(edge_models, "DIRECTORY", directory)
        patch.setattr(edge_models, "TRAIN_END", sources.START + dt.timedelta(days=230))
        patch.setattr(edge_models, "DATA_END", sources.START + dt.timedelta(days=300))
        yield directory


def test_each_round_times_both_and_every_other_one_begins_with_the_reference() -> None:
    calls: list[str] = []
    told: list[float] = []
    ours, reference = in_turns(
        lambda call: calls.append(f"ours {call}"),
        lambda call: calls.append(f"reference {call}"),
        rounds=2, ours_calls=2, reference_calls=1, advance=told.append,
    )  # fmt: skip
    assert calls[:2] == ["ours 0", "reference 0"]  # what is set up at the first call is not timed
    assert calls[2:] == ["ours 0", "ours 1", "reference 0", "reference 1", "ours 2", "ours 3"]
    assert (len(ours), len(reference)) == (2, 2)
    assert all(seconds >= 0 for seconds in (*ours, *reference))
    assert told == [0.5, 1.0]


def test_the_time_of_a_call_is_that_of_its_batch_divided_by_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 6.0, 10.0, 14.0])
    monkeypatch.setattr("bench.edge_timing.time.process_time", lambda: next(clock))
    assert in_turns(lambda _: None, lambda _: None, rounds=1, ours_calls=3, reference_calls=2) == ([2.0], [2.0])


def test_it_stays_on_one_processor_and_goes_back_afterwards() -> None:
    import os

    before = os.sched_getaffinity(0)
    with one_processor():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_a_ratio_above_one_is_better_whichever_way_the_figure_goes() -> None:
    assert less_is_better("time", "s", [1.0, 2.0, 99.0], [10.0, 6.0, 8.0], 5).ratio == 4.0
    assert more_is_better("rate", "1/s", [1.0, 2.0, 99.0], [10.0, 6.0, 8.0], 5).ratio == 0.25
    assert not more_is_better("rate", "1/s", [1.0], [4.0], 0.26).reached
    assert more_is_better("rate", "1/s", [1.0], [4.0], 0.25).reached


def test_a_row_without_a_reference_says_why_and_has_no_ratio(tmp_path: Path) -> None:
    figure = without_reference("rate", "readings/s", [2.0, 4.0, 3.0], 0.5, "mosquitto is not installed")
    assert figure.reached
    (row,) = json.loads(written([figure], tmp_path / "bench.json").read_text())
    assert list(row) == KEYS
    assert row["unit"] == "readings/s (no reference: mosquitto is not installed)"
    assert (row["ours"], row["reference"], row["ratio"], row["runs"]) == (3.0, None, None, 3)


def _plausible(figure: Figure) -> None:
    assert figure.reference is not None
    assert figure.ratio is not None
    assert figure.ours > 0
    assert figure.reference > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "measured",
    [edge_answers.forecast_model_figure, edge_answers.forecast_features_figure, edge_answers.fault_score_figure],
)
def test_the_answers_are_the_same_as_the_reference_s_and_timed(small_models: Path, measured) -> None:
    (figure,) = measured(rounds=1)
    assert measured.__name__ == f"{figure.name}_figure"
    assert (figure.unit, figure.runs) == ("us", 1)
    _plausible(figure)
    assert figure.ratio == pytest.approx(figure.reference / figure.ours)


def test_answers_that_differ_are_not_compared() -> None:
    with pytest.raises(edge_answers.Different, match=r"x: ours answers 1\.0 and the reference 2\.0"):
        edge_answers._same("x", lambda _: 1.0, lambda _: 2.0, 1.0)
    with pytest.raises(edge_answers.Different):
        edge_answers._same("x", lambda _: float("nan"), lambda _: 2.0, 1.0)


@pytest.mark.slow
def test_what_a_component_costs_is_measured_in_fresh_processes(small_models: Path) -> None:
    figures = {figure.name: figure for figure in edge_footprint.figures(rounds=1)}
    assert set(figures) == {f"{name}{suffix}" for name in edge_footprint.NAMES for suffix in ("", "_fault")}
    for figure in figures.values():
        _plausible(figure)
    # A process with numpy and onnxruntime in it has tens of megabytes, not the gigabyte of whoever started it.
    assert 20 < figures["peak_memory"].ours < 200


def test_a_process_that_does_not_answer_is_told_with_its_own_words() -> None:
    with pytest.raises(RuntimeError, match=r"fault_detector did not answer: [\s\S]*manifest\.json cannot be read"):
        edge_footprint.first_answer(["fault_detector", "/nowhere", "/nowhere"])


def test_the_size_counts_what_is_needed_once_and_no_extras() -> None:
    numpy, runtime = edge_footprint.installed_bytes(["numpy"]), edge_footprint.installed_bytes(["onnxruntime"])
    assert 0 < numpy < runtime  # which needs numpy
    assert edge_footprint.installed_bytes(["onnxruntime", "numpy", "Numpy"]) == runtime
    assert edge_footprint.required("# why\nnumpy==2.4.6\n\nboto3[crt]>=1 # x\n-r other.in\n") == ["numpy", "boto3"]


@pytest.mark.slow
def test_a_pipeline_of_real_components_is_measured_and_loses_nothing(small_models: Path) -> None:
    figures = {figure.name: figure for figure in edge_rates.pipeline_figures(runs=2, count=60, direct=50)}
    assert set(figures) == {"pipeline_rate", "pipeline_messages"}
    for figure in figures.values():
        _plausible(figure)
        assert figure.runs == 2
    assert figures["pipeline_messages"].ours == pytest.approx(3 * figures["pipeline_rate"].ours)


@pytest.mark.skipif(edge_bridge.program() is None, reason="mosquitto is not installed")
def test_catching_up_is_measured_beside_mosquitto_s_bridge() -> None:
    figures = {figure.name: figure for figure in edge_rates.catch_up_figures(runs=1, count=300, direct=50)}
    assert set(figures) == {"catch_up", "catch_up_bridge"}
    for figure in figures.values():
        # So few readings arrive within a blink, and first and last are heard by two clients: how fast is not judged.
        assert figure.ours == pytest.approx(figure.ratio * figure.reference)


def test_without_mosquitto_the_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_bridge, "program", lambda: None)
    monkeypatch.setattr(edge_rates, "_our_catch_up_seconds", lambda *_: 2.0)
    monkeypatch.setattr(edge_rates, "direct_rate", lambda *_: 100.0)
    told: list[float] = []
    _, bridge = edge_rates.catch_up_figures(runs=1, count=300, direct=50, advance=told.append)
    assert bridge.name == "catch_up_bridge"
    assert bridge.unit.endswith("(no reference: mosquitto is not installed)")
    assert bridge.ratio is None
    assert told[-1] == 1.0


def test_a_run_that_lost_something_is_no_figure() -> None:
    edge_rates._check_nothing_lost({"published": 5}, 5)
    for counters in ({"published": 4}, {"published": 5, "dropped": 1}, {"published": 5, "buffered": 1}):
        with pytest.raises(AssertionError, match=f"{counters['published']} of 5"):
            edge_rates._check_nothing_lost(counters, 5)


def test_a_pipeline_whose_model_did_not_answer_is_no_figure() -> None:
    edge_rates._check_model_answered({"forecasts": 500, "persistence_forecasts": 24})
    with pytest.raises(AssertionError, match="the model has not answered"):
        edge_rates._check_model_answered({"forecasts": 500, "persistence_forecasts": 500})


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_command_measures_one_row_alone_and_keeps_the_others(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    written([Figure("another", "s", 1, 2, 2, 1, 3)], file)
    ran = _run("--only", "install_size", "--file", str(file))
    assert ran.returncode in (0, 1), ran.stderr  # 1 where it is below its limit
    rows = json.loads(file.read_text())
    assert [row["name"] for row in rows] == ["another", "install_size", "install_size_fault"]
    assert all(list(row) == KEYS for row in rows)
    assert "install_size_fault" in ran.stdout


def test_the_help_names_all_that_can_be_measured_and_wrong_words_are_refused() -> None:
    help_text = _run("--help").stdout
    assert all(name in help_text for name in command.NAMES)
    assert "invalid choice: 'speed'" in _run("--only", "speed").stderr
    assert "invalid choice: 'speed'" in _run("--skip", "speed").stderr
    assert "'0': it must be a whole number from 1 on" in _run("--runs", "0").stderr


def test_a_figure_that_cannot_be_measured_does_not_take_the_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> Iterator[Figure]:
        raise RuntimeError("no such luck")

    good = Figure("fault_score", "us", 1, 20, 20, 15, 3)
    measures = (
        command.Measure(("cold_start",), "", broken),
        command.Measure(("fault_score",), "", lambda *_: iter([good])),
    )
    monkeypatch.setattr(command, "MEASURES", measures)
    monkeypatch.setattr(command, "SINGLE_THREAD", {})
    file = tmp_path / "bench.json"
    for skipped, status in (([], 1), (["--skip", "cold_start"], 0)):
        monkeypatch.setattr(sys, "argv", ["bench", "--file", str(file), *skipped])
        with pytest.raises(SystemExit) as ended:
            command.main()
        assert ended.value.code == status
        said = "cold_start could not be measured: RuntimeError: no such luck" in capsys.readouterr().out
        assert said is not bool(skipped)
        assert [row["name"] for row in json.loads(file.read_text())] == ["fault_score"]
