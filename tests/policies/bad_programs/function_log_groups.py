"""A function whose log AWS Lambda makes, and leaves behind."""

import pulumi
import pulumi_aws as aws

aws.lambda_.Function(
    "work",
    name="silent",
    runtime="python3.11",
    handler="work.handle",
    role="arn:aws:iam::123456789012:role/work",
    code=pulumi.AssetArchive({"work.py": pulumi.StringAsset("def handle(event, context): ...")}),
    timeout=10,
)
