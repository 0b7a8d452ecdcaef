"""The command line `pm`: the embedded factory, from a terminal."""

import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table
from typer.core import TyperGroup

from pm_cli.commands import alarms as cli_alarms
from pm_cli.commands import clear as cli_clear
from pm_cli.commands import lake as cli_lake
from pm_cli.commands import models as cli_models
from pm_cli.commands import review as cli_review
from pm_cli.console import FAILED, ConsoleProgress, console, fail, waiting
from pm_cli.extras import missing_extra
from pm_cli.options import BACKGROUND, DATA_FILE, FACTORY, Directory, attached
from pm_contracts import csv_readings
from pm_sandbox.engine.command import EngineName
from pm_sandbox.terminal import forgive_encodings, marked, printable

if TYPE_CHECKING:
    from pm_contracts.messages import Status
    from pm_sandbox.engine.command import Choice
    from pm_sandbox.factory import Factory


class _Commands(TyperGroup):
    """Says what the file system refuses, and what is not installed, in one line, whichever command meets it."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        forgive_encodings()
        return super().main(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read the output has read enough; Typer ends the command quietly
            raise
        except ModuleNotFoundError as error:
            fail(missing_extra(error))
        except OSError as error:
            fail(f"{error.filename}: {error.strerror}" if error.filename else f"{type(error).__name__}: {error}")


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",  # which lets the lines of a docstring flow
    help="A predictive-maintenance factory on this machine: cloud, core device, sensors, models and alerts.",
    epilog="Start with `pm demo`. For a factory to play with: `pm up`, `pm replay`, `pm status`, `pm logs`, `pm down`.",
)
Data = Annotated[
    Path | None,
    typer.Option(
        help=f"CSV of hourly air quality, 2010-01-02 to 2014-12-31: {','.join(csv_readings.COLUMNS)}.",
        show_default="simulated",
        **DATA_FILE,
    ),
]
#: A demo leaves 84 MB; logs and the lake's files are larger while it runs, and a factory is no smaller.
_NEEDED_BYTES = 300_000_000
#: With less than that, whatever failed may have failed for want of room: a log file has up to a megabyte.
_FULL_BYTES = 20_000_000
#: Components report every two seconds.
_STATUS_SECONDS = 5.0


@app.command(rich_help_panel=FACTORY)
def demo(
    data: Data = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.", file_okay=False)] = Path("out"),
) -> None:
    """Run the whole job once: ingest, train, ship, forecast, cut the uplink, alert. Takes a few minutes.

    The data is simulated, with a fixed seed, unless --data names a file of your own. Everything that it starts is
    stopped at the end, on Ctrl-C and on an error. Its results are in out/: report.html, demo.json, mail/,
    announcements/, and the logs in demo/.

    Example: pm demo --data out/data/pollution/pollution.csv, after pm data fetch pollution
    """
    # Imported here, as in each command: `pm --help` must not wait for what it does not need.
    from pm_edge.devices.simulator.sources import SourceError
    from pm_sandbox.demo import story
    from pm_sandbox.demo.plan import Plan
    from pm_sandbox.demo.summary import summary_table, where_to_look
    from pm_sandbox.factory import FactoryError, check_folder
    from pm_sandbox.folder_lock import FolderLock, FolderTakenError

    _stop_in_order_on_sigterm()
    try:
        check_folder(out)
        plan = Plan.of(data)
        _refuse_full_disk(out, "the demo")
        lock = FolderLock.take(out / story.LOCK_FILE)
    except (FactoryError, SourceError) as error:
        fail(str(error))
    except FolderTakenError as error:
        fail(f"{error}: wait for its end, or use another folder by --out")
    console.print(marked("\n[bold]A factory on one machine, from sensor to alert[/]\n"))
    try:
        with lock, ConsoleProgress(console) as progress:
            summary = story.run(plan, out.absolute(), progress)
    except KeyboardInterrupt:
        fail(f"stopped, with all that it had started. Logs: {out}/demo", 130)
    except RuntimeError as error:
        fail(f"{error}{_if_full(out)}; logs: {out}/demo", FAILED)
    console.print()
    console.print(summary_table(summary))
    console.print()
    console.print(where_to_look(out))


@app.command(rich_help_panel=FACTORY)
def up(
    directory: Directory = BACKGROUND,
    port: Annotated[
        int | None,
        typer.Option(help="Port of the AWS APIs on 127.0.0.1.", show_default="any free one", min=1, max=65535),
    ] = None,
    engine: Annotated[
        EngineName,
        typer.Option(
            help="Engine that deploys: pulumi, by its command on the PATH; own, the sandbox's, which needs "
            "no command; or auto, Pulumi's if its command is there and new enough."
        ),
    ] = EngineName.AUTO,
    cloud_only: Annotated[
        bool, typer.Option("--cloud-only", help="An empty cloud, to deploy to with Pulumi's own command line.")
    ] = False,
) -> None:
    """Start a factory in the background; it runs until `pm down`. It replaces the files of an earlier one.

    Example: pm up, then pm replay and pm status

    With Pulumi's own command line: `pm up --cloud-only`, `source out/factory/pulumi/environment.sh`, then
    `pulumi up -s local`. Its state is kept in the factory's folder, never in a backend of yours, and lasts as long as
    the cloud.
    """
    from pm_sandbox.cloud import CloudError
    from pm_sandbox.cloud.process import listening_socket
    from pm_sandbox.engine.command import EngineError, choose
    from pm_sandbox.factory import LOCK_FILE, STARTING_FILE, FactoryError, check_folder, forget
    from pm_sandbox.folder_lock import FolderLock, FolderTakenError
    from pm_sandbox.surroundings import environment, python

    _stop_in_order_on_sigterm()
    if cloud_only and engine is EngineName.OWN:
        fail("--engine own and --cloud-only: our own engine has no use for an empty cloud; leave one of them out")

    try:
        check_folder(directory)
        _refuse_full_disk(directory, "a factory")
        listening_socket(port).close()
        chosen = choose(engine)
        lock = FolderLock.take(directory / LOCK_FILE)
    except FolderTakenError:
        fail(f"a factory runs in {directory} already: `pm status` shows it, `pm down` stops it")
    except (FactoryError, CloudError, EngineError) as error:
        fail(str(error))
    if not cloud_only:
        console.print(f"Engine: {chosen}", soft_wrap=True, highlight=False)
    forget(directory)
    events = directory / STARTING_FILE
    events.write_text("")
    # The lock is held by both until this process lets go, so that there is no moment in which nobody has it.
    with lock, (directory / "factory.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *python("pm_sandbox.factory", "--directory", str(directory), f"--lock={lock.fileno()}"),
                *([f"--port={port}"] if port else []),
                *(["--cloud-only"] if cloud_only else []),
                *([f"--pulumi={chosen.command.path}"] if chosen.command else []),
            ],
            env=environment(),
            pass_fds=[lock.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        lock.name_holder(process.pid)
    try:
        with _ended_unless_it_comes_up(process), ConsoleProgress(console) as progress, events.open() as lines:
            _watch(process, lines, progress)
    except FactoryError as error:
        fail(f"{error}{_if_full(directory)}; see {directory / 'factory.log'}", FAILED)
    if not cloud_only:
        console.print(
            marked(
                "\nIt runs. Next: [bold]pm status[/], [bold]pm replay[/], [bold]pm logs pm.Uplink[/], [bold]pm down[/]"
            )
        )
    if cloud_only or chosen.command:
        _explain_pulumi(directory, chosen, deployed=not cloud_only)


def _refuse_full_disk(folder: Path, what: str) -> None:
    """End the command if the disk that a folder is on, or is to be on, has too little room for `what`."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if (free := shutil.disk_usage(there).free) < _NEEDED_BYTES:
        fail(f"{folder}: {free / 1e6:,.0f} MB of disk are free there, and {what} needs {_NEEDED_BYTES / 1e6:,.0f} MB")


def _if_full(folder: Path) -> str:
    """A clause that says so if the disk of a folder is full, which no other error says; else empty."""
    free = shutil.disk_usage(folder).free
    return f"; the disk of {folder} is full: {free / 1e6:,.0f} MB are free" if free < _FULL_BYTES else ""


@contextlib.contextmanager
def _ended_unless_it_comes_up(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End the factory if watching it ends early, as by Ctrl-C: nobody would know of it."""
    try:
        yield
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _explain_pulumi(directory: Path, chosen: "Choice", *, deployed: bool) -> None:
    """Say how Pulumi's command line is used on the factory by hand."""
    from pm_sandbox.engine.command import missing_language_host
    from pm_sandbox.engine.deploy import SHELL_FILE
    from pm_sandbox.factory import BY_HAND, PULUMI, STACK

    file = directory / PULUMI / SHELL_FILE
    if deployed:
        command = f"pulumi preview -s {STACK}"
        text = marked("For Pulumi's commands: [bold]source {}[/], then [bold]{}[/]", file, command)
        console.print(text, soft_wrap=True)
    else:
        console.print("\nIt runs, and nothing is deployed. For Pulumi's commands, in a shell:\n")
        console.print(file.read_text(), soft_wrap=True, highlight=False)
        console.print(marked("The same lines, shorter: [bold]source {}[/]", file), soft_wrap=True)
        init = "" if chosen.command else f"[bold]pulumi stack init {BY_HAND}[/] and "
        then = marked(f"Then {init}[bold]pulumi up -s {BY_HAND}[/]; at the end: [bold]pm down[/]")
        console.print(then, soft_wrap=True)
    lacks = missing_language_host(chosen.command) if chosen.command else chosen.reason
    if lacks:
        console.print(marked("[yellow]By hand:[/] {}", lacks), soft_wrap=True, highlight=False)


def _watch(process: "subprocess.Popen[bytes]", events: IO[str], progress: ConsoleProgress) -> None:
    """Show the progress of a factory that comes up, until it runs."""
    from pm_sandbox.factory import FactoryError

    while True:
        line = events.readline()
        if not line.endswith("\n"):
            if process.poll() is not None:
                raise FactoryError("the factory did not come up")
            time.sleep(0.1)
            continue
        event: dict[str, Any] = json.loads(line)
        match event:
            case {"step": title, "total": total}:
                progress.step(title, total)
            case {"done": done, "note": note}:
                progress.advance(done, note)
            case {"say": text}:
                progress.say(text)
            case {"error": error}:
                raise FactoryError(error)
            case {"ready": True}:
                return


@app.command(rich_help_panel=FACTORY)
def status(directory: Directory = BACKGROUND) -> None:
    """Show the factory that runs in the background: components, their problems, the lake.

    Problems are those that the components report themselves, as they reach the cloud.

    Example: pm status
    """
    factory = attached(directory)
    numbers = (Column(name, justify="right") for name in ("Restarts", "CPU %", "Memory MB"))
    components = Table("Core device", "Component", "Version", "State", *numbers, title="On the floor")
    for name, device in factory.core_devices.items():
        for component, state in sorted(device.status()["components"].items()):
            used = (f"{state['cpu_percent']:.0f}", f"{state['memory_bytes'] / 1e6:.0f}") if state["pid"] else ("", "")
            components.add_row(name, component, state["version"], state["state"], str(state["restarts"]), *used)
    console.print(components)
    for (site, component), said in sorted(_statuses(factory).items()):
        if said.reason:
            console.print(marked("[yellow]{} {}[/]: {}", site, component, said.reason))
    lake = Table("Table", Column("Rows", justify="right"), Column("Messages", justify="right"), title="In the lake")
    for table in factory.deployment.outputs["streams"]:
        stored, messages = factory.operator.count(table)
        lake.add_row(table, f"{stored:,}", f"{messages:,}")
    console.print(lake)
    console.print(f"AWS APIs: {factory.cloud.endpoint}   logs: {directory}")


def _statuses(factory: "Factory") -> "dict[tuple[str, str], Status]":
    """Listen in the cloud to the components with code of ours, for a little longer than they take to report."""
    from pm_sandbox.status_ear import StatusEar

    expected = {
        (name, component)
        for name, site in factory.deployment.outputs["sites"].items()
        for device in site["core_devices"]
        for component, state in factory.core_devices[device].status()["components"].items()
        if component.startswith("pm.") and state["pid"]
    }
    with waiting("Listening to the components' status"), StatusEar(factory.cloud) as ear:
        ear.wait_for(expected, _STATUS_SECONDS)
        return ear.latest()


@app.command(rich_help_panel=FACTORY)
def replay(
    data: Data = None,
    start: Annotated[
        dt.datetime | None, typer.Option(help="First event time, UTC.", show_default="of the data")
    ] = None,
    end: Annotated[
        dt.datetime | None,
        typer.Option(help="Event time to stop before, UTC.", show_default="of the data"),
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="As live readings, to forecast from and to score.")] = False,
    directory: Directory = BACKGROUND,
) -> None:
    """Ask the factory to replay readings: the history into the lake, or with --live as if they had just been taken.

    The first four fifths of the data are the history, the last fifth is live.

    Examples: pm replay --end 2010-07-01; pm replay --live
    """
    from pm_edge.devices.simulator.sources import SourceError
    from pm_sandbox.demo.plan import Plan

    factory = attached(directory)
    try:
        plan = Plan.of(data)
    except SourceError as error:
        fail(str(error))
    parameters = plan.command_parameters(live=live)
    for name, value in (("start", start), ("end", end)):
        if value is not None:
            parameters[name] = value.replace(tzinfo=dt.UTC).isoformat()
    if not max(parameters["start"], plan.start.isoformat()) < min(parameters["end"], plan.end.isoformat()):
        fail(
            f"--start and --end: no reading from {parameters['start']} to before {parameters['end']}; "
            f"the data are from {plan.start.isoformat()} to before {plan.end.isoformat()}"
        )
    for device in factory.core_devices.values():
        plan.hand_over(device.directory)
    for site in factory.deployment.outputs["sites"]:
        command = factory.operator.command(site, "simulate" if live else "replay", parameters)
        console.print(f"{site}: asked to {command.name} {parameters['start']} to {parameters['end']}")
    console.print(marked("Watch it with [bold]pm status[/] or [bold]pm logs pm.Uplink[/]"))


@app.command(rich_help_panel=FACTORY)
def logs(
    component: Annotated[str, typer.Argument(help="Name of a component, as `pm status` lists them.")],
    directory: Directory = BACKGROUND,
) -> None:
    """Print a component's log.

    Example: pm logs pm.Forecaster
    """
    for name, device in attached(directory).core_devices.items():
        known = sorted(device.status()["components"])
        if component not in known:
            fail(f"{name} has no component {component!r}: it has {', '.join(known)}")
        sys.stdout.write(printable(device.logs(component)))


@app.command(rich_help_panel=FACTORY)
def down(directory: Directory = BACKGROUND) -> None:
    """Stop the factory that runs in the background, with all that it has started.

    Example: pm down
    """
    from pm_sandbox.factory import FactoryError, process_of

    try:
        process = process_of(directory)
    except FactoryError as error:
        fail(str(error))
    os.kill(process, signal.SIGTERM)
    with waiting("Stopping"):
        _wait_for_exit(process, seconds=30)
    console.print("Stopped.")


def _wait_for_exit(process: int, seconds: float) -> None:
    import psutil

    try:
        psutil.Process(process).wait(seconds)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        fail(f"process {process} has not ended within {seconds:.0f} s; see its log", FAILED)


def _stop_in_order_on_sigterm() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


cli_alarms.register(app)
cli_lake.register(app)
cli_models.register(app)
cli_review.register(app)
cli_clear.register(app)

if __name__ == "__main__":
    app()
