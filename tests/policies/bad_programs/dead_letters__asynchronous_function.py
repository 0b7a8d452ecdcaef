"""A function that a topic calls, and whose failures nobody keeps."""

import pulumi
import pulumi_aws as aws

aws.cloudwatch.LogGroup("logs", name="/aws/lambda/announce", retention_in_days=7)
function = aws.lambda_.Function(
    "announce",
    name="announce",
    runtime="python3.11",
    handler="announce.handle",
    role="arn:aws:iam::123456789012:role/announce",
    code=pulumi.AssetArchive({"announce.py": pulumi.StringAsset("def handle(event, context): ...")}),
    timeout=10,
    reserved_concurrent_executions=2,
)
aws.lambda_.Permission("topic", action="lambda:InvokeFunction", function=function.name, principal="sns.amazonaws.com")
