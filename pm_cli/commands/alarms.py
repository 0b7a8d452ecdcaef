"""The commands of `pm` for the alarms of the factory that runs in the background."""

import getpass
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from pm_cli.console import console, fail
from pm_cli.options import BACKGROUND, FACTORY, Directory, attached
from pm_sandbox.terminal import printable

alarms_app = typer.Typer(no_args_is_help=True, help="List alarms and acknowledge them.")

_COLOURS = {("active", "critical"): "red", ("active", "warning"): "yellow"}
_COLOURS |= {("flapping", severity): colour for (_, severity), colour in _COLOURS.items()}


def register(app: typer.Typer) -> None:
    """Add the commands to `pm`."""
    app.add_typer(alarms_app, name="alarms", rich_help_panel=FACTORY)


@alarms_app.command("list")
def list_alarms(
    everything: Annotated[bool, typer.Option("--all", help="Include cleared alarms.")] = False,
    directory: Directory = BACKGROUND,
) -> None:
    """List the active alarms.

    Example: pm alarms list --all
    """
    from pm_sandbox.alarms import alarms

    factory = attached(directory)
    found = alarms(factory.cloud, factory.deployment.outputs)
    rows = [row for row in found if everything or row.is_active]
    if not rows:
        console.print("There are no alarms.")
        return
    table = Table("Site", "Alarm", "State", "Severity", "Raised", "Acknowledged by", "Escalated", "Text")
    for row in rows:
        state = Text(printable(row.state), style=_COLOURS.get((row.state, row.severity), ""))
        escalated = "yes" if row.escalated else ""
        table.add_row(
            row.site, row.dedupe_key, state, row.severity, row.raised_at, row.acknowledged_by, escalated, row.text
        )
    console.print(table)


@alarms_app.command()
def acknowledge(
    site: Annotated[str, typer.Argument(help="The site.")],
    alarm: Annotated[str, typer.Argument(help="The alarm, as `pm alarms list` names it, e.g. fault/machine-03.")],
    by: Annotated[str, typer.Option(help="Person who takes it on; by default you.")] = "",
    note: Annotated[str, typer.Option(help="Note for the others.")] = "",
    directory: Directory = BACKGROUND,
) -> None:
    """Acknowledge an alarm: the others are notified, and it is not escalated.

    Example: pm alarms acknowledge lindau fault/machine-03 --note "on my way"

    On AWS: aws sqs send-message --queue-url "$(pulumi stack output alarm_queue_url)" --message-attributes
    kind={DataType=String,StringValue=acknowledgement} --message-body '{"site": .., "dedupe_key": .., "by": ..}'
    """
    from pm_sandbox.alarms import acknowledge, alarms

    factory = attached(directory)
    cloud, outputs = factory.cloud, factory.deployment.outputs
    known = {(row.site, row.dedupe_key): row for row in alarms(cloud, outputs)}
    found = known.get((site, alarm))
    active = [f"{row.site} {row.dedupe_key}" for row in known.values() if row.is_active]
    if found is None:
        fail(f"there is no alarm {alarm!r} at {site!r}; active are: {', '.join(active) or 'none'}")
    if not found.is_active:
        fail(f"{alarm} at {site} is {found.state}: there is nothing to take on")
    if found.acknowledged_by:
        fail(f"{found.acknowledged_by} has taken {alarm} at {site} on already")
    acknowledge(cloud, outputs, site=site, dedupe_key=alarm, by=by or getpass.getuser(), note=note)
    console.print(f"{by or getpass.getuser()} has acknowledged {alarm} at {site}.")
