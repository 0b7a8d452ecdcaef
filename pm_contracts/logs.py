"""Logs of one line a message: what a device or a stranger writes cannot forge a line, nor command a terminal."""

import logging
from typing import IO, Any


def one_line(text: str) -> str:
    """`text` with an escape in place of each character that a terminal or a reader of lines would obey."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


class OneLine(logging.Formatter):
    """Writes each message in one line, and indents the lines of a traceback, so that none passes for a message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line of a record."""
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """The lines of a traceback."""
        return "\n".join(f"  {one_line(line)}" for line in super().formatException(ei).split("\n"))


def log_to(stream: IO[str], line: str) -> None:
    """Log to `stream` from level INFO on, each message as `line` has it: a format of `logging`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine(line))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
