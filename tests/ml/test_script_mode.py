"""The script-mode contract: arguments, environment, the failure file."""

import datetime as dt
import sys
from pathlib import Path

import pytest

from pm_ml import script_mode
from pm_ml.script_mode import parse


def test_directories_come_from_the_environment_and_arguments_override_them() -> None:
    environment = {"SM_CHANNEL_TRAINING": "/data", "SM_MODEL_DIR": "/model"}
    job = parse([], environment)
    assert (job.training, job.model_directory, job.seed, job.train_end) == (Path("/data"), Path("/model"), 1, None)
    assert job.report == Path("/model/model_report.html")
    assert parse([], environment | {"SM_OUTPUT_DATA_DIR": "/out/data"}).report == Path("/out/data/model_report.html")
    job = parse(["--training", "/here", "--seed", "7", "--train_end", "2012-01-02"], environment)
    assert (job.training, job.seed) == (Path("/here"), 7)
    assert job.train_end == dt.datetime(2012, 1, 2, tzinfo=dt.UTC)


def test_checkpoints_lie_beside_the_model_where_the_job_has_any(tmp_path: Path) -> None:
    environment = {"SM_CHANNEL_TRAINING": "/data", "SM_MODEL_DIR": str(tmp_path / "model")}
    assert parse([], environment).checkpoints is None
    (tmp_path / "checkpoints").mkdir()
    assert parse([], environment).checkpoints == tmp_path / "checkpoints"
    assert parse(["--checkpoint-dir", "/kept"], environment).checkpoints == Path("/kept")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model-dir", "m"], "needed are --training DIR and --model-dir DIR, or SM_CHANNEL_TRAINING"),
        (["--training", "d", "--model-dir", "m", "--epochs", "3"], "unrecognized arguments: --epochs 3"),
        (["--training", "d", "--model-dir", "m", "--seed", "many"], "--seed: invalid int value: 'many'"),
        (["--training", "d", "--model-dir", "m", "--train_end", "soon"], "--train_end: invalid .* value: 'soon'"),
        (
            ["--training", "d", "--model-dir", "m", "--train_end", "2012-01-02", "--validation_end", "2011-01-01"],
            "--validation_end .* must be after --train_end",
        ),
    ],
)
def test_a_wrong_argument_is_named(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(arguments, {})


def test_a_failure_is_written_where_sagemaker_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(job: script_mode.Job, steps: script_mode.Steps) -> dict[str, float]:
        raise ValueError(f"nothing good in {job.training}")

    monkeypatch.setattr(sys, "argv", ["train", "--training", "/data", "--model-dir", "/model"])
    monkeypatch.setenv("SM_OUTPUT_DATA_DIR", str(tmp_path / "data"))
    assert script_mode.run(fail) == 1
    assert (tmp_path / "failure").read_text() == "ValueError: nothing good in /data"
    assert "nothing good in /data" in capsys.readouterr().err


def test_figures_are_printed_for_metric_definitions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train", "--training", "/data", "--model-dir", "/model"])
    assert script_mode.run(lambda job, steps: {"validation_skill": 0.0625}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "validation_skill=0.0625" in lines
    assert {line.partition("=")[0] for line in lines} == {"validation_skill", "seconds", "cpu_seconds"}
