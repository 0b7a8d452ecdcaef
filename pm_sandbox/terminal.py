"""Output for people: a text is printed as it is, whoever wrote it, and nothing of it is cut where no terminal is."""

import io
import re
import sys
from typing import Any

from rich.console import Console, ConsoleDimensions
from rich.markup import escape
from rich.text import Text

#: Characters that act on a terminal instead of showing: control characters but new lines and tabs, and overrides of a
#: text's direction.
_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
#: Characters; a table is as wide as what it holds, so that this only has to be more.
_WIDE = 10_000


class Terminal(Console):
    """A console whose texts mean nothing to it: styles are for `marked` alone.

    Where it writes to no terminal, and `COLUMNS` says nothing else, lines are as long as they are.
    """

    def __init__(self, **options: Any) -> None:
        """Write to standard output, or as `rich.console.Console` takes it."""
        super().__init__(markup=False, emoji=False, **options)

    @property  # type: ignore[misc]  # nobody sets it, which the base class would let them
    def size(self) -> ConsoleDimensions:
        """Columns and lines."""
        found = super().size
        if self._width is None and not self.is_terminal and not self._environ.get("COLUMNS"):
            return ConsoleDimensions(_WIDE, found.height)
        return found

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as it is shown."""
        return super().render_str(printable(text), **options)

    def mark(self, wanted: str, otherwise: str) -> str:
        """A sign, or another where the terminal's encoding lacks it."""
        try:
            wanted.encode(self.encoding)
        except UnicodeEncodeError:
            return otherwise
        return wanted


def marked(template: str, *values: object) -> Text:
    """A text with styles: `marked("[bold]{}[/]", value)`, in which no value is taken for one."""
    return Text.from_markup(template.format(*(escape(printable(str(value))) for value in values)), emoji=False)


def printable(text: str) -> str:
    """The text with the characters that act on a terminal written out."""
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def forgive_encodings() -> None:
    """Have standard output and error print `?` for what their encoding lacks, instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
