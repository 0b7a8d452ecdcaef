"""The commands of `pm` for the lake of the factory that runs in the background."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pm_cli.console import console, fail
from pm_cli.options import BACKGROUND, FACTORY, Directory, attached
from pm_sandbox.terminal import marked

lake_app = typer.Typer(no_args_is_help=True, help="Query the lake, and replay its dead letters.")


def register(app: typer.Typer) -> None:
    """Add the commands to `pm`."""
    app.add_typer(lake_app, name="lake", rich_help_panel=FACTORY)


@lake_app.command()
def query(
    name: Annotated[str, typer.Argument(help="A named query; without one, all are listed.")] = "",
    rows: Annotated[int, typer.Option(help="Most rows to show.", min=1)] = 50,
    directory: Directory = BACKGROUND,
) -> None:
    """Run one of the lake's named queries.

    Examples: pm lake query, which lists them, then pm lake query silent-devices --rows 10
    """
    from pm_components.analytics_store.named_queries import NAMED_QUERIES

    queries = {each.name: each for each in NAMED_QUERIES}
    if not name:
        listed = Table.grid(padding=(0, 2))
        for each in NAMED_QUERIES:
            listed.add_row(marked("[bold]{}", each.name), each.description)
        console.print(listed)
        return
    if name not in queries:
        fail(f"there is no query {name!r}: there are {', '.join(queries)}")
    found = _operate(directory, lambda operator: operator.query(queries[name].statement))
    if not found:
        console.print("No rows.")
        return
    table = Table(*found[0], title=queries[name].description)
    for row in found[:rows]:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console.print(table)
    if len(found) > rows:
        console.print(f"{len(found) - rows} more rows; see --rows")


@lake_app.command("replay-dead-letters")
def replay_dead_letters(
    table: Annotated[str, typer.Option(help="Only the dead letters of this table.")] = "",
    directory: Directory = BACKGROUND,
) -> None:
    """Replay the lake's dead letters once their cause is fixed. Those that are refused again stay where they are.

    Example: pm lake replay-dead-letters --table outcome

    On AWS: aws lambda invoke --function-name "$(pulumi stack output replay_function)" --cli-read-timeout 0 answer.json
    """
    while True:
        answer = _operate(directory, lambda operator: operator.replay_dead_letters(table))
        for name, count in sorted(answer["replayed"].items()):
            console.print(f"{name}: {count} replayed")
        for reason, count in sorted(answer["refused"].items()):
            console.print(marked("[yellow]still refused:[/] {} x {}", count, reason), highlight=False)
        if answer["complete"]:
            break
    if not answer["replayed"] and not answer["refused"]:
        console.print("There are no dead letters.")


def _operate(directory: Path, ask: Any) -> Any:
    """The answer of the factory in `directory` to the operator."""
    from pm_sandbox.operator import OperationFailed

    operator = attached(directory).operator
    try:
        return ask(operator)
    except OperationFailed as error:
        fail(str(error))
