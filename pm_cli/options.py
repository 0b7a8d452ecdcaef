"""Options that several commands of `pm` share: the background factory, a stack's program, a file of data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pm_cli.console import fail

if TYPE_CHECKING:
    from pm_sandbox.factory import Factory

#: The panels of `pm --help`.
FACTORY, MODELS, STACKS = "The factory", "Data and models", "Stacks, before and after `pulumi up`"

BACKGROUND = Path("out/factory")
Directory = Annotated[
    Path, typer.Option(help="Folder of the factory that runs in the background.", file_okay=False, dir_okay=True)
]
_CHECKOUT = Path(__file__).resolve().parent.parent
#: The checkout's program, or for the installed package that of the working directory.
PROJECT = _CHECKOUT if (_CHECKOUT / "Pulumi.yaml").exists() else Path()
Program = Annotated[
    Path, typer.Option(help="Directory with Pulumi.yaml.", show_default="the checkout, or here", file_okay=False)
]
#: A file that must be there.
DATA_FILE = {"exists": True, "dir_okay": False, "readable": True}


def attached(directory: Path) -> "Factory":
    """The factory that runs in the background with this folder.

    Raises:
        typer.Exit: if none does, or nothing is deployed in it; it has been said.
    """
    from pm_sandbox.cloud import CloudError
    from pm_sandbox.core_device import CoreDeviceError
    from pm_sandbox.deployer import DeploymentError
    from pm_sandbox.factory import Factory, FactoryError

    try:
        return Factory.attach(directory)
    except (FactoryError, CloudError, CoreDeviceError, DeploymentError) as error:
        fail(str(error))
