"""The rules of a nucleus that need no cloud and no process: recipes, configuration, variables, merging of deployments.

What AWS's own nuclei make of the same documents was read in their code and manuals, and is not run here.
"""

import base64
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pm_components.aws import recipes
from pm_components.functions.component_recipes import RecipeError, merged
from pm_components.greengrass_site.nuclei import NucleusKind
from pm_sandbox.core_device.artifacts import ArtifactStore
from pm_sandbox.core_device.cloud_access import CloudAccess, Offline
from pm_sandbox.core_device.deployments import (
    DeploymentError,
    DeviceState,
    is_public,
    parse_deployment,
    start_order,
    with_dependents,
)
from pm_sandbox.core_device.recipes import (
    Recipe,
    configuration_value,
    interpolate,
    newest,
    parse_recipe,
    satisfies,
    without,
)

COMPONENTS = Path(__file__).parents[3] / "pm_edge" / "components"


def document(**changes: Any) -> dict[str, Any]:
    manifest = {"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": {"run": {"Script": "true"}}}
    recipe = {
        "RecipeFormatVersion": "2020-01-25",
        "ComponentName": "pm.Thing",
        "ComponentVersion": "1.2.3",
        "Manifests": [{**manifest, **changes.pop("manifest", {})}],
    }
    return {**recipe, **changes}


def recipe(name: str, version: str = "1.0.0", **dependencies: str) -> Recipe:
    wanted = {
        other: {"VersionRequirement": text.split(" ", 1)[1], "DependencyType": text.split()[0]}
        for other, text in dependencies.items()
    }
    return parse_recipe(document(ComponentName=name, ComponentVersion=version, ComponentDependencies=wanted))


def job(target: str, **components: Any) -> dict[str, Any]:
    asked = {name: each if isinstance(each, dict) else {"componentVersion": each} for name, each in components.items()}
    return {"deploymentId": f"to-{target}", "targetArn": target, "components": asked}


def test_the_first_manifest_for_this_machine_is_taken() -> None:
    windows = {"Platform": {"os": "windows"}, "Lifecycle": {"run": "dir"}}
    here = {"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": {"setenv": {"A": 1}, "run": {"Script": "ls"}}}
    found = parse_recipe({**document(), "Manifests": [windows, here]})
    assert found.steps["run"].script == "ls"
    assert found.environment == {"A": "1"}
    with pytest.raises(RecipeError, match=r"pm.Thing 1.2.3: no manifest is for this machine"):
        parse_recipe({**document(), "Manifests": [windows]})


def test_a_manifest_for_nucleus_lite_is_taken_by_it_alone_and_one_without_a_runtime_by_a_classic_one() -> None:
    steps = {"run": {"Script": "true"}}
    lite = {"Platform": {"os": "linux", "runtime": "aws_nucleus_lite"}, "Lifecycle": {**steps}, "Artifacts": []}
    classic = {"Platform": {"os": "linux"}, "Lifecycle": {"startup": {"Script": "true"}}}
    for manifests in ([lite, classic], [classic, lite]):
        both = document(Manifests=manifests)
        assert set(parse_recipe(both).steps) == {"startup"}
        assert set(parse_recipe(both, NucleusKind.LITE).steps) == {"run"}
    with pytest.raises(RecipeError, match="no manifest is for this machine"):
        parse_recipe(document(Manifests=[lite]))
    with pytest.raises(RecipeError, match="no manifest is for this machine"):
        parse_recipe(document(Manifests=[classic]), NucleusKind.LITE)


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        ({"Lifecycle": {"install": "true"}, "Artifacts": []}, r"waits 300 s for .* neither run nor startup"),
        ({}, "wants Artifacts, an empty list where there are none"),
        ({"Lifecycle": {"run": "true", "shutdown": "true"}, "Artifacts": []}, "has no lifecycle step shutdown"),
        ({"Lifecycle": {"startup": "true"}, "Artifacts": []}, "startup a unit of Type=notify"),
    ],
)
def test_what_nucleus_lite_alone_refuses(manifest: dict[str, Any], complaint: str) -> None:
    parse_recipe(document(manifest=manifest))
    with pytest.raises(RecipeError, match=complaint):
        parse_recipe(document(manifest=manifest), NucleusKind.LITE)


def test_nucleus_lite_would_stop_a_component_with_what_it_depends_on_hard() -> None:
    hard = {"pm.Other": {"VersionRequirement": "*"}, "aws.greengrass.TokenExchangeService": {"VersionRequirement": "*"}}
    of_ours = document(ComponentDependencies=hard, manifest={"Artifacts": []})
    parse_recipe(of_ours)
    with pytest.raises(RecipeError, match=r"depends HARD on pm.Other; .* allowed is SOFT"):
        parse_recipe(of_ours, NucleusKind.LITE)
    del hard["pm.Other"]
    parse_recipe(of_ours, NucleusKind.LITE)


@pytest.mark.parametrize("path", sorted(COMPONENTS.glob("*/recipe.yaml")), ids=lambda path: path.parent.name)
@pytest.mark.parametrize("kind", NucleusKind)
def test_both_nuclei_take_each_recipe_of_ours(path: Path, kind: NucleusKind) -> None:
    source = recipes.load(path.parent.name).recipe
    for artifact in (artifact for manifest in source["Manifests"] for artifact in manifest["Artifacts"]):
        artifact["Digest"] = "noted by the cloud"
    recipe = parse_recipe(source, kind)
    assert recipe.steps.keys() & {"run", "startup"}


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        ({"Lifecycle": {"recover": {"Script": "true"}}}, "lifecycle step 'recover'; allowed here are install"),
        ({"Lifecycle": {"run": {"Script": "true", "Skipif": "onpath sh"}}}, "skipif; allowed are Script"),
        ({"Lifecycle": {"run": {"Script": "true", "RequiresPrivilege": True}}}, "wants to run as root"),
        ({"Artifacts": [{"Uri": "docker:nginx"}]}, "artifact 'docker:nginx': allowed is s3://BUCKET/KEY"),
        ({"Artifacts": [{"Uri": "s3://b/k.zip"}]}, "has no SHA-256 digest"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(manifest: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        parse_recipe(document(manifest=manifest))


def test_variables_are_replaced_and_shell_braces_are_left_alone() -> None:
    configuration = {"a": {"b": "text"}, "list": [1, 2], "on": True, "slash/key": "x"}

    def look_up(namespace: str, key: str) -> str | None:
        return configuration_value(configuration, key) if namespace == "configuration" else {"thingName": "t"}.get(key)

    text = "${HOME} {configuration:/a/b} {iot:thingName} {configuration:/list} {configuration:/slash~1key}"
    assert interpolate(text, look_up) == "${HOME} text t [1,2] x"
    with pytest.raises(RecipeError, match=r"variable \{configuration:/a/c\} has no value"):
        interpolate("{configuration:/a/c}", look_up)
    with pytest.raises(RecipeError, match=r"one of another component"):
        interpolate("{pm.Other:configuration:/a}", look_up)


def test_configuration_is_merged_map_by_map_and_reset_by_pointer() -> None:
    assert merged({"a": {"b": 1, "c": [1]}, "d": 1}, {"a": {"c": [2]}, "e": 2}) == {
        "a": {"b": 1, "c": [2]},
        "d": 1,
        "e": 2,
    }
    assert without({"a": {"b": 1, "c": 2}}, "/a/b") == {"a": {"c": 2}}
    assert without({"a": {"b": 1}}, "/x/y") == {"a": {"b": 1}}
    assert without({"a": 1}, "") == {}


@pytest.mark.parametrize(
    ("version", "requirement", "expected"),
    [
        ("1.2.3", "*", True),
        ("1.2.3", ">=0.0.0", True),
        ("1.2.3", ">=1.2.3 <2.0.0", True),
        ("2.0.0", ">=1.2.3 <2.0.0", False),
        ("1.10.0", ">1.9.0", True),
        ("1.2.3", "=1.2.4", False),
        ("1.2.3", "1.2.3", True),
    ],
)
def test_version_requirements(version: str, requirement: str, expected: bool) -> None:
    assert satisfies(version, requirement) is expected


def test_the_newest_version_that_fits_is_taken_and_an_unknown_requirement_refused() -> None:
    assert newest(["1.9.0", "1.10.0", "2.0.0"], "<2.0.0") == "1.10.0"
    assert newest(["1.0.0"], ">1.0.0") is None
    with pytest.raises(RecipeError, match=r"version requirement '\^1.0.0'"):
        satisfies("1.0.0", "^1.0.0")


def test_a_new_deployment_replaces_that_of_its_target_and_is_merged_with_the_others() -> None:
    state = DeviceState()
    for each in (job("code", Up="1.0.0", Old="1.0.0"), job("model", Model="1.0.0"), job("code", Up="2.0.0")):
        state = state.with_deployment(parse_deployment(each))
    assert state.versions() == {"Up": "2.0.0", "Model": "1.0.0"}
    again = DeviceState.from_json(json.loads(json.dumps(state.to_json())))
    assert again.versions() == state.versions()
    assert again.deployments.keys() == {"code", "model"}


def test_configuration_changes_outlive_their_deployment_until_the_component_leaves() -> None:
    change = {"componentVersion": "1.0.0", "configurationUpdate": {"merge": '{"a": 1, "b": {"c": 2}}'}}
    state = DeviceState().with_deployment(parse_deployment(job("code", Up=change)))
    reset = {"componentVersion": "2.0.0", "configurationUpdate": {"reset": ["/b/c"], "merge": {"d": 3}}}
    state = state.with_deployment(parse_deployment(job("code", Up=reset)))
    assert state.overrides == {"Up": {"a": 1, "b": {}, "d": 3}}
    assert state.with_deployment(parse_deployment(job("code"))).overrides == {}


def test_two_targets_that_disagree_are_refused() -> None:
    state = DeviceState().with_deployment(parse_deployment(job("code", Up="1.0.0")))
    with pytest.raises(DeploymentError, match=r"Up: model asks for version 2.0.0, and code asks for 1.0.0"):
        state.with_deployment(parse_deployment(job("model", Up="2.0.0")))
    assert state.with_deployment(parse_deployment(job("model", Up="1.0.0"))).versions() == {"Up": "1.0.0"}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"targetArn": None, "components": None}, "none of a deployment"),
        ({"components": {"Up": {}}}, "componentVersion"),
        ({"components": {"Up": {"componentVersion": "1", "configurationUpdate": {"merge": "{"}}}}, "Up: .* no JSON"),
        ({"components": {"Up": {"componentVersion": "1", "configurationUpdate": {"merge": "[]"}}}}, "JSON object"),
        ({"components": {"Up": {"componentVersion": "1", "configurationUpdate": {"reset": ["a"]}}}}, "JSON pointer"),
    ],
)
def test_a_job_document_that_is_no_deployment_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DeploymentError, match=complaint):
        parse_deployment({**job("code"), **change})


def test_components_start_after_what_they_depend_on() -> None:
    recipes = {
        each.name: each
        for each in (
            recipe("A", B="HARD >=1.0.0", **{"aws.greengrass.TokenExchangeService": "HARD *"}),
            recipe("B", C="SOFT >=1.0.0"),
            recipe("C"),
        )
    }
    assert start_order(recipes) == ["C", "B", "A"]
    assert with_dependents(["B"], recipes) == {"A", "B"}
    assert with_dependents(["C"], recipes) == {"C"}
    assert is_public("aws.greengrass.TokenExchangeService")


def test_dependencies_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(DeploymentError, match=r"A needs B >=2.0.0, and 1.0.0 is deployed"):
        start_order({"A": recipe("A", B="HARD >=2.0.0"), "B": recipe("B")})
    with pytest.raises(DeploymentError, match=r"circle: A -> B -> A"):
        start_order({"A": recipe("A", B="HARD *"), "B": recipe("B", A="HARD *")})


class Shelf:
    """A stand-in for an S3 client, with one object in memory."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked = 0

    def get_object(self, **_: str) -> dict[str, Any]:
        self.asked += 1
        return {"Body": self}

    def iter_chunks(self, size: int) -> list[bytes]:
        return [self.content[start : start + size] for start in range(0, len(self.content), size)]


def with_artifact(content: bytes) -> Recipe:
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    artifact = {"Uri": "s3://bucket/some/model.zip", "Unarchive": "ZIP", "Digest": digest, "Algorithm": "SHA-256"}
    return parse_recipe(document(manifest={"Artifacts": [artifact]}))


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in files.items():
            target.writestr(name, content)
    return buffer.getvalue()


def test_an_archive_is_unpacked_into_a_folder_of_its_name_and_fetched_once(tmp_path: Path) -> None:
    store, shelf = ArtifactStore(tmp_path), Shelf(archive(a="1"))
    thing = with_artifact(shelf.content)
    store.fetch(thing, shelf)
    store.fetch(thing, shelf)
    assert shelf.asked == 1
    assert (store.unpacked_path("pm.Thing", "1.2.3") / "model" / "a").read_text() == "1"
    store.keep_only({("pm.Thing", "1.2.3")})
    assert (store.path("pm.Thing", "1.2.3") / "model.zip").exists()
    store.keep_only(set())
    assert list(tmp_path.glob("*/*/*")) == []


def test_a_truncated_archive_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    content = archive(a="1" * 5000)[:-30]
    with pytest.raises(DeploymentError, match=r"s3://bucket/some/model.zip: no ZIP archive"):
        ArtifactStore(tmp_path).fetch(with_artifact(content), Shelf(content))
    assert not (ArtifactStore(tmp_path).unpacked_path("pm.Thing", "1.2.3") / "model").exists()


def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path) -> None:
    content = archive(**{"../../outside": "x"})
    with pytest.raises(DeploymentError, match=r"'../../outside' would land outside"):
        ArtifactStore(tmp_path).fetch(with_artifact(content), Shelf(content))
    assert list(tmp_path.rglob("outside")) == []


def test_a_full_disk_is_a_clear_reason_and_leaves_nothing(tmp_path: Path) -> None:
    content = archive(a="1")
    folder = ArtifactStore(tmp_path).path("pm.Thing", "1.2.3")
    folder.mkdir(parents=True)
    # The kernel's own answer of a disk without room, where the download is written.
    (folder / "model.zip.partial").symlink_to("/dev/full")
    with pytest.raises(DeploymentError, match=r"model.zip: the device's disk is full"):
        ArtifactStore(tmp_path).fetch(with_artifact(content), Shelf(content))
    assert list(folder.iterdir()) == []


def test_a_cloud_that_cannot_be_reached_is_told_from_one_that_refuses() -> None:
    operator = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    nowhere = CloudAccess("http://127.0.0.1:9", operator, "000000000000", "gera-core", "arn:aws:iam::0:role/x")
    with pytest.raises(Offline):
        nowhere.recipe("pm.Thing", "1.2.3")
    with pytest.raises(Offline):
        nowhere.s3()
