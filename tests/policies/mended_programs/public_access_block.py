"""A public access block that blocks half the ways."""

import pulumi_aws as aws

aws.s3.BucketPublicAccessBlock("plant", bucket="plant", block_public_acls=True, block_public_policy=True)
