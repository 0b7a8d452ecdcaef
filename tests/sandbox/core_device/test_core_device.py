"""A core device against the emulated cloud: its identity, its processes and its end.

It does not prove that a real nucleus does the same, and it runs components of a few lines of shell.
"""

import os
import signal
import stat
from pathlib import Path

import psutil
import pytest

from pm_sandbox.core_device import CoreDevice, CoreDeviceError
from tests.sandbox.core_device.site_by_hand import THING, Site
from tests.waiting import eventually, has_ended


def assert_ended(processes: list[psutil.Process]) -> None:
    eventually(lambda: all(map(has_ended, processes)), f"all of {processes} to have ended")


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


def test_a_component_that_dies_is_started_again(device: CoreDevice, site: Site) -> None:
    site.component("test.Phoenix", "1.0.0", {"run": "echo up; exec sleep 1000"})
    device.wait_for_deployment(site.deploy({"test.Phoenix": {"componentVersion": "1.0.0"}}))
    before = device.status()["components"]["test.Phoenix"]["pid"]
    os.kill(before, signal.SIGKILL)

    def restarted() -> bool:
        component = device.status()["components"]["test.Phoenix"]
        return component["state"] == "RUNNING" and component["pid"] != before and component["restarts"] == 1

    eventually(restarted, "the component to run again")
    # Its process is there before it says so.
    eventually(lambda: device.logs("test.Phoenix").count("up\n") == 2, lambda: device.logs("test.Phoenix"))


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
    device.wait_for_deployment(site.deploy({"test.Daemon": {"componentVersion": "1.0.0"}}))
    daemon = psutil.Process(int((tmp_path / "daemon").read_text()))
    assert device.status()["components"]["test.Daemon"]["state"] == "RUNNING"
    device.wait_for_deployment(site.deploy({}))
    assert [line for line in device.logs("test.Daemon").splitlines() if line[:3] != "---"] == ["began", "still there"]
    assert_ended([daemon])


def test_a_second_device_in_the_same_folder_is_refused(device: CoreDevice, site: Site) -> None:
    with pytest.raises(CoreDeviceError, match=r"runs in .* already"):
        CoreDevice.start(site.cloud, device.directory, THING, site.output)


def test_another_process_can_attach(device: CoreDevice) -> None:
    attached = CoreDevice.attach(device.directory)
    attached.stop()
    assert attached.status()["pid"] == device.status()["pid"], "whoever started it stops it"
    with pytest.raises(CoreDeviceError, match=r"no core device runs in"):
        CoreDevice.attach(device.directory.parent)
    with pytest.raises(CoreDeviceError, match=r"no log of 'pm.Nothing'"):
        device.logs("pm.Nothing")


def test_stopping_ends_components_in_order_and_starting_again_resumes_them(
    device: CoreDevice, site: Site, tmp_path: Path
) -> None:
    script = f"trap 'echo bye >{tmp_path}/bye; exit 0' TERM; echo up; sleep 1000 & wait"
    site.component("test.Resumed", "1.0.0", {"run": script})
    device.wait_for_deployment(site.deploy({"test.Resumed": {"componentVersion": "1.0.0"}}))
    eventually(lambda: "up\n" in device.logs("test.Resumed"), "it to have set its trap")
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
    device.wait_for_deployment(site.deploy({"test.Orphan": {"componentVersion": "1.0.0"}}))
    process = psutil.Process(device.status()["pid"])
    started = process.children(recursive=True)
    assert len(started) >= 4, "broker, watchdog, shell and what it started"
    process.kill()
    assert_ended(started)
    device.stop()
    again = CoreDevice.start(site.cloud, device.directory, THING, site.output)
    device.__dict__.update(again.__dict__)
    eventually(lambda: "test.Orphan" in device.status()["components"], "it resumes")
