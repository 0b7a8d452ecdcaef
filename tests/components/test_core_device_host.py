"""What `CoreDeviceHost` registers, and its script, read by a shell.

Not proved here: that the script does its work on an instance of Amazon Linux, which needs an account.
"""

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from pm_components import core_device_host
from pm_components.core_device_host import CoreDeviceHost, CoreDeviceHostArgs

Record = Callable[[Callable[[], dict[str, Any]]], Any]
SCRIPT = {
    "thing_name": "ulm-core",
    "serial_number": "4711",
    "template": "pm-test-ulm",
    "role_alias": "pm-test-ulm-token-exchange",
    "region": "eu-central-1",
    "packages": "s3://artifacts/hosts/0123/requirements.txt",
    "python": "/opt/pm/venv/bin/python",
    "data_directory": "/var/lib/pm",
}


@pytest.fixture
def host(record: Record) -> Any:
    def program() -> dict[str, Any]:
        made = CoreDeviceHost(
            "ulm-host",
            CoreDeviceHostArgs(
                thing_name="ulm-core",
                serial_number="4711",
                provisioning_template="pm-test-ulm",
                role_alias="pm-test-ulm-token-exchange",
                artifact_bucket="artifacts",
            ),
        )
        return {key: getattr(made, key) for key in CoreDeviceHost.__annotations__}

    return record(program)


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
        "s3:GetObject": ["arn:aws:s3:::artifacts/hosts/ulm-host/*"],
    }
    (attachment,) = host.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment").values()
    assert attachment["policyArn"] == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


def test_a_shell_reads_the_script_and_it_holds_no_secret() -> None:
    script = core_device_host.user_data(**{**SCRIPT, "thing_name": "ulm core's"})
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "PRIVATE KEY" not in script
    assert "'/CN=ulm core'\"'\"'s'" in script


def test_the_nucleus_is_told_where_the_script_puts_things() -> None:
    script = core_device_host.user_data(**SCRIPT)
    found = re.search(r"<<'CONFIGURATION'\n(.*?)\nCONFIGURATION\n", script, re.DOTALL)
    assert found
    plugin = json.loads(found[1])["services"]["aws.greengrass.FleetProvisioningByClaim"]["configuration"]
    assert plugin["templateParameters"] == {"SerialNumber": "4711"}
    for key in ("claimCertificatePath", "claimCertificatePrivateKeyPath", "csrPath", "csrPrivateKeyPath", "rootCaPath"):
        assert script.count(plugin[key]) >= 2, f"nothing in the script makes {plugin[key]}"


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"python": "/usr/bin/python3.11"}, "allowed on an EC2 host is ENVIRONMENT/bin/python"),
        ({"serial_number": "1" * 20_000}, "bytes, allowed are 16384"),
    ],
)
def test_what_the_script_cannot_do_is_refused(args: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        core_device_host.user_data(**{**SCRIPT, **args})
