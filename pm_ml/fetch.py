"""Download the two public data sets from the UCI Machine Learning Repository and check what came.

UCI publishes no checksum. So the first download of a folder is held to the counts that UCI's own pages state, and its
SHA-256 is written beside it (`source.json`); every later one must have that same sum. Whoever knows the sum passes it.
"""

import hashlib
import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pm_contracts import csv_readings
from pm_contracts.measurements import AIR_QUALITY_MEASUREMENTS
from pm_ml.data import DataRefused
from pm_ml.faults import aps

BLOCK_BYTES = 1 << 16
SECONDS_TO_ANSWER = 30.0
#: More than this is not one of the two archives, which have 0.4 and 9 MB.
MOST_BYTES = 200 * 1024 * 1024
SOURCE_FILE = "source.json"
#: UCI's columns of "Beijing PM2.5 Data" in the order of ours.
_UCI_COLUMNS = ("pm2.5", "DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir")
#: The codes of the original sample: the directions in the order of the alphabet.
_WIND_CODES = {"NE": 0, "NW": 1, "SE": 2, "cv": 3}
#: The first day has no PM2.5 at all; the original sample leaves it out.
_FIRST_HOURS_LEFT_OUT = 24

#: Bytes so far, and in all (0 if the server does not say).
OnProgress = Callable[[int, int], None]


class FetchFailed(RuntimeError):
    """Data that could not be had; the text says why and what else can be done."""


class DataSet(NamedTuple):
    """One public data set."""

    url: str
    unpack: Callable[[zipfile.ZipFile], dict[str, bytes]]  #: the files to keep, by name, from the archive


def fetch(
    name: str,
    directory: Path,
    *,
    url: str | None = None,
    sha256: str | None = None,
    on_progress: OnProgress = lambda _done, _total: None,
) -> list[Path]:
    """Download a data set, check it and write its files.

    Args:
        name: one of `DATA_SETS`.
        directory: where its folder is made.
        url: of the archive, where it is not to be UCI's own.
        sha256: that the archive must have; otherwise the one of the folder's first download.
        on_progress: called as bytes come in.

    Returns:
        The files written.

    Raises:
        FetchFailed: without a network, for another checksum, or if the content is not what it should be. What was
            there before stays.
    """
    data_set = DATA_SETS[name]
    source = url or data_set.url
    folder = directory / name
    noted = folder / SOURCE_FILE
    if sha256 is None and noted.exists():
        sha256 = json.loads(noted.read_text())["sha256"]
    content = _download(source, on_progress)
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise FetchFailed(f"{source} has SHA-256 {found}, expected is {sha256}; nothing was written")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = data_set.unpack(archive)
    except (zipfile.BadZipFile, DataRefused, KeyError, ValueError) as error:
        raise FetchFailed(f"{source} is not the data set {name!r}: {error}; nothing was written") from error
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for file_name, data in files.items():
        part = folder / f".{file_name}.part"
        part.write_bytes(data)
        written.append(part.replace(folder / file_name))
    noted.write_text(json.dumps({"url": source, "sha256": found, "bytes": len(content)}, indent=2) + "\n")
    return written


def _download(url: str, on_progress: OnProgress) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise FetchFailed(f"{url!r} is no http or https address")
    received = bytearray()
    try:
        with urllib.request.urlopen(url, timeout=SECONDS_TO_ANSWER) as answer:  # noqa: S310 - scheme checked above
            total = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(BLOCK_BYTES):
                received += block
                if len(received) > MOST_BYTES:
                    raise FetchFailed(f"{url} sends more than {MOST_BYTES} bytes; that is not the data set")
                on_progress(len(received), total)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise FetchFailed(
            f"{url} cannot be had: {reason}. Without a network, download it elsewhere, serve or copy it, and name it "
            "with --url; `pm demo` runs on simulated data without it"
        ) from error
    if total and len(received) != total:
        raise FetchFailed(f"{url} ended after {len(received)} of {total} bytes; nothing was written")
    return bytes(received)


def _pollution(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """UCI's file in the schema of the original sample: gaps of PM2.5 as 0, wind directions coded."""
    with archive.open(_member(archive, "PRSA_data_2010.1.1-2014.12.31.csv")) as opened:
        raw = pd.read_csv(opened)
    absent = [name for name in ("year", "month", "day", "hour", *_UCI_COLUMNS) if name not in raw.columns]
    if absent:
        raise DataRefused(f"columns {absent} are missing; found are {', '.join(map(str, raw.columns))}")
    if len(raw) != POLLUTION_ROWS:
        raise DataRefused(f"{len(raw)} rows; UCI states {POLLUTION_ROWS}")
    unknown = sorted(set(raw["cbwd"]) - set(_WIND_CODES))
    if unknown:
        raise DataRefused(f"cbwd: unknown directions {unknown}; known are {', '.join(_WIND_CODES)}")
    ours = pd.DataFrame({"date": pd.to_datetime(raw[["year", "month", "day", "hour"]])})
    for theirs, name in zip(_UCI_COLUMNS, AIR_QUALITY_MEASUREMENTS, strict=True):
        ours[name] = raw[theirs].map(_WIND_CODES) if theirs == "cbwd" else raw[theirs]
    ours["pollution"] = ours["pollution"].fillna(0.0)
    text = (
        ours[list(csv_readings.COLUMNS)]
        .iloc[_FIRST_HOURS_LEFT_OUT:]
        .to_csv(index=False, date_format="%Y-%m-%d %H:%M:%S")
    )
    return {"pollution.csv": text.encode()}


def _aps(archive: zipfile.ZipFile) -> dict[str, bytes]:
    files = {}
    for name, (rows, faulty) in APS_COUNTS.items():
        content = archive.read(_member(archive, name))
        start = content.index(b"\nclass,") + 1
        classes = [line.split(b",", 1)[0] for line in content[start:].splitlines()[1:] if line]
        if (len(classes), classes.count(b"pos")) != (rows, faulty):
            raise DataRefused(
                f"{name}: {len(classes)} rows, {classes.count(b'pos')} of them faulty; UCI states {rows} and {faulty}"
            )
        header = tuple(content[start:].split(b"\n", 1)[0].decode().strip().split(","))
        if header != aps.COLUMNS:
            raise DataRefused(f"{name}: the columns are not those of the contract")
        files[name] = content
    return files


def _member(archive: zipfile.ZipFile, name: str) -> str:
    for each in archive.namelist():
        if each.rsplit("/", 1)[-1] == name:
            return each
    raise DataRefused(f"{name} is not in the archive; in it are {', '.join(archive.namelist()[:10])}")


#: Hours from 2010-01-01 to 2014-12-31, as UCI's page states.
POLLUTION_ROWS = 43_824
#: Rows and rows of class `pos`, as UCI's page states them.
APS_COUNTS = {"aps_failure_training_set.csv": (60_000, 1_000), "aps_failure_test_set.csv": (16_000, 375)}
DATA_SETS = {
    "pollution": DataSet("https://archive.ics.uci.edu/static/public/381/beijing+pm2+5+data.zip", _pollution),
    "aps": DataSet("https://archive.ics.uci.edu/static/public/421/aps+failure+at+scania+trucks.zip", _aps),
}
