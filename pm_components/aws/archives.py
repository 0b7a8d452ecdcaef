"""Archives as files, byte for byte the same for the same content.

For what is uploaded as an object under a key of its own (a component's code, the training code); the code of a Lambda
function is an archive that Pulumi makes (`packaging.archive`).
"""

import hashlib
import io
import os
import struct
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

#: Of this user, since an installed library's folder may be another one's.
ARCHIVES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "predictive-maintenance" / "archives"

_MODE = 0o644
#: Deflate, no flags, no time, no level, no operating system: "Member format", RFC 1952.
_GZIP_HEADER = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
#: LEN of a stored block has 16 bits: "Non-compressed blocks", RFC 1951.
_STORED_BLOCK_BYTES = 0xFFFF


def version(files: Mapping[str, bytes]) -> str:
    """The version of what is known by its content: 16 hex digits of the SHA-256 of paths and contents.

    The order of the mapping does not matter. Components of core devices and models have versions of the form that
    Greengrass asks for (`pm_components.functions.component_recipes`, `pm_contracts.manifest`).
    """
    total = hashlib.sha256()
    for path, content in sorted(files.items()):
        total.update(f"{len(path)}:{path}:{len(content)}:".encode())
        total.update(content)
    return total.hexdigest()[:16]


def read_files(files: Mapping[str, Path]) -> dict[str, bytes]:
    """The contents of `files`, by path in the archive."""
    return {path: file.read_bytes() for path, file in files.items()}


def tar_gz_bytes(files: Mapping[str, bytes]) -> bytes:
    """A gzipped tar archive of `files`, without times, owners or an order of its own.

    It is stored, not deflated: Pulumi compares files by their digest, and would replace the object on
    a machine with another zlib.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = _MODE
            archive.addfile(entry, io.BytesIO(content))
    return _gzip_stored(buffer.getvalue())


def _gzip_stored(content: bytes) -> bytes:
    """`content` in the gzip format, without compression: "GZIP file format" (RFC 1952), stored blocks of RFC 1951.

    Not by zlib at level 0, since how it cuts the blocks is a matter of its version, too.
    """
    starts = range(0, len(content), _STORED_BLOCK_BYTES)
    blocks = [content[start : start + _STORED_BLOCK_BYTES] for start in starts] or [b""]
    packed = bytearray(_GZIP_HEADER)
    for block in blocks:
        packed += struct.pack("<BHH", block is blocks[-1], len(block), len(block) ^ 0xFFFF) + block
    return bytes(packed + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF))


def stored(name: str, content: bytes) -> Path:
    """The file in this user's cache that holds `content`; its name has the content's hash, so it never changes."""
    stem, _, suffix = name.partition(".")
    path = ARCHIVES / f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.{suffix}"
    if not path.exists():
        ARCHIVES.mkdir(parents=True, exist_ok=True)
        # Several programs may make the same archive at once.
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        unfinished.write_bytes(content)
        unfinished.replace(path)
    return path
