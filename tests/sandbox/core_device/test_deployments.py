"""Deployments to a core device over AWS IoT jobs: configuration, roll-back, thing groups, artifacts, the uplink.

It does not prove that a real nucleus accepts the same recipes, and it deploys components of a few lines of shell
instead of the product's own.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from pm_sandbox.core_device import CoreDevice, CoreDeviceError
from tests.sandbox.core_device.site_by_hand import BUCKET, CANARY, SITE, THING, Site
from tests.waiting import eventually


def test_a_deployment_installs_configures_and_runs(device: CoreDevice, site: Site) -> None:
    site.component(
        "test.Clock",
        "1.0.0",
        {
            "install": {"Script": 'cat "{artifacts:decompressedPath}/payload/motd.txt"'},
            "run": {
                "Setenv": {"PERIOD": "{configuration:/period}"},
                "Script": "echo {configuration:/greeting} from {iot:thingName} every $PERIOD; env; exec sleep 1000",
            },
        },
        files={"motd.txt": "what was in the archive\n"},
        configuration={"greeting": "hello", "period": 5},
    )
    change = {"merge": json.dumps({"greeting": "good morning"})}
    deployment_id = site.deploy(
        {
            "test.Clock": {"componentVersion": "1.0.0", "configurationUpdate": change},
            "aws.greengrass.Cli": {"componentVersion": "2.0.0"},
        }
    )
    result = device.wait_for_deployment(deployment_id)
    assert (result["status"], result["code"]) == ("SUCCEEDED", "SUCCESSFUL")
    # `run` is up when its process is there, which writes a moment later.
    eventually(lambda: "PM_IOT_ENDPOINT=" in device.logs("test.Clock"), "what it writes")
    written = device.logs("test.Clock")
    assert "what was in the archive" in written
    assert f"good morning from {THING} every 5" in written
    assert f"AWS_IOT_THING_NAME={THING}" in written
    assert f"PM_LOCAL_BROKER=127.0.0.1:{device.status()['broker_port']}" in written
    assert "PM_IOT_ENDPOINT=127.0.0.1:" in written
    assert "AWS_SECRET_ACCESS_KEY" not in written, "a component must not see the operator's credentials"
    status = device.status()
    assert status["components"]["test.Clock"]["state"] == "RUNNING"
    assert psutil.pid_exists(status["components"]["test.Clock"]["pid"])
    assert list(status["not_run"]) == ["aws.greengrass.Cli"]
    effective = eventually(
        lambda: (e := site.effective(deployment_id))["coreDeviceExecutionStatus"] == "SUCCEEDED" and e,
        "the cloud hears of it",
    )
    assert effective["reason"] == "2 components are up"


def test_a_plug_in_that_does_not_take_the_nucleus_fails_its_deployment(device: CoreDevice, site: Site) -> None:
    assert device.status()["nucleus"] == {"kind": "classic", "version": "2.16.1"}
    too_old = site.deploy({"aws.greengrass.clientdevices.IPDetector": {"componentVersion": "2.2.0"}})
    with pytest.raises(CoreDeviceError, match=r"FAILED_NO_STATE_CHANGE.*IPDetector 2.2.0 requires >=2.2.0 <2.14.0"):
        device.wait_for_deployment(too_old)
    older = {"aws.greengrass.Nucleus": {"componentVersion": "2.13.0"}}
    plug_in = {"aws.greengrass.clientdevices.IPDetector": {"componentVersion": "2.2.0"}}
    device.wait_for_deployment(site.deploy({**plug_in, **older}))
    assert device.status()["nucleus"]["version"] == "2.13.0"
    # It stays what it has become, and is no longer named.
    device.wait_for_deployment(site.deploy(plug_in))
    assert device.status()["nucleus"]["version"] == "2.13.0"
    device.wait_for_deployment(site.deploy({"aws.greengrass.Nucleus": {"componentVersion": "2.16.1"}}))


def test_configuration_is_kept_over_deployments_until_it_is_reset(device: CoreDevice, site: Site) -> None:
    lifecycle = {"install": "echo a={configuration:/a} b={configuration:/b}"}
    site.component("test.Settings", "1.0.0", lifecycle, configuration={"a": "1", "b": "1"})
    site.component("test.Settings", "2.0.0", lifecycle, configuration={"a": "2", "b": "2"})

    def line_after(version: str, update: dict[str, Any]) -> str:
        asked = {"test.Settings": {"componentVersion": version, "configurationUpdate": update}}
        device.wait_for_deployment(site.deploy(asked))
        return device.logs("test.Settings").splitlines()[-1]

    assert line_after("1.0.0", {"merge": '{"a": "mine"}'}) == "a=mine b=1"
    assert line_after("2.0.0", {}) == "a=mine b=2"
    assert line_after("2.0.0", {"reset": ["/a"]}) == "a=2 b=2"


def test_a_component_that_cannot_run_is_rolled_back_to_what_ran_before(device: CoreDevice, site: Site) -> None:
    site.component(
        "test.Steady", "1.0.0", {"run": "echo one {configuration:/a}; exec sleep 1000"}, configuration={"a": 1}
    )
    site.component("test.Steady", "2.0.0", {"startup": "echo two is on fire; exit 3"})
    device.wait_for_deployment(site.deploy({"test.Steady": {"componentVersion": "1.0.0"}}))
    changed = {"merge": json.dumps({"a": "changed"})}
    deployment_id = site.deploy({"test.Steady": {"componentVersion": "2.0.0", "configurationUpdate": changed}})
    with pytest.raises(CoreDeviceError, match=r"FAILED_ROLLBACK_COMPLETE.*exit code 3.*two is on fire"):
        device.wait_for_deployment(deployment_id)
    component = device.status()["components"]["test.Steady"]
    assert (component["version"], component["state"]) == ("1.0.0", "RUNNING")
    effective = eventually(
        lambda: (e := site.effective(deployment_id))["coreDeviceExecutionStatus"] == "FAILED" and e,
        "the cloud hears of it",
    )
    # Why is in the device's log alone, as on a real one.
    assert effective["reason"] == "Service test.Steady in broken state after deployment"
    # With the configuration from before.
    eventually(lambda: device.logs("test.Steady").splitlines()[-1] == "one 1", lambda: device.logs("test.Steady"))


def test_a_configuration_that_breaks_a_component_is_rolled_back(device: CoreDevice, site: Site) -> None:
    script = 'echo rate {configuration:/rate}; test "{configuration:/rate}" -gt 0'
    site.component("test.Rate", "1.0.0", {"startup": script}, configuration={"rate": 5})
    device.wait_for_deployment(site.deploy({"test.Rate": {"componentVersion": "1.0.0"}}))
    bad = {"merge": json.dumps({"rate": "fast"})}
    deployment_id = site.deploy({"test.Rate": {"componentVersion": "1.0.0", "configurationUpdate": bad}})
    with pytest.raises(CoreDeviceError, match=r"FAILED_ROLLBACK_COMPLETE.*test.Rate 1.0.0 is broken"):
        device.wait_for_deployment(deployment_id)
    assert device.status()["components"]["test.Rate"]["state"] == "RUNNING"
    eventually(lambda: device.logs("test.Rate").splitlines()[-1] == "rate 5", lambda: device.logs("test.Rate"))


def test_without_roll_back_the_broken_component_stays_for_a_look(device: CoreDevice, site: Site) -> None:
    site.component("test.Broken", "1.0.0", {"startup": "exit 7"})
    deployment_id = site.deploy({"test.Broken": {"componentVersion": "1.0.0"}}, on_failure="DO_NOTHING")
    with pytest.raises(CoreDeviceError, match="FAILED_ROLLBACK_NOT_REQUESTED"):
        device.wait_for_deployment(deployment_id)
    component = device.status()["components"]["test.Broken"]
    assert component["state"] == "BROKEN"
    assert component["restarts"] == 2


def test_two_groups_are_merged_and_neither_disturbs_the_other(device: CoreDevice, site: Site) -> None:
    site.component("test.Code", "1.0.0", {"run": "exec sleep 1000"})
    install = 'ln -sfn "{artifacts:decompressedPath}/payload" current.new && mv -T current.new current'
    for version in ("1.0.0", "2.0.0"):
        site.component("test.Model", version, {"install": install}, files={"weights": version})
    device.wait_for_deployment(site.deploy({"test.Code": {"componentVersion": "1.0.0"}}))
    before = device.status()["components"]["test.Code"]["pid"]
    weights = device.directory / "nucleus" / "work" / "test.Model" / "current" / "weights"
    for version in ("1.0.0", "2.0.0", "1.0.0"):
        asked = {"test.Model": {"componentVersion": version}}
        device.wait_for_deployment(site.deploy(asked, f"{SITE}-model"))
        assert weights.read_text() == version
    components = device.status()["components"]
    assert components["test.Code"]["pid"] == before
    assert components["test.Model"]["state"] == "FINISHED"


def test_two_groups_that_ask_for_different_versions_are_refused(device: CoreDevice, site: Site) -> None:
    for version in ("1.0.0", "2.0.0"):
        site.component("test.Shared", version, {"run": "exec sleep 1000"})
    device.wait_for_deployment(site.deploy({"test.Shared": {"componentVersion": "1.0.0"}}))
    deployment_id = site.deploy({"test.Shared": {"componentVersion": "2.0.0"}}, f"{SITE}-model")
    with pytest.raises(CoreDeviceError, match=r"FAILED_NO_STATE_CHANGE.*asks for version 2.0.0"):
        device.wait_for_deployment(deployment_id)
    assert device.status()["components"]["test.Shared"]["version"] == "1.0.0"


def test_two_core_devices_of_a_site_run_side_by_side_and_the_canary_has_its_own(
    device: CoreDevice, site: Site, folder: Path
) -> None:
    site.component("test.Both", "1.0.0", {"run": "exec sleep 1000"})
    for version in ("1.0.0", "2.0.0"):
        site.component("test.Trial", version, {"install": f"echo model {version}"})
    device.wait_for_deployment(site.deploy({"test.Trial": {"componentVersion": "1.0.0"}}, f"{SITE}-model"))
    with CoreDevice.start(site.cloud, folder.parent / CANARY, CANARY, site.output) as canary:
        both = site.deploy({"test.Both": {"componentVersion": "1.0.0"}})
        trial = site.deploy({"test.Trial": {"componentVersion": "2.0.0"}}, f"{SITE}-canary")
        device.wait_for_deployment(both)
        canary.wait_for_deployment(both)
        canary.wait_for_deployment(trial)
        first, second = device.status(), canary.status()
        assert first["broker_port"] != second["broker_port"]
        assert first["components"]["test.Both"]["pid"] != second["components"]["test.Both"]["pid"]
        assert first["components"]["test.Trial"]["version"] == "1.0.0"
        assert second["components"]["test.Trial"]["version"] == "2.0.0"
        assert trial not in {each["deployment_id"] for each in first["deployments"]}
        canary.cut_uplink()
        assert device.status()["uplink"] == "up"
        # As its last one, so that the canary's group asks nothing of later tests.
        canary.restore_uplink()
        canary.wait_for_deployment(site.deploy({}, f"{SITE}-canary"))
    assert device.status()["components"]["test.Both"]["state"] == "RUNNING"


def test_an_artifact_that_is_not_what_the_component_was_made_with_is_refused(device: CoreDevice, site: Site) -> None:
    site.component("test.Tampered", "1.0.0", {"run": "exec sleep 1000"}, files={"a": "b"})
    key = "components/test.Tampered/1.0.0/payload.zip"
    site.cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"something else")
    found = base64.b64encode(hashlib.sha256(b"something else").digest()).decode()
    with pytest.raises(CoreDeviceError) as refusal:
        device.wait_for_deployment(site.deploy({"test.Tampered": {"componentVersion": "1.0.0"}}))
    assert f"its SHA-256 is {found}" in str(refusal.value)


def test_the_role_of_the_device_must_allow_the_artifact(device: CoreDevice, site: Site) -> None:
    site.component("test.Elsewhere", "1.0.0", {"run": "exec sleep 1000"}, files={"a": "b"}, folder="secret")
    with pytest.raises(CoreDeviceError, match=r"test.Elsewhere.*(AccessDenied|not authorized)"):
        device.wait_for_deployment(site.deploy({"test.Elsewhere": {"componentVersion": "1.0.0"}}))


def test_a_deployment_made_while_the_uplink_is_cut_arrives_when_it_is_back(device: CoreDevice, site: Site) -> None:
    site.component("test.Late", "1.0.0", {"run": "exec sleep 1000"}, files={"a": "b"})
    device.cut_uplink()
    eventually(lambda: not device.status()["connected"], "the nucleus notices")
    deployment_id = site.deploy({"test.Late": {"componentVersion": "1.0.0"}})
    assert device.status()["uplink"] == "cut"
    assert "test.Late" not in device.status()["components"]
    device.restore_uplink()
    device.wait_for_deployment(deployment_id)
    assert device.status()["components"]["test.Late"]["state"] == "RUNNING"
