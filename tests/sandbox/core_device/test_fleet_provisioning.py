"""A core device that enrols itself: the program deployed with IAM enforced, a claim, MQTT, the hook, a deployment.

Not proved: that AWS takes the template, the policies and the instance's script; that a real nucleus does the same; that
Auto Scaling tells of an end. The instance is kept by the emulator and boots nothing.
"""

import datetime as dt
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pm_sandbox.cloud import Cloud
from pm_sandbox.core_device import CoreDevice
from pm_sandbox.core_device.fleet_provisioning import Claim, NotProvisioned, enrol_by_claim
from pm_sandbox.core_device.identity import make_request
from pm_sandbox.deployer import Deployment, deploy
from tests.waiting import eventually

PROGRAM = """
import pulumi
import pulumi_aws as aws
from pm_components.greengrass_site.component import OUTPUTS, GreengrassSite

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
    "host_checksums": {"nucleus": "0" * 64, "provisioning_plugin": "0" * 64},
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

    def host_ends(self, before: str = "") -> None:
        """Tell that the host of the first core device ends, and wait until the function has done with it.

        Args:
            before: a certificate that was made after the host had ended; by default it ends now.
        """
        sqs, at = self.cloud.client("sqs"), dt.datetime.now(dt.UTC)
        if before:
            described = self.cloud.client("iot").describe_certificate(certificateId=before.rpartition("/")[2])
            at = described["certificateDescription"]["creationDate"] - dt.timedelta(seconds=1)
        body = {
            "AutoScalingGroupName": "pm-test-ulm-host",
            "LifecycleHookName": "certificate",
            "EC2InstanceId": "i-0123456789abcdef0",
            "LifecycleActionToken": "71514b9d-6a40-4b26-8523-05e7ee35fa40",
            "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING",
            "Time": at.isoformat(),
        }
        url = sqs.get_queue_url(QueueName="pm-test-ulm-host-termination")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
        eventually(lambda: self.waiting("pm-test-ulm-host-termination") == 0, self.said)

    def said(self) -> str:
        """The log of the function so far."""
        logs = self.cloud.client("logs").filter_log_events(logGroupName="/aws/lambda/pm-test-ulm-host-termination")
        return "\n".join(event["message"] for event in logs["events"])

    def waiting(self, queue: str) -> int:
        """The number of messages in a queue, those in flight included."""
        sqs = self.cloud.client("sqs")
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        return sum(map(int, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))

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


def test_the_host_has_no_way_in_and_encrypted_disks(fleet: Fleet) -> None:
    ec2 = fleet.cloud.client("ec2")
    (group,) = fleet.cloud.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert (group["MinSize"], group["MaxSize"], len(group["Instances"])) == (1, 1, 1)
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateId=group["LaunchTemplate"]["LaunchTemplateId"])[
        "LaunchTemplateVersions"
    ]
    template = version["LaunchTemplateData"]
    assert template["InstanceType"] == "t3.small"
    assert template["MetadataOptions"]["HttpTokens"] == "required"
    assert [device["Ebs"]["Encrypted"] for device in template["BlockDeviceMappings"]] == [True]
    (volume,) = ec2.describe_volumes()["Volumes"]
    assert volume["Encrypted"]
    (subnet,) = ec2.describe_subnets(SubnetIds=[group["VPCZoneIdentifier"]])["Subnets"]
    assert volume["AvailabilityZone"] == subnet["AvailabilityZone"]
    (interface,) = template["NetworkInterfaces"]
    (firewall,) = ec2.describe_security_groups(GroupIds=interface["Groups"])["SecurityGroups"]
    assert firewall["IpPermissions"] == []
    assert sorted(rule["FromPort"] for rule in firewall["IpPermissionsEgress"]) == [443, 8443, 8883]
    profile = fleet.cloud.client("iam").get_instance_profile(InstanceProfileName="pm-test-ulm-host")
    (role,) = profile["InstanceProfile"]["Roles"]
    policy = fleet.cloud.client("iam").get_role_policy(RoleName=role["RoleName"], PolicyName="permissions")
    allowed = {action for one in policy["PolicyDocument"]["Statement"] for action in one["Action"]}
    assert allowed == {
        "ec2:AttachVolume",
        "iot:CreateProvisioningClaim",
        "iot:DescribeEndpoint",
        "iot:ListThingPrincipals",
        "s3:GetObject",
    }


def test_the_next_host_has_the_name_once_the_one_before_has_ended(fleet: Fleet) -> None:
    """The notice of Auto Scaling is sent by hand: the emulator's instances never end."""
    iot = fleet.cloud.client("iot")
    if not fleet.principals("ulm-a"):
        fleet.enrol(fleet.claim(), "ulm-a", "4711")
    if not iot.list_job_executions_for_thing(thingName="ulm-a", status="SUCCEEDED")["executionSummaries"]:
        with CoreDevice.start(fleet.cloud, fleet.devices / "ulm-a", "ulm-a", fleet.site) as device:
            device.wait_for_deployment(fleet.site["deployment_id"])
    (old,) = fleet.principals("ulm-a")
    number = old.rpartition("/")[2]
    assert iot.describe_certificate(certificateId=number)["certificateDescription"]["status"] == "ACTIVE"
    next_host = fleet._replace(devices=fleet.devices / "next")
    next_host.devices.mkdir()
    with pytest.raises(NotProvisioned, match="Access Denied"):
        next_host.enrol(fleet.claim(), "ulm-a", "4711")

    fleet.host_ends()
    assert fleet.principals("ulm-a") == []
    assert iot.describe_certificate(certificateId=number)["certificateDescription"]["status"] == "INACTIVE"
    groups = iot.list_thing_groups_for_thing(thingName="ulm-a")["thingGroups"]
    assert {group["groupName"] for group in groups} == {"pm-test-ulm", "pm-test-ulm-canary", "pm-test-ulm-model"}

    next_host.enrol(fleet.claim(), "ulm-a", "4711")
    (new,) = fleet.principals("ulm-a")
    assert new != old
    # The site's deployment comes to it, which the one before has carried out: its disk is empty.
    with CoreDevice.start(fleet.cloud, next_host.devices / "ulm-a", "ulm-a", fleet.site) as device:
        device.wait_for_deployment(fleet.site["deployment_id"])

    # Told once more, as a queue may, it leaves the new one alone.
    fleet.host_ends(before=new)
    assert fleet.principals("ulm-a") == [new]
    # Not even the test that a hook's queue is sent has become a dead letter.
    assert fleet.waiting("pm-test-ulm-host-termination-dead-letters") == 0
