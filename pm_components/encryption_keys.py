"""Keys of the account's own for data at rest, rotated each year."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from pm_components import naming
from pm_components.permissions import Statement, policy_document

_DELETION_DAYS = 30
_USE = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]


def rotated_key(
    name: str, description: str, statements: Sequence[Statement], *, parent: pulumi.Resource, alias: str = ""
) -> aws.kms.Key:
    """The key `name`, which the account's own policies govern, and its alias.

    Args:
        name: logical name.
        description: what it encrypts.
        statements: who may use it besides.
        parent: the component that it belongs to.
        alias: physical name of the alias `{name}-alias`; none by default.
    """
    options = pulumi.ResourceOptions(parent=parent)
    root = pulumi.Output.concat("arn:", naming.partition(parent), ":iam::", naming.account_id(parent), ":root")
    account: Statement = {
        "Sid": "Account", "Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*",
    }  # fmt: skip
    key = aws.kms.Key(
        name,
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=_DELETION_DAYS,
        policy=policy_document([account, *statements]),
        opts=options,
    )
    if alias:
        aws.kms.Alias(f"{name}-alias", name=f"alias/{alias}", target_key_id=key.key_id, opts=options)
    return key


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
    log_groups = naming.arn("logs", "*", parent)
    statements: list[Statement] = [
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
    return rotated_key(
        f"{name}-key", f"Encrypts {purpose}", statements, parent=parent, alias=naming.physical_name(name)
    )
