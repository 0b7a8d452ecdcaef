"""Pulumi assets and archives as bytes: a zip made twice from the same files is the same to the byte."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pulumi

#: The earliest time that a zip entry can carry (PKWARE APPNOTE 4.4.6: the DOS epoch).
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16


def asset_bytes(asset: Any) -> bytes:
    """The content of a file or string asset.

    Raises:
        TypeError: for an asset of another kind, such as a remote one.
        OSError: if the file cannot be read.
    """
    if isinstance(asset, pulumi.FileAsset):
        return Path(asset.path).read_bytes()
    if isinstance(asset, pulumi.StringAsset):
        return asset.text.encode()
    raise TypeError(
        f"an asset of kind {type(asset).__name__} cannot be read here: allowed are FileAsset and StringAsset"
    )


def archive_bytes(archive: Any) -> bytes:
    """A zip of an archive, its entries sorted by name, without times and owners.

    A FileArchive that names a file is taken as it is. Nothing is deflated, so that the digest by which `described`
    tells a change does not depend on the version of zlib.

    Raises:
        TypeError: for an archive of another kind, such as a remote one.
        OSError: if a file cannot be read.
    """
    if isinstance(archive, pulumi.FileArchive) and Path(archive.path).is_file():
        return Path(archive.path).read_bytes()
    entries: dict[str, bytes] = {}
    _collect(archive, "", entries)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = _MODE
            file.writestr(info, entries[name])
    return buffer.getvalue()


def content_bytes(value: Any) -> bytes:
    """The bytes of an asset or of an archive."""
    return archive_bytes(value) if isinstance(value, pulumi.Archive) else asset_bytes(value)


def described(value: Any) -> Any:
    """A JSON-able copy of a resource's inputs, where each asset and archive is told by hash and size."""
    if isinstance(value, dict):
        return {key: described(item) for key, item in value.items()}
    if isinstance(value, list):
        return [described(item) for item in value]
    if isinstance(value, pulumi.Asset | pulumi.Archive):
        content = content_bytes(value)
        return {"kind": type(value).__name__, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return value


def _collect(archive: Any, prefix: str, entries: dict[str, bytes]) -> None:
    if isinstance(archive, pulumi.FileArchive):
        root = Path(archive.path)
        if not root.is_dir():
            raise FileNotFoundError(f"archive {prefix or '.'}: {root} is not there")
        for path in root.rglob("*"):
            if path.is_file():
                entries[f"{prefix}{path.relative_to(root).as_posix()}"] = path.read_bytes()
    elif isinstance(archive, pulumi.AssetArchive):
        for name, item in archive.assets.items():
            if isinstance(item, pulumi.Archive):
                _collect(item, f"{prefix}{name}/", entries)
            else:
                entries[f"{prefix}{name}"] = asset_bytes(item)
    else:
        raise TypeError(f"a {type(archive).__name__} cannot be read here: allowed are FileArchive and AssetArchive")
