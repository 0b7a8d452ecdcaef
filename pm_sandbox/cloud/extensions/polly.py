"""Polly: real speech as MP3. eSpeak NG speaks for all voices and engines, in the language and gender of each."""

import asyncio
import xml.etree.ElementTree as ElementTree
from typing import Any

from ministack import app

from pm_sandbox.cloud import seams
from pm_sandbox.cloud.modelled_service import ApiError, ModelledService, Operation, Request, page
from pm_sandbox.cloud.polly_voices import VOICES, Voice
from pm_sandbox.surroundings import python

#: https://docs.aws.amazon.com/polly/latest/dg/limits.html: billed characters, and characters with SSML tags.
MAXIMUM_BILLED_CHARACTERS = 3_000
MAXIMUM_CHARACTERS = 6_000
_SAMPLE_RATES = ("8000", "16000", "22050", "24000")
_DEFAULT_SAMPLE_RATE = {"standard": "22050", "neural": "24000"}
#: One at a time: the machine has few cores, and an alert can wait a second.
_synthesizer = asyncio.Semaphore(1)


async def synthesize_speech(request: Request) -> dict[str, Any]:
    """Speak a text."""
    given = request.input
    engine = given.get("Engine", "standard")
    voice = _voice(given["VoiceId"], engine, given.get("LanguageCode"))
    if given["OutputFormat"] != "mp3":
        raise ApiError("ValidationException", f"the sandbox speaks mp3 only, not {given['OutputFormat']}")
    rate = given.get("SampleRate", _DEFAULT_SAMPLE_RATE[engine])
    if rate not in _SAMPLE_RATES:
        raise ApiError("InvalidSampleRateException", f"SampleRate {rate} is none of {', '.join(_SAMPLE_RATES)}")
    ssml = given.get("TextType", "text") == "ssml"
    characters = _billed_characters(given["Text"], ssml)
    arguments = ["--voice", voice.synthesizer_voice, "--sample-rate", rate, *(["--ssml"] if ssml else [])]
    async with _synthesizer:
        process = await asyncio.create_subprocess_exec(
            *python("pm_sandbox.cloud.speech", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        audio, problem = await process.communicate(given["Text"].encode())
    if process.returncode != 0:
        raise ApiError("ServiceFailureException", problem.decode(errors="replace").strip()[-500:], 500)
    return {"AudioStream": audio, "ContentType": "audio/mpeg", "RequestCharacters": characters}


def describe_voices(request: Request) -> dict[str, Any]:
    """The voices, of one language or engine where asked."""
    given = request.input
    found = [
        voice
        for voice in VOICES.values()
        if given.get("LanguageCode") in (None, voice.language_code) and given.get("Engine") in (None, *voice.engines)
    ]
    some, token = page(found, given, next_page="NextToken")
    voices = [
        {
            "Id": voice.id,
            "Name": voice.id,
            "Gender": voice.gender,
            "LanguageCode": voice.language_code,
            "LanguageName": voice.language_name,
            "SupportedEngines": list(voice.engines),
        }
        for voice in some
    ]
    return {"Voices": voices, "NextToken": token}


def _voice(voice_id: str, engine: str, language_code: str | None) -> Voice:
    voice = VOICES.get(voice_id)
    if voice is None:
        raise ApiError(
            "ValidationException", f"the sandbox has no voice {voice_id}; it has {', '.join(sorted(VOICES))}"
        )
    if engine not in voice.engines:
        message = f"voice {voice_id} has no {engine} engine here; it has {', '.join(voice.engines)}"
        raise ApiError("EngineNotSupportedException", message)
    if language_code not in (None, voice.language_code):
        message = f"voice {voice_id} speaks {voice.language_code}, not {language_code}"
        raise ApiError("LanguageNotSupportedException", message)
    return voice


def _billed_characters(text: str, ssml: bool) -> int:
    if len(text) > MAXIMUM_CHARACTERS:
        raise ApiError(
            "TextLengthExceededException", f"the text has {len(text):,} characters; {MAXIMUM_CHARACTERS:,} fit"
        )
    spoken = text
    if ssml:
        if "<!" in text:
            raise ApiError("InvalidSsmlException", "Invalid SSML request: declarations are not allowed")
        try:
            root = ElementTree.fromstring(text)  # noqa: S314 - without declarations there are no entities to expand
        except ElementTree.ParseError as error:
            raise ApiError("InvalidSsmlException", f"Invalid SSML request: {error}") from error
        if root.tag.rpartition("}")[2] != "speak":
            raise ApiError("InvalidSsmlException", f"Invalid SSML request: the root is <{root.tag}>, not <speak>")
        spoken = "".join(root.itertext())
    if not spoken.strip():
        raise ApiError("ValidationException", "Text has nothing to speak")
    if len(spoken) > MAXIMUM_BILLED_CHARACTERS:
        message = f"the text has {len(spoken):,} billed characters; at most {MAXIMUM_BILLED_CHARACTERS:,} are allowed"
        raise ApiError("TextLengthExceededException", message)
    return len(spoken)


def install() -> None:
    """Serve Polly behind the emulator's endpoint."""
    operations = {
        "SynthesizeSpeech": Operation(synthesize_speech, refused=("LexiconNames", "SpeechMarkTypes")),
        "DescribeVoices": Operation(describe_voices, refused=("IncludeAdditionalLanguageCodes",)),
    }
    handlers = seams.require_value(app, "SERVICE_HANDLERS", dict)
    handlers["polly"] = ModelledService("polly", "polly", operations).handle
