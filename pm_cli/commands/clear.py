"""The command `pm clear`, which deletes what a running stack made beside Pulumi."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm_cli.console import FAILED, fail, waiting
from pm_cli.options import PROJECT, STACKS, Program
from pm_sandbox.terminal import printable

if TYPE_CHECKING:
    from pm_cli.leftovers import Leftover


def register(app: typer.Typer) -> None:
    """Add the command to `pm`."""
    app.command(rich_help_panel=STACKS)(clear)


def clear(
    stack: Annotated[str, typer.Argument(help="The stack, as dev.")],
    removed: Annotated[
        bool, typer.Option("--removed", help="Only of sites, core devices and devices that the program no longer has.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Output of `pulumi stack export`, or deployment.json of the sandbox.",
            show_default="asked from the pulumi command",
            dir_okay=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be deleted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    program: Program = PROJECT,
) -> None:
    """Delete what a running stack made beside Pulumi, so that `pulumi destroy` can finish and leaves nothing behind.

    These are the certificates of its devices, registered models, and models deployed to core devices. It goes by the
    stack's state and tags, and logs in as Pulumi does (`aws:profile`, `aws:assumeRoles`, ...); an account or region
    other than the stack's is refused before anything is read. So are protected stacks, except with --removed. It also
    lists what stays on each core device.

    Examples: pm clear dev, then pulumi destroy --stack dev; pm clear prod --removed, then pulumi up --stack prod
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from pm_cli import aws_access, leftovers, stack_state
    from pm_cli.review.settings import read
    from pm_components.stack.config import ConfigError
    from pm_sandbox.deployer.project import read_project
    from pm_sandbox.deployer.records import DeploymentError
    from pm_sandbox.recorder import RecordingError, record

    try:
        settings, _ = read(program, stack)
        if settings.protected and not removed:
            fail(f"stack {stack} is protected: set pm:protected to false and run `pulumi up` first")
        made = stack_state.read(state) if state else stack_state.exported(program, stack)
        if not made.resources:
            typer.echo(f"Stack {stack} has no resources.")
            return
        if made.protected() and not removed:
            fail(f"stack {stack} has protected resources, as {made.protected()[0]}: run `pulumi up` first")
        project = read_project(program, stack, {})
        access = aws_access.access(project.config)
        aws_access.require_deployed(access, made.arns(), f"stack {stack}")
        kept = None
        if removed:
            with waiting("Running the program without a cloud"):
                kept = record(program, stack)
        with waiting("Looking for what the stack made beside Pulumi"):
            tagged = leftovers.tagged(access.clients("resourcegroupstaggingapi"), project.name, stack)
            scope = leftovers.scope(made, tagged, kept, access.account)
            cores = leftovers.core_devices(scope, access.clients("greengrassv2"))
            found = list(leftovers.find(scope, access.clients))
        for core in cores:
            typer.echo(_stays(core, settings.data_directory))
        for name in scope.unknown_to_pulumi:
            typer.echo(printable(f"not in Pulumi's state, delete it by hand: {name}"))
        if dry_run:
            for one in found:
                typer.echo(printable(f"would delete {one.text}"))
            return
        _delete(found, stack, yes=yes)
    except (ConfigError, DeploymentError, RecordingError, aws_access.AccessRefused, stack_state.StateError) as error:
        fail(str(error))
    except (BotoCoreError, ClientError) as error:
        fail(str(error), FAILED)
    following = "up" if removed else "destroy"
    typer.echo(f"{len(found)} deleted. Next: pulumi {following} --stack {stack}")


def _delete(found: "list[Leftover]", stack: str, *, yes: bool) -> None:
    if found and not yes:
        for one in found:
            typer.echo(printable(one.text))
        typer.confirm(f"Delete these {len(found)} in the account and region of stack {stack}?", abort=True)
    for one in found:
        one.delete()
        typer.echo(printable(f"deleted {one.text}"))


def _stays(core: str, data_directory: str) -> str:
    """The things on a core device that no call to AWS deletes, and how to delete them."""
    return (
        f"stays on {core}: the nucleus with its components and their logs (/greengrass/v2, of nucleus lite "
        f"/var/lib/greengrass), and {data_directory}/{core} with identity, models and outbox; messages that the outbox "
        "has not sent can leave no more once the certificate is deleted. To remove them there: `systemctl stop "
        "greengrass` (nucleus lite: greengrass-lite.target), then delete both folders"
    )
