"""A queue whose messages come back for ever."""

import pulumi_aws as aws

aws.sqs.Queue("orders", name="orders", sqs_managed_sse_enabled=True)
