"""The archive that a training job leaves, `model.tar.gz`: read without trust, checked against its manifest."""

import gzip
import io
import json
import tarfile
import zlib
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pm_contracts.manifest import (
    MANIFEST_FILE,
    MAXIMUM_MANIFEST_BYTES,
    MAXIMUM_MODEL_BYTES,
    METRICS_FILE,
    MODEL_FILE,
    Manifest,
    decode_manifest,
)
from pm_contracts.messages import Refused

_LIMITS = {
    MODEL_FILE: MAXIMUM_MODEL_BYTES,
    MANIFEST_FILE: MAXIMUM_MANIFEST_BYTES,
    METRICS_FILE: MAXIMUM_MANIFEST_BYTES,
}


#: What an archive may hold unpacked, whatever else a script left in it.
_UNPACKED_BYTES = 2 * sum(_LIMITS.values())


class ModelArchive(NamedTuple):
    """A trained model: its files by name, the manifest and the metrics in them."""

    files: dict[str, bytes]
    manifest: Manifest
    metrics: dict[str, Any]

    @property
    def kind(self) -> str:
        """`forecast` or `fault`."""
        return str(self.manifest.__struct_config__.tag)


def read(content: bytes) -> ModelArchive:
    """The model in a gzipped tar archive.

    Raises:
        Refused: if a file is missing or too large, is not what the manifest says, or the archive is none.
    """
    files: dict[str, bytes] = {}
    try:
        # Unpacked to its end first: only there is the checksum, and a tar reader stops before it.
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as zipped:
            unpacked = zipped.read(_UNPACKED_BYTES + 1)
        if len(unpacked) > _UNPACKED_BYTES:
            raise Refused(f"model archive of {len(content)} bytes unpacks to more than {_UNPACKED_BYTES}")
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name not in _LIMITS or not member.isfile():
                    continue
                if member.size > _LIMITS[name]:
                    raise Refused(f"{name} has {member.size} bytes, allowed are {_LIMITS[name]}")
                extracted = archive.extractfile(member)
                files[name] = extracted.read() if extracted else b""
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise Refused(f"model archive of {len(content)} bytes is no gzipped tar archive: {error}") from error
    missing = sorted(set(_LIMITS) - set(files))
    if missing:
        raise Refused(f"model archive lacks {', '.join(missing)}; it must hold {', '.join(sorted(_LIMITS))}")
    manifest = decode_manifest(files[MANIFEST_FILE])
    manifest.verify(files[MODEL_FILE])
    try:
        metrics = json.loads(files[METRICS_FILE])
    except ValueError as error:
        raise Refused(f"{METRICS_FILE} is no JSON: {error}") from error
    if not isinstance(metrics, dict):
        raise Refused(f"{METRICS_FILE} holds {type(metrics).__name__}, allowed is an object")
    return ModelArchive(files, manifest, metrics)


def fetch(s3: Any, uri: str) -> bytes:
    """The object at `s3://bucket/key`.

    Raises:
        Refused: if the address is none, or the object is larger than any model may be.
    """
    address = urlsplit(uri)
    if address.scheme != "s3" or not address.netloc or not address.path.strip("/"):
        raise Refused(f"address {uri!r}, allowed is s3://BUCKET/KEY")
    answer = s3.get_object(Bucket=address.netloc, Key=address.path.lstrip("/"))
    largest = sum(_LIMITS.values())
    if answer["ContentLength"] > largest:
        raise Refused(f"{uri} has {answer['ContentLength']} bytes, allowed are {largest}")
    content: bytes = answer["Body"].read()
    return content
