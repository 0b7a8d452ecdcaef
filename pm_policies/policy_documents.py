"""Policy documents: where they are in resources, and their statements in one form.

AWS takes a document as JSON text or as an object, one statement or a list of them, one value or a list, and condition
keys in any case ("IAM JSON policy elements: Condition": key names are not case-sensitive). A rule sees none of it.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pm_policies.inputs import document, items

#: Inputs with a policy of what its holder may do, by type. IoT policies are written as IAM's are.
POLICY_KEYS = {
    "aws:iam/rolePolicy:RolePolicy": ("policy",),
    "aws:iam/policy:Policy": ("policy",),
    "aws:iam/userPolicy:UserPolicy": ("policy",),
    "aws:iam/groupPolicy:GroupPolicy": ("policy",),
    "aws:iot/policy:Policy": ("policy",),
    "aws:ssoadmin/permissionSetInlinePolicy:PermissionSetInlinePolicy": ("inlinePolicy",),
}

#: Inputs with a list of such policies, by type: the list, and the key of the document in each.
INLINE_POLICIES = {"aws:iam/role:Role": ("inlinePolicies", "policy")}

#: Inputs with a policy of who may do something with the resource, by type.
RESOURCE_POLICY_KEYS = {
    "aws:s3/bucketPolicy:BucketPolicy": ("policy",),
    "aws:s3/accessPoint:AccessPoint": ("policy",),
    "aws:s3control/accessPointPolicy:AccessPointPolicy": ("policy",),
    "aws:sqs/queue:Queue": ("policy",),
    "aws:sqs/queuePolicy:QueuePolicy": ("policy",),
    "aws:sns/topic:Topic": ("policy",),
    "aws:sns/topicPolicy:TopicPolicy": ("policy",),
    "aws:kms/key:Key": ("policy",),
    "aws:kms/keyPolicy:KeyPolicy": ("policy",),
    "aws:kms/replicaKey:ReplicaKey": ("policy",),
    "aws:iam/role:Role": ("assumeRolePolicy",),
    "aws:dynamodb/resourcePolicy:ResourcePolicy": ("policy",),
    "aws:kinesis/resourcePolicy:ResourcePolicy": ("policy",),
    "aws:secretsmanager/secret:Secret": ("policy",),
    "aws:secretsmanager/secretPolicy:SecretPolicy": ("policy",),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": ("policy",),
    "aws:cloudwatch/eventBusPolicy:EventBusPolicy": ("policy",),
    "aws:cloudwatch/logResourcePolicy:LogResourcePolicy": ("policyDocument",),
    "aws:glue/resourcePolicy:ResourcePolicy": ("policy",),
}

#: Condition keys that say who asks or from where: "The meaning of 'public'", Amazon S3 user guide, and the keys by
#: which "Properties of the principal", IAM user guide, tells principals apart.
_WHO = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "kms:calleraccount",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
    }
)
#: Operators that hold only where the key is there and has a value of the list. Those with `IfExists`, and with
#: `ForAllValues:`, hold where it is missing too: "Condition operators", IAM user guide.
_HOLD = frozenset({"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress"})
#: Networks that S3 takes for public are wider: "The meaning of 'public'", Amazon S3 user guide.
_NARROWEST_PREFIX = {4: 8, 6: 32}


class Condition(NamedTuple):
    """A condition: operator and key in lower case, and the values."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def limits_who(self) -> bool:
        """True if it holds for named callers or networks alone."""
        operator = self.operator.removeprefix("foranyvalue:")
        return (
            self.key in _WHO
            and operator in _HOLD
            and bool(self.values)
            and all(_names_somebody(self.key, value) for value in self.values)
        )


class Statement(NamedTuple):
    """A statement of a policy document, each element a tuple; of a missing one an empty tuple."""

    effect: str
    everybody: bool
    """True if the principal is `*`, or `*` is among those of a kind."""
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    opposites: tuple[str, ...]
    """The elements among NotAction, NotResource and NotPrincipal that it has."""
    conditions: tuple[Condition, ...]

    @property
    def allows(self) -> bool:
        """True for an Allow."""
        return self.effect == "Allow"


def statements(inputs: Mapping[str, Any], key: str) -> list[Statement]:
    """The statements of the document that `key` holds; none where it is not set or cannot be read.

    Raises:
        UnknownValueError: if a part of it is not known yet.
    """
    written = _lowered(document(inputs, key)).get("statement")
    return [_statement(_lowered(one)) for one in items(written) if isinstance(one, Mapping)]


def grants(type_: str, inputs: Mapping[str, Any]) -> Iterator[Statement]:
    """The statements of what the holder of a resource's policies may do and may not, those of policies within it too.

    Raises:
        UnknownValueError: if a part of them is not known yet.
    """
    for key in POLICY_KEYS.get(type_, ()):
        yield from statements(inputs, key)
    if type_ in INLINE_POLICIES:
        policies, key = INLINE_POLICIES[type_]
        for inline in items(inputs.get(policies)):
            yield from statements(inline, key)


def _statement(written: Mapping[str, Any]) -> Statement:
    principal = written.get("principal")
    if isinstance(principal, Mapping):
        named = [one for kind in principal for one in items(principal[kind])]
    else:
        named = items(principal)
    return Statement(
        effect=str(written.get("effect")),
        everybody="*" in named,
        actions=_texts(written.get("action")),
        resources=_texts(written.get("resource")),
        opposites=tuple(one for one in ("NotAction", "NotResource", "NotPrincipal") if one.lower() in written),
        conditions=tuple(_conditions(written.get("condition"))),
    )


def _conditions(written: Any) -> Iterator[Condition]:
    if not isinstance(written, Mapping):
        return
    for operator in written:
        for key in written[operator]:
            yield Condition(str(operator).lower(), str(key).lower(), _texts(written[operator][key]))


def _texts(value: Any) -> tuple[str, ...]:
    """Values as JSON has them: a truth value as `true` or `false`."""
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in items(value))


def _lowered(written: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): written[key] for key in written}


def _names_somebody(key: str, value: str) -> bool:
    if key == "aws:sourceip":
        try:
            network = ipaddress.ip_network(value, strict=False)
        except ValueError:
            return False
        return network.prefixlen >= _NARROWEST_PREFIX[network.version]
    if not {"*", "?"} & set(value):
        return bool(value)
    if value.startswith("arn:"):
        # arn:partition:service:region:account:resource
        account = value.split(":", 5)[4] if value.count(":") >= 5 else ""
        return account.isdigit()
    # A path in an organisation, which begins with the organisation.
    return key.endswith("orgpaths") and value.startswith("o-") and not {"*", "?"} & set(value.partition("/")[0])
