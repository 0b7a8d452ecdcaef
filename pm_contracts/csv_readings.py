"""CSV files of readings: the one reader for simulator, replay and training, and the rules for each cell.

The accepted input:

- A file is UTF-8 text, with or without a byte order mark. Its first line names the columns `date` and the measurements
  of an air-quality station, each once, in any order. A file with other columns is refused whole.
- It is a regular file of at most `MAXIMUM_FILE_BYTES`.
- A line is a row of at most `MAXIMUM_LINE` characters; commas separate its cells, and double quotes may stand around a
  cell, but not across lines. A blank line is no row.
- A time is an ISO 8601 date and time in the extended form, as `2010-01-02 00:00:00` or `2010-01-02T01:30+01:00`: a `T`
  or a blank between the two, seconds and their fraction optional, UTC where no offset is given. A date alone is its
  midnight.
- A number is decimal with a point, its exponent optional. Missing is an empty cell, `na`, `nan` or `null`, in upper or
  lower case. White space around either does not count.
- A number must lie within the measurement's range, as in a message.

Each row gives a `Row` or a `RefusedRow` with the reason, in the file's order: neither order nor uniqueness of times is
asked for, since consumers of readings expect late and repeated ones.
"""

import csv
import datetime as dt
import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS, AirQualityMeasurements, Limits, limits_of

COLUMNS = ("date", *AIR_QUALITY_MEASUREMENTS)
#: Bytes of a file: of hourly readings a century has less.
MAXIMUM_FILE_BYTES = 64 * 1024 * 1024
#: Characters of a line without its break; a row as stations write it has less than a hundred.
MAXIMUM_LINE = 4096
#: Marks of a missing value, in lower case.
MISSING = ("", "na", "nan", "null")

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ](?:[01][0-9]|2[0-3]):[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_LIMITS = limits_of(AirQualityMeasurements)
_NO_TEXT = "\ufffd"  # in place of bytes that are no UTF-8


class CsvRefused(ValueError):
    """A file that is refused as a whole; the text names it, what was found and what is allowed."""


class Row(NamedTuple):
    """A good row."""

    line: int  #: of the file, which begins with 1
    sequence: int  #: counts the file's rows, the refused ones too, from 0
    event_time: dt.datetime  #: UTC
    measurements: dict[str, float | None]  #: in the order of the contract, None where missing


class RefusedRow(NamedTuple):
    """A row that is no reading."""

    line: int  #: of the file, which begins with 1
    text: str  #: the line as it stands, its first `MAXIMUM_LINE` characters where it is longer
    reason: str


def rows(file: Path, *, follow_links: bool = True) -> Iterator[Row | RefusedRow]:
    """Read a file's rows in its order.

    Args:
        file: the file.
        follow_links: whether it may be a symbolic link to one.

    Raises:
        CsvRefused: at once, if it is no regular file of an allowed size, cannot be read, or has other columns.
    """
    with _open(file, follow_links) as opened:
        header, is_whole = next(_lines(opened), ("", True))
    if not is_whole:
        raise CsvRefused(f"{file}: its first line is longer than the {MAXIMUM_LINE} characters that are allowed")
    if _NO_TEXT in header:
        raise CsvRefused(f"{file}: cannot be read: its first line is no UTF-8 text")
    return _rows(file, follow_links, _columns(file, header))


def time_of(text: str) -> dt.datetime:
    """The time that a text stands for, in UTC.

    Raises:
        ValueError: if it is not of the accepted form, or there is no such time.
    """
    text = text.strip()
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no ISO 8601 time such as 2010-01-02 00:00:00 or 2010-01-02T00:00:00+01:00")
    try:
        time = dt.datetime.fromisoformat(text)
        return time.astimezone(dt.UTC) if time.tzinfo else time.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time: {error}") from error


def row_of(text: str, columns: Sequence[str]) -> dict[str, str]:
    """The cells of a line by column.

    Raises:
        ValueError: if it is no row, or has another number of cells.
    """
    cells = _cells(text)
    if len(cells) != len(columns):
        what = "more" if len(cells) > len(columns) else "fewer"
        raise ValueError(f"{what} than the {len(columns)} columns of the header")
    return dict(zip(columns, cells, strict=True))


def numbers_of(row: Mapping[str, str], limits: Mapping[str, Limits]) -> dict[str, float | None]:
    """The numbers in the cells of a row that have limits, None where missing.

    Raises:
        ValueError: if one is no number, or outside its range.
    """
    found: dict[str, float | None] = {}
    for name, allowed in limits.items():
        text = row[name].strip()
        if _NUMBER.fullmatch(text):
            value = float(text)
            if not allowed.lowest <= value <= allowed.highest:
                raise ValueError(f"{name}: {allowed.outside(text)}")
            found[name] = value
        elif text.lower() in MISSING:
            found[name] = None
        else:
            raise ValueError(f"{name}: {allowed.no_number(text)}")
    return found


def _columns(file: Path, header: str) -> list[str]:
    try:
        columns = [name.strip() for name in _cells(header)]
    except ValueError as error:
        raise CsvRefused(f"{file}: its first line is {error}") from error
    problems = {
        "missing column": [name for name in COLUMNS if name not in columns],
        "unknown column": [name for name in columns if name not in COLUMNS],
        "repeated column": sorted({name for name in columns if columns.count(name) > 1}),
    }
    found = [f"{what} {', '.join(map(repr, names))}" for what, names in problems.items() if names]
    if found:
        raise CsvRefused(f"{file}: {'; '.join(found)}; the columns must be {','.join(COLUMNS)}")
    return columns


def _open(file: Path, follow_links: bool) -> TextIO:
    # Whatever it is: that alone must neither wait, as a pipe does for its writer, nor become a terminal of the process.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(file, flags)
    except OSError as error:
        problem = "found a symbolic link" if error.errno == errno.ELOOP else f"cannot be read: {error.strerror}"
        raise CsvRefused(f"{file}: {problem}, allowed is a regular file") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAXIMUM_FILE_BYTES:
        os.close(descriptor)
        found = f"{status.st_size} bytes" if stat.S_ISREG(status.st_mode) else "something else"
        raise CsvRefused(f"{file}: found {found}, allowed is a regular file of at most {MAXIMUM_FILE_BYTES} bytes")
    return os.fdopen(descriptor, encoding="utf-8-sig", errors="replace")


def _lines(opened: TextIO) -> Iterator[tuple[str, bool]]:
    """Each line without its break, cut to what is allowed, and whether that is all of it."""
    while line := opened.readline(MAXIMUM_LINE + 1):
        is_whole = line.endswith("\n") or len(line) <= MAXIMUM_LINE
        yield line.rstrip("\n")[:MAXIMUM_LINE], is_whole
        rest = "" if is_whole else line
        while rest and not rest.endswith("\n"):
            rest = opened.readline(MAXIMUM_LINE)


def _rows(file: Path, follow_links: bool, columns: list[str]) -> Iterator[Row | RefusedRow]:
    sequence = 0
    with _open(file, follow_links) as opened:
        for number, (text, is_whole) in enumerate(_lines(opened), start=1):
            if number == 1 or not text.strip():
                continue
            try:
                if not is_whole:
                    raise ValueError(f"a longer line than the {MAXIMUM_LINE} characters that are allowed")
                time, measurements = _reading(text, columns)
            except ValueError as error:
                yield RefusedRow(number, text, str(error))
            else:
                yield Row(number, sequence, time, measurements)
            sequence += 1


def _reading(text: str, columns: list[str]) -> tuple[dt.datetime, dict[str, float | None]]:
    row = row_of(text, columns)
    try:
        time = time_of(row["date"])
    except ValueError as error:
        raise ValueError(f"date: {error}") from error
    return time, numbers_of(row, _LIMITS)


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise ValueError(f"no row of a CSV file: {error}") from error
