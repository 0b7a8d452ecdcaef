"""A queue in the clear."""

import pulumi
import pulumi_aws as aws

dead_letters = aws.sqs.Queue("dead-letters", name="dead-letters", sqs_managed_sse_enabled=True)
aws.sqs.Queue(
    "orders",
    name="orders",
    redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": 5}),
)
