"""The announcer: what is said, where it lies, and the handler on the emulated S3 and Polly.

Not proved here: that a person understands the recording, and the way from the topic to the function
(test_deployed_lake_and_alerting.py).
"""

import datetime as dt
import uuid

import msgspec
import pytest

from pm_components.functions.announcer import handler
from pm_components.functions.announcer.core import object_key, spoken_text
from pm_components.functions.spoken_digest import DIGEST, SpokenDigest
from pm_contracts.messages import Alert, encode
from pm_sandbox.cloud import Cloud

ALERT = Alert(
    site="lindau",
    device="machine-03",
    cause="fault",
    severity="critical",
    state="active",
    raised_at=dt.datetime(2014, 5, 6, 7, 8, 9, tzinfo=dt.UTC),
    dedupe_key="fault/machine-03",
    text="Machine 03 at lindau is about to fail.",
)
MANY = SpokenDigest(
    site="lindau", digest_id="5" * 32, made_at=ALERT.raised_at, urgent=False, text="lindau has had 9 more messages."
)
CLEARED = msgspec.structs.replace(ALERT, state="cleared", message_id="")


def test_what_is_said() -> None:
    assert spoken_text(ALERT) == "Attention, please. Machine 03 at lindau is about to fail."
    assert spoken_text(CLEARED) == "All clear. Machine 03 at lindau is about to fail."
    assert spoken_text(MANY) == "Please note. lindau has had 9 more messages."


def test_a_recording_lies_by_site_and_day_and_each_alert_has_its_own() -> None:
    assert object_key(ALERT) == f"announcements/lindau/2014/05/06/{ALERT.message_id}.mp3"
    assert object_key(CLEARED) != object_key(ALERT)


def test_the_handler_leaves_a_recording_and_puts_the_poison_aside(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, dead_letters: list[tuple[str, str]]
) -> None:
    bucket = f"announcements-{uuid.uuid4().hex[:8]}"
    cloud.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": cloud.region})
    environment = {
        "VOICE": "Joanna",
        "VOICE_ENGINE": "neural",
        "VOICE_LANGUAGE": "en-US",
        "ANNOUNCEMENTS_BUCKET": bucket,
    }
    for key, value in {**cloud.environment(), **environment}.items():
        monkeypatch.setenv(key, value)
    handler._means.cache_clear()
    digest = {"kind": {"stringValue": DIGEST, "dataType": "String"}}
    event = {
        "Records": [
            {"messageId": "poison", "body": "no alert"},
            {"messageId": "good", "body": encode(ALERT).decode()},
            {"messageId": "many", "body": msgspec.json.encode(MANY).decode(), "messageAttributes": digest},
            {"messageId": "no digest", "body": encode(ALERT).decode(), "messageAttributes": digest},
        ]
    }
    assert handler.handle(event, None) == {"batchItemFailures": []}
    assert [body for body, _ in dead_letters] == ["no alert", encode(ALERT).decode()]
    found, many = cloud.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert {found["Key"], many["Key"]} == {object_key(ALERT), object_key(MANY)}
    recording = cloud.client("s3").get_object(Bucket=bucket, Key=found["Key"])
    assert recording["ContentType"] == "audio/mpeg"
    audio = recording["Body"].read()
    assert audio[:3] == b"ID3" or audio[0] == 0xFF  # an MPEG frame, or the tag before it
    assert len(audio) > 5_000
