"""A resource as a program registers it, read from the SDK's message; options that are not done are refused by name."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from google.protobuf import struct_pb2
from google.protobuf.message import Message

from pm_sandbox.deployer.aliases import Alias
from pm_sandbox.deployer.masking import masked
from pm_sandbox.deployer.records import DeploymentError
from pm_sandbox.provider import PACKAGES
from pm_sandbox.provider.assets import described
from pm_sandbox.provider.wire import UNKNOWN, plain
from pm_sandbox.resource import Resource

#: Before the package's name in the type of an explicit provider.
PROVIDERS = "pulumi:providers:"
#: Fields of the message, and the options by which a program asks for them.
REFUSED = {
    "importId": "import_",
    "remote": "a component of another language",
    "transforms": "transforms; use transformations",
    "hooks": "hooks",
    "customTimeouts": "custom_timeouts",
    "deletedWith": "deleted_with",
    "replace_with": "replace_with",
    "replacement_trigger": "replacement_trigger",
    "pluginDownloadURL": "plugin_download_url",
    "envVarMappings": "env_var_mappings",
    "state_migrations": "state_migrations",
}


@dataclass(frozen=True, kw_only=True)
class Registration(Resource):
    """A resource as it was registered.

    Attributes:
        values: What the program asks for; assets and archives are Pulumi's objects.
        inputs: The same, where assets and archives are told by their hash and size.
        shown: The inputs with a mask for what is secret.
        checked: The values, with `UNKNOWN` in the place of what is secret, since a refusal shows values.
        provider: URN and id of its explicit provider, or empty.
        protect: Whether it may not be deleted or replaced; None if the program does not say.
        retain_on_delete: Whether the cloud keeps it when it is deleted; None if the program does not say.
        delete_before_replace: Whether the old one goes before the new one comes; None leaves it to the provider.
        ignore_changes: Paths of the inputs whose changes count for nothing.
        replace_on_changes: Paths of the inputs whose changes replace it.
        aliases: Its earlier names.
        secret_outputs: The outputs that are secret.
    """

    values: dict[str, Any]
    inputs: dict[str, Any]
    shown: dict[str, Any]
    checked: dict[str, Any]
    provider: str
    protect: bool | None
    retain_on_delete: bool | None
    delete_before_replace: bool | None
    ignore_changes: list[str]
    replace_on_changes: list[str]
    aliases: list[Alias]
    secret_outputs: list[str]


def registration(request: Any, urn: str, values: dict[str, Any]) -> Registration:
    """The registration that a message tells of.

    Args:
        request: The SDK's `RegisterResourceRequest`.
        urn: The resource's URN.
        values: What was read from the message's inputs.

    Raises:
        DeploymentError: if it asks for what the sandbox does not do.
    """
    _refuse_options(request)
    _refuse_other_version(request)
    inputs = described(values)
    return Registration(
        type=request.type,
        name=request.name,
        urn=urn,
        parent=request.parent,
        custom=request.custom,
        values=values,
        inputs=inputs,
        shown=masked(request.object, inputs),
        checked=plain(request.object, UNKNOWN, secrets_unknown=True)[0],
        dependencies=sorted(request.dependencies),
        input_dependencies={key: sorted(needed.urns) for key, needed in sorted(request.propertyDependencies.items())},
        provider=request.provider,
        protect=_stated(request, "protect"),
        retain_on_delete=_stated(request, "retainOnDelete"),
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        ignore_changes=list(request.ignoreChanges),
        replace_on_changes=list(request.replaceOnChanges),
        aliases=[Alias(urn=one) for one in request.aliasURNs] + [_alias(one) for one in request.aliases],
        secret_outputs=list(request.additionalSecretOutputs),
    )


def _stated(request: Any, field: str) -> bool | None:
    return getattr(request, field) if request.HasField(field) else None


def _alias(message: Any) -> Alias:
    if message.WhichOneof("alias") == "urn":
        return Alias(urn=message.urn)
    spec = message.spec
    return Alias(
        name=spec.name,
        type=spec.type,
        parent=spec.parentUrn,
        no_parent=spec.noParent,
        project=spec.project,
        stack=spec.stack,
    )


def _refuse_options(request: Any) -> None:
    for field, option in REFUSED.items():
        if _asked(request, field):
            raise DeploymentError(f"asks for {option}, which the sandbox does not do")


def _asked(request: Any, field: str) -> bool:
    value = getattr(request, field)
    if isinstance(value, struct_pb2.Value):
        return value.WhichOneof("kind") not in (None, "null_value")
    return bool(value.ByteSize() if isinstance(value, Message) else value)


def _refuse_other_version(request: Any) -> None:
    """The engine would look for a plug-in of the version that is asked for; here is that of the installed SDK alone."""
    package = request.type.removeprefix(PROVIDERS).split(":")[0]
    if not request.version or package not in PACKAGES:
        return
    if request.version != (installed := version(f"pulumi-{package}")):
        raise DeploymentError(
            f"asks for version {request.version} of the provider {package}, and the sandbox plays {installed}"
        )
