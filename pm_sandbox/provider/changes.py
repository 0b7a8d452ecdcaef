"""The work of an update: inputs that changed, and tags that go and come."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pm_sandbox.provider.differences import same
from pm_sandbox.provider.inputs import Inputs, tag_pairs


class TagArguments(NamedTuple):
    """The arguments of the two operations by which a service changes tags.

    Attributes:
        keys: The argument that names the tags to take away.
        tags: The argument that holds the tags to give.
        form: The tags as that argument takes them.
    """

    keys: str = "TagKeys"
    tags: str = "Tags"
    form: Callable[[Mapping[str, str]], Any] = tag_pairs


PAIRS = TagArguments()
"""The form of most services."""
MAP = TagArguments(form=dict)
CAMEL_MAP = TagArguments("tagKeys", "tags", dict)


def changed(olds: dict[str, Any], news: Inputs, *keys: str) -> list[str]:
    """The inputs, of those named, that are not what they were; all of them count as read."""
    return [key for key in keys if not same(olds.get(key), news.get(key))]


def update_tags(
    olds: dict[str, Any],
    news: Inputs,
    untag: Callable[..., object],
    tag: Callable[..., object],
    arguments: TagArguments = PAIRS,
    **place: Any,
) -> None:
    """Take away and give what tags have changed; where none have, nothing is called.

    Args:
        olds: the inputs before.
        news: the inputs now; its tags count as read.
        untag: the service's operation that takes tags away.
        tag: the service's operation that gives tags that come or get another value.
        arguments: how the two take keys and tags.
        place: the argument by which both take the resource.
    """
    old, new = olds.get("tags") or {}, news.get("tags") or {}
    if removed := sorted(old.keys() - new.keys()):
        untag(**place, **{arguments.keys: removed})
    if given := {key: new[key] for key in new if old.get(key) != new[key]}:
        tag(**place, **{arguments.tags: arguments.form(given)})


def tags_of(pairs: Any, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """The tags of AWS's list of keys and values."""
    return {pair[key]: pair[value] for pair in pairs or []}
