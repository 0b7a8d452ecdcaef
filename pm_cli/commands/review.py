"""The commands of `pm` for stacks: review one, compare the settings of two."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from pm_cli.console import console, fail, waiting
from pm_cli.options import PROJECT, STACKS, Program
from pm_sandbox.terminal import marked

config_app = typer.Typer(no_args_is_help=True, help="Compare the configuration of stacks.")

#: Exit code of a review that a mandatory policy refuses, apart from that of an error.
_REFUSED = 3


def register(app: typer.Typer) -> None:
    """Add the commands to `pm`."""
    app.add_typer(config_app, name="config", rich_help_panel=STACKS)
    app.command(rich_help_panel=STACKS)(review)


@config_app.command("diff")
def config_diff(
    first: Annotated[str, typer.Argument(help="A stack, as dev.")],
    second: Annotated[str, typer.Argument(help="Another stack, as prod.")],
    program: Program = PROJECT,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: {key: {stack: value}}.")] = False,
) -> None:
    """Show where two stacks differ, after the defaults of project, tier and components.

    Example: pm config diff dev prod
    """
    from pm_cli.review.settings import difference
    from pm_components.stack.config import ConfigError
    from pm_sandbox.deployer.records import DeploymentError

    try:
        found = difference(program, first, second)
    except (ConfigError, DeploymentError) as error:
        fail(str(error))
    if as_json:
        sys.stdout.write(
            json.dumps({one.key: {first: one.first, second: one.second} for one in found}, indent=1) + "\n"
        )
        return
    if not found:
        console.print(f"{first} and {second} have the same settings.")
        return
    table = Table(Column("Setting", no_wrap=True), first, second)
    for one in found:
        table.add_row(
            one.key, *(marked("[dim]not there") if side is None else side for side in (one.first, one.second))
        )
    console.print(table)


def review(
    stack: Annotated[str, typer.Argument(help="The stack, as dev.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="For a pull request.")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="Keep this as the reviewed snapshot.")] = False,
    program: Program = PROJECT,
) -> None:
    """Show what a reviewer needs before `pulumi up`, without a cloud.

    Resources by component, IAM statements in words, policy findings, refusals by the provider or AWS, a cost estimate,
    and the changes since the last reviewed snapshot (snapshots/STACK.json: all of `dev`, and of others their
    differences from it, so accept `dev` first). The exit code is 3 if a mandatory policy, the provider or AWS refuses
    the program.

    Examples: pm review dev; pm review prod --markdown for a pull request
    """
    from pm_cli.review import report, terminal
    from pm_cli.review import review as reviews
    from pm_cli.review.checks.cfn_lint import CfnLintError
    from pm_cli.review.snapshot import SnapshotError, write
    from pm_components.stack.config import ConfigError
    from pm_sandbox.deployer.records import DeploymentError
    from pm_sandbox.recorder import RecordingError

    if as_json and as_markdown:
        fail("--json and --markdown: allowed is one of them")
    try:
        with waiting("Running the program without a cloud"):
            found = reviews.review(program, stack)
    except (CfnLintError, ConfigError, DeploymentError, RecordingError, SnapshotError) as error:
        fail(str(error))
    if as_json:
        _write_json(report.as_json(found))
    elif as_markdown:
        sys.stdout.write(report.as_markdown(found))
    else:
        terminal.show(found, console)
    if accept:
        path = reviews.snapshot_path(program, stack)
        write(path, found.snapshot)
        typer.echo(f"kept as reviewed: {path}", err=True)
    if found.refused:
        raise typer.Exit(_REFUSED)


def _write_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
