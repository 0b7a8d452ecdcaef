"""The AWS IoT policies of a site: of its core devices, of claim certificates, and of the devices behind a core device.

Pure: each is a JSON text made from names and ARNs.
"""

import json
from collections.abc import Sequence

from pm_components import client_devices
from pm_components.limits import IOT_POLICY_CHARACTERS
from pm_components.permissions import POLICY_VERSION, Statement, allow
from pm_contracts import topics

_THING = "${iot:Connection.Thing.ThingName}"
_COMMON_NAME = "${iot:Certificate.Subject.CommonName}"
#: What ends the client id of a core device's uplink, after its thing's name.
UPLINK_SUFFIX = "-uplink"


def core_device_policy(site: str, iot_arn: str, role_alias_arn: str) -> str:
    """The policy of a site's core devices.

    Policy variables hold each to its own client ids, jobs and shadows. The client id of the uplink is no thing's name;
    AWS then knows the thing where the certificate is attached to it exclusively ("Thing policy variables", AWS IoT
    developer guide). Fleet provisioning attaches it not exclusively, and its hook lets pass only a certificate whose
    common name is the thing's name (`functions/pre_provisioning`).

    Args:
        site: the site, whose topics they may publish on.
        iot_arn: what ARNs of AWS IoT resources begin with, as `arn:aws:iot:eu-central-1:123456789012:`.
        role_alias_arn: the alias of the token exchange role.
    """
    own = f"$aws/things/{_THING}"
    commands = topics.command_topic(site, "")
    site_topics = f"{topics.ROOT}/{site}/*"
    statements: list[Statement] = [
        allow(
            ["iot:Connect"],
            [
                f"{iot_arn}client/{client}"
                for client in (_THING, f"{_THING}{UPLINK_SUFFIX}", f"{_COMMON_NAME}{UPLINK_SUFFIX}")
            ],
        ),
        # What it hears is bounded by what it may subscribe to.
        allow(
            ["iot:Publish", "iot:Receive"],
            [
                f"{iot_arn}topic/{topic}"
                for topic in (
                    site_topics,
                    f"{own}/jobs/*",
                    f"{own}/shadow/*",
                    f"{own}/greengrassv2/health/json",
                )
            ],
        ),
        allow(
            ["iot:Subscribe"],
            [f"{iot_arn}topicfilter/{topic}*" for topic in (commands, f"{own}/jobs/", f"{own}/shadow/")],
        ),
        allow(["iot:AssumeRoleWithCertificate"], [role_alias_arn]),
        allow(
            [
                "greengrass:GetComponentVersionArtifact",
                "greengrass:ResolveComponentCandidates",
                "greengrass:GetDeploymentConfiguration",
                "greengrass:ListThingGroupsForCoreDevice",
            ],
            ["*"],
        ),
    ]
    return _document(statements)


def serving_policy(site: str, core_devices: Sequence[str], iot_arn: str) -> str:
    """The policy of the core devices that devices of `site` connect to, beside `core_device_policy`.

    What they ask by HTTPS (all of `greengrass`, and shadows) is held to names: AWS IoT knows the variables of things
    only on MQTT connections ("Thing policy variables", AWS IoT developer guide).

    Source of the actions: "Minimal AWS IoT policy to support client devices", AWS IoT Greengrass V2 developer guide.

    Raises:
        ValueError: where there are more core devices than the policy has room for.
    """
    devices = f"{iot_arn}thing/{client_devices.thing_name(site, '*')}"
    # The shadows of the devices, which it keeps in step, and the one that says where it can be reached itself.
    shadows = [
        f"$aws/things/{client_devices.thing_name(site, '*')}/shadow/*",
        f"$aws/things/{_THING}-gci/shadow/*",
    ]
    return _document(
        [
            allow(["iot:Publish", "iot:Receive"], [f"{iot_arn}topic/{shadow}" for shadow in shadows]),
            allow(["iot:Subscribe"], [f"{iot_arn}topicfilter/{shadow}" for shadow in shadows]),
            allow(["iot:GetThingShadow", "iot:UpdateThingShadow", "iot:DeleteThingShadow"], [devices]),
            allow(
                ["greengrass:GetConnectivityInfo", "greengrass:UpdateConnectivityInfo"],
                [f"{iot_arn}thing/{core}" for core in core_devices],
            ),
            allow(["greengrass:VerifyClientDeviceIoTCertificateAssociation"], [devices]),
            allow(["greengrass:PutCertificateAuthorities", "greengrass:VerifyClientDeviceIdentity"], ["*"]),
        ],
        f"{len(core_devices)} core devices are too many for one site that devices connect to: make two sites of it",
    )


def claim_policy(iot_arn: str, template: str) -> str:
    """The policy of a claim certificate: what fleet provisioning by `template` needs, and nothing else.

    A certificate may only be asked for with a request of the device's own (`create-from-csr`), so that no private key
    is ever made in the cloud.
    """
    wanted = ("$aws/certificates/create-from-csr/*", f"$aws/provisioning-templates/{template}/provision/*")
    return _document(
        [
            # A device that is nobody yet chooses its client id.
            allow(["iot:Connect"], [f"{iot_arn}client/*"]),
            allow(["iot:Publish", "iot:Receive"], [f"{iot_arn}topic/{topic}" for topic in wanted]),
            allow(["iot:Subscribe"], [f"{iot_arn}topicfilter/{topic}" for topic in wanted]),
        ]
    )


def client_device_policy(site: str, iot_arn: str) -> str:
    """The policy of a device's certificate: it may find out which core devices it belongs to, no more.

    What it may say to a core device is the core device's to decide (`client_devices.components`).
    """
    return _document([allow(["greengrass:Discover"], [f"{iot_arn}thing/{client_devices.thing_name(site, '*')}"])])


def _document(statements: Sequence[Statement], mend: str = "") -> str:
    text = json.dumps({"Version": POLICY_VERSION, "Statement": list(statements)}, separators=(",", ":"))
    if len(text) > IOT_POLICY_CHARACTERS:
        raise ValueError(
            f"AWS IoT policy: {len(text)} characters, allowed are {IOT_POLICY_CHARACTERS}: {mend or f'{text[:200]}...'}"
        )
    return text
