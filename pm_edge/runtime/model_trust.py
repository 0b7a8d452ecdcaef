"""The trust in a model: signed by a key that came with the site's code, for this site, and no step back in time.

What is judged when a model is taken up, its age and its order, is not judged again of one in use: a core device that is
offline for a year goes on with what it has. Its signature is verified at each start.
"""

import datetime as dt
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from awscrt.crypto import RSA, RSASignatureAlgorithm

from pm_contracts import model_signature
from pm_contracts.messages import Refused
from pm_contracts.model_signature import (
    KEYS_FILE,
    MAXIMUM_RELEASE_BYTES,
    MAXIMUM_SIGNATURE_BYTES,
    RELEASE_FILE,
    SIGNATURE_FILE,
    Release,
)
from pm_edge.runtime.files import read_limited, write_atomically

#: Far above two keys.
_MAXIMUM_KEYS_BYTES = 64 * 1024

_log = logging.getLogger(__name__)


class Older(Refused):
    """A release that is older than one that was in use here."""


class ModelTrust(NamedTuple):
    """The measure of the models on a core device.

    Args:
        site: the core device's.
        data_directory: the folder for data, where the trusted keys lie.
        on_trial: whether models on trial are wanted, and no others.
    """

    site: str
    data_directory: Path
    on_trial: bool = False

    def release(self, directory: Path, kind: str, manifest: bytes, model: bytes) -> Release:
        """The release of the model in `directory`, verified before anything of it is parsed.

        Args:
            directory: with the release and its signature.
            kind: the kind of model that is wanted.
            manifest: the content of the manifest's file.
            model: the content of the model's file.

        Raises:
            Refused: if no trusted key has signed it, or it is not of these files, of another kind or for other sites.
        """
        content = read_limited(directory / RELEASE_FILE, MAXIMUM_RELEASE_BYTES)
        signature = read_limited(directory / SIGNATURE_FILE, MAXIMUM_SIGNATURE_BYTES)
        self._verify(content, model_signature.decode_signature(signature))
        release = model_signature.decode_release(content)
        release.verify(manifest, model)
        if release.kind != kind:
            raise Refused(f"{RELEASE_FILE} is of a {release.kind} model, allowed is a {kind} model")
        if self.site not in release.sites:
            raise Refused(f"{RELEASE_FILE} is for other sites, {len(release.sites)} of them, and not for {self.site}")
        if release.on_trial != self.on_trial:
            told = {True: "of a model on trial", False: "of a model in charge"}
            raise Refused(f"{RELEASE_FILE} is {told[release.on_trial]}, allowed is one {told[self.on_trial]}")
        return release

    def _verify(self, content: bytes, signature: bytes) -> None:
        path = self.data_directory / KEYS_FILE
        try:
            keys = model_signature.decode_keys(read_limited(path, _MAXIMUM_KEYS_BYTES))
        except Refused as error:
            raise Refused(f"no key is trusted to sign models, pm.SiteDevices installs them: {error}") from error
        digest = hashlib.sha256(content).digest()
        if not any(_has_signed(key, digest, signature) for key in keys):
            raise Refused(f"{SIGNATURE_FILE} is by none of the {len(keys)} keys in {path} that are trusted")


class Newest:
    """The newest release of a kind that was ever in use on this device.

    Args:
        path: the file that keeps it, outside of what a model component clears away.
        now: the time by the device's clock.
    """

    def __init__(self, path: Path, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        self._path = path
        self._now = now

    def known(self) -> Release | None:
        """The release; None before the first, and where the file cannot be read."""
        try:
            return model_signature.decode_release(read_limited(self._path, MAXIMUM_RELEASE_BYTES))
        except Refused as error:
            if self._path.exists():
                _log.error("which release was in use last is not known: %s", error)
            return None

    def judge(self, release: Release) -> None:
        """Check that a release may be taken up now.

        The device's clock may be wrong, above all while it is offline. One that is behind lets an expired release pass
        unless a newer one was in use; one that is ahead refuses releases until it is right.

        Raises:
            Older: if it was issued before the newest one, or is of a model made before that and no rollback.
            Refused: if it has expired.
        """
        newest, now = self.known(), self._now()
        if newest is not None:
            now = max(now, newest.issued_at)
            if release.issued_at < newest.issued_at:
                raise Older(
                    f"{RELEASE_FILE} was issued at {_told(release.issued_at)}, and that of model {newest.version}, "
                    f"which was in use, at {_told(newest.issued_at)}"
                )
            if release.made_at < newest.made_at and not release.rollback:
                raise Older(
                    f"model {release.version} was made at {_told(release.made_at)}, and {newest.version}, which was in "
                    f"use, at {_told(newest.made_at)}: {RELEASE_FILE} is no rollback"
                )
        if release.expires_at <= now:
            raise Refused(
                f"{RELEASE_FILE} has expired at {_told(release.expires_at)}, and it is {_told(now)} by this device's "
                "clock"
            )

    def note(self, release: Release) -> None:
        """Keep a release that is in use from now on, if it is newer than what was."""
        newest = self.known()
        if newest is not None and newest.issued_at >= release.issued_at:
            return
        try:
            write_atomically(self._path, model_signature.encode_release(release))
        except OSError as error:
            _log.error("which release is in use is not noted: %s", error)


def _told(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).isoformat(timespec="seconds")


def _has_signed(key: bytes, digest: bytes, signature: bytes) -> bool:
    """True if the signature is of the digest by the key; one of a wrong length, or a key that is none, is no match."""
    try:
        public = RSA.new_public_key_from_der_data(key)
        return bool(public.verify(RSASignatureAlgorithm.PSS_SHA256, digest, signature))
    except Exception as error:  # awscrt's own share no narrower base
        _log.warning("a signature cannot be verified: %s", error)
        return False
