"""Buckets, what is set on them, and objects."""

import base64
from typing import Any
from urllib.parse import urlencode

from sandbox.provider.assets import content_bytes
from sandbox.provider.inputs import InputError, Inputs, json_text, pascal, tag_list
from sandbox.provider.registry import ON_DELETION, Context, Made, handles

_UPDATE_TRIGGER = "says that the content is another one, and the content is stored whenever the resource is made"


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


@handles("aws:s3/bucketVersioning:BucketVersioning")
def bucket_versioning(inputs: Inputs, context: Context) -> Made:
    """A bucket's versioning."""
    name = inputs.need("bucket")
    configuration = pascal(inputs.need("versioningConfiguration"), mfaDelete="MFADelete")
    context.client("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration=configuration)
    return name, {}


@handles("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def bucket_encryption(inputs: Inputs, context: Context) -> Made:
    """A bucket's default encryption."""
    name = inputs.need("bucket")
    rules = pascal(
        inputs.need("rules"),
        sseAlgorithm="SSEAlgorithm",
        kmsMasterKeyId="KMSMasterKeyID",
        encryptionTypes="EncryptionType",
    )
    context.client("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    return name, {}


@handles("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", skipDestroy=ON_DELETION)
def bucket_public_access_block(inputs: Inputs, context: Context) -> Made:
    """A bucket's refusal of public access."""
    name = inputs.need("bucket")
    configuration = inputs.renamed(
        blockPublicAcls="BlockPublicAcls",
        blockPublicPolicy="BlockPublicPolicy",
        ignorePublicAcls="IgnorePublicAcls",
        restrictPublicBuckets="RestrictPublicBuckets",
    )
    context.client("s3").put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=configuration)
    return name, {}


@handles("aws:s3/bucketPolicy:BucketPolicy")
def bucket_policy(inputs: Inputs, context: Context) -> Made:
    """A bucket's policy."""
    name = inputs.need("bucket")
    context.client("s3").put_bucket_policy(Bucket=name, Policy=json_text(inputs.need("policy")))
    return name, {}


@handles("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def bucket_lifecycle(inputs: Inputs, context: Context) -> Made:
    """A bucket's life-cycle rules."""
    name = inputs.need("bucket")
    rules = [{"Filter": {}, **rule} for rule in pascal(inputs.need("rules"), id="ID")]
    context.client("s3").put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    return name, {}


@handles("aws:s3/bucketNotification:BucketNotification")
def bucket_notification(inputs: Inputs, context: Context) -> Made:
    """Whether a bucket tells EventBridge of its objects; other destinations are refused."""
    name = inputs.need("bucket")
    configuration: dict[str, Any] = {"EventBridgeConfiguration": {}} if inputs.get("eventbridge") else {}
    context.client("s3").put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)
    return name, {}


@handles("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def bucket_ownership(inputs: Inputs, context: Context) -> Made:
    """Who owns a bucket's objects."""
    name = inputs.need("bucket")
    controls = {"Rules": [pascal(inputs.need("rule"))]}
    context.client("s3").put_bucket_ownership_controls(Bucket=name, OwnershipControls=controls)
    return name, {}


@handles(
    "aws:s3/bucketObjectv2:BucketObjectv2", forceDestroy=ON_DELETION, sourceHash=_UPDATE_TRIGGER, etag=_UPDATE_TRIGGER
)
def bucket_object(inputs: Inputs, context: Context) -> Made:
    """An object, of an asset, an archive or text."""
    name, key = inputs.need("bucket"), inputs.need("key")
    arguments = inputs.renamed(
        cacheControl="CacheControl",
        contentEncoding="ContentEncoding",
        contentType="ContentType",
        kmsKeyId="SSEKMSKeyId",
        metadata="Metadata",
        serverSideEncryption="ServerSideEncryption",
        storageClass="StorageClass",
    )
    if tags := inputs.get("tags"):
        arguments["Tagging"] = urlencode(tags)
    stored = context.client("s3").put_object(Bucket=name, Key=key, Body=_body(inputs), **arguments)
    outputs: dict[str, Any] = {"arn": f"arn:aws:s3:::{name}/{key}", "etag": stored["ETag"].strip('"')}
    if "VersionId" in stored:
        outputs["versionId"] = stored["VersionId"]
    return f"{name}/{key}", outputs


def _body(inputs: Inputs) -> bytes:
    given = [key for key in ("source", "content", "contentBase64") if key in inputs]
    if len(given) != 1:
        raise InputError(f"exactly one of source, content and contentBase64 must be given; given are {given}")
    value = inputs.need(given[0])
    if given[0] == "source":
        return content_bytes(value)
    return base64.b64decode(value) if given[0] == "contentBase64" else str(value).encode()
