"""JSON in files, read by the contract of its type; `messages.decode` is the door for what comes on the wire."""

from typing import Any

import msgspec

from pm_contracts.messages import Refused


def decode_file(content: bytes, as_type: Any, name: str) -> Any:
    """The value in a file's content.

    Args:
        content: the whole of it.
        as_type: a type of msgspec's, or a union of them.
        name: the beginning of the error's text.

    Raises:
        Refused: if it is invalid; the text names the field, what was found and what is allowed.
    """
    try:
        return msgspec.json.decode(content, type=as_type)
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, RecursionError) as error:
        raise Refused(f"{name}: {error}") from error
