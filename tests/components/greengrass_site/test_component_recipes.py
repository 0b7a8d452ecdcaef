"""Recipes, artifacts and versions of the edge components, from the folders of `pm_edge/` and from made-up ones.

Not proved here: that a nucleus runs them (tests/sandbox/core_device runs them in the emulated one).
"""

import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pulumi
import pytest

from pm_components.aws import archives, recipe_format, recipes
from pm_components.functions import component_recipes
from pm_components.greengrass_site import edge_components
from pm_components.greengrass_site.edge_components import FOLDERS
from pm_contracts import site_devices
from pm_contracts.messages import Refused
from pm_sandbox.provider.assets import archive_bytes

DEVICES = {"air-1": "air_quality", "machine-01": "machine", "machine-02": "machine"}


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `pm_edge/` that a test may change."""
    shutil.copytree(recipes.EDGE, tmp_path / "pm_edge")
    monkeypatch.setattr(recipes, "EDGE", tmp_path / "pm_edge")
    return tmp_path / "pm_edge"


@pytest.mark.parametrize("folder", [*FOLDERS, "forecast_model", "fault_model", "site_devices"])
def test_published_recipes_pass_the_rules_of_greengrass(folder: str) -> None:
    source = recipes.load(folder)
    made = source.published("bucket", "components/edge")
    assert recipe_format.parse_recipe(made.recipe.encode())["ComponentVersion"] == made.version
    assert "BUCKET" not in made.recipe
    if source.artifact_name:
        assert f"s3://bucket/{source.artifact_key('components/edge')}" in made.recipe


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder != "python_runtime"])
def test_an_artifact_holds_all_that_its_main_imports(folder: str, tmp_path: Path) -> None:
    source = recipes.load(folder)
    with zipfile.ZipFile(io.BytesIO(source.artifact())) as archive:
        archive.extractall(tmp_path)
    checkout = str(recipes.EDGE.parent)
    # Nothing may come from the checkout, which an editable installation offers too.
    program = (
        "import runpy, sys\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in getattr(f, '__module__', '')]\n"
        f"sys.path[:] = [{str(tmp_path)!r}] + [p for p in sys.path if p not in ('', {checkout!r})]\n"
        f"sys.argv = ['main', '--help']\nrunpy.run_module('pm_edge.components.{folder}', run_name='__main__')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "--data-directory" in ran.stdout


def _versions(bucket: str = "bucket", prefix: str = "components/edge") -> dict[str, str]:
    return {folder: recipes.load(folder).published(bucket, prefix).version for folder in FOLDERS}


def test_a_version_follows_from_what_the_component_runs_and_from_nothing_else(edge: Path) -> None:
    before = _versions()
    module = edge / "components" / "forecaster" / "__main__.py"
    module.write_text(module.read_text() + "\n# changed\n")
    (edge / "components" / "uplink" / "README.md").write_text("notes")
    changed = {folder for folder, version in _versions().items() if version != before[folder]}
    assert changed == {"forecaster"}
    shared = edge / "runtime" / "component.py"
    shared.write_text(shared.read_text() + "\n# changed\n")
    changed = {folder for folder, version in _versions().items() if version != before[folder]}
    assert changed == set(FOLDERS) - {"python_runtime"}


def test_a_version_in_another_bucket_or_by_another_publisher_is_another_one() -> None:
    """Also of a component without an artifact: destroying one stack must not take what another one deployed."""
    found = [_versions(), _versions(bucket="other"), _versions(prefix="components/other")]
    for folder in FOLDERS:
        assert len({versions[folder] for versions in found}) == 3, folder
    assert _versions() == found[0]


def test_what_a_component_depends_on_is_named_by_its_deployment() -> None:
    templates = [recipes.load(folder).recipe for folder in FOLDERS]
    names = [template["ComponentName"] for template in templates]
    recipes.require_roots(templates, names)
    assert any(component_recipes.dependencies(template) for template in templates)
    with pytest.raises(
        recipes.RecipeError, match=r"recipe of pm\.Uplink: depends on pm\.PythonRuntime, .* names pm\.Up"
    ):
        recipes.require_roots([recipes.load("uplink").recipe], ["pm.Uplink"])


def test_a_site_gets_its_topics_and_what_differs_from_the_defaults() -> None:
    source = recipes.load("fault_detector")
    values = {"python": "/p", "dataDirectory": "/var/lib/pm", "endpoint": "unused"}
    update = recipes.site_configuration(source.recipe, "lindau", values)
    # Of the values, those that the component has a key for, and has another default of.
    assert set(update.merge) == {"python", "site", "accessControl"}
    assert (update.merge["python"], update.merge["site"]) == ("/p", "lindau")
    # A nucleus keeps what an earlier deployment has set.
    assert update.reset == ["/dataDirectory"]
    policies = update.merge["accessControl"]["aws.greengrass.ipc.pubsub"]
    assert policies == {
        "pm.FaultDetector:pubsub:1": {"resources": ["pm/lindau/*/reading"]},
        "pm.FaultDetector:pubsub:2": {"resources": ["pm/lindau/*/fault", "pm/lindau/alert", "pm/lindau/status"]},
    }
    assert "SITE" in json.dumps(source.recipe)  # and the recipe itself stays as it was
    # What the nucleus makes of it has operations and descriptions still, and nothing of the placeholder.
    configuration = component_recipes.merged(component_recipes.default_configuration(source.recipe), update.merge)
    (hears, _) = configuration["accessControl"]["aws.greengrass.ipc.pubsub"].values()
    assert hears["operations"] == ["aws.greengrass#SubscribeToTopic"]
    assert "SITE" not in json.dumps(configuration)


def test_the_list_of_devices_is_a_version_of_each_sites_own() -> None:
    one = recipes.site_devices("lindau", DEVICES)
    with zipfile.ZipFile(io.BytesIO(one.artifact())) as archive:
        assert archive.namelist() == ["devices.json"]
        assert site_devices.decode(archive.read("devices.json")).devices == DEVICES
    assert one == recipes.site_devices("lindau", dict(reversed(DEVICES.items())))
    others = [recipes.site_devices("gera", DEVICES), recipes.site_devices("lindau", {"air-1": "air_quality"})]
    assert len({source.published("bucket", "components").version for source in (one, *others)}) == 3
    with pytest.raises(Refused, match="Invalid enum value 'pump'"):
        recipes.site_devices("lindau", {"a": "pump"})


def test_a_version_of_its_own_is_refused(edge: Path) -> None:
    recipe = edge / "components" / "uplink" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace('"0.0.0"', '"1.2.3"'))
    with pytest.raises(recipes.RecipeError, match=r"ComponentVersion is '1.2.3', allowed is '0.0.0'"):
        recipes.load("uplink")


def test_what_greengrass_would_refuse_is_refused_before_it_is_published(edge: Path) -> None:
    recipe = edge / "components" / "uplink" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("ComponentPublisher:", "componentPublisher:"))
    with pytest.raises(
        recipes.RecipeError, match=r"uplink/recipe\.yaml: the recipe\.componentPublisher must be spelled ComponentPubl"
    ):
        recipes.load("uplink")


def test_an_artifact_elsewhere_is_refused(edge: Path) -> None:
    recipe = edge / "components" / "uplink" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("s3://BUCKET/KEY/", "s3://mine/"))
    with pytest.raises(recipes.RecipeError, match=r"s3://mine/component.zip.*allowed is one at most"):
        recipes.load("uplink")


def test_code_without_a_main_is_refused(edge: Path) -> None:
    (edge / "components" / "uplink" / "__main__.py").unlink()
    with pytest.raises(recipes.RecipeError, match=r"there is no __main__\.py"):
        recipes.load("uplink")


def test_a_recipe_that_is_too_long_is_refused() -> None:
    source = recipes.load("uplink")
    long = source._replace(recipe={**source.recipe, "ComponentDescription": "x" * 16_000})
    with pytest.raises(recipes.RecipeError, match="allowed are 16000"):
        long.published("bucket", "components")


def test_archives_have_the_same_bytes_whatever_the_order() -> None:
    files = {"b/c.py": b"1", "a.py": b"2"}
    backwards = dict(reversed(files.items()))
    assert component_recipes.zipped(files) == component_recipes.zipped(backwards)
    assert archives.tar_gz_bytes(files) == archives.tar_gz_bytes(backwards)
    assert archives.version(files) == archives.version(backwards)
    with tarfile.open(fileobj=io.BytesIO(archives.tar_gz_bytes(files))) as archive:
        assert archive.getnames() == ["a.py", "b/c.py"]
    # A byte that moves from one file to its neighbour makes another content.
    assert archives.version({"a": b"xy", "b": b""}) != archives.version({"a": b"x", "b": b"y"})


def test_no_archive_depends_on_the_version_of_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other versions deflate to other bytes; zlib-ng, which some distributions have in its place, does so already."""

    def deflate(*_: Any, **__: Any) -> None:
        raise AssertionError("deflated")

    monkeypatch.setattr(zlib, "compressobj", deflate)
    large = bytes(range(256)) * 600  # more than one stored block
    packed = archives.tar_gz_bytes({"a.bin": large, "empty": b""})
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        extracted = archive.extractfile("a.bin")
        assert extracted is not None
        assert extracted.read() == large
    assert len(gzip.decompress(packed)) % tarfile.BLOCKSIZE == 0  # its checksum and length hold
    made = {source.name: source.artifact() for source in edge_components.sources()}
    made["model"] = component_recipes.zipped({"model.onnx": large})
    made["function"] = archive_bytes(pulumi.AssetArchive({"a.py": pulumi.StringAsset("pass")}))
    for name, content in made.items():
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert {entry.compress_type for entry in archive.infolist()} <= {zipfile.ZIP_STORED}, name
    assert len(made) > 6


def test_versions_are_such_as_greengrass_takes() -> None:
    for content in (b"a", b"b", b"c"):
        version = component_recipes.content_version(content)
        assert version.split(".")[0] == "1"
        assert re.fullmatch(recipe_format.VERSION_PATTERN, version)
        assert all(int(part) < 1_000_000 and str(int(part)) == part for part in version.split("."))
