"""KMS keys and aliases."""

from sandbox.provider.inputs import Inputs, json_text
from sandbox.provider.registry import ON_DELETION, Context, Made, handles


@handles("aws:kms/key:Key", deletionWindowInDays=ON_DELETION)
def key(inputs: Inputs, context: Context) -> Made:
    """A key."""
    client = context.client("kms")
    arguments = inputs.renamed(
        customerMasterKeySpec="KeySpec", description="Description", keyUsage="KeyUsage", multiRegion="MultiRegion"
    )
    if "policy" in inputs:
        arguments["Policy"] = json_text(inputs.get("policy"))
    tags = [{"TagKey": name, "TagValue": value} for name, value in sorted(inputs.get("tags", {}).items())]
    made = client.create_key(Tags=tags, **arguments)["KeyMetadata"]
    if inputs.get("enableKeyRotation"):
        client.enable_key_rotation(KeyId=made["KeyId"], **inputs.renamed(rotationPeriodInDays="RotationPeriodInDays"))
    return made["KeyId"], {"arn": made["Arn"], "keyId": made["KeyId"]}


@handles("aws:kms/alias:Alias")
def alias(inputs: Inputs, context: Context) -> Made:
    """A key's alias."""
    name = inputs.need("name")
    context.client("kms").create_alias(AliasName=name, TargetKeyId=inputs.need("targetKeyId"))
    return name, {"arn": context.arn("kms", name)}
