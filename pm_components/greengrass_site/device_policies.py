"""The AWS IoT policies of a site: of its core devices, of claim certificates, and of the devices behind a core device.

Pure: each is a JSON text made from names and ARNs.

All of them are to be attached to a certificate. Policies of a thing group give no access to the data plane of
Greengrass ("Static thing groups", AWS IoT developer guide), and over HTTPS there is no connection whose thing would be
in a group.

Who a core device is, its policies read from the common name of its certificate. The variables of things
(`iot:Connection.Thing.*`) are no choice: AWS does not support them in policies of core devices ("Device authentication
and authorization", AWS IoT Greengrass V2 developer guide), and where a certificate is attached to its thing not
exclusively, as fleet provisioning does, they have a value only on the connection whose client id is the thing's name
("Thing policy variables", AWS IoT developer guide). A nucleus publishes on all of its connections in turn
(`MqttClient.getConnection` of aws-greengrass-nucleus). The variables of a certificate have their value on every
connection ("X.509 Certificate AWS IoT Core policy variables").
"""

import json
from collections.abc import Sequence

from pm_components.aws.limits import IOT_POLICY_CHARACTERS
from pm_components.aws.permissions import POLICY_VERSION, Statement, allow
from pm_contracts import topics
from pm_contracts.site_devices import thing_name

_CORE = "${iot:Certificate.Subject.CommonName}"
#: Suffix of the client id of a core device's uplink, after its thing's name.
UPLINK_SUFFIX = "-uplink"
#: Suffix of the client ids of a nucleus's second and further connections (`thing#2`), which it opens for more
#: subscriptions than one takes: `MqttClient.getNewMqttClient` of aws-greengrass-nucleus. In a policy `#` stands for
#: itself ("AWS IoT policies", AWS IoT Greengrass V2 developer guide), and no thing's name has one.
_MORE_CONNECTIONS = "#*"
#: The client id of a device that is nobody yet, in a policy's wildcards: a random UUID of RFC 9562. So a claim takes
#: the place of no core device, nor of any other client with a name. Classic: `deviceId`, "Configure the AWS IoT fleet
#: provisioning plugin", developer guide. Lite: `start_iotcored` of modules/fleet-provisioning, aws-greengrass-lite.
_RANDOM_UUID = "????????-????-4???-????-????????????"


def connection_problem(core_devices: Sequence[str]) -> str:
    """The reason that a site's core devices may not be named so; empty if they may.

    Of two connections with one client id AWS IoT keeps the later one, so that the two would end each other for ever.
    """
    taken = [name for name in core_devices if name.endswith(UPLINK_SUFFIX)]
    if not taken:
        return ""
    return (
        f"found {', '.join(taken)}, by which the uplink of {taken[0].removesuffix(UPLINK_SUFFIX)} connects, allowed is "
        f"a name that does not end in {UPLINK_SUFFIX}"
    )


def core_device_policy(site: str, iot_arn: str, role_alias_arn: str) -> str:
    """The policy of a site's core devices.

    Each is held to its own client ids, jobs and shadows by the common name of its certificate, which is to be the name
    of its thing: fleet provisioning lets no other pass (`functions/pre_provisioning`).

    Args:
        site: the site, on whose topics they may publish, commands excepted.
        iot_arn: what ARNs of AWS IoT resources begin with, as `arn:aws:iot:eu-central-1:123456789012:`.
        role_alias_arn: the alias of the token exchange role.
    """
    own = f"$aws/things/{_CORE}"
    commands = topics.command_topic(site, "")
    site_topics = f"{topics.ROOT}/{site}/*"
    statements: list[Statement] = [
        allow(
            ["iot:Connect"],
            [
                f"{iot_arn}client/{client}"
                for client in (_CORE, f"{_CORE}{_MORE_CONNECTIONS}", f"{_CORE}{UPLINK_SUFFIX}")
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
                    # Telemetry, which is on by default ("Gather system health telemetry data").
                    f"{own}/greengrass/health/json",
                )
            ],
        ),
        # What a site is asked to do comes from the cloud: of its core devices, none gives orders to the others.
        {"Effect": "Deny", "Action": ["iot:Publish"], "Resource": [f"{iot_arn}topic/{commands}*"]},
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

    What they ask by HTTPS (all of `greengrass`, and shadows) is held to names.

    Source of the actions: "Minimal AWS IoT policy to support client devices", AWS IoT Greengrass V2 developer guide.

    Raises:
        ValueError: if there are more core devices than the policy has room for.
    """
    devices = f"{iot_arn}thing/{thing_name(site, '*')}"
    # The shadows of the devices, which it keeps in step, and the one that says where it can be reached itself.
    shadows = [
        f"$aws/things/{thing_name(site, '*')}/shadow/*",
        f"$aws/things/{_CORE}-gci/shadow/*",
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

    It connects by the client id that both nuclei choose for it. A certificate may only be asked for with a request of
    the device's own (`create-from-csr`), so that no private key is ever made in the cloud.
    """
    wanted = ("$aws/certificates/create-from-csr/*", f"$aws/provisioning-templates/{template}/provision/*")
    return _document(
        [
            allow(["iot:Connect"], [f"{iot_arn}client/{_RANDOM_UUID}"]),
            allow(["iot:Publish", "iot:Receive"], [f"{iot_arn}topic/{topic}" for topic in wanted]),
            allow(["iot:Subscribe"], [f"{iot_arn}topicfilter/{topic}" for topic in wanted]),
        ]
    )


def client_device_policy(site: str, iot_arn: str) -> str:
    """The policy of a device's certificate: it may find out which core devices it belongs to, no more.

    What it may say to a core device is the core device's to decide (`client_devices.components`).
    """
    return _document([allow(["greengrass:Discover"], [f"{iot_arn}thing/{thing_name(site, '*')}"])])


def _document(statements: Sequence[Statement], mend: str = "") -> str:
    text = json.dumps({"Version": POLICY_VERSION, "Statement": list(statements)}, separators=(",", ":"))
    if len(text) > IOT_POLICY_CHARACTERS:
        raise ValueError(
            f"AWS IoT policy: {len(text)} characters, allowed are {IOT_POLICY_CHARACTERS}: {mend or f'{text[:200]}...'}"
        )
    return text
