"""A function on a runtime that AWS supports no longer."""

import pulumi
import pulumi_aws as aws

aws.cloudwatch.LogGroup("logs", name="/aws/lambda/work", retention_in_days=7)
aws.lambda_.Function(
    "work",
    name="work",
    runtime="python3.8",
    handler="work.handle",
    role="arn:aws:iam::123456789012:role/work",
    code=pulumi.AssetArchive({"work.py": pulumi.StringAsset("def handle(event, context): ...")}),
    timeout=10,
)
