"""The command line `pm`: the embedded factory, from a terminal."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from edge.simulator.sources import SourceError
from sandbox import cli_alarms, cli_lake, cli_models, cli_review
from sandbox.console import ConsoleProgress

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A predictive-maintenance factory on this machine: cloud, core device, sensors, models and alerts.",
    epilog="Start with `pm demo`. For a factory to play with: `pm up`, `pm replay`, `pm status`, `pm logs`, `pm down`.",
)
console = Console()
Directory = Annotated[Path, typer.Option(help="Folder of the factory that runs in the background.")]
Data = Annotated[
    Path | None,
    typer.Option(help="CSV of hourly air quality: date,pollution,dew,temp,press,wnd_dir,wnd_spd,snow,rain."),
]
_BACKGROUND = Path("out/factory")


@app.command()
def demo(
    data: Data = None, out: Annotated[Path, typer.Option(help="Folder for what the demo leaves.")] = Path("out")
) -> None:
    """Run the whole job once: ingest, train, ship, forecast, cut the uplink, alert. Takes about three minutes.

    The data is simulated, with a fixed seed, unless --data names a file of your own. Everything that it starts is
    stopped at the end, on Ctrl-C and on an error; what it leaves is in out/: report.html, demo.json, mail/,
    announcements/, and the logs in demo/.
    """
    # Imported here, as in each command: `pm --help` must not wait for what it does not need.
    from sandbox.demo import story
    from sandbox.demo.plan import Plan
    from sandbox.demo.summary import summary_table, where_to_look

    _stop_in_order_on_sigterm()
    console.print("\n[bold]A factory on one machine, from sensor to alert[/]\n")
    try:
        plan = Plan.of(data)
        with ConsoleProgress(console) as progress:
            summary = story.run(plan, out.absolute(), progress)
    except KeyboardInterrupt:
        _fail(f"stopped; what has been started is stopped too. Logs: {out}/demo", 130)
    except (RuntimeError, SourceError) as error:
        _fail(f"{error}\nLogs: {out}/demo")
    console.print()
    console.print(summary_table(summary))
    console.print(f"\n{where_to_look(out)}")


@app.command()
def up(
    directory: Directory = _BACKGROUND,
    port: Annotated[
        int | None, typer.Option(help="Port of the AWS APIs on 127.0.0.1, by default any free one.")
    ] = None,
    cloud_only: Annotated[
        bool, typer.Option("--cloud-only", help="An empty cloud, to deploy to with Pulumi's own command line.")
    ] = False,
) -> None:
    """Start a factory in the background; it runs until `pm down`.

    For Pulumi's own command line: `pm up --cloud-only --port 4566`, then `pulumi up --stack local`.
    """
    from sandbox.factory import STARTING_FILE, FactoryError, read_state

    try:
        read_state(directory)
    except FactoryError:
        pass
    else:
        _fail(f"a factory runs in {directory} already: `pm status` shows it, `pm down` stops it")
    directory.mkdir(parents=True, exist_ok=True)
    told = directory / STARTING_FILE
    told.write_text("")
    with (directory / "factory.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "sandbox.factory", "--directory", str(directory)),
                *([f"--port={port}"] if port else []),
                *(["--cloud-only"] if cloud_only else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    with ConsoleProgress(console) as progress, told.open() as lines:
        while True:
            line = lines.readline()
            if not line.endswith("\n"):
                if process.poll() is not None:
                    _fail(f"the factory did not come up; see {directory / 'factory.log'}")
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
                    _fail(f"{error}; see {directory / 'factory.log'}")
                case {"ready": True}:
                    break
    if cloud_only:
        console.print("\nIt runs, and nothing is deployed. Next: [bold]pulumi up --stack local[/], [bold]pm down[/]")
        return
    console.print(
        "\nIt runs. Next: [bold]pm status[/], [bold]pm replay[/], [bold]pm logs pm.Uplink[/], [bold]pm down[/]"
    )


@app.command()
def status(directory: Directory = _BACKGROUND) -> None:
    """Show the factory that runs in the background: components, deployments, the lake."""
    factory = _attached(directory)
    components = Table(
        "Core device", "Component", "Version", "State", "Restarts", "CPU %", "Memory MB", title="On the floor"
    )
    for name, device in factory.core_devices.items():
        for component, state in sorted(device.status()["components"].items()):
            used = (f"{state['cpu_percent']:.0f}", f"{state['memory_bytes'] / 1e6:.0f}") if state["pid"] else ("", "")
            components.add_row(name, component, state["version"], state["state"], str(state["restarts"]), *used)
    console.print(components)
    lake = Table("Table", "Rows", "Messages", title="In the lake")
    for table in factory.deployment.outputs["streams"]:
        stored, messages = factory.operator.count(table)
        lake.add_row(table, f"{stored:,}", f"{messages:,}")
    console.print(lake)
    console.print(f"AWS APIs: {factory.cloud.endpoint}   logs: {directory}")


@app.command()
def replay(
    data: Data = None,
    start: Annotated[dt.datetime | None, typer.Option(help="First event time, UTC.")] = None,
    end: Annotated[dt.datetime | None, typer.Option(help="Event time to stop before, UTC.")] = None,
    live: Annotated[bool, typer.Option("--live", help="As live readings, to forecast from and to score.")] = False,
    directory: Directory = _BACKGROUND,
) -> None:
    """Ask the factory to replay readings: the history into the lake, or with --live as if they came just now."""
    from sandbox.demo.plan import Plan

    factory = _attached(directory)
    try:
        plan = Plan.of(data)
    except SourceError as error:
        _fail(str(error))
    parameters = plan.command_parameters(live=live)
    for name, value in (("start", start), ("end", end)):
        if value is not None:
            parameters[name] = value.replace(tzinfo=dt.UTC).isoformat()
    for site in factory.deployment.outputs["sites"]:
        command = factory.operator.command(site, "simulate" if live else "replay", parameters)
        console.print(f"{site}: asked to {command.name} {parameters['start']} to {parameters['end']}")
    console.print("Watch it with [bold]pm status[/] or [bold]pm logs pm.Uplink[/]")


@app.command()
def logs(
    component: Annotated[str, typer.Argument(help="Name of a component, as `pm status` lists them.")],
    directory: Directory = _BACKGROUND,
) -> None:
    """Print a component's log."""
    for name, device in _attached(directory).core_devices.items():
        known = sorted(device.status()["components"])
        if component not in known:
            _fail(f"{name} has no component {component!r}: it has {', '.join(known)}")
        sys.stdout.write(device.logs(component))


@app.command()
def down(directory: Directory = _BACKGROUND) -> None:
    """Stop the factory that runs in the background, and all that it has started."""
    from sandbox.factory import FactoryError, read_state

    try:
        process = read_state(directory)["pid"]
    except FactoryError as error:
        _fail(str(error))
    os.kill(process, signal.SIGTERM)
    with console.status("Stopping"):
        _wait_for_exit(process, seconds=30)
    console.print("Stopped.")


def _attached(directory: Path) -> Any:
    from sandbox.cloud import CloudError
    from sandbox.deployer import DeploymentError
    from sandbox.factory import Factory, FactoryError

    try:
        return Factory.attach(directory)
    except (FactoryError, CloudError, DeploymentError) as error:
        _fail(str(error))


def _wait_for_exit(process: int, seconds: float) -> None:
    import psutil

    try:
        psutil.Process(process).wait(seconds)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        _fail(f"process {process} has not ended within {seconds:.0f} s; see its log")


def _stop_in_order_on_sigterm() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def _fail(text: str, code: int = 1) -> NoReturn:
    console.print(f"[red]error:[/] {text}", highlight=False)
    raise typer.Exit(code)


cli_alarms.register(app)
cli_lake.register(app)
cli_models.register(app)
cli_review.register(app)

if __name__ == "__main__":
    app()
