"""A function that a queue may start without number."""

import pulumi
import pulumi_aws as aws

aws.cloudwatch.LogGroup("logs", name="/aws/lambda/pull", retention_in_days=7)
function = aws.lambda_.Function(
    "work",
    name="pull",
    runtime="python3.11",
    handler="work.handle",
    role="arn:aws:iam::123456789012:role/work",
    code=pulumi.AssetArchive({"work.py": pulumi.StringAsset("def handle(event, context): ...")}),
    timeout=10,
)
aws.lambda_.EventSourceMapping(
    "source", event_source_arn="arn:aws:sqs:eu-central-1:123456789012:orders", function_name=function.arn
)
