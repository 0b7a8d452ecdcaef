"""A core device against the emulated cloud: enrolment, deployments over AWS IoT jobs, roll-back, the uplink, the end.

It does not prove that a real nucleus accepts the same recipes, and it deploys components of a few lines of shell
instead of the product's own.
"""

import base64
import hashlib
import io
import json
import os
import signal
import stat
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox.cloud import Cloud
from sandbox.core_device import CoreDevice, CoreDeviceError

SITE = "gera"
THING = "gera-core"
CANARY = "gera-core-2"
BUCKET = "gera-artifacts"
#: Seconds that anything may take here on a busy machine.
LIMIT = 40.0


class Site:
    """A site in the cloud, made by hand, and what a test asks of it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        iot, iam = cloud.client("iot"), cloud.client("iam")
        things = f"arn:aws:iot:{cloud.region}:{cloud.account_id}"
        self.groups = {}
        for group in (SITE, f"{SITE}-model", f"{SITE}-canary"):
            self.groups[group] = iot.create_thing_group(thingGroupName=group)["thingGroupArn"]
        for thing in (THING, CANARY):
            iot.create_thing(thingName=thing)
            iot.add_thing_to_thing_group(thingName=thing, thingGroupName=SITE)
        iot.add_thing_to_thing_group(thingName=THING, thingGroupName=f"{SITE}-model")
        iot.add_thing_to_thing_group(thingName=CANARY, thingGroupName=f"{SITE}-canary")
        own = "$aws/things/${iot:Connection.Thing.ThingName}/jobs"
        statements = [
            ("iot:Connect", [f"{things}:client/${{iot:Connection.Thing.ThingName}}"]),
            ("iot:Publish", [f"{things}:topic/{own}/*"]),
            ("iot:Receive", [f"{things}:topic/{own}/*"]),
            ("iot:Subscribe", [f"{things}:topicfilter/{own}/*"]),
        ]
        document = [{"Effect": "Allow", "Action": action, "Resource": resources} for action, resources in statements]
        policy = json.dumps({"Version": "2012-10-17", "Statement": document})
        iot.create_policy(policyName=f"{SITE}-device", policyDocument=policy)
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "credentials.iot.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = iam.create_role(
            RoleName=f"{SITE}-exchange",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]["Arn"]
        allowed = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/components/*"}
        iam.put_role_policy(
            RoleName=f"{SITE}-exchange",
            PolicyName="artifacts",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}),
        )
        cloud.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": cloud.region})
        self.output = {"device_policy": f"{SITE}-device", "token_exchange_role_arn": role}

    def component(
        self,
        name: str,
        version: str,
        lifecycle: dict[str, Any],
        files: dict[str, str] | None = None,
        configuration: dict[str, Any] | None = None,
        folder: str = "components",
    ) -> None:
        """Publish a component version, with an artifact `payload.zip` where it has files."""
        manifest: dict[str, Any] = {"Platform": {"os": "linux", "runtime": "*"}, "Lifecycle": lifecycle}
        if files is not None:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for path, content in files.items():
                    archive.writestr(path, content)
            key = f"{folder}/{name}/{version}/payload.zip"
            self.cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=buffer.getvalue())
            manifest["Artifacts"] = [{"Uri": f"s3://{BUCKET}/{key}", "Unarchive": "ZIP"}]
        recipe = {
            "RecipeFormatVersion": "2020-01-25",
            "ComponentName": name,
            "ComponentVersion": version,
            "ComponentConfiguration": {"DefaultConfiguration": configuration or {}},
            "Manifests": [manifest],
        }
        self.cloud.client("greengrassv2").create_component_version(inlineRecipe=json.dumps(recipe).encode())

    def deploy(self, components: dict[str, dict[str, Any]], group: str = SITE, on_failure: str = "ROLLBACK") -> str:
        """Deploy to a thing group; returns the deployment's id."""
        answer = self.cloud.client("greengrassv2").create_deployment(
            targetArn=self.groups[group],
            deploymentName=f"to {group}",
            components=components,
            deploymentPolicies={"failureHandlingPolicy": on_failure},
        )
        deployment_id: str = answer["deploymentId"]
        return deployment_id

    def effective(self, deployment_id: str) -> dict[str, Any]:
        """What the cloud knows of a deployment on the device."""
        found = self.cloud.client("greengrassv2").list_effective_deployments(coreDeviceThingName=THING)
        each: dict[str, Any] = next(e for e in found["effectiveDeployments"] if e["deploymentId"] == deployment_id)
        return each


@pytest.fixture(scope="module")
def site(cloud: Cloud) -> Site:
    return Site(cloud)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("devices") / THING


@pytest.fixture(scope="module")
def device(site: Site, folder: Path) -> Iterator[CoreDevice]:
    with CoreDevice.start(site.cloud, folder, THING, site.output) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test leaves the device with nothing deployed."""
    yield
    if "device" not in request.fixturenames:
        return
    site, device = request.getfixturevalue("site"), request.getfixturevalue("device")
    device.restore_uplink()
    ids = [site.deploy({}, group) for group in (SITE, f"{SITE}-model")]
    for deployment_id in ids:
        device.wait_for_deployment(deployment_id, LIMIT)
    assert device.status()["components"] == {}


def eventually(check: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + LIMIT
    while not (found := check()):
        assert time.monotonic() < deadline, f"not within {LIMIT} s: {what}"
        time.sleep(0.05)
    return found


def assert_ended(processes: list[psutil.Process]) -> None:
    """Nothing of it runs; a process that has ended may still wait for whoever collects its exit code."""

    def running(process: psutil.Process) -> bool:
        try:
            return bool(process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    eventually(lambda: not any(running(process) for process in processes), f"all of {processes} have ended")


def test_the_private_key_is_made_on_the_device_and_the_cloud_has_its_certificate(
    device: CoreDevice, site: Site
) -> None:
    key = device.directory / "identity" / "private-key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert "BEGIN PRIVATE KEY" in key.read_text()
    principals = site.cloud.client("iot").list_thing_principals(thingName=THING)["principals"]
    assert len(principals) == 1
    certificate = site.cloud.client("iot").describe_certificate(certificateId=principals[0].split("/")[-1])
    description = certificate["certificateDescription"]
    assert description["status"] == "ACTIVE"
    assert (device.directory / "identity" / "certificate.pem").read_text() == description["certificatePem"]
    eventually(lambda: device.status()["connected"], "the nucleus connects over TLS")


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
    result = device.wait_for_deployment(deployment_id, LIMIT)
    assert (result["status"], result["code"]) == ("SUCCEEDED", "SUCCESSFUL")
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


def test_configuration_is_kept_over_deployments_until_it_is_reset(device: CoreDevice, site: Site) -> None:
    lifecycle = {"install": "echo a={configuration:/a} b={configuration:/b}"}
    site.component("test.Settings", "1.0.0", lifecycle, configuration={"a": "1", "b": "1"})
    site.component("test.Settings", "2.0.0", lifecycle, configuration={"a": "2", "b": "2"})

    def line_after(version: str, update: dict[str, Any]) -> str:
        asked = {"test.Settings": {"componentVersion": version, "configurationUpdate": update}}
        device.wait_for_deployment(site.deploy(asked), LIMIT)
        return device.logs("test.Settings").splitlines()[-1]

    assert line_after("1.0.0", {"merge": '{"a": "mine"}'}) == "a=mine b=1"
    assert line_after("2.0.0", {}) == "a=mine b=2"
    assert line_after("2.0.0", {"reset": ["/a"]}) == "a=2 b=2"


def test_a_component_that_cannot_run_is_rolled_back_to_what_ran_before(device: CoreDevice, site: Site) -> None:
    site.component(
        "test.Steady", "1.0.0", {"run": "echo one {configuration:/a}; exec sleep 1000"}, configuration={"a": 1}
    )
    site.component("test.Steady", "2.0.0", {"run": "echo two is on fire; exit 3"})
    device.wait_for_deployment(site.deploy({"test.Steady": {"componentVersion": "1.0.0"}}), LIMIT)
    changed = {"merge": json.dumps({"a": "changed"})}
    deployment_id = site.deploy({"test.Steady": {"componentVersion": "2.0.0", "configurationUpdate": changed}})
    with pytest.raises(CoreDeviceError, match=r"FAILED_ROLLBACK_COMPLETE.*exit code 3.*two is on fire"):
        device.wait_for_deployment(deployment_id, LIMIT)
    component = device.status()["components"]["test.Steady"]
    assert (component["version"], component["state"]) == ("1.0.0", "RUNNING")
    effective = eventually(
        lambda: (e := site.effective(deployment_id))["coreDeviceExecutionStatus"] == "FAILED" and e,
        "the cloud hears of it",
    )
    assert "two is on fire" in effective["reason"]
    assert device.logs("test.Steady").splitlines()[-1] == "one 1", "with the configuration from before"


def test_a_configuration_that_breaks_a_component_is_rolled_back(device: CoreDevice, site: Site) -> None:
    script = 'echo rate {configuration:/rate}; test "{configuration:/rate}" -gt 0 && exec sleep 1000'
    site.component("test.Rate", "1.0.0", {"run": script}, configuration={"rate": 5})
    device.wait_for_deployment(site.deploy({"test.Rate": {"componentVersion": "1.0.0"}}), LIMIT)
    bad = {"merge": json.dumps({"rate": "fast"})}
    deployment_id = site.deploy({"test.Rate": {"componentVersion": "1.0.0", "configurationUpdate": bad}})
    with pytest.raises(CoreDeviceError, match=r"FAILED_ROLLBACK_COMPLETE.*test.Rate 1.0.0 is broken"):
        device.wait_for_deployment(deployment_id, LIMIT)
    assert device.status()["components"]["test.Rate"]["state"] == "RUNNING"
    assert device.logs("test.Rate").splitlines()[-1] == "rate 5"


def test_without_roll_back_the_broken_component_stays_for_a_look(device: CoreDevice, site: Site) -> None:
    site.component("test.Broken", "1.0.0", {"run": "exit 7"})
    deployment_id = site.deploy({"test.Broken": {"componentVersion": "1.0.0"}}, on_failure="DO_NOTHING")
    with pytest.raises(CoreDeviceError, match="FAILED_ROLLBACK_NOT_REQUESTED"):
        device.wait_for_deployment(deployment_id, LIMIT)
    component = device.status()["components"]["test.Broken"]
    assert component["state"] == "BROKEN"
    assert component["restarts"] == 2


def test_a_component_that_dies_is_started_again(device: CoreDevice, site: Site) -> None:
    site.component("test.Phoenix", "1.0.0", {"run": "echo up; exec sleep 1000"})
    device.wait_for_deployment(site.deploy({"test.Phoenix": {"componentVersion": "1.0.0"}}), LIMIT)
    before = device.status()["components"]["test.Phoenix"]["pid"]
    os.kill(before, signal.SIGKILL)

    def restarted() -> bool:
        component = device.status()["components"]["test.Phoenix"]
        return component["state"] == "RUNNING" and component["pid"] != before and component["restarts"] == 1

    eventually(restarted, "the component runs again")
    assert device.logs("test.Phoenix").count("up\n") == 2


def test_a_broker_that_dies_is_started_again_on_its_port(device: CoreDevice) -> None:
    before = device.status()
    os.kill(before["broker_pid"], signal.SIGKILL)
    eventually(
        lambda: device.status()["broker_restarts"] == before["broker_restarts"] + 1, "the broker is started anew"
    )
    after = eventually(lambda: (s := device.status())["broker_pid"] != before["broker_pid"] and s, "it runs")
    assert after["broker_port"] == before["broker_port"]
    listening = [c.laddr.port for c in psutil.Process(after["broker_pid"]).net_connections() if c.status == "LISTEN"]
    assert listening == [before["broker_port"]]


def test_startup_and_shutdown_run_at_their_times(device: CoreDevice, site: Site, tmp_path: Path) -> None:
    steps = {
        "startup": f"sleep 1000 & echo $! > {tmp_path}/daemon; echo began",
        "shutdown": f"kill -0 $(cat {tmp_path}/daemon) && echo still there",
    }
    site.component("test.Daemon", "1.0.0", steps)
    device.wait_for_deployment(site.deploy({"test.Daemon": {"componentVersion": "1.0.0"}}), LIMIT)
    daemon = psutil.Process(int((tmp_path / "daemon").read_text()))
    assert device.status()["components"]["test.Daemon"]["state"] == "RUNNING"
    device.wait_for_deployment(site.deploy({}), LIMIT)
    assert [line for line in device.logs("test.Daemon").splitlines() if line[:3] != "---"] == ["began", "still there"]
    assert_ended([daemon])


def test_two_groups_are_merged_and_neither_disturbs_the_other(device: CoreDevice, site: Site) -> None:
    site.component("test.Code", "1.0.0", {"run": "exec sleep 1000"})
    install = 'ln -sfn "{artifacts:decompressedPath}/payload" current.new && mv -T current.new current'
    for version in ("1.0.0", "2.0.0"):
        site.component("test.Model", version, {"install": install}, files={"weights": version})
    device.wait_for_deployment(site.deploy({"test.Code": {"componentVersion": "1.0.0"}}), LIMIT)
    before = device.status()["components"]["test.Code"]["pid"]
    weights = device.directory / "nucleus" / "work" / "test.Model" / "current" / "weights"
    for version in ("1.0.0", "2.0.0", "1.0.0"):
        asked = {"test.Model": {"componentVersion": version}}
        device.wait_for_deployment(site.deploy(asked, f"{SITE}-model"), LIMIT)
        assert weights.read_text() == version
    components = device.status()["components"]
    assert components["test.Code"]["pid"] == before
    assert components["test.Model"]["state"] == "FINISHED"


def test_two_groups_that_ask_for_different_versions_are_refused(device: CoreDevice, site: Site) -> None:
    for version in ("1.0.0", "2.0.0"):
        site.component("test.Shared", version, {"run": "exec sleep 1000"})
    device.wait_for_deployment(site.deploy({"test.Shared": {"componentVersion": "1.0.0"}}), LIMIT)
    deployment_id = site.deploy({"test.Shared": {"componentVersion": "2.0.0"}}, f"{SITE}-model")
    with pytest.raises(CoreDeviceError, match=r"FAILED_NO_STATE_CHANGE.*asks for version 2.0.0"):
        device.wait_for_deployment(deployment_id, LIMIT)
    assert device.status()["components"]["test.Shared"]["version"] == "1.0.0"


def test_two_core_devices_of_a_site_run_side_by_side_and_the_canary_has_its_own(
    device: CoreDevice, site: Site, folder: Path
) -> None:
    site.component("test.Both", "1.0.0", {"run": "exec sleep 1000"})
    for version in ("1.0.0", "2.0.0"):
        site.component("test.Trial", version, {"install": f"echo model {version}"})
    device.wait_for_deployment(site.deploy({"test.Trial": {"componentVersion": "1.0.0"}}, f"{SITE}-model"), LIMIT)
    with CoreDevice.start(site.cloud, folder.parent / CANARY, CANARY, site.output) as canary:
        both = site.deploy({"test.Both": {"componentVersion": "1.0.0"}})
        trial = site.deploy({"test.Trial": {"componentVersion": "2.0.0"}}, f"{SITE}-canary")
        device.wait_for_deployment(both, LIMIT)
        canary.wait_for_deployment(both, LIMIT)
        canary.wait_for_deployment(trial, LIMIT)
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
        canary.wait_for_deployment(site.deploy({}, f"{SITE}-canary"), LIMIT)
    assert device.status()["components"]["test.Both"]["state"] == "RUNNING"


def test_an_artifact_that_is_not_what_the_component_was_made_with_is_refused(device: CoreDevice, site: Site) -> None:
    site.component("test.Tampered", "1.0.0", {"run": "exec sleep 1000"}, files={"a": "b"})
    key = "components/test.Tampered/1.0.0/payload.zip"
    site.cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"something else")
    found = base64.b64encode(hashlib.sha256(b"something else").digest()).decode()
    with pytest.raises(CoreDeviceError) as refusal:
        device.wait_for_deployment(site.deploy({"test.Tampered": {"componentVersion": "1.0.0"}}), LIMIT)
    assert f"its SHA-256 is {found}" in str(refusal.value)


def test_the_role_of_the_device_must_allow_the_artifact(device: CoreDevice, site: Site) -> None:
    site.component("test.Elsewhere", "1.0.0", {"run": "exec sleep 1000"}, files={"a": "b"}, folder="secret")
    with pytest.raises(CoreDeviceError, match=r"test.Elsewhere.*(AccessDenied|not authorized)"):
        device.wait_for_deployment(site.deploy({"test.Elsewhere": {"componentVersion": "1.0.0"}}), LIMIT)


def test_a_deployment_made_while_the_uplink_is_cut_arrives_when_it_is_back(device: CoreDevice, site: Site) -> None:
    site.component("test.Late", "1.0.0", {"run": "exec sleep 1000"}, files={"a": "b"})
    device.cut_uplink()
    eventually(lambda: not device.status()["connected"], "the nucleus notices")
    deployment_id = site.deploy({"test.Late": {"componentVersion": "1.0.0"}})
    assert device.status()["uplink"] == "cut"
    assert "test.Late" not in device.status()["components"]
    device.restore_uplink()
    device.wait_for_deployment(deployment_id, LIMIT)
    assert device.status()["components"]["test.Late"]["state"] == "RUNNING"


def test_a_second_device_in_the_same_folder_is_refused(device: CoreDevice, site: Site) -> None:
    with pytest.raises(CoreDeviceError, match=r"runs in .* already"):
        CoreDevice.start(site.cloud, device.directory, THING, site.output)


def test_another_process_can_attach(device: CoreDevice) -> None:
    assert CoreDevice.attach(device.directory).status()["pid"] == device.status()["pid"]
    with pytest.raises(CoreDeviceError, match=r"no core device runs in"):
        CoreDevice.attach(device.directory.parent)
    with pytest.raises(CoreDeviceError, match=r"no log of 'pm.Nothing'"):
        device.logs("pm.Nothing")


def test_stopping_ends_components_in_order_and_starting_again_resumes_them(
    device: CoreDevice, site: Site, tmp_path: Path
) -> None:
    script = f"trap 'echo bye >{tmp_path}/bye; exit 0' TERM; echo up; sleep 1000 & wait"
    site.component("test.Resumed", "1.0.0", {"run": script})
    device.wait_for_deployment(site.deploy({"test.Resumed": {"componentVersion": "1.0.0"}}), LIMIT)
    started = psutil.Process(device.status()["pid"]).children(recursive=True)
    assert device.status()["components"]["test.Resumed"]["pid"] in [process.pid for process in started]
    device.stop()
    assert (tmp_path / "bye").read_text() == "bye\n"
    assert_ended(started)
    # The same object goes on, so that the fixture stops what runs in the end.
    again = CoreDevice.start(site.cloud, device.directory, THING, site.output)
    device.__dict__.update(again.__dict__)
    eventually(lambda: device.status()["components"].get("test.Resumed", {}).get("state") == "RUNNING", "it resumes")
    assert len(site.cloud.client("iot").list_thing_principals(thingName=THING)["principals"]) == 1


def test_nothing_outlives_a_device_that_is_killed(device: CoreDevice, site: Site) -> None:
    site.component("test.Orphan", "1.0.0", {"run": "sleep 1000 & sleep 1000; exit 1"})
    device.wait_for_deployment(site.deploy({"test.Orphan": {"componentVersion": "1.0.0"}}), LIMIT)
    process = psutil.Process(device.status()["pid"])
    started = process.children(recursive=True)
    assert len(started) >= 4, "broker, watchdog, shell and what it started"
    process.kill()
    assert_ended(started)
    device.stop()
    again = CoreDevice.start(site.cloud, device.directory, THING, site.output)
    device.__dict__.update(again.__dict__)
    eventually(lambda: "test.Orphan" in device.status()["components"], "it resumes")
