"""The provider's core, in plain values: what Pulumi's protocol asks of a provider, without the protocol."""

from typing import Any, NamedTuple

from pm_sandbox.provider import handlers as _handlers  # noqa: F401 - importing them registers them
from pm_sandbox.provider.checks import judge
from pm_sandbox.provider.differences import Kind, as_the_cloud_has, differences
from pm_sandbox.provider.inputs import Failure, InputError, Inputs
from pm_sandbox.provider.invokes import call
from pm_sandbox.provider.previews import unknown_when_changed, unknown_when_made
from pm_sandbox.provider.registry import DELETES, HANDLERS, READS, UPDATES, Context
from pm_sandbox.provider.replacements import REPLACING

#: The providers that this one stands for.
PACKAGES = ("aws", "aws-native")
#: Keys of the providers' configuration that say how to reach a cloud, and this one is reached already.
_WAYS_TO_THE_CLOUD = {
    "accessKey",
    "endpoints",
    "profile",
    "s3UsePathStyle",
    "secretKey",
    "skipCredentialsValidation",
    "skipMetadataApiCheck",
    "skipRegionValidation",
    "skipRequestingAccountId",
    "token",
    "version",
}


class Made(NamedTuple):
    """A resource that was made.

    Attributes:
        id: Its id in the cloud.
        outputs: What the cloud made up, beside the inputs.
    """

    id: str
    outputs: dict[str, Any]


class Diff(NamedTuple):
    """The effect of a change of inputs.

    Attributes:
        changes: The kind of each change, by property path.
        replaces: The inputs, of those that change, that make the resource anew; else it is changed in place.
        deletes_first: Whether the old one must go before the new one can be made.
        because: The property paths that do so: an input, or a part of one.
    """

    changes: dict[str, Kind]
    replaces: list[str]
    deletes_first: bool
    because: list[str]

    def replaces_at(self, path: str) -> bool:
        """Return whether the change at a property path is one that makes the resource anew."""
        return any(_within(path, one) or _within(one, path) for one in self.because)


class Provider:
    """Makes, reads, changes and deletes resources in one cloud. Its methods are called from several threads."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def check_configuration(self, values: dict[str, Any]) -> list[Failure]:
        """Reasons to refuse a provider that is configured so; empty if it would do the same as this one."""
        given = {key: value for key, value in values.items() if key not in _WAYS_TO_THE_CLOUD}
        here = self._context.region
        region = given.pop("region", here)
        failures = [] if region == here else [Failure("region", f"is {region}, and the sandbox's cloud is in {here}")]
        return failures + [Failure(key, "is not done by the sandbox's provider") for key in sorted(given)]

    def check(self, token: str, values: dict[str, Any]) -> list[Failure]:
        """Reasons to refuse a resource with these inputs before anything is made; empty if there are none.

        Args:
            token: The resource's type.
            values: The inputs; `UNKNOWN` stands for what is not known yet, and for what is secret, since the reasons
                show values.
        """
        try:
            _known(token)
        except InputError as error:
            return [Failure("", str(error))]
        failures, unheld = judge(token, values, self._context.region, self._context.account_id)
        return failures or ([Failure("", unheld)] if unheld and token in HANDLERS else [])

    def diff(self, token: str, olds: dict[str, Any], news: dict[str, Any]) -> Diff:
        """Compare the inputs that a resource has with those that it shall have.

        Raises:
            InputError: if the provider has no such type.
        """
        _known(token)
        entry = REPLACING[token]
        keys = sorted(olds.keys() | news.keys())
        changes = {path: kind for key in keys for path, kind in _changes(key, olds, news).items()}
        because = entry.because(olds, news)
        replaces = sorted({_key(path) for path in because})
        return Diff(changes, replaces, bool(replaces) and entry.deletes_first(olds, news), because)

    def create(self, token: str, values: dict[str, Any]) -> Made:
        """Make a resource.

        Raises:
            InputError: if the provider has no such type, or cannot honour an input.
        """
        _known(token)
        inputs = Inputs(values)
        creation = HANDLERS[token]
        made = creation.create(inputs, self._context)
        _refuse_unread(path for path in inputs.unread() if path not in creation.ignores)
        return Made(*made)

    def read(self, token: str, id_: str, inputs: dict[str, Any], state: dict[str, Any]) -> dict[str, Any] | None:
        """The inputs as the cloud has them now; None if the resource is gone.

        What the cloud does not tell, such as a function's archive, is taken to be as it was asked for.

        Args:
            token: The resource's type.
            id_: Its id.
            inputs: The inputs that it was made of.
            state: Its inputs and outputs.

        Raises:
            InputError: if the provider has no such type, or does not read it.
        """
        _known(token)
        found = _function(READS, token, "read")(id_, state, self._context)
        if found is None:
            return None
        told = {key: as_the_cloud_has(key, value, found[key]) for key, value in inputs.items() if key in found}
        return {key: told.get(key, value) for key, value in inputs.items() if told.get(key, value) is not None}

    def update(
        self, token: str, id_: str, inputs: dict[str, Any], state: dict[str, Any], news: dict[str, Any]
    ) -> dict[str, Any]:
        """Change a resource in place; returns its outputs beside the inputs.

        Args:
            token: The resource's type.
            id_: Its id.
            inputs: The inputs that it has.
            state: Its inputs and outputs until now.
            news: The inputs that it shall have, of which none that changes replaces it.

        Raises:
            InputError: if the provider has no such type, does not change it, or cannot honour an input that changes.
        """
        _known(token)
        computed = {key: value for key, value in state.items() if key not in inputs and key not in news}
        asked = Inputs(news)
        outputs = _function(UPDATES, token, "change")(id_, state, asked, self._context)
        ignores = HANDLERS[token].ignores if token in HANDLERS else {}
        changed = {key for key in news if _changes(key, inputs, news)}
        _refuse_unread(path for path in asked.unread() if _key(path) in changed and path not in ignores)
        return {**computed, **outputs}

    def unknown_outputs(self, token: str, inputs: dict[str, Any] | None, news: dict[str, Any]) -> set[str]:
        """The outputs of which a preview cannot know what they will be.

        Args:
            token: The resource's type.
            inputs: The inputs that it has; None if it is to be made.
            news: The inputs that it shall have.

        Raises:
            InputError: if the provider has no such type.
        """
        _known(token)
        if inputs is None:
            return unknown_when_made(token, news)
        changed = [key for key in inputs.keys() | news.keys() if _changes(key, inputs, news)]
        return unknown_when_changed(token, changed, news)

    def delete(self, token: str, id_: str, state: dict[str, Any]) -> None:
        """Delete a resource; one that is not there any more is no error.

        Raises:
            InputError: if the provider has no such type, or does not delete it.
        """
        _known(token)
        _function(DELETES, token, "delete")(id_, state, self._context)

    def invoke(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A function's answer; see `invokes.call`."""
        return call(token, arguments, self._context)


def _known(token: str) -> None:
    if token not in HANDLERS:
        raise InputError("the sandbox has no handler for this type")


def _function(table: dict[str, Any], token: str, verb: str) -> Any:
    if token not in table:
        raise InputError(f"the sandbox does not {verb} this type")
    return table[token]


def _refuse_unread(paths: Any) -> None:
    if dropped := list(paths):
        raise InputError(f"the sandbox cannot honour the input(s) {', '.join(dropped)}")


def _changes(key: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Kind]:
    return dict(differences(olds.get(key), news.get(key), key))


def _within(path: str, other: str) -> bool:
    """Return whether a property path is the other, or leads into what it is of."""
    return path == other or path.startswith((f"{other}.", f"{other}["))


def _key(path: str) -> str:
    """The input that a path is in."""
    return path.split(".")[0].split("[")[0]
