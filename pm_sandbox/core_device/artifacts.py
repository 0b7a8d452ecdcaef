"""The artifacts of components on the device's disk: downloaded, verified against the digest in the recipe, unpacked."""

import base64
import errno
import hashlib
import shutil
import stat
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pm_sandbox.core_device.deployments import DeploymentError
from pm_sandbox.core_device.recipes import Artifact, Recipe

_CHUNK_BYTES = 1 << 20


class ArtifactStore:
    """The folder of the artifacts, laid out as a nucleus does: by component and version, unpacked archives apart."""

    def __init__(self, directory: Path) -> None:
        self._files = directory / "artifacts"
        self._unpacked = directory / "artifacts-unarchived"

    def path(self, name: str, version: str) -> Path:
        """The folder of a component's artifacts as they came, `{artifacts:path}`."""
        return self._files / name / version

    def unpacked_path(self, name: str, version: str) -> Path:
        """The folder of its unpacked archives, each in one of its own name, `{artifacts:decompressedPath}`."""
        return self._unpacked / name / version

    def fetch(self, recipe: Recipe, s3: Any) -> None:
        """Bring a component's artifacts here; what is here already and whole is kept.

        Args:
            recipe: The component.
            s3: boto3 client with the credentials of the device's role.

        Raises:
            DeploymentError: if one is missing, refused, not what its digest says or no archive; or the disk is full.
        """
        for artifact in recipe.artifacts:
            where = f"{recipe.name} {recipe.version}: artifact s3://{artifact.bucket}/{artifact.key}"
            file = self.path(recipe.name, recipe.version) / artifact.name
            folder = self.unpacked_path(recipe.name, recipe.version) / artifact.name.removesuffix(".zip")
            try:
                if not file.exists() or _digest(file) != artifact.digest:
                    _download(artifact, file, s3, where)
                if artifact.unarchive and not folder.exists():
                    _unpack(file, folder, where)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise DeploymentError(f"{where}: the device's disk is full") from error
                raise DeploymentError(f"{where}: {error}") from error

    def keep_only(self, wanted: Collection[tuple[str, str]]) -> None:
        """Remove the artifacts of all (component, version) but these, so that rollouts do not fill the disk."""
        for root in (self._files, self._unpacked):
            for folder in root.glob("*/*"):
                if (folder.parent.name, folder.name) not in wanted:
                    shutil.rmtree(folder)


def _download(artifact: Artifact, file: Path, s3: Any, where: str) -> None:
    from botocore.exceptions import ClientError

    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    try:
        body = s3.get_object(Bucket=artifact.bucket, Key=artifact.key)["Body"]
        with partial.open("wb") as target:
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                target.write(chunk)
        found = _digest(partial)
        if found != artifact.digest:
            raise DeploymentError(f"{where}: its SHA-256 is {found}, and the component was made with {artifact.digest}")
        if artifact.executable:
            partial.chmod(partial.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        partial.replace(file)
    except ClientError as error:
        raise DeploymentError(f"{where}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _unpack(file: Path, folder: Path, where: str) -> None:
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with zipfile.ZipFile(file) as archive:
            outside = [name for name in archive.namelist() if name.startswith("/") or ".." in Path(name).parts]
            if outside:
                raise DeploymentError(f"{where}: entry {outside[0]!r} would land outside of its folder")
            partial.mkdir(parents=True)
            archive.extractall(partial)
        partial.replace(folder)
    except zipfile.BadZipFile as error:
        raise DeploymentError(f"{where}: no ZIP archive: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return base64.b64encode(hashlib.file_digest(content, "sha256").digest()).decode()
