"""Tags of EC2's resources, which are set alike for all of its types."""

from typing import Any

from pm_sandbox.provider.changes import update_tags
from pm_sandbox.provider.inputs import Inputs, tag_list
from pm_sandbox.provider.registry import Context


def tagged(inputs: Inputs, kind: str) -> dict[str, Any]:
    """The argument that tags a resource as it is made; empty if it has no tags."""
    tags = tag_list(inputs)
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}


def update_ec2_tags(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> None:
    """Take away and give what tags of a resource have changed."""
    client = context.client("ec2")

    def untag(TagKeys: list[str], **place: Any) -> None:  # noqa: N803 - the name that other services have for it
        client.delete_tags(Tags=[{"Key": key} for key in TagKeys], **place)

    update_tags(olds, news, untag, client.create_tags, Resources=[id_])
