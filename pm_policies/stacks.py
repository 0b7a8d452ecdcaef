"""Questions that several rules ask of a whole stack: which resource means which."""

from collections.abc import Iterator, Mapping

from pulumi_policy.proxy import UnknownValueError

from pm_policies.rule import Resource, Stack


def refers(resource: Resource, key: str, target: Resource, *identities: str) -> bool:
    """True if the input `key` of `resource` refers to `target`.

    Args:
        resource: has the input.
        key: the input.
        target: what it may mean.
        identities: what `target` may be meant by, as `bucket`, `arn`.
    """
    if target.urn in resource.depends_on.get(key, ()):
        return True
    try:
        value = resource.inputs.get(key)
    except UnknownValueError:
        return False
    return bool(value) and value in known_values(target.inputs, *identities)


def known_values(inputs: Mapping[str, object], *keys: str) -> set[object]:
    """The values of `keys` that are set and known."""
    return set(_known_values(inputs, keys))


def _known_values(inputs: Mapping[str, object], keys: tuple[str, ...]) -> Iterator[object]:
    for key in keys:
        try:
            value = inputs.get(key)
        except UnknownValueError:
            continue
        if value:
            yield value


def settings_of_bucket(stack: Stack, bucket: Resource, *types: str) -> list[Resource]:
    """The resources of `types` that set something for `bucket`."""
    return [setting for setting in stack.of_type(*types) if refers(setting, "bucket", bucket, "bucket", "id")]
