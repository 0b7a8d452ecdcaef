"""A core device that enrols itself: the program deployed with IAM enforced, a claim, MQTT, the hook, a deployment.

Not proved: that AWS takes the template, the policies and the instance's script; that a real nucleus does the same. The
instance is kept by the emulator and boots nothing.
"""

import datetime as dt
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sandbox.cloud import Cloud
from sandbox.core_device import CoreDevice
from sandbox.core_device.fleet_provisioning import Claim, NotProvisioned, enrol_by_claim
from sandbox.core_device.identity import make_request
from sandbox.deployer import Deployment, deploy
from tests.waiting import eventually

PROGRAM = """
import pulumi
import pulumi_aws as aws
from pm_components.greengrass_site import OUTPUTS, GreengrassSite

config = pulumi.Config()
bucket = aws.s3.Bucket("artifacts", bucket="fleet-artifacts")
site = GreengrassSite("ulm", {
    "site": "ulm",
    "core_devices": ["ulm-a", "ulm-b", "ulm-c"],
    "devices": {"air-1": "air_quality"},
    "artifact_bucket": bucket.bucket,
    "python": config.require("python"),
    "data_directory": config.require("data_directory"),
    "serial_numbers": {"ulm-a": "4711", "ulm-b": "4712"},
    "host_instance_type": "t3.small",
})
pulumi.export("site", {output: getattr(site, output) for output in OUTPUTS})
"""


class Fleet(NamedTuple):
    """A deployed site, and the folder that its core devices have theirs in."""

    cloud: Cloud
    deployment: Deployment
    devices: Path

    @property
    def site(self) -> dict[str, Any]:
        site: dict[str, Any] = self.deployment.outputs["site"]
        return site

    def claim(self) -> Claim:
        """A claim that lives for minutes, as an installer or the EC2 host asks for it."""
        made = self.cloud.client("iot").create_provisioning_claim(templateName=self.site["provisioning_template"])
        return self._kept(made["certificatePem"], made["keyPair"]["PrivateKey"])

    def built_in_claim(self) -> Claim:
        """A claim for the whole batch, as a manufacturer builds it in, with the site's claim policy."""
        iot, key = self.cloud.client("iot"), self.devices / "claim-key.pem"
        made = iot.create_certificate_from_csr(certificateSigningRequest=make_request(key, "claim"), setAsActive=True)
        iot.attach_policy(policyName="pm-test-ulm-claim", target=made["certificateArn"])
        return self._kept(made["certificatePem"], key.read_text())

    def _kept(self, certificate: str, key: str) -> Claim:
        claim = Claim(self.devices / "claim.pem", self.devices / "claim.key", self.cloud.certificate_authority)
        claim.certificate.write_text(certificate)
        claim.private_key.write_text(key)
        return claim

    def enrol(self, claim: Claim, thing: str, serial: str, name: str = "", **more: str) -> None:
        """Enrol the device with this serial number, whose certificate bears `name`."""
        enrol_by_claim(
            self.devices / thing / "identity",
            name or thing,
            claim,
            self.site["provisioning_template"],
            {"SerialNumber": serial, **more},
            self.cloud.mqtt_host,
            self.cloud.mqtt_port,
        )

    def principals(self, thing: str) -> list[str]:
        """The certificates of a thing."""
        return list(self.cloud.client("iot").list_thing_principals(thingName=thing)["principals"])


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    program, devices = tmp_path_factory.mktemp("program"), tmp_path_factory.mktemp("devices")
    (program / "Pulumi.yaml").write_text("name: pm\nruntime: python\n")
    (program / "Pulumi.test.yaml").write_text("config: {}\n")
    (program / "__main__.py").write_text(PROGRAM)
    with Cloud.start(tmp_path_factory.mktemp("fleet-cloud")) as cloud:
        config = {"python": sys.executable, "data_directory": str(devices)}
        yield Fleet(cloud, deploy(program, "test", cloud, config), devices)


def test_a_device_with_a_claim_and_a_serial_number_becomes_a_core_device(fleet: Fleet) -> None:
    fleet.enrol(fleet.claim(), "ulm-a", "4711")
    identity = fleet.devices / "ulm-a" / "identity"
    key = serialization.load_pem_private_key((identity / "private-key.pem").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((identity / "certificate.pem").read_bytes())
    assert certificate.public_key() == key.public_key()
    assert certificate.not_valid_after_utc > dt.datetime.now(dt.UTC)
    assert len(fleet.principals("ulm-a")) == 1
    with CoreDevice.start(fleet.cloud, fleet.devices / "ulm-a", "ulm-a", fleet.site) as device:
        device.wait_for_deployment(fleet.site["deployment_id"])
        status = device.status()
        assert status["components"]["pm.Uplink"]["state"] == "RUNNING"
        assert "aws.greengrass.clientdevices.Auth" in status["not_run"]
        # It may tell where devices reach it: the template has attached the policy for that to its certificate.
        connectivity = fleet.cloud.client("greengrassv2").get_connectivity_info
        eventually(lambda: connectivity(thingName="ulm-a").get("connectivityInfo"), "it is announced")
        # Its client id is no thing's name: the policy lets it in by the name that its certificate bears.
        eventually(lambda: "uplink is there" in device.logs("pm.Uplink"), lambda: device.logs("pm.Uplink"))
    # It runs with the identity that it came with: nobody has enrolled it once more.
    assert len(fleet.principals("ulm-a")) == 1


def test_a_claim_that_is_built_in_serves_too_and_for_nothing_else(fleet: Fleet) -> None:
    claim = fleet.built_in_claim()
    fleet.enrol(claim, "ulm-b", "4712", ThingName="ulm-c")  # what a device says that it is does not count
    assert len(fleet.principals("ulm-b")) == 1
    assert fleet.principals("ulm-c") == []
    policies = fleet.cloud.client("iot").list_attached_policies(target=fleet.principals("ulm-b")[0])["policies"]
    assert {policy["policyName"] for policy in policies} == {"pm-test-ulm-core-device", "pm-test-ulm-serving"}


@pytest.mark.parametrize(
    ("thing", "serial", "name", "why"),
    [
        ("ulm-c", "4713", "", "serial number '4713' is not one of this site's"),
        ("ulm-b", "4712", "ulm-x", "the certificate is of 'ulm-x', allowed for this serial number is 'ulm-b'"),
        ("ulm-a", "4711", "", "ulm-a has a certificate already"),
    ],
)
def test_whom_the_hook_refuses_gets_nothing(fleet: Fleet, thing: str, serial: str, name: str, why: str) -> None:
    if not fleet.principals("ulm-a"):
        fleet.enrol(fleet.claim(), "ulm-a", "4711")
    before = {core: fleet.principals(core) for core in ("ulm-a", "ulm-b", "ulm-c")}
    other = fleet.devices / "stranger"
    with pytest.raises(NotProvisioned, match="Access Denied"):
        fleet._replace(devices=other).enrol(fleet.claim(), thing, serial, name)
    assert {core: fleet.principals(core) for core in before} == before
    assert not (other / thing / "identity" / "certificate.pem").exists()
    logs = fleet.cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/pm-test-ulm-pre-provisioning")
    assert any(why in event["message"] for event in logs["events"])


def test_the_host_has_no_way_in_and_an_encrypted_disk(fleet: Fleet) -> None:
    ec2 = fleet.cloud.client("ec2")
    (reservation,) = ec2.describe_instances()["Reservations"]
    (instance,) = reservation["Instances"]
    assert instance["InstanceType"] == "t3.small"
    (group,) = ec2.describe_security_groups(GroupIds=[instance["SecurityGroups"][0]["GroupId"]])["SecurityGroups"]
    assert group["IpPermissions"] == []
    assert sorted(rule["FromPort"] for rule in group["IpPermissionsEgress"]) == [443, 8443, 8883]
    profile = fleet.cloud.client("iam").get_instance_profile(InstanceProfileName="pm-test-ulm-host")
    (role,) = profile["InstanceProfile"]["Roles"]
    policy = fleet.cloud.client("iam").get_role_policy(RoleName=role["RoleName"], PolicyName="permissions")
    allowed = {action for one in policy["PolicyDocument"]["Statement"] for action in one["Action"]}
    assert allowed == {"iot:CreateProvisioningClaim", "iot:DescribeEndpoint", "s3:GetObject"}
    # The emulator does not tell these two again.
    (record,) = (one for one in fleet.deployment.resources if one.type == "aws:ec2/instance:Instance")
    assert record.inputs["metadataOptions"]["httpTokens"] == "required"
    assert record.inputs["rootBlockDevice"]["encrypted"] is True
