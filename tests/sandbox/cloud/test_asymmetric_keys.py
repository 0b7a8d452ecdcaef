"""Asymmetric keys of the emulated AWS KMS: they sign truly, refuse what KMS refuses, and hold policies to the request.

Not proved here: that AWS KMS is as its documents say.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from awscrt.crypto import RSA, RSASignatureAlgorithm
from botocore.config import Config
from botocore.exceptions import ClientError

from pm_contracts.model_signature import ALGORITHM, KEY_SPEC, pkcs1
from pm_sandbox.provider import Context
from pm_sandbox.provider.invokes import call
from tests.sandbox.cloud.conftest import document

DIGEST = hashlib.sha256(b"a release").digest()
SIGN = {"Message": DIGEST, "MessageType": "DIGEST", "SigningAlgorithm": ALGORITHM}


@pytest.fixture
def kms(account: Any) -> Any:
    return account.cloud.client("kms")


@pytest.fixture
def signing_key(kms: Any) -> str:
    return str(kms.create_key(KeySpec=KEY_SPEC, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"])


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=rf"\({code}\)")


def test_it_signs_so_that_a_core_device_can_verify_it_with_the_public_key_in_pem(
    account: Any, kms: Any, signing_key: str
) -> None:
    found = call("aws:kms/getPublicKey:getPublicKey", {"keyId": signing_key}, Context(account.cloud))
    assert (found["customerMasterKeySpec"], found["keyUsage"]) == (KEY_SPEC, "SIGN_VERIFY")
    public = RSA.new_public_key_from_der_data(pkcs1(found["publicKeyPem"]))
    signature = kms.sign(KeyId=signing_key, **SIGN)["Signature"]
    assert public.verify(RSASignatureAlgorithm.PSS_SHA256, DIGEST, signature)
    assert not public.verify(RSASignatureAlgorithm.PSS_SHA256, hashlib.sha256(b"another").digest(), signature)


def test_a_message_larger_than_kms_takes_is_refused_and_its_digest_is_signed(kms: Any, signing_key: str) -> None:
    for size in (0, 4097):
        with pytest.raises(ClientError, match="ValidationException"):
            _raw(kms, signing_key, Message=bytes(size), SigningAlgorithm=ALGORITHM)
    kms.sign(KeyId=signing_key, Message=bytes(4096), MessageType="RAW", SigningAlgorithm=ALGORITHM)
    with refused("ValidationException"):
        kms.sign(KeyId=signing_key, Message=bytes(31), MessageType="DIGEST", SigningAlgorithm=ALGORITHM)


def _raw(kms: Any, key: str, **request: Any) -> Any:
    """Sign without the client's own look at the request."""
    client = boto3.client(
        "kms",
        endpoint_url=kms.meta.endpoint_url,
        region_name=kms.meta.region_name,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(parameter_validation=False),
    )
    return client.sign(KeyId=key, **request)


def test_nobody_chooses_the_algorithm_but_who_signs(kms: Any, signing_key: str) -> None:
    with refused("ValidationException"):
        _raw(kms, signing_key, Message=DIGEST)


@pytest.mark.parametrize("operation", ["enable_key_rotation", "disable_key_rotation"])
def test_it_is_not_rotated(kms: Any, signing_key: str, operation: str) -> None:
    with refused("UnsupportedOperationException"):
        getattr(kms, operation)(KeyId=signing_key)
    assert not kms.get_key_rotation_status(KeyId=signing_key)["KeyRotationEnabled"]


def test_its_use_is_stated_and_kept_to(kms: Any, signing_key: str) -> None:
    with refused("ValidationException"):
        kms.create_key(KeySpec=KEY_SPEC)
    with refused("ValidationException"):
        kms.create_key(KeyUsage="SIGN_VERIFY")
    encrypting = kms.create_key(KeySpec=KEY_SPEC, KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["Arn"]
    with refused("InvalidKeyUsageException"):
        kms.sign(KeyId=encrypting, **SIGN)


def test_a_disabled_key_gives_neither_signature_nor_public_key(kms: Any, signing_key: str) -> None:
    kms.disable_key(KeyId=signing_key)
    requests: tuple[Callable[[], Any], ...] = (
        lambda: kms.sign(KeyId=signing_key, **SIGN),
        lambda: kms.get_public_key(KeyId=signing_key),
    )
    for request in requests:
        with refused("DisabledException"):
            request()


def test_a_key_s_policy_asks_who_signs_and_by_which_algorithm_also_of_root(account: Any, kms: Any) -> None:
    root = {"AWS": f"arn:aws:iam::{account.cloud.account_id}:root"}
    roles = {name: _role(account, name) for name in ("signs", "does-not")}
    own = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    deny = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "kms:Sign", "Resource": "*"}
    made = kms.create_key(
        KeySpec=KEY_SPEC,
        KeyUsage="SIGN_VERIFY",
        Policy=document(
            own,
            # By the role's ARN, which is what AWS has for a session of it.
            {**deny, "Condition": {"StringNotEquals": {"aws:PrincipalArn": roles["signs"]}}},
            {**deny, "Condition": {"StringNotEquals": {"kms:SigningAlgorithm": ALGORITHM}}},
            {**deny, "Condition": {"StringNotEquals": {"kms:MessageType": "DIGEST"}}},
        ),
    )
    key = made["KeyMetadata"]["Arn"]
    signs, does_not = (account.client_of(roles[name], "kms") for name in ("signs", "does-not"))
    assert signs.sign(KeyId=key, **SIGN)["SigningAlgorithm"] == ALGORITHM
    for client, change in (
        (signs, {"SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256"}),
        (signs, {"MessageType": "RAW"}),
        (does_not, {}),
        (kms, {}),
    ):
        with refused("AccessDeniedException"):
            client.sign(KeyId=key, **{**SIGN, **change})


def _role(account: Any, name: str) -> str:
    """A role that the account's root may take on, and that may do everything with keys."""
    iam, role = account.cloud.client("iam"), f"{account.prefix}-{name}"
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account.cloud.account_id}:root"},
        "Action": "sts:AssumeRole",
    }
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document(trust))
    account.allow(role, ("kms:*", "*"))
    return str(made["Role"]["Arn"])
