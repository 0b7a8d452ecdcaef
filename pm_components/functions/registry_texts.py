"""Texts as the model registry takes them: what its API refuses is written otherwise, rather than refused there.

Source of lengths and characters: CreateModelPackage and UpdateModelPackage, Amazon SageMaker API reference.
"""

import re
import unicodedata

_DESCRIPTION_CHARACTERS = 1024
_KEY_CHARACTERS = 128
_VALUE_CHARACTERS = 256
#: Unicode categories of a description: letters, marks, separators, symbols, numbers, punctuation. No line break.
_DESCRIBES = frozenset("LMZSNP")


def description(text: str) -> str:
    """A ModelPackageDescription or ApprovalDescription: one line, cut where it is too long."""
    readable = "".join(one if unicodedata.category(one)[0] in _DESCRIBES else " " for one in text)
    return " ".join(readable.split())[:_DESCRIPTION_CHARACTERS]


def key(text: str) -> str:
    """A key of CustomerMetadataProperties, with a hyphen for what it may not hold."""
    return _plain(text)[:_KEY_CHARACTERS]


def value(text: str) -> str:
    """A value of CustomerMetadataProperties, with a hyphen for what it may not hold."""
    return _plain(text)[:_VALUE_CHARACTERS]


def _plain(text: str) -> str:
    """Letters, numbers, spaces and `_ . : / = + - @` of a text."""
    return re.sub(r"[^\w .:/=+\-@]", "-", text)
