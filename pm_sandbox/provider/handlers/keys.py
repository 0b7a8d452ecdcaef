"""KMS keys and aliases."""

from functools import partial
from typing import Any

from pm_sandbox.provider.changes import TagArguments, changed, tags_of, update_tags
from pm_sandbox.provider.inputs import Inputs, json_text, tag_pairs, told
from pm_sandbox.provider.registry import ON_DELETION, Context, Made, deletes, handles, reads, updates

#: Days; the default of the real provider, and of KMS.
_DELETION_WINDOW = 30
_tag_list = partial(tag_pairs, key="TagKey", value="TagValue")


@handles("aws:kms/key:Key", deletionWindowInDays=ON_DELETION)
def key(inputs: Inputs, context: Context) -> Made:
    """A key."""
    client = context.client("kms")
    arguments = inputs.renamed(
        customerMasterKeySpec="KeySpec", description="Description", keyUsage="KeyUsage", multiRegion="MultiRegion"
    )
    if "policy" in inputs:
        arguments["Policy"] = json_text(inputs.get("policy"))
    made = client.create_key(Tags=_tag_list(inputs.get("tags", {})), **arguments)["KeyMetadata"]
    if inputs.get("enableKeyRotation"):
        client.enable_key_rotation(KeyId=made["KeyId"], **inputs.renamed(rotationPeriodInDays="RotationPeriodInDays"))
    return made["KeyId"], {"arn": made["Arn"], "keyId": made["KeyId"]}


@reads("aws:kms/key:Key")
def read_key(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """A key; one that waits for its deletion is gone."""
    client = context.client("kms")
    found = client.describe_key(KeyId=id_)["KeyMetadata"]
    if found["KeyState"] == "PendingDeletion":
        return None
    rotation = client.get_key_rotation_status(KeyId=id_)
    tags = client.list_resource_tags(KeyId=id_)["Tags"]
    return {
        **told(
            found,
            customerMasterKeySpec="KeySpec",
            description="Description",
            keyUsage="KeyUsage",
            multiRegion="MultiRegion",
        ),
        "policy": client.get_key_policy(KeyId=id_, PolicyName="default")["Policy"],
        "enableKeyRotation": rotation["KeyRotationEnabled"],
        "rotationPeriodInDays": rotation.get("RotationPeriodInDays"),
        "tags": tags_of(tags, "TagKey", "TagValue"),
    }


@updates("aws:kms/key:Key")
def update_key(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """A key's rotation, description, policy and tags."""
    client = context.client("kms")
    if changed(olds, news, "enableKeyRotation", "rotationPeriodInDays"):
        if news.get("enableKeyRotation"):
            client.enable_key_rotation(KeyId=id_, **news.renamed(rotationPeriodInDays="RotationPeriodInDays"))
        else:
            client.disable_key_rotation(KeyId=id_)
    if changed(olds, news, "description"):
        client.update_key_description(KeyId=id_, Description=news.get("description", ""))
    if changed(olds, news, "policy") and "policy" in news:
        client.put_key_policy(KeyId=id_, PolicyName="default", Policy=json_text(news.get("policy")))
    update_tags(olds, news, client.untag_resource, client.tag_resource, TagArguments(form=_tag_list), KeyId=id_)
    return {}


@deletes("aws:kms/key:Key")
def delete_key(id_: str, state: dict[str, Any], context: Context) -> None:
    """A key is never deleted at once; one that waits for it already is left alone."""
    client = context.client("kms")
    if client.describe_key(KeyId=id_)["KeyMetadata"]["KeyState"] != "PendingDeletion":
        days = state.get("deletionWindowInDays", _DELETION_WINDOW)
        client.schedule_key_deletion(KeyId=id_, PendingWindowInDays=days)


@handles("aws:kms/alias:Alias")
def alias(inputs: Inputs, context: Context) -> Made:
    """A key's alias."""
    name = inputs.need("name")
    context.client("kms").create_alias(AliasName=name, TargetKeyId=inputs.need("targetKeyId"))
    return name, {"arn": context.arn("kms", name)}


@reads("aws:kms/alias:Alias")
def read_alias(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """An alias, and its key as the program names it: by id or ARN."""
    for page in context.client("kms").get_paginator("list_aliases").paginate():
        for found in page["Aliases"]:
            if found["AliasName"] == id_ and "TargetKeyId" in found:
                target, asked = found["TargetKeyId"], str(state.get("targetKeyId"))
                return {"name": id_, "targetKeyId": asked if asked.endswith(f"/{target}") else target}
    return None


@updates("aws:kms/alias:Alias")
def update_alias(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """An alias of another key."""
    if changed(olds, news, "targetKeyId"):
        context.client("kms").update_alias(AliasName=id_, TargetKeyId=news.need("targetKeyId"))
    return {}


@deletes("aws:kms/alias:Alias")
def delete_alias(id_: str, state: dict[str, Any], context: Context) -> None:
    """An alias; its key stays."""
    context.client("kms").delete_alias(AliasName=id_)
