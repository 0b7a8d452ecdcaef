"""Logs that are kept for ten years."""

import pulumi_aws as aws

aws.cloudwatch.LogGroup("logs", name="/plant/floor", retention_in_days=3653)
