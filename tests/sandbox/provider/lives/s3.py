"""S3."""

from typing import Any

from tests.sandbox.provider.lives.lab import OTHER_TAGS, TAGS, Lab, Life, allow, life


@life("aws:s3/bucket:Bucket")
def _bucket(lab: Lab) -> Life:
    return Life(
        {"bucket": lab.name(), "tags": TAGS, "forceDestroy": False},
        {"tags": OTHER_TAGS, "forceDestroy": True},
        frozenset({"forceDestroy"}),
    )


@life("aws:s3/bucketVersioning:BucketVersioning")
def _versioning(lab: Lab) -> Life:
    name = lab.bucket()
    suspended = {"status": "Suspended"}
    return Life(
        {"bucket": name, "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": suspended},
        left={"bucket": name, "versioningConfiguration": suspended},
    )


@life("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def _encryption(lab: Lab) -> Life:
    def rules(**default: Any) -> list[dict[str, Any]]:
        return [{"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}]

    name = lab.bucket()
    of_all = [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}, "bucketKeyEnabled": False}]
    return Life(
        {"bucket": name, "rules": rules(sseAlgorithm="AES256")},
        {"rules": rules(sseAlgorithm="aws:kms", kmsMasterKeyId=lab.key)},
        left={"bucket": name, "rules": of_all},
    )


@life("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def _public_access(lab: Lab) -> Life:
    names = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    return Life({"bucket": lab.bucket(), **dict.fromkeys(names, True)}, dict.fromkeys(names, False))


@life("aws:s3/bucketPolicy:BucketPolicy")
def _bucket_policy(lab: Lab) -> Life:
    name = lab.bucket()

    def policy(action: str) -> str:
        return allow(action, Principal={"AWS": lab.role}, Resource=f"arn:aws:s3:::{name}/*")

    return Life({"bucket": name, "policy": policy("s3:GetObject")}, {"policy": policy("s3:PutObject")})


@life("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def _lifecycle(lab: Lab) -> Life:
    def rule(days: int) -> dict[str, Any]:
        return {
            "id": "old",
            "status": "Enabled",
            "filter": {"prefix": "a/"},
            "expiration": {"days": days},
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            "noncurrentVersionExpiration": {"noncurrentDays": 30},
        }

    return Life({"bucket": lab.bucket(), "rules": [rule(5)]}, {"rules": [rule(6), {**rule(7), "id": "other"}]})


@life("aws:s3/bucketNotification:BucketNotification")
def _notification(lab: Lab) -> Life:
    name = lab.bucket()
    return Life(
        {"bucket": name, "eventbridge": True}, {"eventbridge": False}, left={"bucket": name, "eventbridge": False}
    )


@life("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def _ownership(lab: Lab) -> Life:
    return Life(
        {"bucket": lab.bucket(), "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    )


@life("aws:s3/bucketObjectv2:BucketObjectv2")
def _object(lab: Lab) -> Life:
    return Life(
        {"bucket": lab.bucket(), "key": "a/b", "content": "x", "contentType": "text/plain", "tags": TAGS},
        {"tags": OTHER_TAGS, "contentType": "text/csv", "content": "y"},
        frozenset({"content"}),
    )
