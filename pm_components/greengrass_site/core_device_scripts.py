"""The script that makes an instance a Greengrass core device at its first start. Pure: names in, a script out.

Nucleus: "Install AWS IoT Greengrass Core software with AWS IoT fleet provisioning", AWS IoT Greengrass V2 developer
guide. Nucleus lite: docs/SETUP.md and docs/fleet_provisioning/fleet_provisioning.md of
https://github.com/aws-greengrass/aws-greengrass-lite; its package is made for Debian 12 among others, whose Python is
the 3.11 that the components run with.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from pm_components.aws.limits import EC2_USER_DATA_BYTES
from pm_components.greengrass_site.host_downloads import Download
from pm_components.greengrass_site.nuclei import Nucleus, NucleusKind

#: SHA-256 of the public key of the authority that AWS IoT's endpoints are trusted by: "SHA-256 Hash of Subject Public
#: Key Information" of Amazon Root CA 1, https://www.amazontrust.com/repository/.
_ROOT_KEY_SHA256 = "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2"
#: Configuration that nucleus lite's package writes (`debian/postinst`), with its own user for the components. It is
#: read after `/etc/greengrass/config.yaml`, and wins (`ggconfig_load_dir` of ggconfigd).
_LITE_CONFIGURATION = "/etc/greengrass/config.d/greengrass-lite.yaml"
#: For an hour it waits for what the instance before it has to let go of, and that waits for its certificate to be
#: detached for a quarter of it (`core_device_termination`).
_ATTEMPTS = 240
_PAUSE_SECONDS = 15
#: Folder in which nucleus lite keeps what it enrolled with.
_LITE_CREDENTIALS = "/var/lib/greengrass/credentials"


def user_data(
    nucleus: Nucleus,
    thing_name: str,
    serial_number: str,
    template: str,
    role_alias: str,
    region: str,
    packages: str,
    volume: str,
    unused: Sequence[str],
    python: str,
    data_directory: str,
    downloads: Mapping[str, Download],
) -> str:
    """The script that makes an instance a core device: of Amazon Linux 2023, or of Debian 12 for nucleus lite.

    Args:
        nucleus: the nucleus that it is to have, in exactly this version.
        thing_name: the thing that it is to be; the common name of its certificate.
        serial_number: what it enrols with.
        template: the fleet provisioning template.
        role_alias: role alias of the token exchange role.
        region: AWS region.
        packages: `s3://bucket/key` of its Python packages, with their hashes.
        volume: id of the EBS volume that `data_directory` is on, of the same availability zone.
        unused: what of the packages to delete: paths and patterns in `site-packages`.
        python: the interpreter to make, `ENVIRONMENT/bin/python`.
        data_directory: of the components.
        downloads: what no package manager checks, by name (`host_downloads.checked_downloads`).

    Raises:
        ValueError: if `python` is in no virtual environment, `data_directory` has white space, or the script is
            longer than EC2 takes.
    """
    if not python.endswith("/bin/python"):
        raise ValueError(f"python: found {python}, allowed on an EC2 host is ENVIRONMENT/bin/python")
    if not data_directory.startswith("/") or len(data_directory.split()) != 1 or ".." in data_directory.split("/"):
        raise ValueError(
            f"data_directory: found {data_directory!r}, allowed on an EC2 host is an absolute path without white space "
            "and without a level `..`"
        )
    identity = f"{data_directory}/{thing_name}/identity"
    known = {
        "thing": thing_name,
        "serial_number": serial_number,
        "template": template,
        "role_alias": role_alias,
        "region": region,
        "identity": identity,
    }
    quoted = {
        "thing": shlex.quote(thing_name),
        "subject": shlex.quote(f"/CN={thing_name}"),
        "template": shlex.quote(template),
        "region": shlex.quote(region),
        "packages": shlex.quote(packages),
        "volume": shlex.quote(volume),
        # udev's name for it: "Identify NVMe EBS volumes", Amazon EC2 user guide.
        "disk": shlex.quote(f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"),
        "attempts": _ATTEMPTS,
        "pause": _PAUSE_SECONDS,
        "unused": " ".join(unused),
        "environment": shlex.quote(python.removesuffix("/bin/python")),
        "data": shlex.quote(data_directory),
        "identity": shlex.quote(identity),
        "root_key": _ROOT_KEY_SHA256,
        **{name: f"{download.url} {download.sha256}" for name, download in downloads.items()},
        "version": nucleus.version,
        "credentials": _LITE_CREDENTIALS,
        "lite_configuration": _LITE_CONFIGURATION,
    }
    if nucleus.kind is NucleusKind.LITE:
        parts = (_START, _DEBIAN, _VOLUME, _PREPARE, _LITE, _END)
        quoted["configuration"] = yaml.safe_dump(_lite_configuration(known), sort_keys=False)
    else:
        parts = (_START, _AMAZON_LINUX, _VOLUME, _PREPARE, _CLASSIC, _END)
        quoted["configuration"] = yaml.safe_dump(_plugin_configuration(known), sort_keys=False)
    script = "\n".join(parts).format(**quoted)
    if len(script.encode()) > EC2_USER_DATA_BYTES:
        raise ValueError(f"user data: {len(script.encode())} bytes, allowed are {EC2_USER_DATA_BYTES}")
    return script


def _plugin_configuration(known: Mapping[str, str]) -> dict[str, Any]:
    """The nucleus's first configuration; the script fills DATA_ENDPOINT and CREDENTIAL_ENDPOINT in."""
    identity = known["identity"]
    return {
        "services": {
            "aws.greengrass.FleetProvisioningByClaim": {
                "configuration": {
                    "rootPath": "/greengrass/v2",
                    "awsRegion": known["region"],
                    "iotDataEndpoint": "DATA_ENDPOINT",
                    "iotCredentialEndpoint": "CREDENTIAL_ENDPOINT",
                    "iotRoleAlias": known["role_alias"],
                    "provisioningTemplate": known["template"],
                    "claimCertificatePath": "/root/claim/certificate.pem",
                    "claimCertificatePrivateKeyPath": "/root/claim/private-key.pem",
                    "csrPath": "/root/claim/request.pem",
                    "csrPrivateKeyPath": f"{identity}/private-key.pem",
                    "rootCaPath": f"{identity}/root-ca.pem",
                    "templateParameters": {"SerialNumber": known["serial_number"]},
                }
            }
        }
    }


def _lite_configuration(known: Mapping[str, str]) -> dict[str, Any]:
    """Nucleus lite's first configuration; its fleet provisioning fills in what is empty."""
    return {
        "system": {
            "privateKeyPath": "",
            "certificateFilePath": "",
            "rootCaPath": "",
            "rootPath": "/var/lib/greengrass",
            "thingName": "",
        },
        "services": {
            "aws.greengrass.NucleusLite": {
                "componentType": "NUCLEUS",
                "configuration": {
                    "awsRegion": known["region"],
                    "iotCredEndpoint": "",
                    "iotDataEndpoint": "",
                    "iotRoleAlias": known["role_alias"],
                    "runWithDefault": {"posixUser": "gg_component:gg_component"},
                    "greengrassDataPlanePort": "8443",
                },
            },
            "aws.greengrass.fleet_provisioning": {
                "configuration": {
                    "iotDataEndpoint": "DATA_ENDPOINT",
                    "iotCredEndpoint": "CREDENTIAL_ENDPOINT",
                    "rootCaPath": "/root/claim/root-ca.pem",
                    "claimKeyPath": "/root/claim/private-key.pem",
                    "claimCertPath": "/root/claim/certificate.pem",
                    "csrCommonName": known["thing"],
                    "templateName": known["template"],
                    "templateParams": {"SerialNumber": known["serial_number"]},
                }
            },
        },
    }


_START = """#!/bin/bash
# Makes this instance a Greengrass core device. Log: /var/log/cloud-init-output.log
set -euo pipefail
umask 077
export AWS_DEFAULT_REGION={region}
fetch() {{ curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' -o "$1" "$2"; }}
# Fetches a file, and goes on only if it is what it is to be: FILE URL SHA256.
fetch_known() {{
  fetch "$1" "$2"
  if ! echo "$3  $1" | sha256sum --check --status; then
    echo "$2 is not the file with the SHA-256 $3, but with $(sha256sum "$1")" >&2
    exit 1
  fi
}}
# Tries a command again for as long as the instance before this one may take to end.
patiently() {{
  for _ in $(seq {attempts}); do
    if "$@"; then return 0; fi
    sleep {pause}
  done
  echo "given up after {attempts} tries, {pause} s apart: $*" >&2
  return 1
}}
"""

_AMAZON_LINUX = """dnf install -y java-17-amazon-corretto-headless openssl python3.11 unzip
id ggc_user >/dev/null 2>&1 || useradd --system --create-home ggc_user
"""

# An image of Debian has no agent of Session Manager: "Manually installing SSM Agent on Debian Server instances".
_DEBIAN = """export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y awscli ca-certificates curl openssl python3.11 python3.11-venv unzip
fetch_known /root/amazon-ssm-agent.deb {session_manager_agent}
dpkg -i /root/amazon-ssm-agent.deb
"""

_VOLUME = """# Outbox, models and what the components remember outlive the instances, on a volume of their own.
instance=$(cat /var/lib/cloud/data/instance-id)
attach() {{ aws ec2 attach-volume --volume-id {volume} --instance-id "$instance" --device /dev/sdf > /dev/null; }}
patiently attach
patiently test -e {disk}
if ! blkid {disk} > /dev/null; then mkfs.ext4 -q {disk}; fi
install -d -m 755 {data}
echo {disk} {data} ext4 defaults,nofail 0 2 >> /etc/fstab
mount {data}
rm -rf {identity}  # of the instance before, whose certificate is of no use any more
"""

_PREPARE = """# The components' Python, with packages of known hashes.
install -d -m 755 "$(dirname {environment})"
python3.11 -m venv {environment}
aws s3 cp --only-show-errors {packages} /root/requirements.txt
{environment}/bin/pip install --quiet --require-hashes -r /root/requirements.txt
(cd {environment}/lib/python3.11/site-packages && rm -rf {unused})
chmod -R a+rX {environment}

# The name is free once the certificate of the instance before is detached.
name_is_free() {{
  [ "$(aws iot list-thing-principals --thing-name {thing} --query 'length(principals)' --output text)" = 0 ]
}}
patiently name_is_free

# A claim that lives for minutes, and whom to show it to.
install -d -m 755 {data}
install -d -m 700 /root/claim
fetch /root/claim/root-ca.pem https://www.amazontrust.com/repository/AmazonRootCA1.pem
root_key=$(openssl x509 -in /root/claim/root-ca.pem -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum)
if [ "$root_key" != "{root_key}  -" ]; then
  echo "the authority that was fetched has another public key than Amazon Root CA 1: $root_key" >&2
  exit 1
fi
aws iot create-provisioning-claim --template-name {template} > /root/claim/claim.json
python3.11 - <<'CLAIM'
import json, pathlib
claim = json.loads(pathlib.Path("/root/claim/claim.json").read_text())
pathlib.Path("/root/claim/certificate.pem").write_text(claim["certificatePem"])
pathlib.Path("/root/claim/private-key.pem").write_text(claim["keyPair"]["PrivateKey"])
CLAIM
cat > /root/claim/configuration.yaml <<'CONFIGURATION'
{configuration}CONFIGURATION
data_endpoint=$(aws iot describe-endpoint --endpoint-type iot:Data-ATS --query endpointAddress --output text)
credential_endpoint=$(aws iot describe-endpoint --endpoint-type iot:CredentialProvider \\
  --query endpointAddress --output text)
sed -i "s/DATA_ENDPOINT/$data_endpoint/; s/CREDENTIAL_ENDPOINT/$credential_endpoint/" /root/claim/configuration.yaml
"""

_CLASSIC = """# The identity: the private key is made here and never leaves.
install -d -m 700 -o ggc_user "$(dirname {identity})" {identity}
install -m 600 /root/claim/root-ca.pem {identity}/root-ca.pem
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out {identity}/private-key.pem
openssl req -new -key {identity}/private-key.pem -subj {subject} -out /root/claim/request.pem

# The nucleus, which enrols by the claim and starts with the system.
fetch_known /root/nucleus.zip {nucleus}
fetch_known /root/fleet-provisioning.jar {provisioning_plugin}
unzip -q -o /root/nucleus.zip -d /root/nucleus
install -d -m 755 /greengrass  # made by the nucleus it would be root's alone, and the components run as ggc_user
java -Droot=/greengrass/v2 -Dlog.store=FILE -jar /root/nucleus/lib/Greengrass.jar \\
  --trusted-plugin /root/fleet-provisioning.jar --init-config /root/claim/configuration.yaml \\
  --component-default-user ggc_user:ggc_user --setup-system-service true

# The components speak for this device too: they get its certificate, and nobody gets the claim.
for _ in $(seq 120); do
  if [ -s /greengrass/v2/thingCert.crt ]; then break; fi
  sleep 5
done
install -m 600 /greengrass/v2/thingCert.crt {identity}/certificate.pem
chown -R ggc_user: "$(dirname {identity})"
"""

_LITE = """# Nucleus lite, whose package makes the users ggcore, for itself, and gg_component, for the components.
fetch_known /root/nucleus.zip {nucleus}
unzip -q -o /root/nucleus.zip -d /root/nucleus
apt-get install -y /root/nucleus/aws-greengrass-lite-{version}-Linux.deb
# In place of the package's own configuration, by which the components would run as ggcore.
install -m 640 -g ggcore /root/claim/configuration.yaml {lite_configuration}
install -d -m 700 -o ggcore -g ggcore {credentials}
systemctl stop greengrass-lite.target
rm -rf /var/lib/greengrass/config.db  # or the configuration would not be read
systemctl enable greengrass-lite.target
systemctl start greengrass-lite.target

# It makes its private key here, enrols by the claim, and is a core device from its next start.
/usr/bin/fleet-provisioning
test -s {credentials}/certificate.pem
systemctl restart greengrass-lite.target

# The components speak for this device too: they get its identity, and nobody gets the claim.
install -d -m 700 -o gg_component "$(dirname {identity})" {identity}
install -m 600 -o gg_component {credentials}/priv_key {identity}/private-key.pem
install -m 600 -o gg_component {credentials}/certificate.pem {identity}/certificate.pem
install -m 600 -o gg_component /root/claim/root-ca.pem {identity}/root-ca.pem
chown -R gg_component: "$(dirname {identity})"  # what an instance before has left, too
"""

_END = """rm -rf /root/claim
echo {thing} is a core device
"""
