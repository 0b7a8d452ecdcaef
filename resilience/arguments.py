"""Types of arguments that the programs share."""

import argparse


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: it must be a whole number from 1 on")
    return int(text)


def positive_seconds(text: str) -> float:
    """Seconds, more than none and at most a week."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 7 * 24 * 3600:
        raise argparse.ArgumentTypeError(f"{text!r}: it must be seconds above 0, at most a week's")
    return seconds
