"""Whatever a text holds, it is printed as it is, whole, and acts on no terminal.

Not proved here: how it looks.
"""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.progress import Progress
from rich.table import Table
from typer.testing import CliRunner

import bench.__main__ as benchmark
from bench.figure import OUT_OF_REACH, Figure
from pm_cli.console import ConsoleProgress
from pm_cli.main import app
from pm_sandbox.demo import story
from pm_sandbox.terminal import Terminal, marked, printable

#: Texts rich takes for an end of a style, a style, an emoji, an escape; and a text that would repaint the terminal.
TEXTS = ["[/]", "[bold]x", ":warning:", "a\\", "\\[/]", "[link=file:///]y[/link]", "\x1b[2J\x9b1A", "\u202etxt"]


def printed(value: object, **options: object) -> str:
    terminal = Terminal(file=io.StringIO(), **options)
    terminal.print(value)
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue()


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_what_was_written(text: str) -> None:
    shown = printable(text)
    table = Table(text, title=text)
    table.add_row(text)
    for value in (text, table, marked("[bold]{}[/]", text)):
        assert shown in printed(value)
    assert "\x1b" not in printed(table)
    assert "\x9b" not in printed(table)


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=20))
def test_no_text_is_taken_for_a_style(text: str) -> None:
    assert marked("[bold]{}[/] and {}", text, text).plain == f"{printable(text)} and {printable(text)}"


def test_what_goes_to_no_terminal_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    table = Table("Name", "What")
    table.add_row("a" * 100, "b" * 100)
    assert "a" * 100 + " │ " + "b" * 100 in printed(table)
    assert "a" * 100 not in printed(table, force_terminal=True, width=80)
    monkeypatch.setenv("COLUMNS", "80")
    assert "a" * 100 not in printed(table)


def test_a_progress_line_needs_no_sign_that_the_terminal_lacks() -> None:
    raw = io.BytesIO()
    with ConsoleProgress(Terminal(file=io.TextIOWrapper(raw, encoding="latin-1", write_through=True))) as progress:
        progress.step("Prüfen [/]")
        progress.say("µg/m³ [/] \x1b[2J")
    said = raw.getvalue().decode("latin-1")
    assert "+ Prüfen [/]" in said
    assert "µg/m³ [/] \\x1b[2J" in said


def test_a_terminal_that_lacks_a_sign_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    class Down(OSError):
        strerror = "轴承 ✓ [/]"
        filename = "Lüfter"

    def refuse(*_: object) -> None:
        raise Down

    monkeypatch.setattr(story, "LOCK_FILE", "")
    monkeypatch.setattr("pm_sandbox.demo.plan.Plan.of", refuse)
    told = CliRunner(charset="latin-1").invoke(app, ["demo"])
    assert told.exit_code == 2, told.exception
    assert "Lüfter: ?? ? [/]" in told.stderr


def figure(name: str, ratio: float) -> Figure:
    return Figure(name, "a unit that is long enough to be cut at eighty columns", 1.0, 2.0, ratio, 5.0, 3)


@pytest.mark.parametrize(
    ("figures", "code"),
    [
        ([figure("fault_score", 6.0), figure("install_size_fault", 2.0)], 0),
        ([figure("fault_score", 1.0), figure("install_size_fault", 2.0)], 1),
    ],
)
def test_the_benchmark_shows_whole_names_and_fails_for_what_can_be_reached(
    figures: list[Figure], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path
) -> None:
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(Progress, "start", lambda _: None)
    monkeypatch.setattr(benchmark, "MEASURES", [benchmark.Measure(("x",), "", lambda *_: iter(figures))])
    monkeypatch.setattr(benchmark, "NAMES", ("x",))
    monkeypatch.setattr("sys.argv", ["bench", "--file", str(tmp_path / "bench.json")])
    with pytest.raises(SystemExit) as ended:
        benchmark.main()
    said = capsys.readouterr().out
    assert ended.value.code == code
    assert "…" not in said
    assert figures[0].unit in said
    assert f"install_size_fault is below a limit that is out of reach: {OUT_OF_REACH['install_size_fault']}" in said
