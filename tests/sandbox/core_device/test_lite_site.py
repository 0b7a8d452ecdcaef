"""A site of two hundred devices on nucleus lite: the program deployed, and an emulated core device in its lite mode.

Not proved here: that a real nucleus lite runs it; the sizes that it is held to are those of lite's source.
"""

import sys
from pathlib import Path

import pytest

from pm_contracts import site_devices
from pm_sandbox.cloud import Cloud
from pm_sandbox.core_device import CoreDevice
from pm_sandbox.deployer import deploy
from tests.waiting import eventually

PROGRAM = """
import pulumi
import pulumi_aws as aws
from pm_components.greengrass_site.component import OUTPUTS, GreengrassSite

config = pulumi.Config()
bucket = aws.s3.Bucket("artifacts", bucket="lite-artifacts")
site = GreengrassSite("linz", {
    "site": "linz",
    "core_devices": ["linz-a"],
    "devices": {f"machine-{number:03}": "machine" for number in range(200)},
    "artifact_bucket": bucket.bucket,
    "python": config.require("python"),
    "data_directory": config.require("data_directory"),
    "nucleus": {"kind": "lite"},
    "client_devices": False,
})
pulumi.export("site", {output: getattr(site, output) for output in OUTPUTS})
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: pm\nruntime: python\n")
    (tmp_path / "Pulumi.test.yaml").write_text("config: {}\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    return tmp_path


def test_two_hundred_devices_run_on_nucleus_lite(program: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    devices = tmp_path_factory.mktemp("lite")
    with Cloud.start(tmp_path_factory.mktemp("lite-cloud")) as cloud:
        deployment = deploy(program, "test", cloud, {"python": sys.executable, "data_directory": str(devices)})
        site = deployment.outputs["site"]
        with CoreDevice.start(cloud, devices / "linz-a", "linz-a", site) as device:
            device.wait_for_deployment(site["deployment_id"], 120.0)
            status = device.status()
            assert status["nucleus"] == {"kind": "lite", "version": "2.6.0"}
            listed = site_devices.decode((devices / "linz-a" / site_devices.FILE_NAME).read_bytes())
            assert (listed.site, len(listed.devices)) == ("linz", 200)
            assert status["components"]["pm.FaultDetector"]["state"] == "RUNNING"
            eventually(lambda: "uplink is there" in device.logs("pm.Uplink"), lambda: device.logs("pm.Uplink"))
