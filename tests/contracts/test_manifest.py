"""The manifest: what is taken, what is refused, and versions that follow from content."""

import datetime as dt
import json
import math
import re
from typing import Any

import msgspec
import pytest

from pm_contracts.manifest import (
    MAXIMUM_MANIFEST_BYTES,
    FaultManifest,
    content_version,
    encode_manifest,
)
from pm_contracts.messages import Refused
from pm_contracts.model_kinds import decode_manifest

FAULT: dict[str, Any] = {
    "kind": "fault",
    "version": "1.131231.42",
    "model_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",  # of "test"
    "model_bytes": 4,
    "trained_from": "2010-01-02T00:00:00Z",
    "trained_until": "2013-12-31T00:00:00Z",
    "trained_rows": 10,
    "seed": 1,
    "libraries": {"numpy": "2"},
    "checked": {"inputs": [[1.0, None]], "outputs": [[0.5]], "tolerance": 1e-5},
    "features": ["aa_000", "ab_000"],
    "threshold": 0.25,
}


def encoded(**changes: Any) -> bytes:
    return json.dumps(FAULT | changes).encode()


def test_a_manifest_survives_the_way() -> None:
    manifest = decode_manifest(encoded())
    assert isinstance(manifest, FaultManifest)
    assert manifest.checked.inputs == [[1.0, None]]
    assert decode_manifest(encode_manifest(manifest)) == manifest
    assert encode_manifest(decode_manifest(encode_manifest(manifest))) == encode_manifest(manifest)


def test_a_manifest_knows_its_model() -> None:
    manifest = decode_manifest(encoded())
    manifest.verify(b"test")
    with pytest.raises(Refused, match=r"model\.onnx has 3 bytes, and the manifest says 4"):
        manifest.verify(b"tes")
    with pytest.raises(Refused, match=r"model\.onnx has SHA-256 [0-9a-f]{64}, and the manifest says 9f86d0"):
        manifest.verify(b"tesT")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "manifest.json: Input data was truncated"),
        (b"\xff", "manifest.json: "),
        (encoded(kind="other"), "Invalid value 'other' - at `$.kind`"),
        (encoded(version="latest"), "matching regex"),
        (encoded(version="1.1000000.0"), "matching regex"),
        (encoded(version="1.131231.42\n"), "matching regex"),
        (encoded(model_sha256="ab"), "matching regex"),
        (encoded(model_sha256=f"{FAULT['model_sha256']}\n"), "matching regex"),
        (b'{"code":' + b"[" * 60_000 + b"]" * 60_000 + b',"kind":"fault"}', "manifest.json: maximum recursion"),
        (encoded(threshold=1.5), "<= 1.0 - at `$.threshold`"),
        (encoded(model_bytes=10**12), "at `$.model_bytes`"),
        (encoded(code="import os"), "unknown field `code`"),
        (json.dumps({k: v for k, v in FAULT.items() if k != "features"}).encode(), "missing required field `features`"),
        (b" " * (MAXIMUM_MANIFEST_BYTES + 1), f"at most {MAXIMUM_MANIFEST_BYTES} are allowed"),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(Refused, match=re.escape(message)):
        decode_manifest(content)


def test_an_answer_that_json_cannot_say_is_not_written_as_null() -> None:
    manifest = decode_manifest(encoded())
    checked = msgspec.structs.replace(manifest.checked, outputs=[[math.nan]])
    with pytest.raises(Refused, match=r"manifest\.json: Expected `float`, got `null` - at `\$\.checked\.outputs"):
        encode_manifest(msgspec.structs.replace(manifest, checked=checked))


def test_a_forecast_manifest_is_another_thing_than_a_fault_manifest() -> None:
    with pytest.raises(Refused, match="unknown field `threshold`"):
        decode_manifest(encoded(kind="forecast", features=["level"]))


def test_a_version_follows_from_the_content_and_grows_with_the_data() -> None:
    early, late = dt.datetime(2012, 1, 1, tzinfo=dt.UTC), dt.datetime(2013, 12, 31, tzinfo=dt.UTC)
    assert content_version(late, b"a", b"b") == content_version(late, b"a", b"b")
    assert content_version(late, b"a", b"b") != content_version(late, b"ab", b"")
    assert re.fullmatch(r"1\.131231\.[0-9]{1,6}", content_version(late, b"a"))
    as_numbers = [tuple(map(int, content_version(time, b"a").split("."))) for time in (early, late)]
    assert as_numbers[0] < as_numbers[1]
