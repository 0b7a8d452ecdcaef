"""Releases signed by a key of AWS KMS; the newest of each kind is kept, so that one asked for twice is made once."""

import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from pm_components.functions.model_archive import ModelArchive
from pm_contracts.manifest import MANIFEST_FILE, MODEL_FILE
from pm_contracts.messages import Refused
from pm_contracts.model_signature import (
    ALGORITHM,
    RELEASE_FILE,
    SIGNATURE_FILE,
    Release,
    decode_release,
    encode_release,
    encode_signature,
)

#: Prefix of the releases' keys in the artifact bucket.
PREFIX = "releases"
#: A core device that comes back after a year takes up no model from before; the champion of a year is released anew.
_VALID = dt.timedelta(days=365)

log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A release and its signature, as the artifact bucket keeps them."""

    release: str
    signature: str


class ReleaseSigner:
    """Signs releases.

    Args:
        s3: client that keeps releases.
        kms: client of the key.
        bucket: the artifact bucket.
        key_id: ARN of the key.
        now: the time, UTC.
    """

    def __init__(
        self,
        s3: Any,
        kms: Any,
        bucket: str,
        key_id: str,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._s3 = s3
        self._kms = kms
        self._bucket = bucket
        self._key_id = key_id
        self._now = now

    def signed(
        self,
        model: ModelArchive,
        made_at: str,
        sites: Iterable[str],
        *,
        on_trial: bool = False,
        rollback: bool = False,
    ) -> dict[str, bytes]:
        """The model's files, with a signed release beside them.

        The same files come back for the same model, sites and purpose as long as no other model of the kind was
        released in between, and half of the time is left in which they may be taken up.

        Args:
            model: the model.
            made_at: when it was made, ISO 8601.
            sites: whom it is for.
            on_trial: whether it is a challenger.
            rollback: whether it may take the place of a model made later.
        """
        now = self._now().replace(microsecond=0)
        wanted = Release(
            kind=model.kind,
            version=model.manifest.version,
            sites=sorted(sites),
            model_sha256=hashlib.sha256(model.files[MODEL_FILE]).hexdigest(),
            manifest_sha256=hashlib.sha256(model.files[MANIFEST_FILE]).hexdigest(),
            on_trial=on_trial,
            rollback=rollback,
            made_at=dt.datetime.fromisoformat(made_at),
            issued_at=now,
            expires_at=now + _VALID,
            key_id=self._key_id,
        )
        key = f"{PREFIX}/{model.kind}{'-on-trial' if on_trial else ''}.json"
        kept = self._kept(key)
        if kept is None or not _says(decode_release(kept.release.encode()), wanted):
            kept = self._sign(encode_release(wanted))
            self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=msgspec.json.encode(kept), ContentType="application/json"
            )
            log.info("release of %s model %s is signed by %s", model.kind, wanted.version, self._key_id)
        return {**model.files, RELEASE_FILE: kept.release.encode(), SIGNATURE_FILE: kept.signature.encode()}

    def _sign(self, release: bytes) -> _Kept:
        """Sign a release by its digest: KMS takes messages of up to 4,096 bytes (Sign, AWS KMS API reference)."""
        answer = self._kms.sign(
            KeyId=self._key_id,
            Message=hashlib.sha256(release).digest(),
            MessageType="DIGEST",
            SigningAlgorithm=ALGORITHM,
        )
        return _Kept(release=release.decode(), signature=encode_signature(answer["Signature"]).decode())

    def _kept(self, key: str) -> _Kept | None:
        """The release that was signed last; None before the first, and for one that cannot be read."""
        try:
            kept = msgspec.json.decode(self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read(), type=_Kept)
            decode_release(kept.release.encode())
        except self._s3.exceptions.NoSuchKey:
            return None
        except (msgspec.MsgspecError, UnicodeError, Refused) as error:
            log.warning("%s is no release and is written anew: %s", key, error)
            return None
        return kept


def _says(kept: Release, wanted: Release) -> bool:
    """True if a release says what is wanted and may still be taken up for half of its time."""
    same = msgspec.structs.replace(wanted, made_at=kept.made_at, issued_at=kept.issued_at, expires_at=kept.expires_at)
    return kept == same and kept.expires_at - wanted.issued_at > _VALID / 2
