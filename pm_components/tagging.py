"""The tags that every resource of a component carries: who made it, for which stack."""

from typing import Any, Optional

import pulumi


def tagged_options(opts: Optional[pulumi.ResourceOptions], component: str) -> pulumi.ResourceOptions:
    """The options of a component, so that each child that takes tags gets `Project`, `Stack` and `Component`.

    A child's own tag of the same key wins.

    Args:
        opts: the options that the consumer gave.
        component: the component's type, as `AnalyticsStore`.
    """
    tags = {"Project": pulumi.get_project(), "Stack": pulumi.get_stack(), "Component": component}

    def add_tags(args: pulumi.ResourceTransformationArgs) -> Optional[pulumi.ResourceTransformationResult]:
        # The classes of pulumi-aws set every input, None where it was not given: a key `tags` means "takes tags".
        if not args.type_.startswith(("aws:", "aws-native:greengrassv2:")) or "tags" not in args.props:
            return None
        own: Any = args.props["tags"]
        merged = tags if own is None else pulumi.Output.from_input(own).apply(lambda given: {**tags, **given})
        return pulumi.ResourceTransformationResult({**args.props, "tags": merged}, args.opts)

    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(transformations=[add_tags]))
