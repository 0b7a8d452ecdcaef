"""The signed release beside a model: which files it is of, for whom, and since when; and the keys that are trusted.

A release is JSON, and what is signed are its bytes as they lie in `release.json`: nothing is written anew before the
signature is checked. The signature is RSASSA-PSS with SHA-256 by an RSA key of 3,072 bits. The keys that a core device
trusts come with the code of its site, never with a model.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from pm_contracts.json_files import decode_file
from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE
from pm_contracts.messages import Name, Refused, Time

RELEASE_FILE = "release.json"
SIGNATURE_FILE = "release.sig"
#: Name of the file with the trusted keys, in its component's artifact and in the folder of a core device's data.
KEYS_FILE = "model-keys.json"

KEY_SPEC = "RSA_3072"
ALGORITHM = "RSASSA_PSS_SHA_256"
#: Trusted at once: the key that signs, and the one before or after it while keys are changed.
MAXIMUM_KEYS = 2
#: Far above a release for the 1,000 sites of a stack, and a signature of 384 bytes in base64.
MAXIMUM_RELEASE_BYTES, MAXIMUM_SIGNATURE_BYTES = 64 * 1024, 1024

#: The beginning of a SubjectPublicKeyInfo with an RSA key of 3,072 bits and the exponent 65,537, as AWS KMS gives it:
#: the key itself (PKCS #1) is the rest. RFC 5280, 4.1.2.7, and RFC 8017, A.1.1.
_RSA_3072_HEAD = bytes.fromhex("308201a2300d06092a864886f70d01010105000382018f00")
_RSA_3072_BYTES, _EXPONENT = 422, bytes.fromhex("0203010001")
_PEM_BEGIN, _PEM_END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"

_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="SHA-256 in hexadecimal digits")]


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The statement that a model was judged and may be used."""

    kind: str
    version: str
    """Of the model, as its manifest has it."""
    sites: Annotated[list[Name], Meta(min_length=1)]
    """The sites that it is for."""
    model_sha256: _Digest
    manifest_sha256: _Digest
    on_trial: bool
    """True of a challenger, which runs beside the model in charge and never takes its place by this release."""
    rollback: bool
    """True if it goes back on purpose to a model made before others that may have been in use."""
    made_at: Time
    """The time of its making, by the cloud's clock."""
    issued_at: Time
    expires_at: Time
    """A core device takes it up until then; one in use stays in use."""
    key_id: str
    """The key that signs, for whoever reads the file; a core device tries all that it trusts."""

    def verify(self, manifest: bytes, model: bytes) -> None:
        """Check that it is of these files.

        Raises:
            Refused: if it is not; the text names the file.
        """
        for name, content, said in (
            (MODEL_FILE, model, self.model_sha256),
            (MANIFEST_FILE, manifest, self.manifest_sha256),
        ):
            if (found := hashlib.sha256(content).hexdigest()) != said:
                raise Refused(f"{name} has SHA-256 {found}, and {RELEASE_FILE} says {said}")


class _TrustedKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of `KEYS_FILE`."""

    keys: Annotated[list[str], Meta(max_length=MAXIMUM_KEYS)]


def encode_release(release: Release) -> bytes:
    """The bytes to sign and to ship."""
    return msgspec.json.encode(release, order="deterministic")


def decode_release(content: bytes) -> Release:
    """The release in `content`, whose signature has been verified.

    Raises:
        Refused: if it is invalid; the text names the field.
    """
    release: Release = decode_file(content, Release, RELEASE_FILE)
    return release


def encode_signature(signature: bytes) -> bytes:
    """The content of `SIGNATURE_FILE`."""
    return base64.b64encode(signature)


def decode_signature(content: bytes) -> bytes:
    """The signature in a file's content.

    Raises:
        Refused: if it is no base64.
    """
    try:
        return base64.b64decode(content.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"{SIGNATURE_FILE} is no base64: {error}") from error


def encode_keys(pems: Sequence[str]) -> bytes:
    """The content of `KEYS_FILE`.

    Args:
        pems: public keys in PEM.

    Raises:
        Refused: for more keys than may be trusted at once, or one that is no public RSA key of 3,072 bits.
    """
    if len(pems) > MAXIMUM_KEYS:
        raise Refused(f"{len(pems)} keys of models, allowed are {MAXIMUM_KEYS} at most")
    for pem in pems:
        pkcs1(pem)
    return msgspec.json.format(msgspec.json.encode(_TrustedKeys(keys=list(pems))), indent=1) + b"\n"


def decode_keys(content: bytes) -> list[bytes]:
    """The trusted keys in a file's content, each in the DER of PKCS #1.

    Raises:
        Refused: if it is invalid; the text says why.
    """
    return [pkcs1(pem) for pem in decode_file(content, _TrustedKeys, KEYS_FILE).keys]


def pkcs1(pem: str) -> bytes:
    """The RSA key in the PEM of a SubjectPublicKeyInfo, in the DER of PKCS #1.

    Raises:
        Refused: if it is no public RSA key of 3,072 bits.
    """
    text = pem.strip()
    if text.startswith(_PEM_BEGIN) and text.endswith(_PEM_END):
        try:
            der = base64.b64decode("".join(text[len(_PEM_BEGIN) : -len(_PEM_END)].split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused(f"a key of models is no base64: {error}") from error
        if len(der) == _RSA_3072_BYTES and der.startswith(_RSA_3072_HEAD) and der.endswith(_EXPONENT):
            return der[len(_RSA_3072_HEAD) :]
    raise Refused(f"a key of models begins with {text[:40]!r}, allowed are public keys in PEM of {KEY_SPEC}")
