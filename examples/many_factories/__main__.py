"""Roll many factories out, or take them down: `python -m examples.many_factories --help`."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from examples.many_factories import targets
from examples.many_factories.automation import AutomationStack
from examples.many_factories.orchestration import OnResult, Result, Stack, State, roll_out, tear_down
from examples.many_factories.recorded import RecordedStack
from examples.many_factories.targets import Target
from examples.many_factories.workspaces import ROOT

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Many factories from one program.")
console = Console()

_File = Annotated[Path, typer.Option("--file", help="The factories.")]
_Stages = Annotated[list[str] | None, typer.Option("--stage", help="Only this stage; may be given several times.")]
_Factories = Annotated[list[str] | None, typer.Option("--factory", help="Only this factory; several times too.")]
_Parallel = Annotated[int, typer.Option(min=1, help="Stacks that are worked on at once.")]
_FILE = Path(__file__).with_name("factories.yaml")
_DIRECTORY = ROOT / "out" / "many_factories"
_CORES = os.cpu_count() or 1
_STYLES = {State.DONE: "green", State.FAILED: "red", State.NOT_STARTED: "yellow"}


@app.command()
def plan(file: _File = _FILE, stage: _Stages = None, factory: _Factories = None, parallel: _Parallel = _CORES) -> None:
    """Run the program of each stack without a cloud, and tell how many resources it has. Needs no Pulumi command."""
    waves = _waves(file, stage, factory, lambda target: RecordedStack(target, _DIRECTORY))
    _finish("Resources of each stack", roll_out(waves, parallel, _say("recorded")))


@app.command()
def up(file: _File = _FILE, stage: _Stages = None, factory: _Factories = None, parallel: _Parallel = 4) -> None:
    """Bring the stacks up, stage by stage; stop at the first failure."""
    waves = _waves(file, stage, factory, _automated())
    _finish("Rolled out", roll_out(waves, parallel, _say("up")))


@app.command()
def destroy(
    file: _File = _FILE,
    stage: _Stages = None,
    factory: _Factories = None,
    parallel: _Parallel = 4,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy the stacks, the last stage first. Production refuses, and says how to let go."""
    waves = _waves(file, stage, factory, _automated())
    if not yes:
        names = ", ".join(stack.name for wave in waves for stack in wave)
        typer.confirm(f"Destroy {names}?", abort=True)
    _finish("Torn down", tear_down(waves, parallel, _say("destroyed")))


def _automated() -> Callable[[Target], Stack]:
    if shutil.which("pulumi") is None:
        console.print(
            "[red]The Pulumi command is not installed[/]: https://www.pulumi.com/docs/install/. "
            "[bold]plan[/] works without it."
        )
        raise typer.Exit(2)
    return lambda target: AutomationStack(target, _DIRECTORY)


def _waves(
    file: Path, stages: list[str] | None, factories: list[str] | None, make: Callable[[Target], Stack]
) -> list[list[Stack]]:
    try:
        waves = targets.chosen(targets.load(file), stages or [], factories or [])
    except targets.TargetsError as error:
        console.print(f"[red]{error}[/]")
        raise typer.Exit(2) from error
    return [[make(target) for target in wave] for wave in waves]


def _say(done: str) -> OnResult:
    def say(result: Result) -> None:
        word = done if result.state is State.DONE else result.state.value
        console.print(f"[{_STYLES[result.state]}]{result.stack}[/] {word} ({result.seconds:.1f} s) {result.reason}")

    return say


def _finish(title: str, results: list[Result]) -> None:
    console.print(table(title, results))
    if any(result.state is not State.DONE for result in results):
        raise typer.Exit(1)


def table(title: str, results: list[Result]) -> Table:
    """The results as a table."""
    shown = Table(title=title)
    for column in ("Stack", "State", "Seconds", "Resources", "Reason"):
        shown.add_column(column, justify="right" if column == "Seconds" else "left", overflow="fold")
    for result in results:
        style = _STYLES[result.state]
        shown.add_row(
            result.stack,
            f"[{style}]{result.state.value}[/]",
            f"{result.seconds:.1f}",
            _told(result.changes or {}),
            result.reason,
        )
    return shown


def _told(changes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(changes.items()))


if __name__ == "__main__":
    app()
