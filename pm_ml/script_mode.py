"""SageMaker's script-mode contract, the same as a command line: where data comes from, where the model goes.

Hyperparameters arrive as `--name value`, directories as `SM_*` environment variables that arguments override. What goes
wrong is written to the `failure` file, which SageMaker shows as the job's failure reason ("How Amazon SageMaker AI
processes training output", SageMaker developer guide).
"""

import argparse
import datetime as dt
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pm_ml.data import ROWS_IN_MEMORY

#: SageMaker shows this much of a failure file: "FailureReason", 1,024 characters, DescribeTrainingJob.
FAILURE_CHARACTERS = 1024
REPORT_FILE = "model_report.html"
#: Of the time that the data span, its end: a model is measured with it and has not learned from it. A larger share
#: would keep what has changed lately from a model that is retrained because of it.
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Job:
    """The request to a training run."""

    training: Path  #: directory of readings
    model_directory: Path
    checkpoints: Path | None  #: folder that outlives an interruption; None: a run begins anew
    report: Path  #: HTML file for people, in the folder of the job's output data; beside the model by default
    seed: int
    rows_in_memory: int  #: where there are more machine readings, they are kept on disk
    train_end: dt.datetime | None  #: the data before it is trained on; all but `HELD_OUT_SHARE` where left out
    validation_end: dt.datetime | None  #: the data from `train_end` to it measures the model; all where left out


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Job:
    """The job that arguments and environment describe.

    Raises:
        ValueError: if an argument is missing, unknown or malformed; the text names it.
    """
    parser = _Parser(allow_abbrev=False)
    parser.add_argument("--training", type=Path, default=environment.get("SM_CHANNEL_TRAINING"))
    parser.add_argument("--model-dir", type=Path, default=environment.get("SM_MODEL_DIR"))
    parser.add_argument("--checkpoint-dir", type=Path, default=_checkpoints(environment))
    parser.add_argument("--output-data-dir", type=Path, default=environment.get("SM_OUTPUT_DATA_DIR"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows_in_memory", type=int, default=ROWS_IN_MEMORY)
    parser.add_argument("--train_end", type=_time)
    parser.add_argument("--validation_end", type=_time)
    found = parser.parse_args(arguments)
    if found.training is None or found.model_dir is None:
        raise ValueError(
            "needed are --training DIR and --model-dir DIR, or SM_CHANNEL_TRAINING and SM_MODEL_DIR in the environment"
        )
    if found.train_end and found.validation_end and found.validation_end <= found.train_end:
        raise ValueError(f"--validation_end {found.validation_end} must be after --train_end {found.train_end}")
    return Job(
        training=Path(found.training),
        model_directory=Path(found.model_dir),
        checkpoints=found.checkpoint_dir,
        report=Path(found.output_data_dir or found.model_dir) / REPORT_FILE,
        seed=found.seed,
        rows_in_memory=found.rows_in_memory,
        train_end=found.train_end,
        validation_end=found.validation_end,
    )


def run(train: Callable[[Job, "Steps"], Mapping[str, float]]) -> int:
    """Run a training script.

    Prints each figure as `name=value`, which is what the metric definitions of a training job look for.

    Args:
        train: does the job, tells its steps, returns figures by name.

    Returns:
        The process's exit code: 0, or 1 after an error, which is on stderr and in the failure file.
    """
    begin = time.monotonic()
    try:
        job = parse(sys.argv[1:], os.environ)
        with Steps() as steps:
            figures = dict(train(job, steps))
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        _write_failure(reason, os.environ)
        if isinstance(error, ValueError):  # refused input: its text is the whole story
            print(reason, file=sys.stderr)
            return 1
        raise
    figures |= {"seconds": time.monotonic() - begin, "cpu_seconds": time.process_time()}
    for name, value in figures.items():
        print(f"{name}={value:.6g}")
    return 0


class Steps:
    """The steps of a run: a progress bar for a person at a terminal, plain lines otherwise."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns) if sys.stderr.isatty() else None
        self._task: TaskID | None = None

    def __enter__(self) -> "Steps":
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def begin(self, text: str, parts: int = 1) -> None:
        """Begin a step of so many parts; the one before is done."""
        if self._progress is None:
            print(text, flush=True)
            return
        if self._task is not None:
            self._progress.update(self._task, completed=self._progress.tasks[self._task].total)
        self._task = self._progress.add_task(text, total=parts)

    def advance(self) -> None:
        """One more part is done."""
        if self._progress and self._task is not None:
            self._progress.advance(self._task)


def _time(text: str) -> dt.datetime:
    time_ = dt.datetime.fromisoformat(text)
    return time_.replace(tzinfo=dt.UTC) if time_.tzinfo is None else time_.astimezone(dt.UTC)


def _checkpoints(environment: Mapping[str, str]) -> Path | None:
    # /opt/ml/checkpoints, beside /opt/ml/model: it is there where the job has a CheckpointConfig.
    folder = Path(environment.get("SM_MODEL_DIR", "")).parent / "checkpoints"
    return folder if "SM_MODEL_DIR" in environment and folder.is_dir() else None


def _write_failure(reason: str, environment: Mapping[str, str]) -> None:
    # SageMaker's /opt/ml/output, of which SM_OUTPUT_DATA_DIR is the folder `data`.
    data = environment.get("SM_OUTPUT_DATA_DIR")
    if data and Path(data).parent.is_dir():
        (Path(data).parent / "failure").write_text(reason[:FAILURE_CHARACTERS])
