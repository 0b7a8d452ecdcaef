"""Releases of models made by hand, signed with throw-away keys in the place of the stack's own."""

import datetime as dt
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE
from pm_contracts.model_kinds import decode_manifest
from pm_contracts.model_signature import (
    KEYS_FILE,
    RELEASE_FILE,
    SIGNATURE_FILE,
    Release,
    encode_keys,
    encode_release,
    encode_signature,
)

#: Of releases that say nothing else.
ISSUED_AT = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
NEVER = dt.datetime(2999, 1, 1, tzinfo=dt.UTC)


@functools.cache
def private_key(name: str = "test") -> rsa.RSAPrivateKey:  # noqa: ARG001 - what is kept is kept by the name
    """A key of the test run, the same for the same name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=3072)


def public_pem(name: str = "test") -> str:
    """The public key in PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key(name).public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def sign(content: bytes, key: str = "test") -> bytes:
    """The signature as AWS KMS makes it: RSASSA-PSS with a salt as long as the digest."""
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    return private_key(key).sign(content, pss, hashes.SHA256())


def signed(files: Mapping[str, bytes], *sites: str, key: str = "test", **said: Any) -> dict[str, bytes]:
    """The files of a model with a release for `sites` beside them; `said` is what the release says otherwise."""
    manifest = decode_manifest(files[MANIFEST_FILE])
    statement: dict[str, Any] = {
        "kind": manifest.__struct_config__.tag,
        "version": manifest.version,
        "sites": list(sites),
        "model_sha256": hashlib.sha256(files[MODEL_FILE]).hexdigest(),
        "manifest_sha256": hashlib.sha256(files[MANIFEST_FILE]).hexdigest(),
        "on_trial": False,
        "rollback": False,
        "made_at": ISSUED_AT,
        "issued_at": ISSUED_AT,
        "expires_at": NEVER,
        "key_id": key,
    }
    release = encode_release(Release(**{**statement, **said}))
    return {**files, RELEASE_FILE: release, SIGNATURE_FILE: encode_signature(sign(release, key))}


def sign_directory(directory: Path, *sites: str, key: str = "test", **said: Any) -> None:
    """Put a release beside the model in a directory."""
    files = {name: (directory / name).read_bytes() for name in (MANIFEST_FILE, MODEL_FILE)}
    made = signed(files, *sites, key=key, **said)
    for name in (RELEASE_FILE, SIGNATURE_FILE):
        (directory / name).write_bytes(made[name])


def trust(data_directory: Path, keys: Sequence[str] = ("test",)) -> None:
    """Have the components with this folder for data trust the keys."""
    data_directory.mkdir(parents=True, exist_ok=True)
    (data_directory / KEYS_FILE).write_bytes(encode_keys([public_pem(name) for name in keys]))
