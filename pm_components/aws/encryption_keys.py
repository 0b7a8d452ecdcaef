"""Keys of the account's own for data at rest, rotated each year, and the services that their policies let in."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.permissions import Statement, policy_document

#: Days that a key waits for its deletion, in which it can be had back.
DELETION_DAYS = 30
_USE = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
#: Permissions that a service needs to put a message into an encrypted queue or topic.
_SEND = ("kms:Decrypt", "kms:GenerateDataKey")


@dataclass(frozen=True)
class KeyUser:
    """A service that uses a key in its own name, and what can be asked of it.

    Attributes:
        sid: of the statement.
        principal: the service; `{region}` stands for the region.
        actions: what it does with the key.
        sends_source_account: whether it sends `aws:SourceAccount` to KMS. A condition on what a service does not send
            shuts it out, and nothing says so.
        log_context: whether it gives an encryption context that holds the ARN of a log group.
        source: where AWS says so.
    """

    sid: str
    principal: str
    actions: tuple[str, ...]
    sends_source_account: bool
    log_context: bool
    source: str


ALARMS = KeyUser(
    sid="Alarms",
    principal="cloudwatch.amazonaws.com",
    actions=_SEND,
    sends_source_account=True,
    log_context=False,
    source='"Managing Amazon SNS encryption keys and costs", SNS developer guide',
)
EVENTS = KeyUser(
    sid="Events",
    principal="events.amazonaws.com",
    actions=_SEND,
    # The same page: "not supported for EventBridge-to-encrypted topics". That it holds for queues is inferred from the
    # guide below, whose statement for a queue has no condition. Queues say in their own policy which rule may send.
    sends_source_account=False,
    log_context=False,
    source='"Event bus target specifics", EventBridge user guide',
)
LOGS = KeyUser(
    sid="Logs",
    principal="logs.{region}.amazonaws.com",
    # `GenerateDataKey*` of that guide, written out.
    actions=(*_USE, "kms:GenerateDataKeyWithoutPlaintext"),
    sends_source_account=False,
    log_context=True,
    source='"Encrypt log data in CloudWatch Logs using AWS KMS", CloudWatch Logs user guide',
)
#: Every service that is let in by itself. Whoever acts with a role, as AWS IoT, Firehose and Lambda, needs the role's
#: own policy alone: the account's statement of each key leaves that to it.
KEY_USERS = (ALARMS, EVENTS, LOGS)


def rotated_key(
    name: str,
    description: str,
    users: Sequence[KeyUser] = (),
    *,
    parent: pulumi.Resource,
    statements: Sequence[Statement] = (),
    alias: str = "",
) -> aws.kms.Key:
    """The key `name`, which the account's own policies govern, and its alias.

    Args:
        name: logical name.
        description: what it encrypts.
        users: the services that use it in their own name.
        parent: the component that it belongs to.
        statements: who may use it besides.
        alias: physical name of the alias `{name}-alias`; none by default.
    """
    options = pulumi.ResourceOptions(parent=parent)
    key = aws.kms.Key(
        name,
        description=description,
        enable_key_rotation=True,
        deletion_window_in_days=DELETION_DAYS,
        policy=policy_document([account_statement(parent), *statements, *(_statement(user, parent) for user in users)]),
        opts=options,
    )
    if alias:
        aws.kms.Alias(f"{name}-alias", name=f"alias/{alias}", target_key_id=key.key_id, opts=options)
    return key


def account_statement(parent: pulumi.Resource) -> Statement:
    """The statement of a key's policy that leaves its use and administration to the account's own policies."""
    root = pulumi.Output.concat("arn:", naming.partition(parent), ":iam::", naming.account_id(parent), ":root")
    return {"Sid": "Account", "Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}


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
    through_s3: Statement = {
        "Sid": "ThroughS3",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": _USE,
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:CallerAccount": naming.account_id(parent),
                "kms:ViaService": pulumi.Output.concat("s3.", naming.region(parent), ".amazonaws.com"),
            }
        },
    }
    return rotated_key(
        f"{name}-key",
        f"Encrypts {purpose}",
        [EVENTS, LOGS],
        parent=parent,
        statements=[through_s3],
        alias=naming.physical_name(name),
    )


def _statement(user: KeyUser, parent: pulumi.Resource) -> Statement:
    statement: Statement = {
        "Sid": user.sid,
        "Effect": "Allow",
        "Principal": {"Service": naming.region(parent).apply(lambda region: user.principal.format(region=region))},
        "Action": list(user.actions),
        "Resource": "*",
    }
    conditions: dict[str, dict[str, pulumi.Input[str]]] = {}
    if user.sends_source_account:
        conditions["StringEquals"] = {"aws:SourceAccount": naming.account_id(parent)}
    if user.log_context:
        conditions["ArnLike"] = {"kms:EncryptionContext:aws:logs:arn": naming.arn("logs", "*", parent)}
    return {**statement, "Condition": conditions} if conditions else statement
