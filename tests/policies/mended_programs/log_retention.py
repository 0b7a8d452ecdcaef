"""Logs without end."""

import pulumi_aws as aws

aws.cloudwatch.LogGroup("logs", name="/plant/floor")
