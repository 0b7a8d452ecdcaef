"""Alerts and digests from the alert topic (by way of SQS) -> speech of Amazon Polly -> recordings in S3."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any

import boto3

from pm_components.functions.announcer.core import object_key, spoken_text
from pm_components.functions.batches import kind_of, work_off_each
from pm_components.functions.spoken_digest import DIGEST, SpokenDigest
from pm_contracts.messages import Alert, decode


def announce(record: Mapping[str, Any], speak: Callable[[str], bytes], store: Callable[[str, bytes], None]) -> str:
    """Record one alert, or one digest.

    Raises:
        Refused: if the record's body is neither.
    """
    news = _news(record)
    store(object_key(news), speak(spoken_text(news)))
    return "Announced"


def _news(record: Mapping[str, Any]) -> Alert | SpokenDigest:
    body = record["body"].encode()
    return decode(body, SpokenDigest) if kind_of(record) == DIGEST else decode(body, Alert)


@functools.cache
def _means() -> tuple[Callable[[str], bytes], Callable[[str, bytes], None]]:
    polly, s3 = boto3.client("polly"), boto3.client("s3")
    bucket = os.environ["ANNOUNCEMENTS_BUCKET"]
    voice = {"VoiceId": os.environ["VOICE"], "Engine": os.environ["VOICE_ENGINE"]}
    if language := os.environ["VOICE_LANGUAGE"]:
        voice["LanguageCode"] = language

    def speak(text: str) -> bytes:
        answer = polly.synthesize_speech(Text=text, OutputFormat="mp3", **voice)
        with answer["AudioStream"] as stream:
            return bytes(stream.read())

    def store(key: str, recording: bytes) -> None:
        s3.put_object(Bucket=bucket, Key=key, Body=recording, ContentType="audio/mpeg")

    return speak, store


def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """The Lambda handler."""
    return work_off_each(event, lambda record: announce(record, *_means()))
