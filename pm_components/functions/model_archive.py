"""The archive that a training job leaves, `model.tar.gz`: read without trust, checked against its manifest."""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from pm_contracts import model_graph
from pm_contracts.manifest import (
    MANIFEST_FILE,
    MAXIMUM_MANIFEST_BYTES,
    MAXIMUM_MODEL_BYTES,
    METRICS_FILE,
    MODEL_FILE,
    Manifest,
)
from pm_contracts.messages import Refused
from pm_contracts.model_kinds import decode_manifest

_LIMITS = {
    MODEL_FILE: MAXIMUM_MODEL_BYTES,
    MANIFEST_FILE: MAXIMUM_MANIFEST_BYTES,
    METRICS_FILE: MAXIMUM_MANIFEST_BYTES,
}


#: Members that an archive may have, whatever else a script left in it.
_MEMBERS = 1_000
#: Headers that describe the member after them, in a content of their own.
_DESCRIPTIONS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
#: Levels of metrics.json, far from where an encoder of JSON gives up: the verdict travels through several.
_METRICS_DEPTH = 20
#: Limit of an archive's unpacked size, whatever else a script left in it.
_UNPACKED_BYTES = 2 * sum(_LIMITS.values())


class ModelArchive(NamedTuple):
    """A trained model: its files by name, the manifest and the metrics in them."""

    files: dict[str, bytes]
    manifest: Manifest
    metrics: dict[str, Any]

    @property
    def kind(self) -> str:
        """The name of its kind."""
        return str(self.manifest.__struct_config__.tag)


def read(content: bytes) -> ModelArchive:
    """The model in a gzipped tar archive.

    Raises:
        Refused: if a file is missing or too large, is not what the manifest says, or the archive is none; or if the
            model is one that no device would run.
    """
    files: dict[str, bytes] = {}
    try:
        # Unpacked to its end first: only there is the checksum, and a tar reader stops before it.
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as zipped:
            unpacked = zipped.read(_UNPACKED_BYTES + 1)
        if len(unpacked) > _UNPACKED_BYTES:
            raise Refused(f"model archive of {len(content)} bytes unpacks to more than {_UNPACKED_BYTES}")
        for member, start in _members(unpacked):
            name = member.name.removeprefix("./")
            if name not in _LIMITS or not member.isfile():
                continue
            if member.size > _LIMITS[name]:
                raise Refused(f"{name} has {member.size} bytes, allowed are {_LIMITS[name]}")
            files[name] = unpacked[start : start + member.size]
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise Refused(f"model archive of {len(content)} bytes is no gzipped tar archive: {error}") from error
    missing = sorted(set(_LIMITS) - set(files))
    if missing:
        raise Refused(f"model archive lacks {', '.join(missing)}; it must hold {', '.join(sorted(_LIMITS))}")
    manifest = decode_manifest(files[MANIFEST_FILE])
    manifest.verify(files[MODEL_FILE])
    model_graph.check(files[MODEL_FILE])
    return ModelArchive(files, manifest, _metrics(files[METRICS_FILE]))


def _members(unpacked: bytes) -> Iterator[tuple[tarfile.TarInfo, int]]:
    """The members of a tar archive with the places that their contents begin at.

    The headers are read as they stand: `tarfile.open` follows those of sparse files and of extended attributes, which
    may be as long as the archive.

    Raises:
        Refused: if there are too many, or one is sparse.
        tarfile.TarError: if it is no archive, or cut.
    """
    at = 0
    for _ in range(_MEMBERS + 1):
        block = unpacked[at : at + tarfile.BLOCKSIZE]
        if at and not block.strip(b"\0"):
            return
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if member.type == tarfile.GNUTYPE_SPARSE:
            raise Refused(f"{member.name!r} in the model archive is a sparse file, allowed are plain ones")
        at += tarfile.BLOCKSIZE
        has_content = member.isreg() or member.type not in tarfile.SUPPORTED_TYPES + _DESCRIPTIONS
        size = member.size if has_content or member.type in _DESCRIPTIONS else 0
        if not 0 <= size <= len(unpacked) - at:
            raise tarfile.ReadError(f"{member.name!r} has {size} bytes, and {len(unpacked) - at} are left")
        yield member, at
        at += -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    raise Refused(f"model archive has more than {_MEMBERS} members")


def _metrics(content: bytes) -> dict[str, Any]:
    try:
        metrics = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"{METRICS_FILE} is no JSON: {error}") from error
    depth = 1
    level: list[Any] = [metrics]
    while level := [
        item
        for value in level
        if isinstance(value, dict | list)
        for item in (value.values() if isinstance(value, dict) else value)
    ]:
        depth += 1
    if depth > _METRICS_DEPTH:
        raise Refused(f"{METRICS_FILE} is nested {depth} deep, allowed are {_METRICS_DEPTH}")
    return metrics


class Stored(NamedTuple):
    """An object's content, and what tells it from all that its address may have held before and after."""

    content: bytes
    version_id: str
    made_at: str
    """The time at which S3 has stored it, ISO 8601."""

    @property
    def sha256(self) -> str:
        """The content's SHA-256 in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


def fetch(s3: Any, uri: str, version_id: str = "") -> Stored:
    """The object at `s3://bucket/key`: the present version, or the one with `version_id`.

    Raises:
        Refused: if the address is none, its bucket keeps no versions, or the object is larger than any model may be.
    """
    address = urlsplit(uri)
    if address.scheme != "s3" or not address.netloc or not address.path.strip("/"):
        raise Refused(f"address {uri!r}, allowed is s3://BUCKET/KEY")
    version = {"VersionId": version_id} if version_id else {}
    answer = s3.get_object(Bucket=address.netloc, Key=address.path.lstrip("/"), **version)
    largest = sum(_LIMITS.values())
    if answer["ContentLength"] > largest:
        raise Refused(f"{uri} has {answer['ContentLength']} bytes, allowed are {largest}")
    # Of an object from before its bucket was versioned, which another may overwrite in its place, the id is "null".
    if answer.get("VersionId", "null") == "null":
        raise Refused(f"{uri} has no version of its own, allowed is an object of a versioned bucket")
    return Stored(answer["Body"].read(), answer["VersionId"], answer["LastModified"].isoformat())


def judged(s3: Any, verdict: Mapping[str, Any]) -> ModelArchive:
    """The model of a verdict as the gate saw it, whatever lies at its address now.

    Args:
        s3: client that reads training output.
        verdict: kind, model_data, version_id and sha256.

    Raises:
        Refused: if it is another file or another kind of model.
    """
    stored = fetch(s3, verdict["model_data"], verdict["version_id"])
    if stored.sha256 != verdict["sha256"]:
        raise Refused(
            f"{verdict['model_data']}, version {verdict['version_id']}, has SHA-256 {stored.sha256}, and the verdict "
            f"is on {verdict['sha256']}"
        )
    model = read(stored.content)
    if model.kind != verdict["kind"]:
        raise Refused(
            f"{verdict['model_data']} is a {model.kind} model, and the verdict is on a {verdict['kind']} model"
        )
    return model
