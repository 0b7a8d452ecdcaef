"""The provider over the protocol of Pulumi's engine: one port of loopback for both of its packages.

The engine finds it by PULUMI_DEBUG_PROVIDERS and installs nothing. It serves one cloud, and asks nothing of who calls:
who reaches loopback is the operator, as for the emulated AWS itself.
"""

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, NoReturn, Self

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from pm_sandbox.provider.differences import same
from pm_sandbox.provider.inputs import Failure, InputError
from pm_sandbox.provider.provider import PACKAGES, Provider
from pm_sandbox.provider.registry import Context
from pm_sandbox.provider.wire import UNKNOWN, is_secret, message_of, plain, secret, without_secrets

_HOST = "127.0.0.1"
#: Calls at a time: the engine makes four a processor, and they wait for the cloud.
_THREADS = 32
#: Bytes; as the engine allows (`maxRPCMessageSize`, sdk/go/common/util/rpcutil/serve.go).
_MESSAGE_LIMIT = 400 * 1024 * 1024
#: The engine's own, in every configuration and in every function's arguments.
_ENGINES_KEYS = {"version", "pluginDownloadURL", "__internal"}
#: Keys of a provider's configuration that open a cloud.
_KEYS = {"accessKey", "secretKey", "token"}
_KINDS = {
    "add": (provider_pb2.PropertyDiff.ADD, provider_pb2.PropertyDiff.ADD_REPLACE),
    "delete": (provider_pb2.PropertyDiff.DELETE, provider_pb2.PropertyDiff.DELETE_REPLACE),
    "update": (provider_pb2.PropertyDiff.UPDATE, provider_pb2.PropertyDiff.UPDATE_REPLACE),
}


class Server:
    """A provider that serves until it is stopped.

    Attributes:
        port: Where on loopback.
    """

    def __init__(self, context: Context) -> None:
        """Serve the cloud of `context`."""
        size = [("grpc.max_receive_message_length", _MESSAGE_LIMIT), ("grpc.max_send_message_length", _MESSAGE_LIMIT)]
        self._server = grpc.server(ThreadPoolExecutor(_THREADS), options=size)
        servicer = _Servicer(Provider(context))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, self._server)
        self.port: int = self._server.add_insecure_port(f"{_HOST}:0")
        self._server.start()

    def stop(self) -> None:
        """Let calls that are under way end, and take no more."""
        self._server.stop(grace=None).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def debug_providers(port: int) -> str:
    """The value of PULUMI_DEBUG_PROVIDERS by which the engine finds a server at the port."""
    return ",".join(f"{package}:{port}" for package in PACKAGES)


class _Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """The protocol's calls, one method each. What the core refuses is an error of the call, in one line."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's
        """Nothing: the engine says where it is, and nothing here asks it anything."""
        return empty_pb2.Empty()

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's
        """Say which of the protocol's features are understood: secrets are, so that they come and go as such."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's
        """The version of the newer SDK: the engine warns of a provider that is older than what a program asks for."""
        return plugin_pb2.PluginInfo(version=version("pulumi-aws"))

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's
        """Refuse what a provider is configured to do that this one would not do; its keys are secrets in the state."""
        with _answering(context, request.news):
            news = plain(request.news, UNKNOWN)[0]
            failures = self._provider.check_configuration(
                {key: value for key, value in news.items() if key not in _ENGINES_KEYS and value != UNKNOWN}
            )
        checked = _checked(request, failures)
        checked.inputs.update(
            {key: secret(value) for key, value in request.news.items() if key in _KEYS and not is_secret(value)}
        )
        return checked

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's
        """Nothing: all configurations mean the one cloud."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's
        """Nothing to do; see `CheckConfig`."""
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's
        """Refuse a type that is not known, and inputs that its provider or AWS would, in a preview as in an update."""
        with _answering(context, request.news):
            failures = self._provider.check(_token(request), plain(request.news, UNKNOWN, secrets_unknown=True)[0])
        # Without a property: the engine would print its value.
        return _checked(request, [Failure("", str(failure)) for failure in failures])

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's
        """Say which inputs differ, and whether that replaces."""
        with _answering(context, request.news, request.old_inputs):
            olds, news = _compared(request.old_inputs), _compared(request.news)
            diff = self._provider.diff(_token(request), olds, news)
        detailed = {
            path: provider_pb2.PropertyDiff(kind=_KINDS[kind][diff.replaces_at(path)], inputDiff=True)
            for path, kind in diff.changes.items()
        }
        some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=some if diff.changes else none,
            diffs=sorted({_input_of(path) for path in diff.changes}),
            replaces=diff.replaces,
            deleteBeforeReplace=diff.deletes_first,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's
        """Make a resource. In a preview its outputs are not known, and are said to be so."""
        with _answering(context, request.properties):
            if request.preview:
                unknown = self._provider.unknown_outputs(_token(request), None, _compared(request.properties))
                return provider_pb2.CreateResponse(properties=_state(request.properties, _marked(unknown)))
            made = self._provider.create(_token(request), _known_values(request.properties))
        return provider_pb2.CreateResponse(id=made.id, properties=_state(request.properties, made.outputs))

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's
        """A resource as the cloud has it now; no id where it is gone."""
        if not len(request.properties):
            _refuse(context, f"{_token(request)} {request.id}", _IMPORT)
        with _answering(context, request.properties):
            asked, state = _compared(request.inputs), _compared(request.properties)
            found = self._provider.read(_token(request), request.id, asked, state)
        if found is None:
            return provider_pb2.ReadResponse()
        inputs, properties = struct_pb2.Struct(), struct_pb2.Struct()
        inputs.update(_as_before(request.inputs, asked, found))
        gone = {key for key in asked if key not in found}
        properties.update({key: value for key, value in request.properties.items() if key not in gone})
        properties.update({key: value for key, value in inputs.items()})  # noqa: C416 - a Struct is no dict
        return provider_pb2.ReadResponse(id=request.id, properties=properties, inputs=inputs)

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's
        """Change a resource in place."""
        with _answering(context, request.news, request.olds):
            olds = _compared(request.old_inputs)
            if request.preview:
                unknown = self._provider.unknown_outputs(_token(request), olds, _compared(request.news))
                outputs = _marked(name for name in unknown if name in request.olds)
            else:
                state, news = _compared(request.olds), _known_values(request.news)
                outputs = self._provider.update(_token(request), request.id, olds, state, news)
        kept = {key: value for key, value in request.olds.items() if key not in request.old_inputs}
        return provider_pb2.UpdateResponse(properties=_state(request.news, outputs, kept))

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's
        """Delete a resource."""
        with _answering(context, request.properties):
            self._provider.delete(_token(request), request.id, _compared(request.properties))
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's
        """Answer a function."""
        with _answering(context, request.args):
            arguments = {key: value for key, value in _known_values(request.args).items() if key not in _ENGINES_KEYS}
            answer = self._provider.invoke(request.tok, arguments)
        return provider_pb2.InvokeResponse(**{"return": message_of(answer)})

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - the protocol's
        """Nothing: each call is short, and the engine waits for those that are under way."""
        return empty_pb2.Empty()


#: The protocol's calls that are not done, with the reason and what to do instead.
REFUSED = {
    "Call": "the types of aws and aws-native have no methods; call the service by boto3",
    "Construct": "aws and aws-native have no components; those of this project are in its own component provider",
    "GetMapping": "the sandbox maps no Terraform names; convert with the real provider",
    "GetMappings": "the sandbox maps no Terraform names; convert with the real provider",
    "GetSchema": "the sandbox has no schema; use the published SDKs, whose types it takes",
    "List": "the sandbox lists no resources; list them by boto3",
    "Parameterize": "aws and aws-native take no parameters; name neither with one",
}
#: Reason not to import a resource: reads tell the inputs of what the stack made, and no outputs.
_IMPORT = "the sandbox neither imports nor looks up what the stack did not make; have the program make it, or name it"


def _refuse(context: Any, what: str, reason: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{what}: {reason}")
    raise AssertionError("an aborted call does not return")


def _refusing(method: str) -> Callable[[Any, Any, Any], NoReturn]:
    return lambda servicer, request, context: _refuse(context, method, REFUSED[method])  # noqa: ARG005 - the protocol's


for _method in REFUSED:
    setattr(_Servicer, _method, _refusing(_method))


@contextmanager
def _answering(context: Any, *messages: Any) -> Iterator[None]:
    """Turn a refusal into the call's error; an error of our own goes to the log with its trace as well.

    Clouds repeat in errors what they are sent: what is secret in the messages is not told.
    """
    try:
        yield
    except (ClientError, BotoCoreError, InputError) as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, without_secrets(str(error), messages))
    except Exception as error:
        print(without_secrets(traceback.format_exc(), messages), file=sys.stderr)
        context.abort(grpc.StatusCode.INTERNAL, without_secrets(f"{type(error).__name__}: {error}", messages))


def _checked(request: Any, failures: list[Failure]) -> Any:
    said = [provider_pb2.CheckFailure(property=failure.input, reason=failure.reason) for failure in failures]
    return provider_pb2.CheckResponse(inputs=request.news, failures=said)


def _token(request: Any) -> str:
    """The type of the resource that a request is about: the last one of those in its URN."""
    token: str = request.urn.split("::")[2].rsplit("$", 1)[-1]
    return token


def _input_of(path: str) -> str:
    return path.split(".")[0].split("[")[0]


def _compared(message: Any) -> dict[str, Any]:
    """Values to compare: assets by their hash alone, since a file of the state may hold something else by now."""
    return plain(message, UNKNOWN, assets_by_hash=True)[0]


def _known_values(message: Any) -> dict[str, Any]:
    values, missing = plain(message)
    if missing:
        raise InputError(f"input {', '.join(missing)} has no value")
    return values


def _state(inputs: Any, outputs: dict[str, Any], kept: dict[str, Any] | None = None) -> Any:
    """A resource's properties: its inputs as they came, and its outputs; what was secret stays secret.

    Args:
        inputs: The message of its inputs.
        outputs: What the cloud, or a preview, says of it.
        kept: The outputs that it had until now, as the state has them.
    """
    message = struct_pb2.Struct()
    message.update(kept or {})
    message.update({key: value for key, value in inputs.items()})  # noqa: C416 - a Struct is no dict
    secrets = {key for key, value in message.items() if is_secret(value)}
    message.update({key: secret(value) if key in secrets else value for key, value in outputs.items()})
    return message


def _marked(names: Iterable[str]) -> dict[str, Any]:
    return dict.fromkeys(names, UNKNOWN)


def _as_before(message: Any, asked: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Tell the engine what was found: equal values stay as they were sent, and secrets stay secret."""
    before: Callable[[str], Any] = message.__getitem__
    return {
        key: before(key) if same(asked[key], value) else secret(value) if is_secret(before(key)) else value
        for key, value in found.items()
    }
