"""A bucket that answers without TLS."""

import pulumi_aws as aws

bucket = aws.s3.Bucket("plant", bucket="drawings")
aws.s3.BucketPublicAccessBlock(
    "plant",
    bucket=bucket.bucket,
    block_public_acls=True,
    block_public_policy=True,
    ignore_public_acls=True,
    restrict_public_buckets=True,
)
aws.s3.BucketServerSideEncryptionConfiguration(
    "plant",
    bucket=bucket.bucket,
    rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms"}}],
)
