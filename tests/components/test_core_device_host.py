"""What `CoreDeviceHost` registers, and its scripts, run by a shell on a machine of stand-ins.

Not proved here: that the scripts do their work on an instance of Amazon Linux or Debian, which needs an account; that
the releases they fetch are there and hold what their documentation says; that nucleus lite runs the components.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pm_components.core_device_host import CoreDeviceHost, CoreDeviceHostArgs
from pm_components.core_device_scripts import user_data
from pm_components.nuclei import DEFAULT_VERSIONS, Nucleus, NucleusKind
from tests.components.host_machine import Machine

Record = Callable[[Callable[[], dict[str, Any]]], Any]
CLASSIC = Nucleus()
LITE = Nucleus(NucleusKind.LITE, DEFAULT_VERSIONS[NucleusKind.LITE])
SCRIPT = {
    "thing_name": "ulm-core",
    "serial_number": "4711",
    "template": "pm-test-ulm",
    "role_alias": "pm-test-ulm-token-exchange",
    "region": "eu-central-1",
    "packages": "s3://artifacts/hosts/0123/requirements.txt",
    "unused": ["numpy/*/tests"],
    "python": "/opt/pm/venv/bin/python",
    "data_directory": "/var/lib/pm",
}


def _host(record: Record, **more: Any) -> Any:
    def program() -> dict[str, Any]:
        made = CoreDeviceHost(
            "ulm-host",
            CoreDeviceHostArgs(
                thing_name="ulm-core",
                serial_number="4711",
                provisioning_template="pm-test-ulm",
                role_alias="pm-test-ulm-token-exchange",
                artifact_bucket="artifacts",
                **more,
            ),
        )
        return {key: getattr(made, key) for key in CoreDeviceHost.__annotations__}

    return record(program)


@pytest.fixture
def host(record: Record) -> Any:
    return _host(record)


def _configuration(script: str) -> dict[str, Any]:
    """The nucleus's first configuration in a script."""
    found = re.search(r"<<'CONFIGURATION'\n(.*?\n)CONFIGURATION\n", script, re.DOTALL)
    assert found
    return dict(yaml.safe_load(found[1]))


def test_registers_exactly_these_resources(host: Any) -> None:
    assert host.counts() == {
        "pm:index:CoreDeviceHost": 1,
        "aws:ec2/vpc:Vpc": 1,
        "aws:ec2/internetGateway:InternetGateway": 1,
        "aws:ec2/subnet:Subnet": 1,
        "aws:ec2/routeTable:RouteTable": 1,
        "aws:ec2/routeTableAssociation:RouteTableAssociation": 1,
        "aws:ec2/securityGroup:SecurityGroup": 1,
        "aws:ec2/instance:Instance": 1,
        "aws:iam/role:Role": 1,
        "aws:iam/rolePolicy:RolePolicy": 1,
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": 1,
        "aws:iam/instanceProfile:InstanceProfile": 1,
        "aws:s3/bucketObjectv2:BucketObjectv2": 1,
    }
    assert host.registered_outputs["ulm-host"] == {"instance_id"}
    assert host.outputs == {"instance_id": "ulm-host-instance-id"}


def test_nothing_comes_in_and_tls_goes_out(host: Any) -> None:
    (group,) = host.of_type("aws:ec2/securityGroup:SecurityGroup").values()
    assert group.get("ingress", []) == []
    assert [(rule["protocol"], rule["fromPort"], rule["toPort"]) for rule in group["egress"]] == [
        ("tcp", 443, 443),
        ("tcp", 8443, 8443),
        ("tcp", 8883, 8883),
    ]
    (instance,) = host.of_type("aws:ec2/instance:Instance").values()
    assert "keyName" not in instance
    assert instance["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    assert instance["rootBlockDevice"]["encrypted"] is True


def test_the_instance_may_enrol_by_its_template_and_be_logged_in_to_and_nothing_else(host: Any) -> None:
    statements = host.statements("ulm-host-permissions")
    assert {action: one["Resource"] for one in statements for action in one["Action"]} == {
        "iot:CreateProvisioningClaim": ["arn:aws:iot:eu-central-1:123456789012:provisioningtemplate/pm-test-ulm"],
        "iot:DescribeEndpoint": ["*"],
        "s3:GetObject": ["arn:aws:s3:::artifacts/hosts/pm-test-ulm-host/*"],
    }
    (attachment,) = host.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment").values()
    assert attachment["policyArn"] == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


@pytest.mark.parametrize("nucleus", [CLASSIC, LITE])
def test_a_shell_reads_the_script_and_it_holds_no_secret(nucleus: Nucleus) -> None:
    script = user_data(nucleus, **{**SCRIPT, "thing_name": "ulm core's"})
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "PRIVATE KEY" not in script
    assert "'/var/lib/pm/ulm core'\"'\"'s/identity'" in script
    assert "http://" not in script
    # Nobody gets the claim, and the components get the device's identity.
    assert script.rstrip().splitlines()[-2] == "rm -rf /root/claim"
    for name in ("private-key.pem", "certificate.pem", "root-ca.pem"):
        assert f"identity'/{name}" in script


def test_the_nucleus_is_told_where_the_script_puts_things() -> None:
    script = user_data(CLASSIC, **SCRIPT)
    services = _configuration(script)["services"]
    plugin = services["aws.greengrass.FleetProvisioningByClaim"]["configuration"]
    assert plugin["templateParameters"] == {"SerialNumber": "4711"}
    for key in ("claimCertificatePath", "claimCertificatePrivateKeyPath", "csrPath", "csrPrivateKeyPath", "rootCaPath"):
        assert script.count(plugin[key]) >= 2, f"nothing in the script makes {plugin[key]}"
    assert "-subj /CN=ulm-core " in script


def test_nucleus_lite_comes_as_a_package_and_enrols_under_the_things_name() -> None:
    script = user_data(LITE, **SCRIPT)
    found = _configuration(script)
    # docs/fleet_provisioning/fleet_provisioning.md of aws-greengrass-lite: these stay empty until it has enrolled.
    system = found["system"]
    assert {key for key, value in system.items() if not value} == {
        "privateKeyPath",
        "certificateFilePath",
        "rootCaPath",
        "thingName",
    }
    nucleus = found["services"]["aws.greengrass.NucleusLite"]["configuration"]
    assert (nucleus["iotCredEndpoint"], nucleus["iotDataEndpoint"]) == ("", "")
    assert nucleus["runWithDefault"] == {"posixUser": "gg_component:gg_component"}
    claim = found["services"]["aws.greengrass.fleet_provisioning"]["configuration"]
    # The site's hook lets pass a certificate that bears the thing's name, and a serial number that it knows.
    assert (claim["csrCommonName"], claim["templateParams"]) == ("ulm-core", {"SerialNumber": "4711"})
    assert claim["templateName"] == "pm-test-ulm"
    for key in ("claimCertPath", "claimKeyPath", "rootCaPath"):
        assert script.count(claim[key]) >= 2, f"nothing in the script makes {claim[key]}"
    steps = [
        "aws-greengrass-lite-deb-x86-64.zip",
        f"apt-get install -y /root/nucleus/aws-greengrass-lite-{LITE.version}-Linux.deb",
        "/etc/greengrass/config.d/greengrass-lite.yaml",
        "systemctl start greengrass-lite.target",
        "/usr/bin/fleet-provisioning",
        "systemctl restart greengrass-lite.target",
        "amazon-ssm-agent.deb",
    ]
    places = [script.find(step) for step in steps]
    assert -1 not in places
    assert places[:-1] == sorted(places[:-1])
    assert "java" not in script
    assert "apt-get" not in user_data(CLASSIC, **SCRIPT)


def test_the_components_user_reaches_what_the_classic_nucleus_makes(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    done = machine.run(user_data(CLASSIC, **SCRIPT))
    assert (done.returncode, done.stderr) == (0, "")
    # The script's umask lets nobody in; each folder on the way must say otherwise.
    assert machine.mode("/greengrass") == 0o755
    assert machine.mode("/opt/pm") == machine.mode("/opt/pm/venv/bin") == 0o755
    assert machine.mode("/var/lib/pm") == 0o755
    assert machine.mode("/var/lib/pm/ulm-core/identity") == 0o700
    assert not (machine.root / "root" / "claim").exists()


def test_the_components_of_nucleus_lite_run_as_their_own_user(tmp_path: Path) -> None:
    """The package's file in `config.d` says `ggcore`, and wins over `config.yaml`."""
    machine = Machine(tmp_path)
    done = machine.run(user_data(LITE, **SCRIPT))
    assert (done.returncode, done.stderr) == (0, "")
    nucleus = machine.lite_configuration()["services"]["aws.greengrass.NucleusLite"]["configuration"]
    assert nucleus["runWithDefault"] == {"posixUser": "gg_component:gg_component"}
    assert nucleus["iotRoleAlias"] == "pm-test-ulm-token-exchange"
    assert machine.mode("/etc/greengrass/config.d/greengrass-lite.yaml") == 0o640


def test_nucleus_lite_is_one_that_restarts_components_whose_configuration_has_changed() -> None:
    script = user_data(LITE, **SCRIPT)
    (version,) = re.findall(r"releases/download/v([0-9.]+)/", script)
    assert tuple(int(part) for part in version.split(".")) >= (2, 6, 0)
    assert f"aws-greengrass-lite-{version}-Linux.deb" in script


def test_each_nucleus_has_an_image_and_an_instance_of_its_own(record: Record) -> None:
    asked = {}
    for nucleus in ("classic", "lite"):
        found = _host(record, nucleus={"kind": nucleus})
        ((name, instance),) = found.of_type("aws:ec2/instance:Instance").items()
        asked[nucleus] = (name, instance["ami"], "greengrass-lite" in instance["userData"])
    assert [one[2] for one in asked.values()] == [False, True]
    assert asked["classic"][0] != asked["lite"][0]


def test_the_nucleus_comes_in_the_version_that_is_stated(record: Record) -> None:
    for stated, fetched in (
        ({"kind": "classic"}, f"/releases/greengrass-{CLASSIC.version}.zip"),
        ({"kind": "classic", "version": "2.15.1"}, "/releases/greengrass-2.15.1.zip"),
        ({"kind": "lite", "version": "2.7.0"}, "/download/v2.7.0/aws-greengrass-lite-deb-x86-64.zip"),
    ):
        (instance,) = _host(record, nucleus=stated).of_type("aws:ec2/instance:Instance").values()
        assert fetched in instance["userData"]
        assert "nucleus-latest" not in instance["userData"]


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"python": "/usr/bin/python3.11"}, "allowed on an EC2 host is ENVIRONMENT/bin/python"),
        ({"serial_number": "1" * 20_000}, "bytes, allowed are 16384"),
    ],
)
def test_what_the_script_cannot_do_is_refused(args: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        user_data(CLASSIC, **{**SCRIPT, **args})


def test_a_nucleus_that_there_is_none_of_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match="nucleus: found 'tiny', allowed are classic, lite"):
        _host(record, nucleus={"kind": "tiny"})
