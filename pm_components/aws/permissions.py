"""IAM policy documents and service roles, least privilege by construction."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.limits import ROLE_NAME_LENGTH

POLICY_VERSION = "2012-10-17"

#: Actions that AWS cannot hold to a resource: Service Authorization Reference, column "Resource types".
ACTIONS_WITHOUT_RESOURCE = frozenset(
    {
        "polly:SynthesizeSpeech",
        "cloudwatch:PutMetricData",
        "sagemaker:ListModelPackages",
        "iot:DescribeEndpoint",
        "ecr:GetAuthorizationToken",
        "greengrass:CreateDeployment",
        "greengrass:ListDeployments",
        "logs:DescribeLogGroups",
        # Delivery of a state machine's log: "Log destinations", AWS Step Functions developer guide.
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
        # What a core device asks of the data plane: "Minimal AWS IoT policy", AWS IoT Greengrass V2 developer guide.
        "greengrass:GetComponentVersionArtifact",
        "greengrass:GetDeploymentConfiguration",
        "greengrass:ListThingGroupsForCoreDevice",
        "greengrass:ResolveComponentCandidates",
        # The same for one that devices connect to: "Minimal AWS IoT policy to support client devices".
        "greengrass:PutCertificateAuthorities",
        "greengrass:VerifyClientDeviceIdentity",
    }
)

#: The condition key by which a service tells the account in whose name it takes on a role. Firehose tells it as the
#: external id ("Controlling access with Amazon Data Firehose", "Allow Firehose to assume an IAM role"), the others as
#: "Cross-service confused deputy prevention" says in their guides. Those that are not here tell nothing.
_TELLS_ACCOUNT = {
    "autoscaling.amazonaws.com": "aws:SourceAccount",
    "firehose.amazonaws.com": "sts:ExternalId",
    "iot.amazonaws.com": "aws:SourceAccount",
    "sagemaker.amazonaws.com": "aws:SourceAccount",
    "scheduler.amazonaws.com": "aws:SourceAccount",
    "states.amazonaws.com": "aws:SourceAccount",
}
#: Services that are trusted without a condition, since they tell nothing of the account.
_TELLS_NOTHING = frozenset({"lambda.amazonaws.com", "credentials.iot.amazonaws.com", "ec2.amazonaws.com"})

_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")

Statement = dict[str, Any]


def allow(
    actions: Sequence[str],
    resources: Sequence[pulumi.Input[str]],
    conditions: Optional[Mapping[str, Mapping[str, Any]]] = None,
) -> Statement:
    """A statement that allows `actions` on `resources`.

    Raises:
        ValueError: for an action with a wildcard, or the resource `*` for an action that AWS can hold to a resource.
    """
    known = [resource for resource in resources if isinstance(resource, str)]
    if problems := excess(actions, known):
        raise ValueError(problems[0])
    statement: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    if conditions:
        statement["Condition"] = {operator: dict(keys) for operator, keys in conditions.items()}
    return statement


def excess(actions: Sequence[str], resources: Sequence[str]) -> list[str]:
    """The grants beyond need of a statement that allows `actions` on `resources`, each in a sentence.

    The constructors refuse the first of it (`allow`), the policy pack tells all.
    """
    problems = [
        f"action {action!r}: allowed is service:Action, without a wildcard"
        for action in actions
        if not _ACTION.fullmatch(action)
    ]
    held = sorted({action for action in actions if _ACTION.fullmatch(action)} - ACTIONS_WITHOUT_RESOURCE)
    if "*" in resources and held:
        problems.append(f"resource '*' for {', '.join(held)}: name the resources, AWS can hold it to them")
    for resource in resources:
        # arn:partition:service:region:account:resource
        if resource != "*" and resource.split(":", 5)[-1].startswith("*"):
            problems.append(f"resource {resource!r}: name the resources, this is all of a service")
    return problems


def actions_of(statement: Mapping[str, Any]) -> list[str]:
    """The actions of a statement, which may be one text or a list."""
    return _texts(statement.get("Action"))


def resources_of(statement: Mapping[str, Any]) -> list[str]:
    """The resources of a statement, which may be one text or a list."""
    return _texts(statement.get("Resource"))


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value or []]


def policy_document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """The JSON text of a policy of `statements`, which may hold outputs."""
    return pulumi.Output.json_dumps({"Version": POLICY_VERSION, "Statement": list(statements)})


def deny_plain_transport(actions: str, resources: Sequence[pulumi.Input[str]]) -> Statement:
    """A statement of a resource policy that refuses whoever comes without TLS."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": actions,
        "Resource": list(resources),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


class ServiceRole(NamedTuple):
    """A role and its ARN; the ARN is known once the role may do its work, so take it rather than `role.arn`."""

    role: aws.iam.Role
    arn: pulumi.Output[str]


def role_name(name: str) -> str:
    """The physical name of the role of `service_role`, by its logical name."""
    return naming.physical_name(name, maximum=ROLE_NAME_LENGTH)


def service_role(name: str, service: str, statements: Sequence[Statement], *, parent: pulumi.Resource) -> ServiceRole:
    """A role that `service` may take on, for this account alone where it tells which; `statements` is all it may do.

    Args:
        name: the logical name; `{name}-role` and `{name}-permissions` are registered.
        service: the principal, as `firehose.amazonaws.com`.
        statements: made by `allow`.
        parent: the component that the role belongs to.

    Raises:
        KeyError: for a service of which it is not known here by what it tells the account.
    """
    trust: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    if service not in _TELLS_NOTHING:
        trust["Condition"] = {"StringEquals": {_TELLS_ACCOUNT[service]: naming.account_id(parent)}}
    options = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        f"{name}-role",
        name=role_name(name),
        assume_role_policy=policy_document([trust]),
        opts=options,
    )
    permissions = aws.iam.RolePolicy(
        f"{name}-permissions", name="permissions", role=role.name, policy=policy_document(statements), opts=options
    )
    ready = pulumi.Output.all(role.arn, permissions.id).apply(lambda known: str(known[0]))
    return ServiceRole(role, ready)
