"""The models of one kind on a device: which is in use, which came before it, and which are not to be used again.

A model component puts each version into a directory of its own below `models/{kind}` and turns the link `current` to
it. The store takes up what is signed and no step back in time (`model_trust`). It answers with a link of its own,
`in-use`, to what it took up, or with a file in the version's directory that says why it refuses it; by either the model
component knows how its deployment went. Model components keep what either link names. A model that was given up is
marked by a file in its directory and not taken up again, also after a restart; in its place comes the one that was in
use before it, or else the newest other one that can be loaded.
"""

import contextlib
import logging
import os
from pathlib import Path
from typing import Generic, TypeVar

from pm_contracts.messages import Refused
from pm_contracts.model_signature import RELEASE_FILE, Release
from pm_edge.runtime.files import read_limited, write_atomically
from pm_edge.runtime.model_trust import ModelTrust, Newest, Older
from pm_edge.runtime.models import Model, load_model

CURRENT = "current"
IN_USE = "in-use"
#: In a model's directory: why it was given up. Without the file it would be tried again.
GIVEN_UP = "given-up"
#: In a model's directory: why it was refused.
REFUSED = "refused"
#: Beside it, where a newer one was in use: the way back of a failed deployment may end here, and the newer one stays.
OLDER = "older"
_MAXIMUM_REASON = 2000

_Model = TypeVar("_Model", bound=Model)

_log = logging.getLogger(__name__)


class ModelStore(Generic[_Model]):
    """The models of one kind on a device."""

    def __init__(self, directory: Path, as_type: type[_Model], trust: ModelTrust) -> None:
        """Watch the models of one kind under `directory`, which need not exist yet, for those that `trust` lets in."""
        self._directory = directory / as_type.kind.name
        self._type = as_type
        self._trust = trust
        self._newest = Newest(directory / f"{as_type.kind.name}-newest.json")
        self._seen: tuple[str, int] | None = None
        self._in_use: Path | None = None
        self.refused = 0  #: how many models were refused
        self.reason = ""  #: why the latest one was

    def poll(self) -> _Model | None:
        """The current model, if the link points to another one than at the last call.

        Returns:
            None if nothing has changed, where there is no model yet, and where the model is refused and one is in
            use, which stays. A refused model grows `refused`, and `reason` says why; it is not tried again until the
            link is turned. Where none is in use, as after a start, the one before it is given in its place.
        """
        target = self._target(CURRENT)
        identity = _identity(target) if target else None
        if target is None or identity is None or identity == self._seen:
            return None
        self._seen = identity
        if target == self._in_use:  # the link was turned away from it and back
            return None
        try:
            model, release = self._load(target, is_taken_up=target != self._target(IN_USE))
        except Refused as error:
            self.refused += 1
            self.reason = _readable(f"{target}: {error}")
            if self._is_ours(target) and not os.path.lexists(target / GIVEN_UP):
                if isinstance(error, Older):
                    _leave(target / OLDER, str(error))
                _leave(target / REFUSED, str(error))
                self._seen = _identity(target)
            return None if self._in_use else self._fall_back()
        self._note(target)
        if release is not None:
            self._newest.note(release)
        return model

    def give_up(self, reason: str) -> _Model | None:
        """Never use the model in use again; the one to use in its place, None if there is none."""
        given_up, self._in_use = self._in_use, None
        if given_up is not None:
            _leave(given_up / GIVEN_UP, reason)
            if given_up == self._target(CURRENT):
                self._seen = _identity(given_up)
        return self._fall_back(given_up)

    def _fall_back(self, given_up: Path | None = None) -> _Model | None:
        """The model that was in use last, or else the newest other one, that can be loaded."""
        last = self._target(IN_USE)
        try:
            others = [path for path in self._directory.iterdir() if path.is_dir() and not path.is_symlink()]
        except OSError:
            others = []
        others = [path.resolve() for path in others if not path.name.endswith(".partial")]
        others.sort(key=lambda path: (path == last, (_identity(path) or ("", 0))[1]), reverse=True)
        for candidate in others:
            if candidate in (given_up, self._target(CURRENT)) or (
                candidate != last and os.path.lexists(candidate / REFUSED)
            ):
                continue
            try:
                model, _ = self._load(candidate, is_taken_up=False)
            except Refused as error:
                _log.warning("%s is no model to go back to: %s", candidate, error)
                continue
            self._note(candidate)
            return model
        with contextlib.suppress(OSError):
            (self._directory / IN_USE).unlink(missing_ok=True)
        return None

    def _load(self, directory: Path, *, is_taken_up: bool) -> tuple[_Model, Release | None]:
        """The model in a directory and its release; where it is to be taken up, the release's age and order count."""
        if not self._is_ours(directory):
            raise Refused(f"it is no folder in {self._directory.name}")
        if os.path.lexists(directory / GIVEN_UP):
            reason = read_limited(directory / GIVEN_UP, _MAXIMUM_REASON).decode(errors="replace")
            raise Refused(f"it was given up before: {reason}")
        release: Release | None = None

        def accept(manifest: bytes, model: bytes) -> None:
            nonlocal release
            if self._is_from_before(directory):
                _log.warning("%s is not signed: it stays in use until a signed model comes", directory)
                return
            release = self._trust.release(directory, self._type.kind.name, manifest, model)
            if is_taken_up:
                self._newest.judge(release)

        try:
            return load_model(directory, self._type, accept), release
        except Refused:
            raise
        except Exception as error:  # whatever it is, it is the model's: the component goes on without it
            raise Refused(f"{type(error).__name__}: {error}") from error

    def _is_from_before(self, directory: Path) -> bool:
        """True of the model in use on a device that has had no signed one yet: it came before there were signatures."""
        is_signed = os.path.lexists(directory / RELEASE_FILE) or self._newest.known() is not None
        return directory == self._target(IN_USE) and not is_signed

    def _is_ours(self, target: Path) -> bool:
        try:
            return target.is_dir() and target.parent == self._directory.resolve()
        except OSError:
            return False

    def _target(self, link: str) -> Path | None:
        try:
            return (self._directory / link).resolve(strict=True)
        except (OSError, RuntimeError):  # the latter for a link that leads to itself
            return None

    def _note(self, target: Path) -> None:
        """Say which model is in use, for the next start and for the model component."""
        self._in_use = target
        link, new = self._directory / IN_USE, self._directory / f"{IN_USE}.new"
        try:
            new.unlink(missing_ok=True)
            new.symlink_to(target.name)
            new.replace(link)
        except OSError as error:
            _log.error("which model is in use is not noted: %s", error)


def _readable(text: str) -> str:
    """The text with what is no UTF-8, as a folder's name may be, written in ASCII."""
    return text.encode(errors="backslashreplace").decode()


def _leave(path: Path, reason: str) -> None:
    try:
        write_atomically(path, reason[:_MAXIMUM_REASON].encode(errors="backslashreplace")[:_MAXIMUM_REASON])
    except OSError as error:
        _log.error("why the model is not used is not noted in %s: %s", path, error)


def _identity(directory: Path) -> tuple[str, int] | None:
    try:
        return str(directory), directory.stat().st_mtime_ns
    except OSError:
        return None
