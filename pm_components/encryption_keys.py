"""A customer's own key for data at rest, which the services and the readers of this account may use."""

import pulumi
import pulumi_aws as aws

from pm_components import naming
from pm_components.permissions import Statement, policy_document

_DELETION_DAYS = 30
_USE = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]


def data_key(name: str, *, parent: pulumi.Resource, purpose: str) -> aws.kms.Key:
    """The key `{name}-key`, rotated each year, and its alias.

    Who may read or write an object in Amazon S3 may do so with this key, as with AWS's own `aws/s3`: access is
    governed by the bucket's and the readers' policies alone. EventBridge may put events into encrypted queues, and
    CloudWatch Logs may encrypt this account's log groups.

    Args:
        name: logical name.
        parent: the component that it belongs to.
        purpose: what it encrypts, for whoever reads the console.
    """
    account, region = naming.account_id(parent), naming.region(parent)
    root = pulumi.Output.concat("arn:", naming.partition(parent), ":iam::", account, ":root")
    log_groups = naming.arn("logs", "*", parent)
    statements: list[Statement] = [
        {"Sid": "Account", "Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"},
        {
            "Sid": "ThroughS3",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": _USE,
            "Resource": "*",
            "Condition": {
                "StringEquals": {
                    "kms:CallerAccount": account,
                    "kms:ViaService": pulumi.Output.concat("s3.", region, ".amazonaws.com"),
                }
            },
        },
        {
            "Sid": "Events",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        },
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": pulumi.Output.concat("logs.", region, ".amazonaws.com")},
            "Action": _USE,
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
        },
    ]
    options = pulumi.ResourceOptions(parent=parent)
    key = aws.kms.Key(
        f"{name}-key",
        description=f"Encrypts {purpose}",
        enable_key_rotation=True,
        deletion_window_in_days=_DELETION_DAYS,
        policy=policy_document(statements),
        opts=options,
    )
    aws.kms.Alias(
        f"{name}-key-alias", name=f"alias/{naming.physical_name(name)}", target_key_id=key.key_id, opts=options
    )
    return key
