"""`python -m pm_sandbox.cloud.speech`: a text on standard input becomes an MP3 on standard output, spoken by eSpeak NG.

A process for each text: the synthesizer is a C library with one global state, so that only a fresh one says the same
text with the same bytes each time, and what happens in it cannot harm the emulator.
"""

import argparse
import ctypes
import sys
from collections.abc import Sequence

#: Samples per second that eSpeak NG makes.
SYNTHESIZER_RATE = 22_050
#: Bits per second of Polly's MP3s at their default sample rates.
_BIT_RATE_KILOBITS = 48
#: The constants of espeak-ng/speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARACTERS_UTF8 = 1
_SSML = 0x10
_POSITION_CHARACTER = 1


class SpeechError(RuntimeError):
    """The synthesizer could not speak; the text says at what."""


def speak(text: str, voice: str, ssml: bool = False) -> bytes:
    """Speak a text, once in this process.

    Args:
        text: what to say.
        voice: language and variant, such as `en+f2`.
        ssml: whether the text is SSML.

    Returns:
        Samples: 16 bit, little endian, mono, 22,050 a second.

    Raises:
        SpeechError: the synthesizer did not start, or has no such voice.
    """
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data_path = str(espeakng_loader.get_data_path())
    rate = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path.encode(), _INITIALIZE_DONT_EXIT)
    if rate != SYNTHESIZER_RATE:
        raise SpeechError(f"the synthesizer did not start with the data in {data_path} (answer {rate})")
    samples = bytearray()

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def keep(wave: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if wave and count > 0:
            samples.extend(ctypes.string_at(wave, count * 2))
        return 0

    library.espeak_SetSynthCallback(keep)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise SpeechError(f"the synthesizer has no voice {voice!r}")
    content = text.encode()
    flags = _CHARACTERS_UTF8 | (_SSML if ssml else 0)
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    answer = library.espeak_Synth(content, len(content) + 1, 0, _POSITION_CHARACTER, 0, flags, None, None)
    if answer != 0:
        raise SpeechError(f"the synthesizer refused the text (answer {answer})")
    library.espeak_Synchronize()
    return bytes(samples)


def to_mp3(samples: bytes, sample_rate: int) -> bytes:
    """Encode samples of the synthesizer.

    Args:
        samples: 16 bit, little endian, mono, 22,050 a second.
        sample_rate: of the MP3, samples a second.

    Returns:
        The MP3; the same samples give the same bytes.
    """
    import lameenc

    encoder = lameenc.Encoder()
    encoder.set_bit_rate(_BIT_RATE_KILOBITS)
    encoder.set_in_sample_rate(SYNTHESIZER_RATE)
    encoder.set_out_sample_rate(sample_rate)
    encoder.set_channels(1)
    encoder.set_quality(5)
    encoder.silence()
    return bytes(encoder.encode(samples) + encoder.flush())


def main(arguments: Sequence[str] | None = None) -> int:
    """Speak standard input to standard output; 1 and a sentence on standard error where that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voice", required=True, help="language and variant of the synthesizer, such as en+f2")
    parser.add_argument("--sample-rate", type=int, default=SYNTHESIZER_RATE, help="samples a second of the MP3")
    parser.add_argument("--ssml", action="store_true", help="the text is SSML")
    given = parser.parse_args(arguments)
    try:
        samples = speak(sys.stdin.buffer.read().decode(), given.voice, given.ssml)
    except SpeechError as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(to_mp3(samples, given.sample_rate))
    return 0


if __name__ == "__main__":
    sys.exit(main())
