"""The work of an update: inputs that changed, and tags that go and come."""

from collections.abc import Callable
from typing import Any, NamedTuple

from pm_sandbox.provider.differences import same
from pm_sandbox.provider.inputs import Inputs


class TagChanges(NamedTuple):
    """The change to a resource's tags.

    Attributes:
        removed: The keys of those that go, sorted.
        set: Those that come or get another value.
    """

    removed: list[str]
    set: dict[str, str]

    @property
    def pairs(self) -> list[dict[str, str]]:
        """Those that come, as AWS's list of keys and values."""
        return [{"Key": key, "Value": value} for key, value in sorted(self.set.items())]


def changed(olds: dict[str, Any], news: Inputs, *keys: str) -> list[str]:
    """The inputs, of those named, that are not what they were; all of them count as read."""
    return [key for key in keys if not same(olds.get(key), news.get(key))]


def update_tags(
    olds: dict[str, Any],
    news: Inputs,
    untag: Callable[[list[str]], object],
    tag: Callable[[TagChanges], object],
) -> None:
    """Take away and give what tags have changed; where none have, nothing is called.

    Args:
        olds: the inputs before.
        news: the inputs now; its tags count as read.
        untag: takes away the tags of these keys.
        tag: gives the tags that come or get another value.
    """
    old, new = olds.get("tags") or {}, news.get("tags") or {}
    changes = TagChanges(sorted(old.keys() - new.keys()), {key: new[key] for key in new if old.get(key) != new[key]})
    if changes.removed:
        untag(changes.removed)
    if changes.set:
        tag(changes)


def tags_of(pairs: Any, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """The tags of AWS's list of keys and values."""
    return {pair[key]: pair[value] for pair in pairs or []}
