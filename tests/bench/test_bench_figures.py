"""The harness of the figures, and that a program grows with its sites in a straight line, counted in resources.

Not proved here: any time; `make bench` measures it.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench import engines, sites
from bench.figure import Figure, less_is_better, written
from pm_sandbox.recorder import Recording

ROOT = Path(__file__).parents[2]


#: In place of the 1, 10 and 100 that are measured, whose registration takes a minute on a busy machine.
SIZES = (1, 3, 9)
#: "Inline policies", IAM and AWS STS quotas: characters of all of a role's, white space aside.
ROLE_POLICY_CHARACTERS = 10_240
#: "Environment variables", AWS Lambda quotas.
ENVIRONMENT_BYTES = 4096
#: Documents that name up to ten sites' groups, and hold a pattern for more:
#: tests/components/forecast_pipeline/test_forecast_pipeline.py measures them with ten sites and with a hundred.
BY_NAME = ("pipeline-release-permissions", "pipeline-watch-permissions", "pipeline-trial-permissions")


@pytest.fixture(scope="module")
def recordings() -> dict[int, Recording]:
    return {size: sites.registered(size) for size in SIZES}


def test_each_further_site_costs_the_same_resources(recordings: dict[int, Recording]) -> None:
    one, few, many = (Counter(resource.type for resource in recordings[size].resources) for size in SIZES)
    growing = {type_ for type_ in many if many[type_] != one[type_]}
    for type_ in many:
        assert (many[type_] - few[type_]) * (3 - 1) == (few[type_] - one[type_]) * (9 - 3), type_
    assert growing >= {"pm:index:GreengrassSite", "aws:iot/thing:Thing", "aws-native:greengrassv2:Deployment"}
    assert many["aws:iot/thing:Thing"] == 9 * 12


def test_what_sites_share_does_not_grow(recordings: dict[int, Recording]) -> None:
    def shared(recording: Recording) -> set[str]:
        return {one.urn for one in recording.resources if "pm:index:GreengrassSite" not in one.urn}

    assert shared(recordings[1]) == shared(recordings[9])
    assert len(shared(recordings[1])) > 100


def test_the_site_that_is_there_already_is_not_touched_by_further_ones(recordings: dict[int, Recording]) -> None:
    def first(recording: Recording) -> dict[str, object]:
        return {one.urn: one.inputs for one in recording.resources if one.custom and "plant-001" in one.name}

    assert len(first(recordings[1])) > 20
    assert first(recordings[1]) == first(recordings[9])


def _sizes(recording: Recording) -> dict[str, tuple[int, int]]:
    """Length and limit of what may come to list the sites, by the resource."""
    sizes: dict[str, tuple[int, int]] = {}
    for one in recording.resources:
        if one.type == "aws:iam/rolePolicy:RolePolicy" and one.name not in BY_NAME:
            sizes[one.urn] = (len("".join(one.inputs["policy"].split())), ROLE_POLICY_CHARACTERS)
        elif one.type == "aws:lambda/function:Function":
            variables = one.inputs.get("environment", {}).get("variables", {})
            sizes[one.urn] = (len(json.dumps(variables)), ENVIRONMENT_BYTES)
    return sizes


def test_documents_that_list_the_sites_have_room_for_a_hundred(recordings: dict[int, Recording]) -> None:
    few, many = _sizes(recordings[3]), _sizes(recordings[9])
    assert len(few) > 20
    for urn in few:
        a_site = (many[urn][0] - few[urn][0]) / (9 - 3)
        assert many[urn][0] + 91 * a_site <= many[urn][1], f"{urn} grows by {a_site:.0f} with each site"


def test_a_figure_compares_medians_and_knows_whether_it_is_reached() -> None:
    figure = less_is_better("x", "s", [2.0, 1.0, 9.0], [6.0, 4.0, 5.0], 2.5)
    assert (figure.ours, figure.reference, figure.ratio, figure.runs) == (2.0, 5.0, 2.5, 3)
    assert figure.reached
    assert not less_is_better("x", "s", [2.0], [4.9], 2.5).reached


def test_the_file_is_a_list_of_rows_and_keeps_what_others_measured(tmp_path: Path) -> None:
    file = tmp_path / "out" / "bench.json"
    written([Figure("b", "s", 1, 2, 2, 1, 3), Figure("a", "s", 1, 2, 2, 1, 3)], file)
    written([Figure("b", "s", 4, 2, 0.5, 1, 5)], file)
    rows = json.loads(file.read_text())
    assert [row["name"] for row in rows] == ["a", "b"]
    assert rows[1] == {"name": "b", "unit": "s", "ours": 4, "reference": 2, "ratio": 0.5, "limit": 1, "runs": 5}


def test_the_sites_figures_are_measured_and_linear(
    recordings: dict[int, Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sites, "registered", recordings.__getitem__)
    monkeypatch.setattr(sites, "SIZES", SIZES)
    figures = {figure.name: figure for figure in sites.figures(2)}
    assert set(figures) == {
        f"sites_{what}_{word}" for what in ("3", "9", "growth") for word in ("seconds", "resources")
    }
    assert figures["sites_growth_resources"].ratio == 1.0
    assert figures["sites_9_resources"].ours == len(recordings[9].resources)
    assert figures["sites_9_resources"].reference == 9 * len(recordings[1].resources)
    assert all(figures[f"sites_{what}_resources"].reached for what in ("3", "9", "growth"))


def test_an_unknown_figure_is_refused_by_name() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "speed"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "invalid choice: 'speed'" in ran.stderr


def test_the_engines_figures_hold_ours_to_pulumis_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(engines, "_command", lambda: Path("pulumi"))
    monkeypatch.setattr(engines, "_own", lambda size, cloud: ran.append(f"own {size}"))
    monkeypatch.setattr(engines, "_pulumis", lambda cli, size, cloud: ran.append(f"{cli} {size}"))
    monkeypatch.setattr(engines, "_seconds", lambda update: update(None) or float(len(ran)))
    figures = list(engines.figures())
    assert [figure.name for figure in figures] == ["engines_sites_1", "engines_sites_10", "engines_sites_100"]
    assert ran == ["own 1", "pulumi 1", "own 10", "pulumi 10", "own 100", "pulumi 100"]
    assert figures[0].ratio == 2.0


def test_without_a_command_line_the_engines_figures_say_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "build"
    script.write_text("#!/bin/sh\necho making it >&2\necho there is no Go >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(engines, "_BUILD", script)
    monkeypatch.setattr(engines, "_seconds", lambda update: 3.0)
    for figure in engines.figures():
        assert figure.unit == "s (no reference: there is no Go)"
        assert figure.ratio is None


def test_the_command_line_is_the_one_of_the_path_or_the_one_that_is_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    script = tmp_path / "build"
    script.write_text("#!/bin/sh\necho /somewhere/pulumi\n")
    script.chmod(0o755)
    monkeypatch.setattr(engines, "_BUILD", script)
    assert engines._command() == Path("/somewhere/pulumi")
    found = tmp_path / "pulumi"
    found.write_text("#!/bin/sh\necho v3.274.1\n")
    found.chmod(0o755)
    assert engines._command() == found
