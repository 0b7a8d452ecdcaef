"""The recipes: the rules of both nuclei on the files, and the models' install script run by a real shell.

Not proved here: that AWS accepts them (CreateComponentVersion) and that a real nucleus runs them.
"""

import argparse
import re
import subprocess
import sys
import threading
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from pm_components.aws import recipes
from pm_contracts import site_devices, topics
from pm_contracts.model_signature import KEYS_FILE, decode_keys, encode_keys
from pm_edge.runtime.settings import argument_parser, component_name, parse_settings
from resilience.signing import public_pem
from tests.waiting import eventually

COMPONENTS = Path(__file__).parents[2] / "pm_edge" / "components"
CODE = {
    "uplink": "pm.Uplink",
    "forecaster": "pm.Forecaster",
    "forecast_challenger": "pm.ForecastChallenger",
    "fault_detector": "pm.FaultDetector",
    "replayer": "pm.Replayer",
    "device_simulator": "pm.DeviceSimulator",
}
MODELS = {"forecast_model": "pm.ForecastModel", "fault_model": "pm.FaultModel"}
ALL = {**CODE, **MODELS, "python_runtime": "pm.PythonRuntime", "site_devices": "pm.SiteDevices"}
#: "Component recipe reference", maximum size of a recipe.
MAXIMUM_BYTES = 16_000
#: Variables that nucleus lite replaces in scripts and Setenv; docs/RECIPE_SUPPORT_CHANGES.md of aws-greengrass-lite.
VARIABLES = re.compile(
    r"artifacts:path|artifacts:decompressedPath|kernel:rootPath|iot:thingName|work:path|configuration:/[A-Za-z]+"
)
PLACEHOLDERS = {"SITE": "lindau", "*": "air-1"}


def recipe_of(folder: str) -> dict[str, Any]:
    return recipes.load(folder).recipe


def steps_of(recipe: dict[str, Any]) -> dict[str, Any]:
    """The steps of all manifests; one that two of them have is the same in both."""
    steps: dict[str, Any] = {}
    for manifest in recipe["Manifests"]:
        for name, step in manifest["Lifecycle"].items():
            assert steps.setdefault(name, step) == step
    return steps


def test_each_folder_with_a_main_has_a_recipe_and_no_recipe_is_missed():
    assert {path.parent.name for path in COMPONENTS.glob("*/recipe.yaml")} == set(ALL)
    assert {path.parent.name for path in COMPONENTS.glob("*/__main__.py")} == set(CODE)


@pytest.mark.parametrize("folder", ALL)
def test_a_recipe_keeps_to_what_both_nuclei_read(folder):
    text = (COMPONENTS / folder / "recipe.yaml").read_text()
    recipe = recipe_of(folder)
    assert len(text.encode()) <= MAXIMUM_BYTES
    assert set(recipe) <= {
        "RecipeFormatVersion", "ComponentName", "ComponentVersion", "ComponentType", "ComponentDescription",
        "ComponentPublisher", "ComponentDependencies", "ComponentConfiguration", "Manifests",
    }  # fmt: skip
    assert recipe["RecipeFormatVersion"] == "2020-01-25"
    assert recipe["ComponentName"] == ALL[folder]
    assert recipe["ComponentVersion"] == "0.0.0"
    assert recipe["ComponentType"] == "aws.greengrass.generic"
    # Lite takes no manifest without a runtime, and a classic nucleus none for another one. Lite knows neither shutdown
    # nor recover, nor Skipif, and waits in vain for a component that only installs.
    expected = (
        [({"os": "linux", "runtime": "aws_nucleus_lite"}, {"run"}), ({"os": "linux"}, {"startup"})]
        if folder in CODE
        else [({"os": "linux", "runtime": "*"}, {"install", "run"})]
    )
    assert [(each["Platform"], set(each["Lifecycle"])) for each in recipe["Manifests"]] == expected
    for step in steps_of(recipe).values():
        # No Setenv: what it sets is not all that reaches a script which sudo starts.
        assert set(step) <= {"Script", "Timeout"}
    for artifact in (artifact for manifest in recipe["Manifests"] for artifact in manifest["Artifacts"]):
        assert re.fullmatch(r"s3://BUCKET/KEY/(component|model|devices)\.zip", artifact["Uri"])
        assert artifact["Unarchive"] == "ZIP"


@pytest.mark.parametrize("folder", ALL)
def test_every_brace_of_a_script_is_a_variable_that_lite_replaces_and_names_a_setting_that_exists(folder):
    recipe = recipe_of(folder)
    settings = recipe["ComponentConfiguration"]["DefaultConfiguration"]
    for text in (step["Script"] for step in steps_of(recipe).values()):
        inside = re.findall(r"\{([^{}]*)\}", text)
        assert text.count("{") == text.count("}") == len(inside)
        for variable in inside:
            assert VARIABLES.fullmatch(variable), variable
            if variable.startswith("configuration:/"):
                assert isinstance(settings[variable.removeprefix("configuration:/")], str)


@pytest.mark.parametrize("folder", CODE)
def test_the_run_script_starts_the_folder_s_main_with_arguments_that_it_takes(folder, monkeypatch):
    steps = steps_of(recipe_of(folder))
    assert steps["run"] == steps["startup"]
    words = steps["run"]["Script"].replace('"', "").split()
    path = "PYTHONPATH={artifacts:decompressedPath}/component"
    assert words[:3] == ["export", path, "PYTHONUNBUFFERED=1;"]
    assert words[3:7] == ["exec", "{configuration:/python}", "-m", f"pm_edge.components.{folder}"]
    assert (COMPONENTS / folder / "__main__.py").exists()
    given = {word for word in words if word.startswith("--")}
    taken: set[str] = set()
    add = argparse.ArgumentParser.add_argument

    def note(self: argparse.ArgumentParser, *names: str, **options: Any) -> Any:
        taken.update(name for name in names if name.startswith("--"))
        return add(self, *names, **options)

    monkeypatch.setattr(argparse.ArgumentParser, "add_argument", note)
    if folder == "uplink":
        from pm_edge.components.uplink.__main__ import _arguments

        with pytest.raises(SystemExit):
            _arguments(["--help"])
    else:
        argument_parser(f"pm_edge.components.{folder}", "")
    # The devices come from the file that pm.SiteDevices installs.
    assert given == taken - {"--help", "--devices"}
    assert component_name(f"pm_edge.components.{folder}") == CODE[folder]


@pytest.mark.parametrize("folder", CODE)
def test_access_is_granted_by_operation_and_by_topics_of_the_contract(folder):
    recipe = recipe_of(folder)
    control = recipe["ComponentConfiguration"]["DefaultConfiguration"]["accessControl"]
    assert set(control) == {"aws.greengrass.ipc.pubsub"}
    operations = []
    for name, policy in control["aws.greengrass.ipc.pubsub"].items():
        assert name.startswith(f"{recipe['ComponentName']}:pubsub:")
        [operation] = policy["operations"]
        operations.append(operation)
        for resource in policy["resources"]:
            topic = "/".join(PLACEHOLDERS.get(level, level) for level in resource.split("/"))
            if (folder, resource) == ("uplink", "pm/SITE/#"):
                continue
            topics.parse_topic(topic)
            assert resource.startswith("pm/SITE/"), "another site's topics"
    assert operations == ["aws.greengrass#SubscribeToTopic", "aws.greengrass#PublishToTopic"]


@pytest.mark.parametrize("folder", CODE)
def test_none_but_the_uplink_gives_orders_on_the_floor(folder):
    control = recipe_of(folder)["ComponentConfiguration"]["DefaultConfiguration"]["accessControl"]
    published = [
        resource
        for policy in control["aws.greengrass.ipc.pubsub"].values()
        if "aws.greengrass#PublishToTopic" in policy["operations"]
        for resource in policy["resources"]
    ]
    # In a resource `*` stands for any text, further levels too ("Authorization", Greengrass IPC, developer guide).
    commands = ["pm/SITE/command/replay", "pm/SITE/command/simulate"]
    given = [command for command in commands for each in published if fnmatchcase(command, each)]
    assert given == (commands if folder == "uplink" else [])


@pytest.mark.parametrize("folder", ALL)
def test_its_readme_names_each_setting_and_topic_of_a_recipe_and_how_to_remove_it(folder):
    text = (COMPONENTS / folder / "README.md").read_text()
    settings = recipe_of(folder)["ComponentConfiguration"]["DefaultConfiguration"]
    control = settings.pop("accessControl", {}).get("aws.greengrass.ipc.pubsub", {})
    resources = {resource for policy in control.values() for resource in policy["resources"]}
    topic_words = {one.replace("*", "{device}").replace("SITE", "{site}") for one in resources}
    for word in {ALL[folder], *settings, *topic_words}:
        assert re.search(rf"[`/ ]{re.escape(word)}[`:]", text), f"{folder}/README.md does not name {word}"
    for row in ("Inputs", "Outputs", "Configuration", "Limits"):
        assert f"| {row} |" in text
    assert re.search(r"^(## )?To remove it", text, re.MULTILINE)


def _install(folder: str, root: Path, version: str, content: str, seconds: int = 0) -> str:
    """Run a model's install step as a nucleus would, of an artifact with one file; what it printed."""
    return _installation(folder, root, version, content, seconds).stdout


def _installation(
    folder: str, root: Path, version: str, content: str, seconds: int = 0, *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    unpacked = root / "artifacts-unarchived" / ALL[folder] / version
    (unpacked / "model").mkdir(parents=True, exist_ok=True)
    (unpacked / "model" / "model.onnx").write_text(content)
    script = steps_of(recipe_of(folder))["install"]["Script"]
    values = {
        "{configuration:/dataDirectory}": str(root / "data"),
        "{configuration:/takeUpSeconds}": str(seconds),
        "{iot:thingName}": "lindau-core",
        "{artifacts:decompressedPath}": f"{unpacked}/",  # lite has a slash at the end, and classic none
    }
    for variable, value in values.items():
        script = script.replace(variable, value)
    return subprocess.run(["/bin/sh", "-c", script], check=check, capture_output=True, text=True)


@pytest.mark.parametrize(("folder", "kind"), [("forecast_model", "forecast"), ("fault_model", "fault")])
def test_a_model_s_install_turns_current_and_keeps_the_one_before_it(folder, kind, tmp_path):
    models = tmp_path / "data" / "lindau-core" / "models" / kind
    current = models / "current"
    _install(folder, tmp_path, "1.0.1", "one")
    assert (current / "model.onnx").read_text() == "one"
    _install(folder, tmp_path, "1.0.2", "two")
    said = _install(folder, tmp_path, "1.0.3", "three")
    assert said == (
        f"{kind} model: 1.0.3 is current, before it was: 1.0.2\n{kind} model: nothing here has taken 1.0.3 up\n"
    )
    assert current.readlink() == Path("1.0.3")
    assert (current / "model.onnx").read_text() == "three"
    assert sorted(path.name for path in models.iterdir()) == ["1.0.2", "1.0.3", "current"]
    # A nucleus that starts again runs the step again.
    _install(folder, tmp_path, "1.0.3", "three")
    assert sorted(path.name for path in models.iterdir()) == ["1.0.2", "1.0.3", "current"]
    # A rollback is the install of the version before.
    _install(folder, tmp_path, "1.0.2", "two")
    assert (current / "model.onnx").read_text() == "two"
    # A copy that was cut short by a crash is no version.
    (models / "1.0.4.partial").mkdir()
    (models / "1.0.4.partial" / "junk").write_text("")
    _install(folder, tmp_path, "1.0.4", "four")
    assert [path.name for path in current.iterdir()] == ["model.onnx"]
    # The component has gone back from 1.0.4: what it uses is kept, and not what it gave up.
    (models / "in-use").symlink_to("1.0.2")
    _install(folder, tmp_path, "1.0.5", "five")
    assert sorted(path.name for path in models.iterdir()) == ["1.0.2", "1.0.5", "current", "in-use"]


@pytest.mark.parametrize(("folder", "kind"), [("forecast_model", "forecast"), ("fault_model", "fault")])
def test_a_model_s_install_waits_for_the_word_of_who_uses_it(folder, kind, tmp_path):
    models = tmp_path / "data" / "lindau-core" / "models" / kind
    _install(folder, tmp_path, "1.0.1", "one")

    def answer(version: str, name: str) -> threading.Thread:
        """Wait for the version to be current, as its user does, and say that."""

        def run() -> None:
            eventually(lambda: (models / "current").readlink() == Path(version), f"{version} to be current")
            if name == "in-use":
                (models / "in-use.new").symlink_to(version)
                (models / "in-use.new").replace(models / "in-use")
            else:
                (models / version / name).write_text("its checksum is wrong")

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    user = answer("1.0.2", "in-use")
    said = _install(folder, tmp_path, "1.0.2", "two", 600)
    user.join()
    assert said == f"{kind} model: 1.0.2 is current, before it was: 1.0.1\n"

    user = answer("1.0.3", "refused")
    refused = _installation(folder, tmp_path, "1.0.3", "three", 600, check=False)
    user.join()
    assert (refused.returncode, refused.stderr) == (1, f"{kind} model: 1.0.3 is refused: its checksum is wrong\n")
    # Only the way back of a failed deployment ends at a model that is older than the one in use, and succeeds.
    (models / "1.0.3" / "older").write_text("")
    assert _installation(folder, tmp_path, "1.0.3", "three", 600, check=False).returncode == 0
    (models / "1.0.3" / "older").unlink()
    # The nucleus tries it twice more.
    assert _installation(folder, tmp_path, "1.0.3", "three", 600, check=False).stderr == refused.stderr
    _install(folder, tmp_path, "1.0.2", "two", 600)
    # In a later deployment it is judged anew.
    assert "nothing here has taken 1.0.3 up" in _install(folder, tmp_path, "1.0.3", "three")

    _install(folder, tmp_path, "1.0.2", "two", 600)
    (models / "1.0.3" / "given-up").write_text("nonsense three times")
    given_up = _installation(folder, tmp_path, "1.0.3", "three", 600, check=False)
    assert (given_up.returncode, given_up.stderr) == (
        1, f"{kind} model: 1.0.3 was given up before: nonsense three times\n",
    )  # fmt: skip
    assert (models / "current").readlink() == Path("1.0.2")
    # One that was given up later does not fail the step of a device that starts again.
    (models / "1.0.2" / "given-up").write_text("nonsense three times")
    (models / "in-use").unlink()
    _install(folder, tmp_path, "1.0.2", "two", 600)


def test_a_model_s_install_fails_without_a_model(tmp_path):
    unpacked = tmp_path / "artifacts-unarchived" / "pm.FaultModel" / "1.0.1"
    unpacked.mkdir(parents=True)
    _install("fault_model", tmp_path, "1.0.0", "zero")
    script = steps_of(recipe_of("fault_model"))["install"]["Script"]
    script = script.replace("{configuration:/dataDirectory}", str(tmp_path / "data"))
    script = script.replace("{iot:thingName}", "lindau-core").replace("{artifacts:decompressedPath}", str(unpacked))
    assert subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=False).returncode != 0
    assert (tmp_path / "data/lindau-core/models/fault/current/model.onnx").read_text() == "zero"


def test_the_list_of_devices_is_installed_whole_and_read_by_a_component(tmp_path):
    unpacked = tmp_path / "artifacts-unarchived" / "pm.SiteDevices" / "1.0.1"
    (unpacked / "devices").mkdir(parents=True)
    (unpacked / "devices" / "model-keys.json").write_bytes(encode_keys([public_pem()]))
    script = steps_of(recipe_of("site_devices"))["install"]["Script"]
    script = script.replace("{configuration:/dataDirectory}", str(tmp_path / "data"))
    script = script.replace("{iot:thingName}", "lindau-core").replace("{artifacts:decompressedPath}", f"{unpacked}/")
    folder = tmp_path / "data" / "lindau-core"
    words = ["--site", "lindau", "--data-directory", str(folder)]
    for devices in ({"air-1": "air_quality"}, {"air-1": "air_quality", "machine-01": "machine"}):
        (unpacked / "devices" / site_devices.FILE_NAME).write_bytes(site_devices.encode("lindau", devices))
        subprocess.run(["/bin/sh", "-c", script], check=True)
        assert parse_settings("edge.test", "", words).devices == devices
    assert sorted(path.name for path in folder.iterdir()) == [site_devices.FILE_NAME, KEYS_FILE]
    assert len(decode_keys((folder / KEYS_FILE).read_bytes())) == 1


def _runtime_check(python: str) -> subprocess.CompletedProcess[str]:
    script = steps_of(recipe_of("python_runtime"))["install"]["Script"].replace("{configuration:/python}", python)
    return subprocess.run(["/bin/sh", "-c", script], check=False, capture_output=True, text=True)


def test_the_runtime_check_takes_this_interpreter_and_says_what_another_lacks(tmp_path):
    assert _runtime_check(sys.executable).returncode == 0
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -I "$@"\n')
    bare.chmod(0o755)
    for python in (str(bare), str(tmp_path / "nowhere")):
        refused = _runtime_check(python)
        assert refused.returncode == 1
        assert f"{python} cannot run the components" in refused.stderr
