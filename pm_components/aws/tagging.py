"""The tags that every resource of a component carries: who made it, for which stack, and whose it is."""

from collections.abc import Mapping
from typing import Any, Optional, TypedDict

import pulumi

#: The one type that has its tags as a list, each of which its instances take over or not.
_AUTO_SCALING_GROUP = "aws:autoscaling/group:Group"


class OwnershipArgs(TypedDict):
    """The owner of a component's resources."""

    tier: pulumi.Input[str]
    """The stack's tier, as `dev`, `staging` or `prod`: the tag `Tier`."""
    owner: pulumi.Input[str]
    """The team that answers for it: the tag `Owner`."""
    cost_centre: pulumi.Input[str]
    """The cost centre that pays for it: the tag `CostCentre`."""


_OWNERSHIP_TAGS = {"tier": "Tier", "owner": "Owner", "cost_centre": "CostCentre"}


def tagged_options(
    opts: Optional[pulumi.ResourceOptions],
    component: str,
    ownership: Optional[OwnershipArgs],
    tags: Optional[Mapping[str, str]] = None,
) -> pulumi.ResourceOptions:
    """The options of a component, so that each resource in it that takes tags gets those of the component.

    These are `Project`, `Stack`, `Component`, those of `ownership`, and `tags`. They reach the resources of a component
    within the component, too, which need not be given the ownership again. A resource's own tag of the same key wins,
    and that of the inner component over the outer one's.

    Args:
        opts: the options that the consumer gave.
        component: the component's type, as `AnalyticsStore`.
        ownership: the component's argument, None if it was not given.
        tags: more tags, as the `Site` that the component is of.

    Raises:
        ValueError: if a field of `ownership` is missing or unknown.
    """
    owned = _ownership_tags(ownership, f"{component}.ownership") if ownership is not None else {}
    own = {
        "Project": pulumi.get_project(),
        "Stack": pulumi.get_stack(),
        "Component": component,
        **owned,
        **(tags or {}),
    }

    def add_tags(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
        return pulumi.ResourceTransformationResult(with_tags(args.type_, args.props, own), args.opts)

    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(transformations=[add_tags]))


def _ownership_tags(ownership: Mapping[str, Any], key: str) -> dict[str, pulumi.Input[str]]:
    if set(ownership) != set(_OWNERSHIP_TAGS):
        raise ValueError(
            f"{key}: found {', '.join(sorted(ownership)) or 'nothing'}, needed are {', '.join(_OWNERSHIP_TAGS)}, and "
            "nothing else"
        )
    return {tag: ownership[field] for field, tag in _OWNERSHIP_TAGS.items()}


def with_tags(type_: str, props: Mapping[str, Any], tags: Mapping[str, pulumi.Input[str]]) -> dict[str, Any]:
    """A resource's inputs with `tags`, where its type takes them; a tag that it has already wins.

    Args:
        type_: the resource's type token.
        props: its inputs. The classes of pulumi-aws set every input, None if it was not given, so that a key `tags`
            means "takes tags".
        tags: the tags.
    """
    if not type_.startswith(("aws:", "aws-native:greengrassv2:")) or "tags" not in props:
        return dict(props)
    own: Any = props["tags"]
    if type_ == _AUTO_SCALING_GROUP:
        return {**props, "tags": _as_list({**tags, **{tag["key"]: tag["value"] for tag in own or []}})}
    merged = dict(tags) if own is None else pulumi.Output.all(tags, own).apply(lambda known: {**known[0], **known[1]})
    return {**props, "tags": merged}


def _as_list(tags: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value, "propagate_at_launch": True} for key, value in tags.items()]
