"""Physical names: `{project}-{stack}-{component}-{parts}`, cut with a hash where a service allows fewer characters."""

import hashlib

import pulumi
import pulumi_aws as aws

from pm_components.aws.limits import BUCKET_NAME_LENGTH, GLUE_DATABASE_NAME_LENGTH, TOPIC_RULE_NAME_LENGTH
from pm_components.aws.lookups import looked_up

_ACCOUNT_DIGITS = 12
_HASH_DIGITS = 8


def shortened(name: str, maximum: int) -> str:
    """`name`, or where it is longer than `maximum` characters its head and 8 hex digits of its hash."""
    if len(name) <= maximum:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{name[: maximum - _HASH_DIGITS - 1].rstrip('-_')}-{digest}"


def physical_name(*parts: str, maximum: int = 64) -> str:
    """The physical name of a resource of this stack: lower case, words joined by hyphens.

    Args:
        parts: the component's own name, and what tells the resource from its siblings, most general first. Things and
            thing groups, which others have to find, are named after device and site instead.
        maximum: the characters that the service allows.
    """
    name = "-".join((pulumi.get_project(), pulumi.get_stack(), *parts))
    return shortened(name.lower().replace("_", "-").replace(".", "-"), maximum)


def topic_rule_name(*parts: str) -> str:
    """The physical name of a topic rule of AWS IoT, which takes no hyphen."""
    return physical_name(*parts, maximum=TOPIC_RULE_NAME_LENGTH).replace("-", "_")


def database_name(*parts: str) -> str:
    """The physical name of a database of AWS Glue in the characters that Amazon Athena takes."""
    return physical_name(*parts, maximum=GLUE_DATABASE_NAME_LENGTH).replace("-", "_")


def bucket_name(*parts: str, parent: pulumi.Resource) -> pulumi.Output[str]:
    """The name of a bucket of this stack, with the account's number at its end since bucket names are global."""
    head = physical_name(*parts, maximum=BUCKET_NAME_LENGTH - _ACCOUNT_DIGITS - 1)
    return pulumi.Output.concat(head, "-", account_id(parent))


def account_id(parent: pulumi.Resource) -> pulumi.Output[str]:
    """The account of the provider that `parent` inherits."""
    return looked_up(aws.get_caller_identity_output, parent).account_id


def region(parent: pulumi.Resource) -> pulumi.Output[str]:
    """The region of the provider that `parent` inherits."""
    return looked_up(aws.get_region_output, parent).region


def partition(parent: pulumi.Resource) -> pulumi.Output[str]:
    """The partition (`aws`, `aws-cn`, ...) of the provider that `parent` inherits."""
    return looked_up(aws.get_partition_output, parent).partition


def arn(service: str, resource: pulumi.Input[str], parent: pulumi.Resource) -> pulumi.Output[str]:
    """The ARN of `resource` of this account and region, for what has no resource output to take it from."""
    return pulumi.Output.concat(
        "arn:", partition(parent), f":{service}:", region(parent), ":", account_id(parent), ":", resource
    )
