"""`CoreDeviceHost`: an EC2 instance that plays a core device, for a factory without hardware of its own."""

import json
import shlex
from typing import NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws

from pm_components import archives, naming, packaging
from pm_components.limits import EC2_USER_DATA_BYTES
from pm_components.permissions import allow, service_role
from pm_components.tagging import tagged_options

DEFAULT_INSTANCE_TYPE = "t3.small"
#: "Calling the AMI public parameter for Amazon Linux 2023", AWS Systems Manager user guide.
_IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
_NETWORK = "10.71.0.0/28"
_DISK_GIBIBYTES = 16
#: What a core device needs of the network: HTTPS and MQTT over TLS, out of the house.
_OUTBOUND_PORTS = {443: "AWS APIs, packages and artifacts", 8883: "MQTT over TLS to AWS IoT Core"}
#: "Download the AWS IoT Greengrass Core software" and "Install ... with AWS IoT fleet provisioning", developer guide.
_NUCLEUS_URL = "https://d2s8p88vqu9w66.cloudfront.net/releases/greengrass-nucleus-latest.zip"
_PLUGIN_URL = (
    "https://d2s8p88vqu9w66.cloudfront.net/releases/"
    "aws-greengrass-FleetProvisioningByClaim/fleetprovisioningbyclaim-latest.jar"
)


class CoreDeviceHostArgs(TypedDict):
    """Arguments of `CoreDeviceHost`."""

    thing_name: pulumi.Input[str]
    """The thing that it is."""
    serial_number: pulumi.Input[str]
    """The serial number that it enrols with."""
    provisioning_template: pulumi.Input[str]
    """The fleet provisioning template that it enrols by."""
    role_alias: pulumi.Input[str]
    """Role alias of the token exchange role."""
    artifact_bucket: pulumi.Input[str]
    """Name of the bucket that keeps the list of its Python packages, below `hosts/`."""
    instance_type: NotRequired[pulumi.Input[str]]
    """Instance type, of x86_64; default `t3.small`."""
    python: NotRequired[pulumi.Input[str]]
    """Where its Python interpreter is to be, in a virtual environment; default `/opt/pm/venv/bin/python`."""
    data_directory: NotRequired[pulumi.Input[str]]
    """Directory for outbox, models and identity; default `/var/lib/pm`."""


class CoreDeviceHost(pulumi.ComponentResource):
    """An instance with the Greengrass nucleus, in a network of its own that nobody can reach from outside.

    No inbound rule: who has to log in uses Session Manager. It may ask for a claim that lives for minutes, makes its
    private key itself, and enrols by the site's template; what it may do as a core device, it may by its certificate.
    """

    instance_id: pulumi.Output[str]
    """The instance, to log in with `aws ssm start-session --target`."""

    def __init__(self, name: str, args: CoreDeviceHostArgs, opts: Optional[pulumi.ResourceOptions] = None) -> None:
        super().__init__("pm:index:CoreDeviceHost", name, None, tagged_options(opts, "CoreDeviceHost"))
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        subnet, security_group = self._network()
        packages = self._packages(args["artifact_bucket"])
        profile = self._profile(args)
        image = aws.ssm.get_parameter_output(name=_IMAGE_PARAMETER, opts=pulumi.InvokeOutputOptions(parent=self))
        script = pulumi.Output.all(
            thing_name=args["thing_name"],
            serial_number=args["serial_number"],
            template=args["provisioning_template"],
            role_alias=args["role_alias"],
            region=naming.region(self),
            packages=pulumi.Output.concat("s3://", packages.bucket, "/", packages.key),
            python=args.get("python", "/opt/pm/venv/bin/python"),
            data_directory=args.get("data_directory", "/var/lib/pm"),
        ).apply(lambda known: user_data(**known))
        instance = aws.ec2.Instance(
            f"{name}-instance",
            ami=image.value,
            instance_type=args.get("instance_type", DEFAULT_INSTANCE_TYPE),
            subnet_id=subnet.id,
            vpc_security_group_ids=[security_group.id],
            associate_public_ip_address=True,  # the way out; a NAT gateway costs more than the instance
            iam_instance_profile=profile.name,
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
            },
            root_block_device={"encrypted": True, "volume_type": "gp3", "volume_size": _DISK_GIBIBYTES},
            user_data=script,
            user_data_replace_on_change=True,
            tags={"Name": naming.physical_name(name)},
            # A newer image of Amazon Linux is no reason to replace a core device.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["ami"]),
        )
        self.instance_id = instance.id
        self.register_outputs({"instance_id": self.instance_id})

    def _network(self) -> tuple[aws.ec2.Subnet, aws.ec2.SecurityGroup]:
        """A network with one subnet, a way out, and no way in."""
        vpc = aws.ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=_NETWORK,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": naming.physical_name(self._name)},
            opts=self._child,
        )
        gateway = aws.ec2.InternetGateway(f"{self._name}-gateway", vpc_id=vpc.id, opts=self._child)
        subnet = aws.ec2.Subnet(
            f"{self._name}-subnet",
            vpc_id=vpc.id,
            cidr_block=_NETWORK,
            map_public_ip_on_launch=False,
            opts=self._child,
        )
        table = aws.ec2.RouteTable(
            f"{self._name}-routes",
            vpc_id=vpc.id,
            routes=[{"cidr_block": "0.0.0.0/0", "gateway_id": gateway.id}],
            opts=self._child,
        )
        aws.ec2.RouteTableAssociation(
            f"{self._name}-route-association", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )
        group = aws.ec2.SecurityGroup(
            f"{self._name}-security-group",
            name=naming.physical_name(self._name),
            description="A core device: nothing comes in, TLS goes out",
            vpc_id=vpc.id,
            ingress=[],
            egress=[
                {
                    "description": purpose,
                    "protocol": "tcp",
                    "from_port": port,
                    "to_port": port,
                    "cidr_blocks": ["0.0.0.0/0"],
                }
                for port, purpose in _OUTBOUND_PORTS.items()
            ],
            opts=self._child,
        )
        return subnet, group

    def _packages(self, bucket: pulumi.Input[str]) -> aws.s3.BucketObjectv2:
        file = packaging.ROOT / "requirements" / "edge.txt"
        version = archives.digest({"requirements.txt": file.read_bytes()})[:16]
        return aws.s3.BucketObjectv2(
            f"{self._name}-packages",
            bucket=bucket,
            # An object of its own: the hosts of two sites share the bucket, and one of them may go.
            key=f"hosts/{self._name}/{version}/requirements.txt",
            source=pulumi.FileAsset(str(file)),
            content_type="text/plain",
            opts=self._child,
        )

    def _profile(self, args: CoreDeviceHostArgs) -> aws.iam.InstanceProfile:
        """What the instance may do besides being a core device: enrol, read its packages, be logged in to."""
        bucket_arn = pulumi.Output.concat("arn:", naming.partition(self), ":s3:::", args["artifact_bucket"])
        template = naming.arn("iot", pulumi.Output.concat("provisioningtemplate/", args["provisioning_template"]), self)
        role = service_role(
            self._name,
            "ec2.amazonaws.com",
            [
                allow(["iot:CreateProvisioningClaim"], [template]),
                allow(["iot:DescribeEndpoint"], ["*"]),
                allow(["s3:GetObject"], [pulumi.Output.concat(bucket_arn, f"/hosts/{self._name}/*")]),
            ],
            parent=self,
        )
        attachment = aws.iam.RolePolicyAttachment(
            f"{self._name}-session-manager",
            role=role.role.name,
            policy_arn=pulumi.Output.concat(
                "arn:", naming.partition(self), ":iam::aws:policy/AmazonSSMManagedInstanceCore"
            ),
            opts=self._child,
        )
        return aws.iam.InstanceProfile(
            f"{self._name}-profile",
            name=naming.physical_name(self._name),
            # The instance must not start before it may enrol: the ARN is known once the role may.
            role=pulumi.Output.all(role.role.name, role.arn).apply(lambda known: str(known[0])),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[attachment]),
        )


def user_data(
    thing_name: str,
    serial_number: str,
    template: str,
    role_alias: str,
    region: str,
    packages: str,
    python: str,
    data_directory: str,
) -> str:
    """The script that makes an instance of Amazon Linux 2023 a core device.

    Args:
        thing_name: the thing that it is to be; the common name of its certificate.
        serial_number: what it enrols with.
        template: the fleet provisioning template.
        role_alias: role alias of the token exchange role.
        region: AWS region.
        packages: `s3://bucket/key` of its Python packages, with their hashes.
        python: the interpreter to make, `ENVIRONMENT/bin/python`.
        data_directory: of the components.

    Raises:
        ValueError: where `python` is in no virtual environment, or the script is longer than EC2 takes.
    """
    if not python.endswith("/bin/python"):
        raise ValueError(f"python: found {python}, allowed on an EC2 host is ENVIRONMENT/bin/python")
    quoted = {
        "thing": shlex.quote(thing_name),
        "subject": shlex.quote(f"/CN={thing_name}"),
        "template": shlex.quote(template),
        "region": shlex.quote(region),
        "packages": shlex.quote(packages),
        "environment": shlex.quote(python.removesuffix("/bin/python")),
        "data": shlex.quote(data_directory),
        "identity": shlex.quote(f"{data_directory}/{thing_name}/identity"),
        "plugin": _plugin_configuration(thing_name, serial_number, template, role_alias, region, data_directory),
        "nucleus_url": _NUCLEUS_URL,
        "plugin_url": _PLUGIN_URL,
    }
    script = _SCRIPT.format(**quoted)
    if len(script.encode()) > EC2_USER_DATA_BYTES:
        raise ValueError(f"user data: {len(script.encode())} bytes, allowed are {EC2_USER_DATA_BYTES}")
    return script


def _plugin_configuration(
    thing_name: str, serial_number: str, template: str, role_alias: str, region: str, data_directory: str
) -> str:
    """The nucleus's first configuration, JSON, which is YAML too; DATA_ENDPOINT and CREDENTIAL_ENDPOINT to fill in."""
    identity = f"{data_directory}/{thing_name}/identity"
    return json.dumps(
        {
            "services": {
                "aws.greengrass.FleetProvisioningByClaim": {
                    "configuration": {
                        "rootPath": "/greengrass/v2",
                        "awsRegion": region,
                        "iotDataEndpoint": "DATA_ENDPOINT",
                        "iotCredentialEndpoint": "CREDENTIAL_ENDPOINT",
                        "iotRoleAlias": role_alias,
                        "provisioningTemplate": template,
                        "claimCertificatePath": "/root/claim/certificate.pem",
                        "claimCertificatePrivateKeyPath": "/root/claim/private-key.pem",
                        "csrPath": "/root/claim/request.pem",
                        "csrPrivateKeyPath": f"{identity}/private-key.pem",
                        "rootCaPath": f"{identity}/root-ca.pem",
                        "templateParameters": {"SerialNumber": serial_number},
                    }
                }
            }
        },
        indent=1,
    )


_SCRIPT = """#!/bin/bash
# Makes this instance a Greengrass core device. Log: /var/log/cloud-init-output.log
set -euo pipefail
umask 077
export AWS_DEFAULT_REGION={region}

dnf install -y java-17-amazon-corretto-headless python3.11 unzip
id ggc_user >/dev/null 2>&1 || useradd --system --create-home ggc_user

# The components' Python, with packages of known hashes.
install -d -m 755 "$(dirname {environment})"
python3.11 -m venv {environment}
aws s3 cp --only-show-errors {packages} /root/requirements.txt
{environment}/bin/pip install --quiet --require-hashes -r /root/requirements.txt
chmod -R a+rX {environment}

# The identity: the private key is made here and never leaves.
install -d -m 755 {data}
install -d -m 700 -o ggc_user "$(dirname {identity})" {identity}
install -d -m 700 /root/claim
curl --fail --silent --show-error --proto '=https' -o {identity}/root-ca.pem \\
  https://www.amazontrust.com/repository/AmazonRootCA1.pem
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out {identity}/private-key.pem
openssl req -new -key {identity}/private-key.pem -subj {subject} -out /root/claim/request.pem
aws iot create-provisioning-claim --template-name {template} > /root/claim/claim.json
python3.11 - <<'CLAIM'
import json, pathlib
claim = json.loads(pathlib.Path("/root/claim/claim.json").read_text())
pathlib.Path("/root/claim/certificate.pem").write_text(claim["certificatePem"])
pathlib.Path("/root/claim/private-key.pem").write_text(claim["keyPair"]["PrivateKey"])
CLAIM

# The nucleus, which enrols by the claim and starts with the system.
curl --fail --silent --show-error --proto '=https' -o /root/nucleus.zip {nucleus_url}
curl --fail --silent --show-error --proto '=https' -o /root/fleet-provisioning.jar {plugin_url}
unzip -q -o /root/nucleus.zip -d /root/nucleus
cat > /root/claim/configuration.yaml <<'CONFIGURATION'
{plugin}
CONFIGURATION
data_endpoint=$(aws iot describe-endpoint --endpoint-type iot:Data-ATS --query endpointAddress --output text)
credential_endpoint=$(aws iot describe-endpoint --endpoint-type iot:CredentialProvider \\
  --query endpointAddress --output text)
sed -i "s/DATA_ENDPOINT/$data_endpoint/; s/CREDENTIAL_ENDPOINT/$credential_endpoint/" /root/claim/configuration.yaml
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
rm -rf /root/claim
echo {thing} is a core device
"""
