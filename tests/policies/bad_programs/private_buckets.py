"""A bucket that is one careless policy away from being public."""

import json

import pulumi_aws as aws

ARN = "arn:aws:s3:::pictures"
bucket = aws.s3.Bucket("plant", bucket="pictures")
aws.s3.BucketServerSideEncryptionConfiguration(
    "plant",
    bucket=bucket.bucket,
    rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
)
statement = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": [ARN, f"{ARN}/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
aws.s3.BucketPolicy(
    "plant", bucket=bucket.bucket, policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
)
