"""The tags that every resource of a component carries: who made it, for which stack."""

from collections.abc import Mapping
from typing import Any, Optional

import pulumi

#: The one type that has its tags as a list, each of which its instances take over or not.
_AUTO_SCALING_GROUP = "aws:autoscaling/group:Group"


def tagged_options(
    opts: Optional[pulumi.ResourceOptions], component: str, tags: Optional[Mapping[str, str]] = None
) -> pulumi.ResourceOptions:
    """The options of a component, so that each child that takes tags gets `Project`, `Stack` and `Component`.

    A child's own tag of the same key wins.

    Args:
        opts: the options that the consumer gave.
        component: the component's type, as `AnalyticsStore`.
        tags: more tags, as the `Site` that the component is of.
    """
    own = {"Project": pulumi.get_project(), "Stack": pulumi.get_stack(), "Component": component, **(tags or {})}

    def add_tags(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
        return pulumi.ResourceTransformationResult(with_tags(args.type_, args.props, own), args.opts)

    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(transformations=[add_tags]))


def with_tags(type_: str, props: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """A resource's inputs with `tags`, where its type takes them; a tag that it has already wins.

    Args:
        type_: the resource's type token.
        props: its inputs. The classes of pulumi-aws set every input, None where it was not given, so that a key `tags`
            means "takes tags".
        tags: the tags.
    """
    if not type_.startswith(("aws:", "aws-native:greengrassv2:")) or "tags" not in props:
        return dict(props)
    own: Any = props["tags"]
    if type_ == _AUTO_SCALING_GROUP:
        return {**props, "tags": _as_list({**tags, **{tag["key"]: tag["value"] for tag in own or []}})}
    merged = dict(tags) if own is None else pulumi.Output.from_input(own).apply(lambda given: {**tags, **given})
    return {**props, "tags": merged}


def _as_list(tags: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value, "propagate_at_launch": True} for key, value in tags.items()]
