"""The manifest beside a model file: the model's inputs, the meaning of its answers, and checks of both.

A model directory holds `model.onnx`, `manifest.json` and `metrics.json`. The manifest names the model file's SHA-256,
so a file that was cut or changed on the way is recognised, and a few checked answers, so that a device whose runtime
computes something else refuses the model before it is used.
"""

import datetime as dt
import hashlib
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pm_contracts.json_files import decode_file
from pm_contracts.messages import Refused, Time

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"
METRICS_FILE = "metrics.json"

#: Sizes of the names and files that a device is willing to read: far above our models, far below its memory.
MAXIMUM_MODEL_BYTES = 64 * 1024 * 1024
MAXIMUM_MANIFEST_BYTES = 1024 * 1024

_Version = Annotated[
    str,
    Meta(
        # Greengrass: "The maximum value for the major, minor, and patch values is 999999", component recipe reference.
        pattern=r"^[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}\Z",
        description="from the training data's end and the content; also fit as the version of a Greengrass component",
    ),
]
_Positive = Annotated[float, Meta(gt=0)]


class Interval(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The initial width of a forecast's interval: the calibration of an adaptive conformal interval.

    A score is the absolute error of a forecast divided by the spread that the model gave with it. The interval is
    `value +- quantile(scores, level) * spread`; the device replaces the scores by those it measures itself.
    """

    level: Annotated[float, Meta(gt=0, lt=1)]
    scores: Annotated[list[Annotated[float, Meta(ge=0)]], Meta(min_length=20, max_length=2000)]


class CheckedAnswers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Answers of the trained model itself to a few real inputs (`null` where missing), to compare with."""

    inputs: Annotated[list[list[float | None]], Meta(min_length=1, max_length=16)]
    outputs: Annotated[list[list[float]], Meta(min_length=1, max_length=16)]
    tolerance: _Positive


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of a manifest that all kinds of models share; `model_kinds.decode_manifest` reads one."""

    version: _Version
    model_sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    model_bytes: Annotated[int, Meta(ge=1, le=MAXIMUM_MODEL_BYTES)]
    trained_from: Annotated[Time, Meta(description="event time of the first reading trained on, UTC")]
    trained_until: Annotated[Time, Meta(description="event time of the last reading trained on, UTC")]
    trained_rows: Annotated[int, Meta(ge=1)]
    features: Annotated[list[str], Meta(min_length=1, max_length=1000)]
    seed: int
    libraries: Annotated[dict[str, str], Meta(description="versions of what the model was made with")]
    checked: CheckedAnswers
    maximum_answer_milliseconds: Annotated[
        float, Meta(gt=0, le=60_000, description="processor time that one answer may take on a device")
    ] = 50.0

    def verify(self, model: bytes) -> None:
        """Check that `model` is the file that this manifest describes.

        Raises:
            Refused: if it is not; the text says what was found and what is expected.
        """
        if len(model) != self.model_bytes:
            raise Refused(f"{MODEL_FILE} has {len(model)} bytes, and the manifest says {self.model_bytes}")
        found = hashlib.sha256(model).hexdigest()
        if found != self.model_sha256:
            raise Refused(f"{MODEL_FILE} has SHA-256 {found}, and the manifest says {self.model_sha256}")


class ForecastManifest(Manifest, frozen=True, kw_only=True, tag_field="kind", tag="forecast"):
    """Of a model that forecasts the next hour's PM2.5.

    The model takes `[rows, len(features)]` float32 features of the latest hour, NaN where unknown, and gives
    `[rows, 2]`: the change against the latest value and the spread (expected absolute error), both ug/m3.
    """

    horizon_hours: Annotated[int, Meta(ge=1, le=168)]
    maximum_change: Annotated[float, Meta(gt=0, description="ug/m3; an answer beyond it is taken for nonsense")]
    interval: Interval


class FaultManifest(Manifest, frozen=True, kw_only=True, tag_field="kind", tag="fault"):
    """Of a model that calls a machine reading faulty or not.

    The model takes `[rows, len(features)]` float32 measurements, NaN where missing, and gives `[rows, 1]`: the
    probability of a fault.
    """

    threshold: Annotated[float, Meta(ge=0, le=1, description="a probability at or above it is called a fault")]


def decode_as(content: bytes, as_type: Any) -> Manifest:
    """The manifest in `content`, checked against `as_type`: a manifest, or a union of them.

    Raises:
        Refused: if it is invalid; the text names the field, what was found and what is allowed.
    """
    if len(content) > MAXIMUM_MANIFEST_BYTES:
        raise Refused(f"{MANIFEST_FILE} has {len(content)} bytes, and at most {MAXIMUM_MANIFEST_BYTES} are allowed")
    manifest: Manifest = decode_file(content, as_type, MANIFEST_FILE)
    return manifest


def encode_manifest(manifest: Manifest) -> bytes:
    """The manifest as JSON for people and machines; the same bytes for the same content.

    Raises:
        Refused: if a device would refuse it; the encoder writes null for a number that is not finite.
    """
    content = msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1) + b"\n"
    decode_as(content, type(manifest))
    return content


def content_version(trained_until: dt.datetime, *parts: bytes) -> str:
    """A version that the same content always gets and that grows with the data: `1.YYMMDD.HASH`.

    Args:
        trained_until: event time of the last reading trained on, UTC.
        parts: what makes the model the model: its file, and what of the manifest changes its answers.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"1.{trained_until:%y%m%d}.{int.from_bytes(digest.digest()[:8], 'big') % 1_000_000}"
