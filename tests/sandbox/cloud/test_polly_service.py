"""Polly of the sandbox, through boto3 against the running emulator: real MP3s of real speech.

Does not prove that the speech can be understood, nor that it sounds like AWS's voice of the same name.
"""

import array
import struct
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from pm_sandbox.cloud import Cloud
from pm_sandbox.cloud.speech import SYNTHESIZER_RATE, speak

TEXT = "Attention in Lindau. Machine four is likely to fail within a day."

#: MPEG 2 layer III: bit rates in kbit/s and sample rates by their indices in the frame's header.
BIT_RATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
SAMPLE_RATES = (22_050, 24_000, 16_000)


def seconds_of_mp3(content: bytes, expected_rate: int) -> float:
    """The length of an MP3, walked frame by frame to its very end."""
    position = frames = 0
    while position < len(content):
        (header,) = struct.unpack_from(">I", content, position)
        assert header >> 21 == 0x7FF, f"no frame at byte {position}"
        assert (header >> 19 & 3, header >> 17 & 3) == (2, 1), "not MPEG 2 layer III"
        rate = SAMPLE_RATES[header >> 10 & 3]
        assert rate == expected_rate
        position += 72_000 * BIT_RATES[header >> 12 & 15] // rate + (header >> 9 & 1)
        frames += 1
    assert position == len(content)
    return frames * 576 / expected_rate


@pytest.fixture
def polly(cloud: Cloud) -> Any:
    return cloud.client("polly")


def synthesize(polly: Any, text: str = TEXT, **options: Any) -> bytes:
    request = {"Text": text, "OutputFormat": "mp3", "VoiceId": "Amy"} | options
    return bytes(polly.synthesize_speech(**request)["AudioStream"].read())


def test_speech_is_a_whole_mp3_of_plausible_length(polly: Any) -> None:
    answer = polly.synthesize_speech(Text=TEXT, OutputFormat="mp3", VoiceId="Amy")
    assert (answer["ContentType"], answer["RequestCharacters"]) == ("audio/mpeg", len(TEXT))
    seconds = seconds_of_mp3(answer["AudioStream"].read(), 22_050)
    assert 2 < seconds < 8
    assert seconds_of_mp3(synthesize(polly, TEXT + " " + TEXT), 22_050) > 1.6 * seconds


def test_the_synthesizer_is_heard() -> None:
    samples = array.array("h", speak(TEXT, "en+f2"))
    loudest = max(map(abs, samples))
    tenths = [
        samples[start : start + SYNTHESIZER_RATE // 10] for start in range(0, len(samples), SYNTHESIZER_RATE // 10)
    ]
    loud_tenths = sum(max(map(abs, tenth)) > loudest // 10 for tenth in tenths)
    assert loudest > 5_000
    assert loud_tenths > 20


def test_the_same_request_gives_the_same_bytes_and_another_voice_others(polly: Any) -> None:
    assert synthesize(polly) == synthesize(polly)
    assert synthesize(polly) != synthesize(polly, VoiceId="Brian")


def test_sample_rates(polly: Any) -> None:
    assert seconds_of_mp3(synthesize(polly, Engine="neural"), 24_000) > 2
    assert seconds_of_mp3(synthesize(polly, SampleRate="16000"), 16_000) > 2


def test_a_pause_in_ssml_is_heard_and_not_billed(polly: Any) -> None:
    plain = polly.synthesize_speech(Text="One. Two.", OutputFormat="mp3", VoiceId="Vicki", LanguageCode="de-DE")
    ssml = '<speak>One. <break time="3s"/>Two.</speak>'
    paused = polly.synthesize_speech(Text=ssml, TextType="ssml", OutputFormat="mp3", VoiceId="Vicki")
    assert paused["RequestCharacters"] == plain["RequestCharacters"] == len("One. Two.")
    lengths = [seconds_of_mp3(answer["AudioStream"].read(), 22_050) for answer in (plain, paused)]
    assert lengths[1] > lengths[0] + 2


def test_a_billed_text_of_the_limit_is_spoken(polly: Any) -> None:
    text = ("Machine. " * 400)[:3_000]
    assert seconds_of_mp3(synthesize(polly, text), 22_050) > 60


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"Text": "x" * 3_001}, "TextLengthExceededException"),
        ({"Text": " "}, "ValidationException"),
        ({"Text": "<speak>unclosed", "TextType": "ssml"}, "InvalidSsmlException"),
        ({"Text": "<p>no speak</p>", "TextType": "ssml"}, "InvalidSsmlException"),
        ({"Text": "<!DOCTYPE a><speak>a</speak>", "TextType": "ssml"}, "InvalidSsmlException"),
        ({"VoiceId": "Nobody"}, "ValidationException"),
        ({"VoiceId": "Marlene", "Engine": "neural"}, "EngineNotSupportedException"),
        ({"Engine": "generative"}, "EngineNotSupportedException"),
        ({"LanguageCode": "de-DE"}, "LanguageNotSupportedException"),
        ({"SampleRate": "44100"}, "InvalidSampleRateException"),
        ({"OutputFormat": "ogg_vorbis"}, "ValidationException"),
        ({"LexiconNames": ["factory"]}, "ValidationException"),
    ],
)
def test_a_wrong_request_is_refused(polly: Any, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as raised:
        polly.synthesize_speech(**({"Text": TEXT, "OutputFormat": "mp3", "VoiceId": "Amy"} | changes))
    assert raised.value.response["Error"]["Code"] == code


def test_voices_by_language_and_engine(polly: Any) -> None:
    german = {voice["Id"]: voice for voice in polly.describe_voices(LanguageCode="de-DE")["Voices"]}
    assert set(german) == {"Marlene", "Vicki", "Hans", "Daniel"}
    assert (german["Hans"]["Gender"], german["Vicki"]["SupportedEngines"]) == ("Male", ["standard", "neural"])
    neural = polly.describe_voices(LanguageCode="de-DE", Engine="neural")["Voices"]
    assert {voice["Id"] for voice in neural} == {"Vicki", "Daniel"}


def test_speaking_needs_permission(cloud: Cloud) -> None:
    iam, user = cloud.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    client = boto3.client(
        "polly",
        endpoint_url=cloud.endpoint,
        region_name=cloud.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    with pytest.raises(ClientError, match="not authorized to perform: polly:SynthesizeSpeech"):
        synthesize(client)
