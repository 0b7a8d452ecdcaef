"""The commands of `pm` for the alarms of the factory that runs in the background."""

import getpass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

console = Console()
alarms_app = typer.Typer(no_args_is_help=True, help="The alarms: see them, take one on.")

Directory = Annotated[Path, typer.Option(help="Folder of the factory.")]
_BACKGROUND = Path("out/factory")
_COLOURS = {("active", "critical"): "red", ("active", "warning"): "yellow"}


def register(app: typer.Typer) -> None:
    """Add the commands to `pm`."""
    app.add_typer(alarms_app, name="alarms")


@alarms_app.command("list")
def list_alarms(
    everything: Annotated[bool, typer.Option("--all", help="Those that are cleared too.")] = False,
    directory: Directory = _BACKGROUND,
) -> None:
    """List the alarms that are active."""
    from sandbox.alarms import alarms

    rows = [row for row in _operate(directory, alarms) if everything or row.state == "active"]
    if not rows:
        console.print("There are no alarms.")
        return
    table = Table("Site", "Alarm", "State", "Severity", "Raised", "Acknowledged by", "Escalated", "What")
    for row in rows:
        colour = _COLOURS.get((row.state, row.severity), "")
        state = f"[{colour}]{row.state}[/]" if colour else row.state
        escalated = "yes" if row.escalated else ""
        table.add_row(
            row.site, row.dedupe_key, state, row.severity, row.raised_at, row.acknowledged_by, escalated, row.text
        )
    console.print(table)


@alarms_app.command()
def acknowledge(
    site: Annotated[str, typer.Argument(help="The site.")],
    alarm: Annotated[str, typer.Argument(help="The alarm, as `pm alarms list` names it, e.g. fault/machine-03.")],
    by: Annotated[str, typer.Option(help="Who takes it on; by default you.")] = "",
    note: Annotated[str, typer.Option(help="What you want the others to know.")] = "",
    directory: Directory = _BACKGROUND,
) -> None:
    """Take an alarm on: the others are told, and nobody is escalated to.

    On AWS: aws sqs send-message --queue-url "$(pulumi stack output alarm_queue_url)" --message-attributes
    kind={DataType=String,StringValue=acknowledgement} --message-body '{"site": .., "dedupe_key": .., "by": ..}'
    """
    from sandbox.alarms import acknowledge, alarms

    def take(cloud: Any, outputs: dict[str, Any]) -> None:
        known = {(row.site, row.dedupe_key): row for row in alarms(cloud, outputs)}
        found = known.get((site, alarm))
        active = [f"{row.site} {row.dedupe_key}" for row in known.values() if row.state == "active"]
        if found is None:
            _fail(f"there is no alarm {alarm!r} at {site!r}; active are: {', '.join(active) or 'none'}")
        if found.state != "active":
            _fail(f"{alarm} at {site} is {found.state}: there is nothing to take on")
        if found.acknowledged_by:
            _fail(f"{found.acknowledged_by} has taken {alarm} at {site} on already")
        acknowledge(cloud, outputs, site=site, dedupe_key=alarm, by=by or getpass.getuser(), note=note)

    _operate(directory, take)
    console.print(f"Said that {by or getpass.getuser()} takes {alarm} at {site} on.")


def _operate(directory: Path, ask: Any) -> Any:
    """What is answered for the factory in `directory`."""
    from sandbox.cloud import CloudError
    from sandbox.deployer import DeploymentError
    from sandbox.factory import Factory, FactoryError

    try:
        factory = Factory.attach(directory)
        return ask(factory.cloud, factory.deployment.outputs)
    except (FactoryError, CloudError, DeploymentError) as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    console.print(f"[red]error:[/] {text}", highlight=False)
    raise typer.Exit(1)
