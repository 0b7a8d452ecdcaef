"""The registrations of `CoreDeviceHost`, and its scripts, run by a shell on a machine of stand-ins.

Not proved here: that the scripts do their work on an instance of Amazon Linux or Debian, which needs an account; that
the releases they fetch are there and hold what their documentation says; that nucleus lite runs the components.
"""

import base64
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pm_components.greengrass_site.core_device_host import CoreDeviceHost, CoreDeviceHostArgs
from pm_components.greengrass_site.core_device_scripts import user_data
from pm_components.greengrass_site.host_downloads import checked_downloads
from pm_components.greengrass_site.nuclei import DEFAULT_VERSIONS, Nucleus, NucleusKind
from tests.components.greengrass_site.host_machine import FETCHED_SHA256, Machine

Record = Callable[[Callable[[], dict[str, Any]]], Any]
CLASSIC = Nucleus()
LITE = Nucleus(NucleusKind.LITE, DEFAULT_VERSIONS[NucleusKind.LITE])
CHECKSUMS = {
    NucleusKind.CLASSIC: {"nucleus": FETCHED_SHA256, "provisioning_plugin": FETCHED_SHA256},
    NucleusKind.LITE: {"nucleus": FETCHED_SHA256, "session_manager_agent": FETCHED_SHA256},
}
SCRIPT: dict[str, Any] = {
    "thing_name": "ulm-core",
    "serial_number": "4711",
    "template": "pm-test-ulm",
    "role_alias": "pm-test-ulm-token-exchange",
    "region": "eu-central-1",
    "packages": "s3://artifacts/hosts/0123/requirements.txt",
    "volume": "vol-0123456789abcdef0",
    "unused": ["numpy/*/tests"],
    "python": "/opt/pm/venv/bin/python",
    "data_directory": "/var/lib/pm",
}


def script_of(nucleus: Nucleus, **more: Any) -> str:
    """The script of a host with `nucleus`, whose downloads are those of the machine."""
    return user_data(nucleus, downloads=checked_downloads(nucleus, CHECKSUMS[nucleus.kind], "checksums"), **more)


def _host(record: Record, **more: Any) -> Any:
    def program() -> dict[str, Any]:
        made = CoreDeviceHost(
            "ulm-host",
            CoreDeviceHostArgs(
                thing_name="ulm-core",
                serial_number="4711",
                provisioning_template="pm-test-ulm",
                role_alias="pm-test-ulm-token-exchange",
                thing_groups=["pm-test-ulm", "pm-test-ulm-model"],
                artifact_bucket="artifacts",
                **{"checksums": CHECKSUMS[NucleusKind(more.get("nucleus", {}).get("kind", "classic"))], **more},
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
        "aws:ec2/launchTemplate:LaunchTemplate": 1,
        "aws:ebs/volume:Volume": 1,
        "aws:autoscaling/group:Group": 1,
        "aws:autoscaling/lifecycleHook:LifecycleHook": 1,
        "aws:sqs/queue:Queue": 2,
        "aws:cloudwatch/metricAlarm:MetricAlarm": 1,
        "aws:cloudwatch/logGroup:LogGroup": 1,
        "aws:lambda/function:Function": 1,
        "aws:lambda/layerVersion:LayerVersion": 1,
        "aws:lambda/eventSourceMapping:EventSourceMapping": 1,
        "aws:iam/role:Role": 3,
        "aws:iam/rolePolicy:RolePolicy": 3,
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": 1,
        "aws:iam/instanceProfile:InstanceProfile": 1,
        "aws:s3/bucketObjectv2:BucketObjectv2": 1,
    }
    assert host.registered_outputs["ulm-host"] == {"auto_scaling_group"}
    assert host.outputs == {"auto_scaling_group": "pm-test-ulm-host"}


def test_nothing_comes_in_and_tls_goes_out(host: Any) -> None:
    (group,) = host.of_type("aws:ec2/securityGroup:SecurityGroup").values()
    assert group.get("ingress", []) == []
    assert [(rule["protocol"], rule["fromPort"], rule["toPort"]) for rule in group["egress"]] == [
        ("tcp", 443, 443),
        ("tcp", 8443, 8443),
        ("tcp", 8883, 8883),
    ]
    (template,) = host.of_type("aws:ec2/launchTemplate:LaunchTemplate").values()
    assert "keyName" not in template
    assert template["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    assert [device["ebs"]["encrypted"] for device in template["blockDeviceMappings"]] == ["true"]


def test_one_instance_is_kept_and_the_next_comes_when_it_has_ended(host: Any) -> None:
    (group,) = host.of_type("aws:autoscaling/group:Group").values()
    assert (group["minSize"], group["maxSize"], group["desiredCapacity"]) == (1, 1, 1)
    one_after_the_other = {"minHealthyPercentage": 0, "maxHealthyPercentage": 100}
    assert group["instanceRefresh"] == {"strategy": "Rolling", "preferences": one_after_the_other}
    assert group["instanceMaintenancePolicy"] == one_after_the_other
    # By the latest version, so that another script is another version, and replaces the instance.
    assert group["launchTemplate"] == {"id": "ulm-host-template-id", "version": "1"}
    assert {(tag["key"], tag["value"], tag["propagateAtLaunch"]) for tag in group["tags"]} == {
        ("Name", "pm-test-ulm-host", True),
        ("Project", "pm", True),
        ("Stack", "test", True),
        ("Component", "CoreDeviceHost", True),
    }


def test_an_instance_waits_at_its_end_until_its_certificate_is_detached(host: Any) -> None:
    (hook,) = host.of_type("aws:autoscaling/lifecycleHook:LifecycleHook").values()
    assert hook["lifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert hook["notificationTargetArn"] == "arn:of:ulm-host-termination-queue"
    assert 30 <= hook["heartbeatTimeout"] <= 7200
    queue = host.of_type("aws:sqs/queue:Queue")["ulm-host-termination-queue"]
    redrive = json.loads(queue["redrivePolicy"])
    # Each of the function's tries falls into the hook's time.
    assert redrive["maxReceiveCount"] * queue["visibilityTimeoutSeconds"] <= hook["heartbeatTimeout"]
    (trust,) = host.statements("ulm-host-termination-notice-role", "assumeRolePolicy")
    assert trust["Principal"] == {"Service": "autoscaling.amazonaws.com"}
    thing = "arn:aws:iot:eu-central-1:123456789012:thing/ulm-core"
    groups = [f"arn:aws:iot:eu-central-1:123456789012:thinggroup/pm-test-ulm{end}" for end in ("", "-model")]
    certificates = "arn:aws:iot:eu-central-1:123456789012:cert/*"
    scaling = "arn:aws:autoscaling:eu-central-1:123456789012:autoScalingGroup:*:autoScalingGroupName/pm-test-ulm-host"
    statements = host.statements("ulm-host-termination-permissions")
    assert {
        action: one["Resource"]
        for one in statements
        for action in one["Action"]
        if action.partition(":")[0] in ("iot", "autoscaling")
    } == {
        "iot:ListThingPrincipals": [thing],
        "iot:DescribeCertificate": [certificates],
        "iot:UpdateCertificate": [certificates],
        "iot:DetachThingPrincipal": [certificates, thing],
        "iot:AddThingToThingGroup": [thing, *groups],
        "iot:RemoveThingFromThingGroup": [thing, *groups],
        "autoscaling:CompleteLifecycleAction": [scaling],
    }
    (function,) = host.of_type("aws:lambda/function:Function").values()
    assert function["environment"]["variables"] == {
        "THING_NAME": "ulm-core",
        "THING_GROUPS": '["pm-test-ulm", "pm-test-ulm-model"]',
    }


def test_what_is_collected_outlives_the_instance(host: Any) -> None:
    (volume,) = host.of_type("aws:ebs/volume:Volume").values()
    assert (volume["encrypted"], volume["finalSnapshot"]) == (True, True)
    # An instance can take a volume of its own zone alone.
    assert volume["availabilityZone"] == "eu-central-1a"
    (group,) = host.of_type("aws:autoscaling/group:Group").values()
    assert group["vpcZoneIdentifiers"] == ["ulm-host-subnet-id"]


def test_the_instance_may_enrol_by_its_template_and_be_logged_in_to_and_nothing_else(host: Any) -> None:
    statements = host.statements("ulm-host-permissions")
    attach = [one for one in statements if one["Action"] == ["ec2:AttachVolume"]]
    assert {action: one["Resource"] for one in statements if one not in attach for action in one["Action"]} == {
        "iot:CreateProvisioningClaim": ["arn:aws:iot:eu-central-1:123456789012:provisioningtemplate/pm-test-ulm"],
        "iot:DescribeEndpoint": ["*"],
        "iot:ListThingPrincipals": ["arn:aws:iot:eu-central-1:123456789012:thing/ulm-core"],
        "s3:GetObject": ["arn:aws:s3:::artifacts/hosts/pm-test-ulm-host/*"],
    }
    # Its volume, to its own instances: AWS asks for both.
    assert [(one["Resource"], one.get("Condition")) for one in attach] == [
        (["arn:of:ulm-host-data"], None),
        (
            ["arn:aws:ec2:eu-central-1:123456789012:instance/*"],
            {"StringEquals": {"aws:ResourceTag/Name": "pm-test-ulm-host"}},
        ),
    ]
    (attachment,) = host.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment").values()
    assert attachment["policyArn"] == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


@pytest.mark.parametrize("nucleus", [CLASSIC, LITE])
def test_a_shell_reads_the_script_and_it_holds_no_secret(nucleus: Nucleus) -> None:
    script = script_of(nucleus, **{**SCRIPT, "thing_name": "ulm core's"})
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
    script = script_of(CLASSIC, **SCRIPT)
    services = _configuration(script)["services"]
    plugin = services["aws.greengrass.FleetProvisioningByClaim"]["configuration"]
    assert plugin["templateParameters"] == {"SerialNumber": "4711"}
    for key in ("claimCertificatePath", "claimCertificatePrivateKeyPath", "csrPath", "csrPrivateKeyPath", "rootCaPath"):
        assert script.count(plugin[key]) >= 2, f"nothing in the script makes {plugin[key]}"
    assert "-subj /CN=ulm-core " in script


def test_nucleus_lite_comes_as_a_package_and_enrols_under_the_things_name() -> None:
    script = script_of(LITE, **SCRIPT)
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
    assert "apt-get" not in script_of(CLASSIC, **SCRIPT)


def test_the_components_user_reaches_what_the_classic_nucleus_makes(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    done = machine.run(script_of(CLASSIC, **SCRIPT))
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
    done = machine.run(script_of(LITE, **SCRIPT))
    assert (done.returncode, done.stderr) == (0, "")
    nucleus = machine.lite_configuration()["services"]["aws.greengrass.NucleusLite"]["configuration"]
    assert nucleus["runWithDefault"] == {"posixUser": "gg_component:gg_component"}
    assert nucleus["iotRoleAlias"] == "pm-test-ulm-token-exchange"
    assert machine.mode("/etc/greengrass/config.d/greengrass-lite.yaml") == 0o640


#: As AWS answers a new host: the volume is the old one's twice, and the name three times.
_STILL_THERE = """
    count() { echo x >> "$MACHINE/$1"; wc -l < "$MACHINE/$1"; }
    case "$1 $2" in
      "ec2 attach-volume")
        [ "$(count attached)" -gt 2 ] || { echo "VolumeInUse" >&2; exit 254; }
        echo "${@:3}" > "$MACHINE/attach"
        mkdir -p "$MACHINE/dev/disk/by-id"
        touch "$MACHINE/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"
        ;;
      "iot list-thing-principals") if [ "$(count listed)" -gt 3 ]; then echo 0; else echo 1; fi ;;
      "iot create-provisioning-claim")
        count claimed > /dev/null
        echo '{"certificatePem": "c", "keyPair": {"PrivateKey": "k"}}' ;;
      "iot describe-endpoint") echo endpoint.example ;;
      "s3 cp") echo > "${@: -1}" ;;
      *) exit 1 ;;
    esac
"""


@pytest.mark.parametrize("nucleus", [CLASSIC, LITE])
def test_a_host_waits_for_volume_and_name_of_the_one_before_it(nucleus: Nucleus, tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"aws": _STILL_THERE})
    old = machine.root / "var" / "lib" / "pm" / "ulm-core"
    (old / "identity").mkdir(parents=True)
    (old / "identity" / "certificate.pem").write_text("of the host before")
    (old / "outbox.sqlite").write_text("not sent yet")
    done = machine.run(script_of(nucleus, **SCRIPT))
    assert done.returncode == 0, done.stderr
    assert machine.noted("attach") == [
        "--volume-id vol-0123456789abcdef0 --instance-id i-0123456789abcdef0 --device /dev/sdf"
    ]
    assert (len(machine.noted("attached")), len(machine.noted("listed"))) == (3, 4)
    assert machine.noted("slept") == ["15"] * 5
    # It asks for its claim, which lives for minutes, when it may use it.
    assert len(machine.noted("claimed")) == 1
    assert (old / "outbox.sqlite").read_text() == "not sent yet"
    assert (old / "identity" / "certificate.pem").read_text() == "x\n"
    assert machine.noted("made") == [], "a volume with a file system is not formatted"


def test_a_new_volume_gets_a_file_system_and_is_mounted_at_each_start(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"blkid": "exit 2"})
    done = machine.run(script_of(CLASSIC, **SCRIPT))
    assert done.returncode == 0, done.stderr
    (made,) = machine.noted("made")
    assert made.endswith("/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0")
    (entry,) = machine.noted("etc/fstab")
    assert entry.split()[2:] == ["ext4", "defaults,nofail", "0", "2"]
    assert machine.noted("mounted") == [entry.split()[1]]


def test_a_name_that_never_gets_free_ends_the_script_with_the_reason(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"aws": _STILL_THERE.replace("-gt 3 ", "-gt 1000 "), "seq": "echo 1 2 3"})
    done = machine.run(script_of(CLASSIC, **SCRIPT))
    assert done.returncode == 1
    assert "given up after 240 tries, 15 s apart: name_is_free" in done.stderr
    assert machine.noted("claimed") == []


def test_nucleus_lite_is_one_that_restarts_components_whose_configuration_has_changed() -> None:
    script = script_of(LITE, **SCRIPT)
    (version,) = re.findall(r"releases/download/v([0-9.]+)/", script)
    assert tuple(int(part) for part in version.split(".")) >= (2, 6, 0)
    assert f"aws-greengrass-lite-{version}-Linux.deb" in script


def test_each_nucleus_has_an_image_and_an_instance_of_its_own(record: Record) -> None:
    asked = {}
    for nucleus in ("classic", "lite"):
        found = _host(record, nucleus={"kind": nucleus})
        ((name, template),) = found.of_type("aws:ec2/launchTemplate:LaunchTemplate").items()
        script = base64.b64decode(template["userData"]).decode()
        asked[nucleus] = (name, template["imageId"], "greengrass-lite" in script)
    assert [one[2] for one in asked.values()] == [False, True]
    assert asked["classic"][0] != asked["lite"][0]


def test_the_nucleus_comes_in_the_version_that_is_stated(record: Record) -> None:
    for stated, fetched in (
        ({"kind": "classic"}, f"/releases/greengrass-{CLASSIC.version}.zip"),
        ({"kind": "classic", "version": "2.15.1"}, "/releases/greengrass-2.15.1.zip"),
        ({"kind": "lite", "version": "2.7.0"}, "/download/v2.7.0/aws-greengrass-lite-deb-x86-64.zip"),
    ):
        (template,) = _host(record, nucleus=stated).of_type("aws:ec2/launchTemplate:LaunchTemplate").values()
        script = base64.b64decode(template["userData"]).decode()
        assert fetched in script
        assert "nucleus-latest" not in script


@pytest.mark.parametrize("nucleus", [CLASSIC, LITE])
def test_every_download_of_the_script_has_a_version_and_is_compared_before_it_is_used(
    nucleus: Nucleus, tmp_path: Path
) -> None:
    script = script_of(nucleus, **SCRIPT)
    assert "latest" not in script
    for download in re.findall(r"^ *fetch(?:_known)? .*$", script, re.MULTILINE):
        if download != '  fetch "$1" "$2"':
            assert "AmazonRootCA1.pem" in download or download.endswith(f" {FETCHED_SHA256}"), download
    assert len(re.findall(r"\bcurl ", script)) == 1 + (nucleus.kind is NucleusKind.LITE), "and apt-get's package"
    names = sorted(CHECKSUMS[nucleus.kind])
    for number, name in enumerate(names):
        checksums = {**CHECKSUMS[nucleus.kind], name: "0" * 64}
        text = user_data(nucleus, downloads=checked_downloads(nucleus, checksums, "checksums"), **SCRIPT)
        machine = Machine(tmp_path / str(number), _WITNESSES)
        done = machine.run(text)
        assert done.returncode == 1
        assert f"is not the file with the SHA-256 {'0' * 64}, but with {FETCHED_SHA256}" in done.stderr
        url = checked_downloads(nucleus, checksums, "checksums")[name].url
        assert machine.noted("fetched")[-1] == url, "nothing is done after it"
        assert not [ran for ran in machine.noted("ran") if Path(url).name.rpartition(".")[0] in ran]


#: Commands that note what they are given to run or unpack.
_WITNESSES = {
    "dpkg": 'echo "dpkg $@" >> "$MACHINE/ran"',
    "unzip": 'echo "unzip $@ of $(tail -1 "$MACHINE/fetched")" >> "$MACHINE/ran"',
    "java": 'echo "java $@" >> "$MACHINE/ran"',
}


def test_an_authority_with_another_key_ends_the_script_before_anyone_is_trusted_by_it(tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-days", "1"]
    subprocess.run([*request, "-subj", "/CN=Amazon Root CA 1", "-out", other], check=True, capture_output=True)
    machine = Machine(tmp_path, authority=other)
    done = machine.run(script_of(CLASSIC, **SCRIPT))
    assert done.returncode == 1
    assert "another public key than Amazon Root CA 1" in done.stderr
    assert not (machine.root / "root" / "claim" / "claim.json").exists()


@pytest.mark.parametrize(
    ("checksums", "reason"),
    [
        ({}, "found none, needed are those of nucleus, provisioning_plugin: an instance runs them as root"),
        ({"nucleus": "0" * 64}, "found nucleus, needed are"),
        ({**CHECKSUMS[NucleusKind.LITE]}, "found nucleus, session_manager_agent, needed are"),
        ({"nucleus": "0" * 63, "provisioning_plugin": "0" * 64}, "nucleus: found '0{63}', allowed is a SHA-256"),
        ({"nucleus": "0" * 64, "provisioning_plugin": "0" * 64 + "\n"}, "plugin: found .*, allowed is a SHA-256"),
    ],
)
def test_a_host_whose_downloads_are_not_known_is_refused_with_their_urls(
    record: Record, checksums: dict[str, str], reason: str
) -> None:
    with pytest.raises(ValueError, match=f"CoreDeviceHost.checksums.*{reason}") as refused:
        _host(record, checksums=checksums)
    if "needed" in reason:
        assert f"https://d2s8p88vqu9w66.cloudfront.net/releases/greengrass-{CLASSIC.version}.zip" in str(refused.value)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"python": "/usr/bin/python3.11"}, "allowed on an EC2 host is ENVIRONMENT/bin/python"),
        ({"serial_number": "1" * 20_000}, "bytes, allowed are 16384"),
        ({"data_directory": "/srv/my data"}, "allowed on an EC2 host is an absolute path without white space"),
    ],
)
def test_what_the_script_cannot_do_is_refused(args: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        script_of(CLASSIC, **{**SCRIPT, **args})


def test_a_nucleus_that_there_is_none_of_is_refused(record: Record) -> None:
    with pytest.raises(ValueError, match="nucleus: found 'tiny', allowed are classic, lite"):
        _host(record, nucleus={"kind": "tiny"})
