"""Asymmetric keys of AWS KMS: what KMS refuses of them, and what their policies can ask of a request to sign.

The emulator signs and verifies truly. It lets larger messages through than KMS, signs by an algorithm that nobody
chose, and rotates what KMS does not; a policy's conditions on algorithm and message it takes for unmet. The ARN of a
principal that acts with a role is the role's on AWS, not the session's, for keys and for everything else.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import iam, kms

from pm_sandbox.cloud import seams

#: Of `Message` of Sign and Verify, AWS KMS API reference.
_MESSAGE_BYTES = 4096
_SYMMETRIC = "SYMMETRIC_DEFAULT"
#: Condition keys by the field of a request to sign or to verify: "AWS KMS condition keys", AWS KMS developer guide.
_CONDITIONS = {"SigningAlgorithm": "kms:SigningAlgorithm", "MessageType": "kms:MessageType"}
_SIGNING = ("kms:Sign", "kms:Verify")
_ASSUMED = ":assumed-role/"


def _refused(code: str, text: str) -> Any:
    return responses.error_response_json(code, text, 400)


def _create_with_usage(create: Any) -> Any:
    """Replace the making of a key: its usage is "optional when you are creating a symmetric encryption KMS key".

    Source: KeyUsage of CreateKey, AWS KMS API reference.
    """

    def created(data: dict[str, Any]) -> Any:
        spec = data.get("KeySpec", data.get("CustomerMasterKeySpec", _SYMMETRIC))
        if spec != _SYMMETRIC and "KeyUsage" not in data:
            return _refused("ValidationException", f"You must specify a KeyUsage value for a key with KeySpec {spec}.")
        if spec == _SYMMETRIC and data.get("KeyUsage") == "SIGN_VERIFY":
            return _refused("ValidationException", f"KeyUsage SIGN_VERIFY is not compatible with KeySpec {spec}.")
        return create(data)

    return created


def _signing_as_asked(operation: Any) -> Any:
    """Replace Sign or Verify: a message that KMS takes, an algorithm that was chosen, a key that is for it."""

    def done(data: dict[str, Any]) -> Any:
        if not data.get("SigningAlgorithm"):
            return _refused("ValidationException", "Value null at 'signingAlgorithm' must not be null")
        try:
            size = len(base64.b64decode(data.get("Message", ""), validate=True))
        except (binascii.Error, TypeError, ValueError):
            return _refused("SerializationException", "Message is no base64")
        if not 1 <= size <= _MESSAGE_BYTES:
            text = f"Value at 'message' failed to satisfy constraint: length 1 to {_MESSAGE_BYTES}, found {size}"
            return _refused("ValidationException", text)
        record = kms._resolve_key(data.get("KeyId", ""))
        if record is not None and record["KeyUsage"] != "SIGN_VERIFY":
            text = f"{record['Arn']} key usage is {record['KeyUsage']} which is not valid for this operation."
            return _refused("InvalidKeyUsageException", text)
        return operation(data)

    return done


def _public_key_in_use(get: Any) -> Any:
    """Replace GetPublicKey: a key that is disabled or about to be deleted gives none."""

    def got(data: dict[str, Any]) -> Any:
        record = kms._resolve_key(data.get("KeyId", ""))
        return (kms._check_key_state(record) if record else None) or get(data)

    return got


def _symmetric_only(operation: Any) -> Any:
    """Replace the switch of a rotation: "You cannot enable automatic rotation of asymmetric KMS keys".

    Source: EnableKeyRotation, AWS KMS API reference.
    """

    def done(data: dict[str, Any]) -> Any:
        record = kms._resolve_key(data.get("KeyId", ""))
        if record is not None and record["KeySpec"] != _SYMMETRIC:
            return _refused("UnsupportedOperationException", f"{record['Arn']} is no symmetric encryption key")
        return operation(data)

    return done


def _with_signing_conditions(context_of: Any) -> Any:
    """The condition keys of a request by its body, with those of a request to sign."""

    def context(service: str, iam_action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = context_of(service, iam_action, body, params)
        if iam_action not in _SIGNING:
            return found
        try:
            data = json.loads(body)
        except ValueError:
            return found
        asked: Mapping[str, Any] = data if isinstance(data, dict) else {}
        # Of `MessageType`: "The default value, RAW", Sign, AWS KMS API reference.
        given = {"MessageType": "RAW", **asked}
        return {**found, **{key: given[field] for field, key in _CONDITIONS.items() if field in given}}

    return context


def _role_for_session(resolve: Any) -> Any:
    """A condition key's value; the principal's ARN of a session is its role's: "aws:PrincipalArn", IAM user guide."""

    def resolved(key: str, ctx: Any) -> Any:
        found = resolve(key, ctx)
        if key.lower() != "aws:principalarn" or not isinstance(found, str) or _ASSUMED not in found:
            return found
        name = found.partition(_ASSUMED)[2].partition("/")[0]
        role = iam._roles.get_scoped(ctx.principal_account, None, name)
        return role["Arn"] if role else f"arn:aws:iam::{ctx.principal_account}:role/{name}"

    return resolved


def install() -> None:
    """Hold requests about asymmetric keys to KMS's rules, and tell policies what they may ask."""
    seams.require(kms, "_resolve_key", "key_id_or_arn")
    seams.require(kms, "_check_key_state", "rec")
    seams.require_value(iam, "_roles", responses.AccountScopedDict)
    kms._create_key = _create_with_usage(seams.require(kms, "_create_key", "data"))
    kms._sign = _signing_as_asked(seams.require(kms, "_sign", "data"))
    kms._verify = _signing_as_asked(seams.require(kms, "_verify", "data"))
    kms._get_public_key = _public_key_in_use(seams.require(kms, "_get_public_key", "data"))
    for name in ("_enable_key_rotation", "_disable_key_rotation"):
        setattr(kms, name, _symmetric_only(seams.require(kms, name, "data")))
    context_of = seams.require(iam_actions, "request_tag_context", "service", "iam_action", "body", "params")
    iam_actions.request_tag_context = _with_signing_conditions(context_of)
    resolve = seams.require(iam_evaluator, "_resolve_condition_key", "key", "ctx")
    iam_evaluator._resolve_condition_key = _role_for_session(resolve)
