"""The resource monitor that the Pulumi SDK talks to: it has the engine take the cloud to each resource registered."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, cast

from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.mocks import MockMonitor, Mocks
from pulumi.runtime.proto import resource_pb2

from pm_sandbox.deployer.aliases import STACK, urn_of
from pm_sandbox.deployer.engine import Engine, reason
from pm_sandbox.deployer.masking import masked
from pm_sandbox.deployer.records import DeploymentError
from pm_sandbox.deployer.registration import Registration, registration
from pm_sandbox.provider import Provider
from pm_sandbox.provider.assets import described
from pm_sandbox.provider.wire import plain, without_secrets


class Monitor(MockMonitor, ABC):
    """The protocol's calls in plain values, for who deploys and who only records. Called from several threads.

    Args:
        project: The project's name.
        stack: The stack's name.

    Attributes:
        outputs: The stack's outputs, once the program has ended.
        failure: The first thing that went wrong; nothing is done after it.
        preview: Whether the program is told that this is a preview.
        partly_unknown: Whether an output that is not there is unknown to the program; else it is None.
    """

    preview = False
    partly_unknown = False

    def __init__(self, project: str, stack: str) -> None:
        # The methods of the SDK's monitor that would ask its mocks are replaced here.
        super().__init__(cast(Mocks, None))
        self._project = project
        self._stack = stack
        self.outputs: dict[str, Any] = {}
        self.failure: DeploymentError | None = None
        self._urns: set[str] = set()
        self._lock = threading.Lock()

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """The URN as Pulumi's engine makes it."""
        return urn_of(self._stack, self._project, parent, type_, name)

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Take a resource or a component to what is registered."""
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == STACK:
            return resource_pb2.RegisterResourceResponse(urn=urn)

        def register() -> tuple[str, dict[str, Any]]:
            with self._lock:
                if urn in self._urns:
                    raise DeploymentError(f"there are two resources of this type and name: {urn}")
                self._urns.add(urn)
            values, missing = self.plain(request.object)
            if self.partly_unknown:
                sources = request.propertyDependencies.items()
                missing += [key for key, urns in sources if urns.urns and key not in values]
            if missing:
                on = {urn for dependency in request.propertyDependencies.values() for urn in dependency.urns}
                raise DeploymentError(f"{_without_value('input', missing)}; it depends on {', '.join(sorted(on))}")
            return self.registered_resource(registration(request, urn, values))

        physical_id, outputs = self._guarded(f"{request.type} {request.name!r}", register, request.object)
        message = struct_pb2.Struct()
        message.update(outputs)
        return resource_pb2.RegisterResourceResponse(
            urn=urn, id=physical_id, object=message, unknown=self.partly_unknown
        )

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Keep the outputs of a component or of the stack."""

        def keep() -> None:
            outputs, missing = self.plain(request.outputs)
            if missing:
                raise DeploymentError(_without_value("output", missing))
            outputs = described(masked(request.outputs, outputs))
            if not self.registered_outputs(request.urn, outputs):
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

    @abstractmethod
    def registered_resource(self, new: Registration) -> tuple[str, dict[str, Any]]:
        """The id of a resource that is registered, and its outputs beside its inputs."""

    @abstractmethod
    def registered_outputs(self, urn: str, outputs: dict[str, Any]) -> bool:
        """Keep the outputs of a component; False if there is no such."""

    @abstractmethod
    def answer(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A function's answer."""

    def plain(self, message: Any) -> tuple[dict[str, Any], list[str]]:
        """The properties of a message, and the paths that should have a value and have none; see `wire.plain`."""
        return plain(message)

    def ReadResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        """Refuse: the cloud holds nothing that a program could look up."""
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

    def _refuse(self, request: Any, why: str) -> None:
        def refuse() -> None:
            raise DeploymentError(why)

        name = " ".join(part for part in (getattr(request, "type", ""), getattr(request, "name", "")) if part)
        self._guarded(name or "the program", refuse)

    def _guarded(self, subject: str, action: Callable[[], Any], *messages: Any) -> Any:
        """Do it unless something went wrong before; keep the first thing that goes wrong.

        Clouds repeat in errors what they are sent: what is secret in the messages is not told.
        """
        if self.failure is not None:
            raise self.failure
        try:
            return action()
        except Exception as error:
            said = reason(error)
            open_ = without_secrets(said, messages)
            failure = DeploymentError(f"{subject}: {open_}")
            with self._lock:
                self.failure = self.failure or failure
            # The log has the error that this comes from, too, unless that tells a secret.
            raise failure from (error if open_ == said else None)


class CloudMonitor(Monitor):
    """Has an engine do what a program registers. An output that the provider does not give is None to the program.

    Args:
        project: The project's name.
        stack: The stack's name.
        engine: Does it.
        provider: Answers functions.
    """

    def __init__(self, project: str, stack: str, engine: Engine, provider: Provider) -> None:
        super().__init__(project, stack)
        self._engine = engine
        self._provider = provider

    def registered_resource(self, new: Registration) -> tuple[str, dict[str, Any]]:
        """Have it made, changed or left as it is."""
        return self._engine.register(new)

    def registered_outputs(self, urn: str, outputs: dict[str, Any]) -> bool:
        """Keep the outputs of a component; False if there is no such."""
        return self._engine.set_outputs(urn, outputs)

    def answer(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A function's answer; see `Provider.invoke`."""
        return self._provider.invoke(token, arguments)


def _without_value(what: str, paths: list[str]) -> str:
    return f"{what} {', '.join(sorted(set(paths)))} has no value: a resource that it comes from did not give one"
