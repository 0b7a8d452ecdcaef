"""Deploys a program into the embedded cloud by Pulumi's own engine, in place of the sandbox's."""

import contextlib
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

from pulumi.runtime import rpc

from pm_sandbox.cloud import Cloud
from pm_sandbox.deployer.masking import MASK
from pm_sandbox.deployer.records import Deployment, DeploymentError, Operation, ResourceRecord, Step, new_file
from pm_sandbox.engine.command import EngineError
from pm_sandbox.engine.operations import Engine, Event
from pm_sandbox.engine.workspace import Workspace
from pm_sandbox.provider import Context
from pm_sandbox.provider.server import Server

#: In the engine's folder: what a shell reads so that its commands work there.
SHELL_FILE = "environment.sh"
#: In what the command line reports at its end: a resource, an error of it, and what precedes a program's own words.
_RESOURCE = re.compile(r"  (\S+) \((.+)\):")
_ERROR = "error: "
_UNHANDLED, _INLINE = "an unhandled error occurred: ", "python inline source runtime error: "
_STACK = "pulumi:pulumi:Stack"
#: The engine makes these itself, for programs that name no provider.
_DEFAULT_PROVIDER = ("pulumi:providers:", "default")


class PulumiDeployer:
    """Pulumi's engine for one new cloud, with the provider that it asks, which serves until the end.

    Attributes:
        folder: The engine's folder, see `Workspace`.
    """

    def __init__(self, cli: Path | None, folder: Path) -> None:
        """Deploy by the command `cli`; without one the provider is served, and nothing can be deployed from here."""
        self.folder = folder.absolute()
        self._cli = cli
        self._serving = contextlib.ExitStack()
        self._port = 0

    def serve(self, cloud: Cloud, program: Path) -> None:
        """Serve a new cloud to the stacks of a program."""
        self._port = self._serving.enter_context(Server(Context(cloud))).port
        workspace = Workspace(self.folder, program)
        workspace.write_stacks(_region_of(cloud))
        lines = workspace.shell_lines(self._port)
        (self.folder / SHELL_FILE).write_text("".join(f"{line}\n" for line in lines))

    def initialize(self, program: Path, stack: str) -> None:
        """Have a stack there to be filled by hand, where there is a command to do it.

        Raises:
            EngineError: if the command fails.
        """
        if self._cli is not None:
            Engine(self._cli, self.folder, self._port, program, stack, stack).initialize()

    def __call__(
        self,
        program: Path,
        stack: str,
        cloud: Cloud,
        config: dict[str, Any],
        on_step: Callable[[Event], None],
    ) -> Deployment:
        """Run a program against a new cloud, and keep the outcome beside the cloud; see `pm_sandbox.deployer.deploy`.

        Raises:
            DeploymentError: with what the engine says. What was made until then stays.
        """
        assert self._cli is not None  # noqa: S101 - see the constructor
        self.serve(cloud, program)
        # An update that is killed is given up with its new cloud.
        engine = Engine(self._cli, self.folder, self._port, program, stack, stack, checkpoints=False)
        try:
            done = engine.finish(engine.start("up", {**_region_of(cloud), **config}), on_step)
            deployment = deployment_of(stack, engine.exported())
        except EngineError as error:
            raise DeploymentError(f"{_reason_of(str(error))}\n(the whole story is in {engine.log('up')})") from error
        deployment.save(new_file(cloud.directory))
        return replace(deployment, steps=_steps_of(deployment, done.events))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.close()


def _region_of(cloud: Cloud) -> dict[str, str]:
    """The configuration by which both providers look for the cloud where it is."""
    return {"aws:region": cloud.region, "aws-native:region": cloud.region}


def _reason_of(said: str) -> str:
    """The errors that the command line reports, in a line: those of resources, else of the program, else all."""
    of_resources: dict[str, None] = {}
    of_program: dict[str, None] = {}
    resource = ""
    for line in said.splitlines():
        if reported := _RESOURCE.fullmatch(line):
            token, name = reported.groups()
            resource = "" if token == _STACK else f"{token} {name!r}: "
        elif line.strip().startswith(_ERROR):
            error = line.strip().removeprefix(_ERROR).removeprefix(_UNHANDLED).removeprefix(_INLINE)
            (of_resources if resource else of_program)[resource + error] = None
    return "; ".join(of_resources or of_program) or " ".join(said.split())


def deployment_of(stack: str, exported: dict[str, Any]) -> Deployment:
    """A deployment as the sandbox keeps it, of a state that `pulumi stack export` has written. Secrets are masked."""
    resources = exported["deployment"]["resources"]
    itself: dict[str, Any] = next((one for one in resources if one["type"] == _STACK), {})
    return Deployment(
        itself["urn"].split("::")[1] if itself else "",
        stack,
        _plain(itself.get("outputs", {})),
        [_record(one) for one in resources if one["type"] != _STACK and not _is_default_provider(one)],
        engine="pulumi",
    )


def _steps_of(deployment: Deployment, events: Iterable[Event]) -> list[Step]:
    """The steps of what the deployment has, without the stack itself and the providers of the engine's own."""
    ours = {resource.urn for resource in deployment.resources}
    return [
        Step(cast(Operation, event.op), event.type, event.name, event.urn, event.keys)
        for event in events
        if event.urn in ours
    ]


def _record(one: dict[str, Any]) -> ResourceRecord:
    return ResourceRecord(
        type=one["type"],
        name=one["urn"].rsplit("::", 1)[-1],
        urn=one["urn"],
        parent=one.get("parent", ""),
        physical_id=one.get("id", ""),
        inputs=_plain(one.get("inputs", {})),
        outputs=_plain(one.get("outputs", {})),
        protect=one.get("protect", False),
    )


def _is_default_provider(one: dict[str, Any]) -> bool:
    kind, name = _DEFAULT_PROVIDER
    return one["type"].startswith(kind) and one["urn"].rsplit("::", 1)[-1].startswith(name)


def _plain(value: Any) -> Any:
    """A value of a state, where a secret is masked, and an asset or archive told by its digest."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value.get(rpc._special_sig_key):
        case None:
            return {key: _plain(item) for key, item in value.items()}
        case rpc._special_secret_sig:
            return MASK
        case rpc._special_asset_sig | rpc._special_archive_sig:
            return {"sha256": value.get("hash", "")}
        case _:
            return value.get("id") or value["urn"]
