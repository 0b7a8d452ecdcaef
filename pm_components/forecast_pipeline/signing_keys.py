"""The keys that sign a pipeline's models, of AWS KMS: the functions that ship models use them, and nobody else."""

from collections.abc import Sequence
from typing import NamedTuple

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.encryption_keys import DELETION_DAYS, account_statement
from pm_components.aws.permissions import Statement, allow, policy_document, role_name
from pm_contracts.model_signature import ALGORITHM, KEY_SPEC, MAXIMUM_KEYS

_SIGN = "kms:Sign"


class SigningKeys(NamedTuple):
    """The keys of a pipeline."""

    signs: pulumi.Output[str]
    """ARN of the one that signs."""
    public: pulumi.Output[list[str]]
    """The public keys of all of them in PEM, for the core devices to trust."""

    def statement(self) -> Statement:
        """The right to sign, for a function among those that the keys are for."""
        condition = {"kms:SigningAlgorithm": ALGORITHM, "kms:MessageType": "DIGEST"}
        return allow([_SIGN], [self.signs], {"StringEquals": condition})


def signing_keys(name: str, keys: Sequence[str], signers: Sequence[str], *, parent: pulumi.Resource) -> SigningKeys:
    """A key of AWS KMS for each of `keys`; the first one signs.

    The key's policy shuts out everyone but the signers, administrators and grants included, and any other algorithm.

    Args:
        name: the pipeline's logical name.
        keys: one or two names.
        signers: logical names of the functions that may sign, by which their roles are named.
        parent: the pipeline.

    Raises:
        ValueError: for none, for more than may be trusted at once, or for one twice.
    """
    if not 1 <= len(keys) <= MAXIMUM_KEYS or len(set(keys)) < len(keys):
        raise ValueError(f"signing_keys: found {list(keys)}, allowed are 1 to {MAXIMUM_KEYS} different names")
    roles = [
        pulumi.Output.concat(
            "arn:", naming.partition(parent), ":iam::", naming.account_id(parent), ":role/", role_name(signer)
        )
        for signer in signers
    ]
    policy = policy_document(
        [
            account_statement(parent),
            # By the names of roles that are made after the key, since their own policies name it.
            _deny("OnlyTheReleases", {"StringNotEquals": {"aws:PrincipalArn": roles}}),
            _deny("OnlyThisAlgorithm", {"StringNotEquals": {"kms:SigningAlgorithm": ALGORITHM}}),
        ]
    )
    made = [
        aws.kms.Key(
            f"{name}-{key}-signing-key",
            description=f"Signs models ({key})",
            customer_master_key_spec=KEY_SPEC,
            key_usage="SIGN_VERIFY",
            deletion_window_in_days=DELETION_DAYS,
            policy=policy,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for key in keys
    ]
    asked = pulumi.InvokeOutputOptions(provider=parent.get_provider("aws:index:Provider"))
    return SigningKeys(
        made[0].arn,
        pulumi.Output.all(*(aws.kms.get_public_key_output(key_id=key.arn, opts=asked).public_key_pem for key in made)),
    )


def _deny(sid: str, condition: dict[str, dict[str, object]]) -> Statement:
    return {
        "Sid": sid, "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": _SIGN, "Resource": "*",
        "Condition": condition,
    }  # fmt: skip
