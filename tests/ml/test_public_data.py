"""The public data sets: downloaded from a real HTTP server, checked, read in both forms.

Not proved here: that UCI's archives are as they were described; no network is used.
"""

import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pm_cli.main import app
from pm_ml import fetch
from pm_ml.data import DataRefused, read_air_quality
from pm_ml.faults import aps
from pm_ml.fetch import FetchFailed

HOURS = pd.date_range("2010-01-01", periods=24 * 4, freq="h")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def archive(file: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(file, "w") as opened:
        for name, text in members.items():
            opened.writestr(name, text)
    return file


def uci_pollution(**changed: object) -> dict[str, str]:
    frame = pd.DataFrame({"No": range(1, len(HOURS) + 1), "year": HOURS.year, "month": HOURS.month, "day": HOURS.day})
    frame["hour"] = HOURS.hour
    frame["pm2.5"] = [np.nan if n < 24 or n == 30 else float(n) for n in range(len(HOURS))]
    frame = frame.assign(DEWP=-16, TEMP=-4.0, PRES=1020.0, cbwd=["NE", "NW", "SE", "cv"] * 24, Iws=1.79, Is=0, Ir=0)
    return {"PRSA_data_2010.1.1-2014.12.31.csv": frame.assign(**changed).to_csv(index=False, na_rep="NA")}


def aps_text(rows: list[str], preamble: bool = True) -> str:
    licence = "This file is part of APS Failure and Operational Data for Scania Trucks.\n\nCopyright (c), 2016\n"
    return (licence + ",".join(aps.COLUMNS) + "\n" if preamble else "") + "\n".join(rows) + "\n"


def aps_row(cls: str, first: str = "12.5") -> str:
    return ",".join([cls, first, "na", *["3"] * 168])


def test_pollution_comes_in_the_original_schema(served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    monkeypatch.setattr(fetch, "POLLUTION_ROWS", len(HOURS))
    sent = archive(folder / "p.zip", uci_pollution())
    told = []
    (file,) = fetch.fetch("pollution", tmp_path, url=f"{address}/p.zip", on_progress=lambda *seen: told.append(seen))
    assert told[-1] == (sent.stat().st_size,) * 2
    checked = read_air_quality(file)
    assert len(checked.refused) == 0
    assert len(checked.good) == 72  # without the first day
    assert checked.good["pollution"].tolist()[5:8] == [29, 0, 31]  # the gap is 0
    assert checked.good["wnd_dir"].tolist()[:4] == [0, 1, 2, 3]
    assert file.read_text().splitlines()[1].startswith("2010-01-02 00:00:00,24.0,-16,-4.0")


def test_another_archive_than_the_first_is_refused(served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    monkeypatch.setattr(fetch, "POLLUTION_ROWS", len(HOURS))
    url = f"{address}/p.zip"
    archive(folder / "p.zip", uci_pollution())
    (file,) = fetch.fetch("pollution", tmp_path, url=url)
    before = file.read_bytes()
    archive(folder / "p.zip", uci_pollution(TEMP=5.0))
    with pytest.raises(FetchFailed, match="has SHA-256"):
        fetch.fetch("pollution", tmp_path, url=url)
    assert file.read_bytes() == before
    right = hashlib.sha256((folder / "p.zip").read_bytes()).hexdigest()
    fetch.fetch("pollution", tmp_path, url=url, sha256=right)
    assert file.read_bytes() != before


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"readme.txt": "nothing"}, "is not in the archive; in it are readme.txt"),
        (uci_pollution(), "96 rows; UCI states 43824"),
    ],
)
def test_an_archive_of_something_else_is_refused(served, tmp_path: Path, members: dict[str, str], reason: str) -> None:
    folder, address = served
    archive(folder / "p.zip", members)
    with pytest.raises(FetchFailed, match=reason):
        fetch.fetch("pollution", tmp_path, url=f"{address}/p.zip")
    assert not (tmp_path / "pollution").exists()


def test_aps_files_are_held_to_their_counts(served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    text = aps_text([aps_row("neg"), aps_row("pos"), aps_row("neg")])
    archive(folder / "a.zip", dict.fromkeys(fetch.APS_COUNTS, text))
    with pytest.raises(FetchFailed, match="3 rows, 1 of them faulty; UCI states 60000 and 1000"):
        fetch.fetch("aps", tmp_path, url=f"{address}/a.zip")
    monkeypatch.setattr(fetch, "APS_COUNTS", dict.fromkeys(fetch.APS_COUNTS, (3, 1)))
    files = fetch.fetch("aps", tmp_path, url=f"{address}/a.zip")
    assert [file.read_text() for file in files] == [text, text]


def test_without_a_network_the_command_says_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["data", "fetch", "aps", "--url", "http://127.0.0.1:9/a.zip", "--directory", str(tmp_path)]
    )
    assert done.exit_code == 1
    assert "cannot be had" in done.output
    assert "--url" in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_command_fetches_with_a_bar(served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address = served
    monkeypatch.setattr(fetch, "POLLUTION_ROWS", len(HOURS))
    archive(folder / "p.zip", uci_pollution())
    done = CliRunner().invoke(
        app, ["data", "fetch", "pollution", "--url", f"{address}/p.zip", "--directory", str(tmp_path / "data")]
    )
    assert done.exit_code == 0, done.output
    assert "Download pollution" in done.output
    assert (tmp_path / "data" / "pollution" / "pollution.csv").exists()


def test_an_unknown_data_set_is_refused() -> None:
    done = CliRunner().invoke(app, ["data", "fetch", "weather"])
    assert done.exit_code == 2
    assert "pollution, aps" in done.output


@pytest.mark.parametrize(("preamble", "classes"), [(True, ("neg", "pos")), (False, ("0", "1"))])
def test_both_forms_of_the_fault_data_are_read(tmp_path: Path, preamble: bool, classes: tuple[str, str]) -> None:
    file = tmp_path / "aps.csv"
    file.write_text(aps_text([aps_row(classes[0]), aps_row(classes[1], "0")], preamble))
    readings, refused = aps.read(file)
    assert len(refused) == 0
    assert readings.faulty.tolist() == [False, True]
    assert readings.measurements.shape == (2, 170)
    assert readings.measurements[:, 0].tolist() == [12.5, 0]
    assert np.isnan(readings.measurements[:, 1]).all()
    assert len(set(aps.together([readings, readings]).machine)) == 2


def test_bad_rows_of_the_fault_data_are_kept_with_line_and_reason(tmp_path: Path) -> None:
    file = tmp_path / "aps.csv"
    file.write_text(aps_text([aps_row("neg"), aps_row("maybe"), aps_row("pos", "-1"), aps_row("pos")]))
    readings, refused = aps.read(file)
    assert readings.faulty.tolist() == [False, True]
    assert refused["line"].tolist() == [6, 7]
    assert "class: 'maybe'" in refused["reason"][0]
    assert "aa_000: '-1' is outside 0 to 1e+12" in refused["reason"][1]


@pytest.mark.parametrize("text", ["", "hello\n", "class,aa_000\nneg,1\n", "0,1,2\n"])
def test_files_of_neither_form_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "aps.csv"
    file.write_text(text)
    with pytest.raises(DataRefused, match=r"aps\.csv"):
        aps.read(file)


def test_rows_without_a_date_are_refused_with_their_reason(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    header = "date,pollution,dew,temp,press,wnd_dir,wnd_spd,snow,rain"
    file.write_text(f"{header}\nyesterday,1,1,1,1000,1,1,0,0\n2010-01-02 00:00:00,1,NA,1,1000,1,1,0,0\n")
    checked = read_air_quality(file)
    assert checked.refused["line"].tolist() == [2]
    assert "date: 'yesterday'" in checked.refused["reason"][0]
    assert np.isnan(checked.good["dew"]).all()
    assert io.StringIO(checked.refused["row"][0]).read() == "yesterday,1,1,1,1000,1,1,0,0"
