"""A topic without a key."""

import pulumi_aws as aws

aws.sns.Topic("alerts", name="alerts")
