"""The resource monitor that the Pulumi SDK talks to: it makes each registered resource in the emulated cloud."""

import threading
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.proto import resource_pb2

from sandbox.deployer.masking import MASK, masked
from sandbox.deployer.owners import Owners
from sandbox.deployer.records import DeploymentError, ResourceRecord
from sandbox.provider import PACKAGES, Context, InputError, Provider
from sandbox.provider.assets import described
from sandbox.provider.wire import plain, secret

_STACK = "pulumi:pulumi:Stack"
#: Before the package's name in the type of an explicit provider.
_PROVIDERS = "pulumi:providers:"


class _NoMocks(Mocks):
    """The source of values for the SDK's monitor; ours never asks it."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        raise NotImplementedError

    def call(self, args: Any) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise NotImplementedError


class CloudMonitor(MockMonitor):
    """Makes resources as a program registers them. Its methods are called from several threads.

    What it makes it answers as *partly unknown*: an output that no handler gave a value is then unknown to the
    program, not None, and what comes of it can be told at any depth. That is an error here, never a lost input.

    Attributes:
        records: What was made, by URN, in the order of making.
        outputs: The stack's outputs, once the program has ended.
        failure: The first thing that went wrong; nothing is made after it.
        preview: Whether a value that is not known yet is none to complain of, and is kept as the wire's mark.
    """

    def __init__(
        self,
        context: Context,
        on_resource: Callable[[ResourceRecord], None],
        beside: Iterable[ResourceRecord] = (),
        *,
        preview: bool = False,
    ) -> None:
        """Work in `context`; call `on_resource` for each resource and component, from one thread at a time.

        `beside` is what the cloud has already, of other stacks.
        """
        super().__init__(_NoMocks())
        self.records: dict[str, ResourceRecord] = {}
        self.outputs: dict[str, Any] = {}
        self.failure: DeploymentError | None = None
        self.preview = preview
        self._provider = Provider(context)
        self._on_resource = on_resource
        self._owners = Owners(beside)
        self._registered: set[str] = set()
        self._lock = threading.Lock()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """The URN as Pulumi's engine makes it, which holds the types of all parents but the stack's."""
        parent_type = parent.split("::")[2] if parent else ""
        qualified = type_ if parent_type in ("", _STACK) else f"{parent_type}${type_}"
        return super().make_urn("", qualified, name)

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Make a resource, or record a component."""
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == _STACK:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        physical_id, outputs = self._guarded(f"{request.type} {request.name!r}", lambda: self._register(request, urn))
        message = struct_pb2.Struct()
        message.update(outputs)
        message.update({key: secret(outputs[key]) for key in request.additionalSecretOutputs if key in outputs})
        return resource_pb2.RegisterResourceResponse(urn=urn, id=physical_id, object=message, unknown=True)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Keep the outputs of a component or of the stack; one without a value is an error."""

        def keep() -> None:
            outputs, missing = self.plain(request.outputs)
            if missing:
                raise DeploymentError(_without_value("output", missing))
            outputs = masked(request.outputs, outputs)
            with self._lock:
                if request.urn in self.records:
                    before = self.records[request.urn]
                    self.records[request.urn] = ResourceRecord(**{**vars(before), "outputs": described(outputs)})
                else:
                    self.outputs = outputs

        self._guarded(f"the outputs of {request.urn}", keep)
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Answer a provider's function."""

        def answer() -> dict[str, Any]:
            arguments, missing = plain(request.args)
            if missing:
                raise DeploymentError(_without_value("argument", missing))
            return self.answer(request.tok, arguments)

        message = struct_pb2.Struct()
        message.update(self._guarded(f"function {request.tok}", answer))
        return resource_pb2.ResourceInvokeResponse(**{"return": message})

    def made(self, token: str, name: str, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make a resource: its id, its outputs beside the inputs; see `Provider.create`.

        The sandbox has one provider, and all that are configured alike are that one.
        """
        if token.startswith(_PROVIDERS):
            if failures := self._provider.check_configuration(values):
                raise DeploymentError("; ".join(f"{one.input} {one.reason}" for one in failures))
            return name, {}
        physical_id, outputs = self._provider.create(token, values)
        with self._lock:
            self._owners.claim(token, physical_id, name)
        return physical_id, outputs

    def answer(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A function's answer; see `Provider.invoke`."""
        return self._provider.invoke(token, arguments)

    def plain(self, message: Any) -> tuple[dict[str, Any], list[str]]:
        """The properties of a message, and the paths that should have a value and have none; see `wire.plain`."""
        return (plain(message, rpc.UNKNOWN)[0], []) if self.preview else plain(message)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Refuse: a new cloud holds nothing that a program could look up."""
        self._refuse(request, "looks up a resource that exists already, and the sandbox's cloud starts empty")

    def RegisterStackTransform(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Refuse: see `RegisterResource`."""
        self._refuse(request, "a stack transform is not run by the sandbox; use transformations")

    def RegisterStackInvokeTransform(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Refuse: the transform would be dropped."""
        self._refuse(request, "a transform of function calls is not run by the sandbox")

    def RegisterResourceHook(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Refuse: the hook would be dropped."""
        self._refuse(request, "a resource hook is not run by the sandbox")

    def RegisterErrorHook(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Refuse: the hook would be dropped."""
        self._refuse(request, "an error hook is not run by the sandbox")

    def _refuse(self, request: Any, reason: str) -> None:
        def refuse() -> None:
            raise DeploymentError(reason)

        name = " ".join(part for part in (getattr(request, "type", ""), getattr(request, "name", "")) if part)
        self._guarded(name or "the program", refuse)

    def _register(self, request: Any, urn: str) -> tuple[str, dict[str, Any]]:
        for field, option in (
            ("importId", "import_"),
            ("remote", "a component of another language"),
            ("transforms", "transforms; use transformations"),
            ("hooks", "hooks"),
            ("customTimeouts", "custom_timeouts"),
        ):
            asked = getattr(request, field)
            if asked.ByteSize() if field in ("hooks", "customTimeouts") else asked:
                raise DeploymentError(f"asks for {option}, which the sandbox does not do")
        _refuse_other_version(request)
        values, missing = self.plain(request.object)
        missing += [key for key, urns in request.propertyDependencies.items() if urns.urns and key not in values]
        if missing:
            sources = {urn for dependency in request.propertyDependencies.values() for urn in dependency.urns}
            raise DeploymentError(f"{_without_value('input', missing)}; it depends on {', '.join(sorted(sources))}")
        with self._lock:
            if urn in self._registered:
                raise DeploymentError(f"there are two resources of this type and name: {urn}")
            self._registered.add(urn)
        if request.custom:
            physical_id, outputs = self.made(request.type, request.name, values)
        else:
            physical_id, outputs = "", {}
        inputs = masked(request.object, described(values))
        secrets = dict.fromkeys(request.additionalSecretOutputs, MASK)
        with self._lock:
            self.records[urn] = ResourceRecord(
                type=request.type,
                name=request.name,
                urn=urn,
                parent=request.parent,
                physical_id=physical_id,
                inputs=inputs,
                outputs={**inputs, **outputs, **secrets} if request.custom else {},
            )
            self._on_resource(self.records[urn])
        return physical_id, outputs

    def _guarded(self, subject: str, action: Callable[[], Any]) -> Any:
        """Do it unless something went wrong before; keep the first thing that goes wrong."""
        if self.failure is not None:
            raise self.failure
        try:
            return action()
        except Exception as error:
            failure = DeploymentError(f"{subject}: {_reason(error)}")
            with self._lock:
                self.failure = self.failure or failure
            raise failure from error


def _reason(error: Exception) -> str:
    """The cloud's and our own errors speak for themselves; of others the kind must be told."""
    if isinstance(error, ClientError | BotoCoreError | InputError | DeploymentError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _refuse_other_version(request: Any) -> None:
    """The engine would look for a plug-in of the version that is asked for; here is that of the installed SDK alone."""
    package = request.type.removeprefix(_PROVIDERS).split(":")[0]
    if not request.version or package not in PACKAGES:
        return
    if request.version != (installed := version(f"pulumi-{package}")):
        raise DeploymentError(
            f"asks for version {request.version} of the provider {package}, and the sandbox plays {installed}"
        )


def _without_value(what: str, paths: list[str]) -> str:
    return f"{what} {', '.join(sorted(set(paths)))} has no value: a resource that it comes from did not give one"
