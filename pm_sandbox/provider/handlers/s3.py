"""Buckets, what is set on them, and objects."""

import base64
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError

from pm_sandbox.provider.assets import content_bytes
from pm_sandbox.provider.changes import changed, tags_of
from pm_sandbox.provider.inputs import InputError, Inputs, camel, json_text, pascal, tag_list, told
from pm_sandbox.provider.registry import ON_DELETION, Context, Made, Renewal, deletes, handles, puts, reads, updates

_UPDATE_TRIGGER = "says that the content is another one, and the content is stored whenever the resource is made"

#: Pulumi's names whose AWS name is another one than with a capital letter.
_VERSIONING = {"mfaDelete": "MFADelete"}
_ENCRYPTION = {
    "sseAlgorithm": "SSEAlgorithm",
    "kmsMasterKeyId": "KMSMasterKeyID",
    "encryptionTypes": "EncryptionType",
}
_LIFECYCLE = {"id": "ID"}
_PUBLIC_ACCESS = {
    "blockPublicAcls": "BlockPublicAcls",
    "blockPublicPolicy": "BlockPublicPolicy",
    "ignorePublicAcls": "IgnorePublicAcls",
    "restrictPublicBuckets": "RestrictPublicBuckets",
}
_OBJECT = {
    "cacheControl": "CacheControl",
    "contentEncoding": "ContentEncoding",
    "contentType": "ContentType",
    "kmsKeyId": "SSEKMSKeyId",
    "metadata": "Metadata",
    "serverSideEncryption": "ServerSideEncryption",
    "storageClass": "StorageClass",
}
_CONTENT = ("source", "content", "contentBase64")
_STORED_ANEW = (*_CONTENT, "sourceHash", "etag", *_OBJECT)


@handles("aws:s3/bucket:Bucket", forceDestroy=ON_DELETION)
def bucket(inputs: Inputs, context: Context) -> Made:
    """A bucket in the cloud's region."""
    name = inputs.need("bucket")
    client = context.client("s3")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": context.region})
    if tags := tag_list(inputs):
        client.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    return name, {
        "arn": f"arn:aws:s3:::{name}",
        "region": context.region,
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{context.region}.amazonaws.com",
    }


@reads("aws:s3/bucket:Bucket")
def read_bucket(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A bucket, and its tags."""
    client = context.client("s3")
    client.head_bucket(Bucket=id_)
    try:
        tags = tags_of(client.get_bucket_tagging(Bucket=id_)["TagSet"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchTagSet":
            raise
        tags = {}
    return {"bucket": id_, "tags": tags}


@updates("aws:s3/bucket:Bucket")
def update_bucket(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Its tags, which are set all at once."""
    if changed(olds, news, "tags"):
        if tags := tag_list(news):
            context.client("s3").put_bucket_tagging(Bucket=id_, Tagging={"TagSet": tags})
        else:
            context.client("s3").delete_bucket_tagging(Bucket=id_)
    return {}


@deletes("aws:s3/bucket:Bucket")
def delete_bucket(id_: str, state: dict[str, Any], context: Context) -> None:
    """A bucket, which must be empty unless the program has it emptied."""
    client = context.client("s3")
    if state.get("forceDestroy"):
        _delete_versions(client, id_, "")
    client.delete_bucket(Bucket=id_)


def _delete_versions(client: Any, bucket_name: str, prefix: str, key: str | None = None) -> None:
    """Delete all versions of the objects below a prefix, or of the one with that key."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket_name, Prefix=prefix):
        for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            if key in (None, version["Key"]):
                client.delete_object(Bucket=bucket_name, Key=version["Key"], VersionId=version["VersionId"])


@puts("aws:s3/bucketVersioning:BucketVersioning")
def bucket_versioning(inputs: Inputs, context: Context) -> Made:
    """A bucket's versioning."""
    name = inputs.need("bucket")
    configuration = pascal(inputs.need("versioningConfiguration"), **_VERSIONING)
    context.client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration=configuration)
    return name, {}


@reads("aws:s3/bucketVersioning:BucketVersioning")
def read_bucket_versioning(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A bucket's versioning, which is disabled where it never was set."""
    found = context.client("s3").get_bucket_versioning(Bucket=id_)
    configuration = {"status": "Disabled", **camel(_without_metadata(found), **_VERSIONING)}
    return {"bucket": id_, "versioningConfiguration": configuration}


@deletes("aws:s3/bucketVersioning:BucketVersioning")
def delete_bucket_versioning(id_: str, state: dict[str, Any], context: Context) -> None:
    """Versioning cannot be taken away again; it is suspended."""
    if state["versioningConfiguration"]["status"] == "Enabled":
        context.client("s3").put_bucket_versioning(Bucket=id_, VersioningConfiguration={"Status": "Suspended"})


def _without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


@puts("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def bucket_encryption(inputs: Inputs, context: Context) -> Made:
    """A bucket's default encryption."""
    name = inputs.need("bucket")
    rules = pascal(inputs.need("rules"), **_ENCRYPTION)
    context.client("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    return name, {}


@reads("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def read_bucket_encryption(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A bucket's default encryption."""
    found = context.client("s3").get_bucket_encryption(Bucket=id_)["ServerSideEncryptionConfiguration"]
    return {"bucket": id_, "rules": camel(found["Rules"], **_ENCRYPTION)}


@deletes("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def delete_bucket_encryption(id_: str, state: dict[str, Any], context: Context) -> None:
    """Back to the encryption that S3 has for all."""
    context.client("s3").delete_bucket_encryption(Bucket=id_)


@puts("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", skipDestroy=ON_DELETION)
def bucket_public_access_block(inputs: Inputs, context: Context) -> Made:
    """A bucket's refusal of public access."""
    name = inputs.need("bucket")
    configuration = inputs.renamed(**_PUBLIC_ACCESS)
    context.client("s3").put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=configuration)
    return name, {}


@reads("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def read_bucket_public_access_block(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A bucket's refusal of public access."""
    found = context.client("s3").get_public_access_block(Bucket=id_)["PublicAccessBlockConfiguration"]
    return {"bucket": id_, **told(found, **_PUBLIC_ACCESS)}


@deletes("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def delete_bucket_public_access_block(id_: str, state: dict[str, Any], context: Context) -> None:
    """The refusal, unless the program has it kept."""
    if not state.get("skipDestroy"):
        context.client("s3").delete_public_access_block(Bucket=id_)


@puts("aws:s3/bucketPolicy:BucketPolicy")
def bucket_policy(inputs: Inputs, context: Context) -> Made:
    """A bucket's policy."""
    name = inputs.need("bucket")
    context.client("s3").put_bucket_policy(Bucket=name, Policy=json_text(inputs.need("policy")))
    return name, {}


@reads("aws:s3/bucketPolicy:BucketPolicy")
def read_bucket_policy(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A bucket's policy."""
    return {"bucket": id_, "policy": context.client("s3").get_bucket_policy(Bucket=id_)["Policy"]}


@deletes("aws:s3/bucketPolicy:BucketPolicy")
def delete_bucket_policy(id_: str, state: dict[str, Any], context: Context) -> None:
    """A bucket's policy."""
    context.client("s3").delete_bucket_policy(Bucket=id_)


@puts("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def bucket_lifecycle(inputs: Inputs, context: Context) -> Made:
    """A bucket's life-cycle rules."""
    name = inputs.need("bucket")
    rules = [{"Filter": {}, **rule} for rule in pascal(inputs.need("rules"), **_LIFECYCLE)]
    context.client("s3").put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    return name, {}


@reads("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def read_bucket_lifecycle(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """A bucket's life-cycle rules."""
    found = context.client("s3").get_bucket_lifecycle_configuration(Bucket=id_)["Rules"]
    return {"bucket": id_, "rules": camel(found, **_LIFECYCLE)}


@deletes("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def delete_bucket_lifecycle(id_: str, state: dict[str, Any], context: Context) -> None:
    """A bucket's life-cycle rules."""
    context.client("s3").delete_bucket_lifecycle(Bucket=id_)


@puts("aws:s3/bucketNotification:BucketNotification")
def bucket_notification(inputs: Inputs, context: Context) -> Made:
    """The notices of a bucket to EventBridge; other destinations are refused."""
    name = inputs.need("bucket")
    configuration: dict[str, Any] = {"EventBridgeConfiguration": {}} if inputs.get("eventbridge") else {}
    context.client("s3").put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)
    return name, {}


@reads("aws:s3/bucketNotification:BucketNotification")
def read_bucket_notification(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """The notices of a bucket to EventBridge."""
    found = context.client("s3").get_bucket_notification_configuration(Bucket=id_)
    return {"bucket": id_, "eventbridge": "EventBridgeConfiguration" in found}


@deletes("aws:s3/bucketNotification:BucketNotification")
def delete_bucket_notification(id_: str, state: dict[str, Any], context: Context) -> None:
    """A bucket that tells nobody."""
    context.client("s3").put_bucket_notification_configuration(Bucket=id_, NotificationConfiguration={})


@puts("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def bucket_ownership(inputs: Inputs, context: Context) -> Made:
    """The ownership of a bucket's objects."""
    name = inputs.need("bucket")
    controls = {"Rules": [pascal(inputs.need("rule"))]}
    context.client("s3").put_bucket_ownership_controls(Bucket=name, OwnershipControls=controls)
    return name, {}


@reads("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def read_bucket_ownership(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """The ownership of a bucket's objects."""
    (rule,) = context.client("s3").get_bucket_ownership_controls(Bucket=id_)["OwnershipControls"]["Rules"]
    return {"bucket": id_, "rule": camel(rule)}


@deletes("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def delete_bucket_ownership(id_: str, state: dict[str, Any], context: Context) -> None:
    """Back to what S3 has for all."""
    context.client("s3").delete_bucket_ownership_controls(Bucket=id_)


@handles(
    "aws:s3/bucketObjectv2:BucketObjectv2", forceDestroy=ON_DELETION, sourceHash=_UPDATE_TRIGGER, etag=_UPDATE_TRIGGER
)
def bucket_object(inputs: Inputs, context: Context) -> Made:
    """An object, of an asset, an archive or text."""
    name, key = inputs.need("bucket"), inputs.need("key")
    arguments = inputs.renamed(**_OBJECT)
    if tags := inputs.get("tags"):
        arguments["Tagging"] = urlencode(tags)
    stored = context.client("s3").put_object(Bucket=name, Key=key, Body=_body(inputs), **arguments)
    outputs: dict[str, Any] = {"arn": f"arn:aws:s3:::{name}/{key}", "etag": stored["ETag"].strip('"')}
    if "VersionId" in stored:
        outputs["versionId"] = stored["VersionId"]
    return f"{name}/{key}", outputs


@reads("aws:s3/bucketObjectv2:BucketObjectv2")
def read_bucket_object(id_: str, state: dict[str, Any], context: Context) -> dict[str, Any]:
    """An object, without its content."""
    client, place = context.client("s3"), {"Bucket": state["bucket"], "Key": state["key"]}
    found = client.head_object(**place)
    tags = tags_of(client.get_object_tagging(**place)["TagSet"])
    return {"bucket": place["Bucket"], "key": place["Key"], **told(found, **_OBJECT), "tags": tags}


@updates("aws:s3/bucketObjectv2:BucketObjectv2", renews=dict.fromkeys(("etag", "versionId"), Renewal(_STORED_ANEW)))
def update_bucket_object(id_: str, olds: dict[str, Any], news: Inputs, context: Context) -> dict[str, Any]:
    """Another content or header stores the object anew; tags alone are set on the one that is there."""
    if changed(olds, news, *_STORED_ANEW):
        return bucket_object(news, context)[1]
    place = {"Bucket": news.need("bucket"), "Key": news.need("key")}
    if changed(olds, news, "tags"):
        context.client("s3").put_object_tagging(**place, Tagging={"TagSet": tag_list(news)})
    return {}


@deletes("aws:s3/bucketObjectv2:BucketObjectv2")
def delete_bucket_object(id_: str, state: dict[str, Any], context: Context) -> None:
    """An object, with all its versions where the bucket keeps them."""
    client, name, key = context.client("s3"), state["bucket"], state["key"]
    if state.get("versionId"):
        _delete_versions(client, name, key, key)
    else:
        client.delete_object(Bucket=name, Key=key)


def _body(inputs: Inputs) -> bytes:
    given = [key for key in _CONTENT if key in inputs]
    if len(given) != 1:
        raise InputError(f"exactly one of source, content and contentBase64 must be given; given are {given}")
    value = inputs.need(given[0])
    if given[0] == "source":
        return content_bytes(value)
    return base64.b64decode(value) if given[0] == "contentBase64" else str(value).encode()
