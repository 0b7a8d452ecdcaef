"""The notebooks run from top to bottom, on small simulated data, and are committed without what they gave.

Not proved here: that they run in a SageMaker notebook instance, or what they show on real data.
"""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[3] / "pm_ml" / "notebooks"
NAMES = ("explore", "faults", "forecast")


def executed(name: str, monkeypatch: pytest.MonkeyPatch, **parameters: str) -> str:
    """The notebook's output as text; a cell that fails fails the test."""
    for parameter in ("PM_DATA", "PM_FAULTS"):
        monkeypatch.delenv(parameter, raising=False)
    for parameter, value in parameters.items():
        monkeypatch.setenv(parameter, value)
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(FOLDER)}})
    client.execute(env=dict(os.environ))
    return "\n".join(shown(output) for cell in notebook.cells for output in cell.get("outputs", []))


def shown(output: Any) -> str:
    data = output.get("data", {})
    if "application/vnd.plotly.v1+json" in data:
        layout = data["application/vnd.plotly.v1+json"]["layout"]
        return f"plot of {layout['yaxis']['title']['text'] or 'bars'} by {layout['xaxis']['title']['text']}"
    return str(output.get("text", data.get("text/html", data.get("text/plain", ""))))


def test_no_notebook_is_left_out() -> None:
    assert tuple(sorted(file.stem for file in FOLDER.glob("*.ipynb"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_they_are_committed_without_outputs(name: str) -> None:
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_explore(monkeypatch: pytest.MonkeyPatch) -> None:
    said = executed("explore", monkeypatch, PM_DAYS="70")
    assert "PM2.5 concentration, ug/m3" in said
    assert "plot of PM2.5 concentration, ug/m3 by month" in said
    assert "hours that report 0" in said
    assert "log_level_change_1h" in said
    assert "SELECT" in said


def test_explore_keeps_refused_rows_of_a_file_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [f"2010-01-{day:02d} {hour:02d}:00:00,20,1,1,1000,1,2,0,0" for day in range(1, 9) for hour in range(24)]
    rows[5] = rows[5].replace(",1000,", ",9999,")
    (tmp_path / "mine.csv").write_text("date,pollution,dew,temp,press,wnd_dir,wnd_spd,snow,rain\n" + "\n".join(rows))
    said = executed("explore", monkeypatch, PM_DATA=str(tmp_path))
    assert "outside 800 to 1100" in said
    assert "mine.csv" in said


def test_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    said = executed("forecast", monkeypatch, PM_DAYS="80")
    assert "climatology" in said
    assert "plot of error, µg/m³ by hour of day, UTC" in said
    assert "plot of share of outcomes inside by month" in said
    assert "plot of bars by growth of the RMSE, µg/m³" in said
    assert "model.onnx" in said
    assert "model_report.html" in said


def test_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    said = executed("faults", monkeypatch, PM_MACHINES="12", PM_DAYS="800")
    assert "original_cost" in said
    assert "plot of cost per reading by threshold" in said
    assert "plot of share that was faulty by probability said" in said
    assert "plot of bars by mean |SHAP value|, log-odds" in said
    assert "median_readings_before_failure" in said
