"""Tags of AWS IoT's resources, which are read and set alike for all of its types."""

from typing import Any

from pm_sandbox.provider.changes import TagArguments, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs
from pm_sandbox.provider.registry import Context


def iot_tags(context: Context, arn: str) -> dict[str, str]:
    """The tags of a resource."""
    return tags_of(context.client("iot").list_tags_for_resource(resourceArn=arn)["tags"])


def update_iot_tags(olds: dict[str, Any], news: Inputs, context: Context) -> None:
    """Take away and give what tags of a resource have changed."""
    client = context.client("iot")
    update_tags(
        olds, news, client.untag_resource, client.tag_resource, TagArguments("tagKeys", "tags"), resourceArn=olds["arn"]
    )
