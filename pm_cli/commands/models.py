"""The commands of `pm` for data and models: fetch the public data sets, train and judge the models."""

import datetime as dt
import enum
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from pm_cli.console import FAILED, ConsoleProgress, console, fail
from pm_cli.options import BACKGROUND, DATA_FILE, MODELS, attached
from pm_contracts import csv_readings
from pm_contracts.model_kinds import MODEL_KINDS
from pm_sandbox.terminal import marked

if TYPE_CHECKING:
    from pm_ml.faults.protocol import Fault, LabelledReadings

data_app = typer.Typer(no_args_is_help=True, help="Public data sets.")

_STATE_MACHINE = re.compile(r"arn:aws[\w-]*:states:[\w-]+:\d{12}:stateMachine:[\w-]+")
#: Machines of the simulated fleet that fault decisions are judged on, five years each.
MACHINES = 32


class Where(enum.StrEnum):
    """The place of a training."""

    LOCAL = enum.auto()
    SAGEMAKER = enum.auto()


def register(app: typer.Typer) -> None:
    """Add the commands to `pm`."""
    app.add_typer(data_app, name="data", rich_help_panel=MODELS)
    app.command(rich_help_panel=MODELS)(train)
    app.command(rich_help_panel=MODELS)(evaluate)


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="pollution (Beijing PM2.5, 0.4 MB) or aps (Scania trucks, 9 MB).")],
    directory: Annotated[Path, typer.Option(help="Folder in which the data set's folder is made.")] = Path("out/data"),
    url: Annotated[str | None, typer.Option(help="Address of the archive, if not UCI's.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Checksum that the archive must have.")] = None,
) -> None:
    """Download a public data set from UCI and check it.

    Example: pm data fetch pollution

    Then: pm evaluate --data out/data/pollution/pollution.csv --faults out/data/aps/aps_failure_training_set.csv
    """
    from pm_ml.fetch import DATA_SETS, FetchFailed
    from pm_ml.fetch import fetch as download

    if name not in DATA_SETS:
        fail(f"there is no data set {name!r}: there are {', '.join(DATA_SETS)}")
    try:
        with ConsoleProgress(console) as progress:
            begun = False

            def on_progress(done: int, total: int) -> None:
                nonlocal begun
                if not begun:
                    progress.step(f"Download {name}", total or None)
                    begun = True
                progress.advance(done, f"{done / 1e6:.1f} MB")

            written = download(name, directory, url=url, sha256=sha256, on_progress=on_progress)
    except FetchFailed as error:
        fail(str(error), FAILED)
    for file in written:
        console.print(f"{file}  {file.stat().st_size:,} bytes", highlight=False)


def evaluate(
    data: Annotated[Path, typer.Option(help=f"CSV: {','.join(csv_readings.COLUMNS)}.", **DATA_FILE)],
    faults: Annotated[
        list[Path] | None,
        typer.Option(help="APS file, UCI's or headerless; repeatable. Otherwise simulated machines.", **DATA_FILE),
    ] = None,
    json_file: Annotated[Path, typer.Option("--json", help="File for the figures.")] = Path("out/models.json"),
    report: Annotated[Path, typer.Option(help="File for the report.")] = Path("out/model_report.html"),
    horizon: Annotated[
        list[int] | None, typer.Option(help="Hours ahead, repeatable; by default 1 and 12.", min=1, max=24)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.")] = 1,
) -> None:
    """Judge the models: forecasts trained on the first two fifths, chosen on the next two, tested on the last.

    Five years take many minutes: each horizon is retrained 36 times. Refused rows are written beside the figures.

    Example: pm evaluate --data out/data/pollution/pollution.csv
    """
    from pm_cli.model_report import write_report
    from pm_edge.devices.simulator.machines import READINGS_BEFORE_FAILURE
    from pm_ml import protocol
    from pm_ml.data import DataRefused

    done = 0
    try:
        with ConsoleProgress(console) as progress:

            def begin(title: str, total: int) -> None:
                nonlocal done
                done = 0
                progress.step(title, total or None)

            def advance() -> None:
                nonlocal done
                done += 1
                progress.advance(done)

            begin("read or simulate the machines", 0)
            readings, known, source = _machines(faults or [], json_file.parent)
            found = protocol.evaluate(
                data,
                readings,
                fault_source=source,
                faults=known,
                readings_before_failure=READINGS_BEFORE_FAILURE,
                horizons=horizon or protocol.HORIZONS,
                seed=seed,
                begin=begin,
                advance=advance,
            )
    except DataRefused as error:
        fail(str(error))
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(json.dumps(found.figures, indent=1) + "\n")
    if len(found.refused):
        refused = json_file.parent / "refused_rows.csv"
        found.refused.to_csv(refused, index=False)
        console.print(marked("[yellow]{} rows refused[/]: {}", len(found.refused), refused))
    report.parent.mkdir(parents=True, exist_ok=True)
    write_report(report, found)
    console.print(_summary(found.figures))
    fault = found.figures["fault"]
    console.print(
        f"Faults ({fault['source']}): cost {fault['cost']:,.0f}, the original's {fault['original_cost']:,.0f}, "
        f"ratio {fault['cost_ratio']:.2f}\nIntervals: coverage {found.figures['intervals']['coverage']:.3f}, "
        f"worst month {found.figures['intervals']['worst_month']:.3f}\n{json_file}  {report}",
        highlight=False,
    )


def train(
    model: Annotated[
        str, typer.Argument(help=f"{' or '.join(MODEL_KINDS)}.", autocompletion=lambda: list(MODEL_KINDS))
    ],
    data: Annotated[
        str,
        typer.Option(
            help="Folder of Parquet files as the lake exports them, or of CSV files; on SageMaker also s3://."
        ),
    ],
    where: Annotated[
        Where, typer.Option(help="On this machine, or as a SageMaker job like the pipeline's.")
    ] = Where.LOCAL,
    out: Annotated[Path | None, typer.Option(help="Folder for the model.", show_default="out/models/MODEL")] = None,
    seed: Annotated[int, typer.Option(help="Seed of all randomness: the same data and seed give the same bytes.")] = 1,
    train_end: Annotated[
        dt.datetime | None, typer.Option(help="Train on data before it, UTC; by default the first four fifths.")
    ] = None,
    validation_end: Annotated[
        dt.datetime | None, typer.Option(help="Measure on data from --train-end to it, UTC.")
    ] = None,
    state_machine: Annotated[
        str,
        typer.Option(help="SageMaker in an AWS account: `pulumi stack output state_machine_arn`."),
    ] = "",
    directory: Annotated[Path, typer.Option(help="SageMaker emulated: the factory that runs here.")] = BACKGROUND,
) -> None:
    """Train one model by hand and leave it in out/models, ready for a core device.

    Here: pm train forecast --data out/data/pollution

    On the emulated SageMaker: pm up, then pm train forecast --where sagemaker --data out/data/pollution

    On AWS: pm train forecast --where sagemaker --data DIR --state-machine "$(pulumi stack output state_machine_arn)"

    A run that was interrupted on this machine resumes when the same command is given again.
    """
    from pm_cli import training_runs

    if model not in MODEL_KINDS:
        fail(f"there is no model {model!r}: there are {', '.join(MODEL_KINDS)}")
    folder = out or Path("out/models") / model
    hyperparameters = {"seed": str(seed)}
    ends = {"train_end": train_end, "validation_end": validation_end}
    hyperparameters |= {name: end.isoformat() for name, end in ends.items() if end is not None}
    if not data.startswith("s3://") and not Path(data).exists():
        fail(f"--data {data}: there is no such file or folder; allowed is one of Parquet or CSV files")
    if data.startswith("s3://") and where is Where.LOCAL:
        fail(f"--data {data}: training on this machine reads a folder of it; s3:// goes with --where sagemaker")
    try:
        if where is Where.LOCAL:
            training_runs.train_here(model, Path(data), folder, hyperparameters)
        else:
            trained = training_runs.train_on_sagemaker(
                model, data, folder, hyperparameters, **_pipeline(state_machine, directory)
            )
            console.print(f"job {trained['name']}", highlight=False)
            for name, value in trained["metrics"].items():
                console.print(f"{name}={value:.6g}", highlight=False)
    except training_runs.TrainingRefused as error:
        fail(str(error), FAILED)
    console.print(f"{folder}  {', '.join(sorted(file.name for file in folder.iterdir()))}", highlight=False)


def _pipeline(state_machine: str, directory: Path) -> dict[str, Any]:
    """The pipeline that training jobs by hand are modelled on, and the way to reach it."""
    if state_machine:
        from pm_cli import aws_access

        if not _STATE_MACHINE.fullmatch(state_machine):
            fail(f"--state-machine {state_machine}: allowed is an ARN, arn:aws:states:REGION:ACCOUNT:stateMachine:NAME")
        region = state_machine.split(":")[3]
        try:
            access = aws_access.access({"aws:region": region})
            aws_access.require_deployed(access, [state_machine], "the state machine")
        except aws_access.AccessRefused as error:
            fail(str(error))
        return {
            "state_machine": state_machine,
            "clients": access.clients,
            "environment": {"AWS_DEFAULT_REGION": region},
            "logs": True,
        }
    factory = attached(directory)
    return {
        "state_machine": factory.deployment.outputs["state_machine_arn"],
        "clients": factory.cloud.client,
        "environment": factory.cloud.environment(),
        "logs": False,
    }


def simulated_machines(count: int = MACHINES) -> "tuple[LabelledReadings, list[Fault]]":
    """Readings of simulated machines with the truth about their faults."""
    from pm_edge.devices.simulator import machines
    from pm_edge.devices.simulator.sources import DAYS
    from pm_ml.faults.protocol import labelled

    names = [f"machine-{number:02d}" for number in range(1, count + 1)]
    return labelled({name: machines.simulate(name, DAYS, seed=0) for name in names})


def _machines(files: list[Path], out: Path) -> "tuple[LabelledReadings, list[Fault], str]":
    if not files:
        readings, known = simulated_machines()
        return readings, known, f"{MACHINES} simulated machines"
    from pm_ml.faults import aps

    parts = []
    for file in files:
        part, refused = aps.read(file)
        parts.append(part)
        if len(refused):
            out.mkdir(parents=True, exist_ok=True)
            kept = out / f"refused_rows_{file.stem}.csv"
            refused.to_csv(kept, index=False)
            console.print(marked("[yellow]{} rows refused[/]: {}", len(refused), kept))
    return aps.together(parts), [], ", ".join(file.name for file in files)


def _summary(figures: dict[str, Any]) -> Table:
    table = Table(
        title="Forecasts, and their skill over persistence in %", box=box.SIMPLE_HEAD, padding=0, collapse_padding=True
    )
    for name in ("", "RMSE", "of RMSE (95 %)", "of MAE", "no zeros"):
        table.add_column(name, no_wrap=True, justify="right" if name else "left")
    entries = [
        (f"{horizon} {part.replace('_', ', ')}", entry)
        for horizon, parts in figures["forecast"].items()
        for part, entry in parts.items()
    ]
    entries += [
        (f"{horizon} {part}, {model} (library)", judged[part])
        for horizon, models in figures["library"].items()
        for model, judged in models.items()
        for part in ("validation", "test")
    ]
    for part, entry in entries:
        low, high = entry["rmse_skill_interval"]
        table.add_row(
            *(part, f"{entry['rmse']:.2f}"),
            f"{100 * entry['rmse_skill']:z.1f} ({100 * low:z.1f} to {100 * high:z.1f})",
            *(f"{100 * entry['mae_skill']:z.1f}", f"{100 * entry['without_zeros']['rmse_skill']:z.1f}"),
        )
    return table
