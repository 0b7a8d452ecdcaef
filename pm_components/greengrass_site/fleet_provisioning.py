"""Fleet provisioning of a site's core devices: template, hook, and the policy of the claims.

A core device comes with a claim certificate and its serial number, makes its private key itself and asks for a
certificate by a request of its own; the hook then says which thing it is. Things, groups and policies are made by the
site, so that the template only binds the new certificate to them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pulumi
import pulumi_aws as aws

from pm_components.aws import naming
from pm_components.aws.lambda_function import contracts_layer, lambda_function
from pm_components.aws.limits import LAMBDA_ENVIRONMENT_BYTES, PROVISIONING_TEMPLATE_NAME_LENGTH
from pm_components.aws.permissions import allow, service_role
from pm_components.functions.pre_provisioning.core import SERIAL_NUMBER, THING_NAME
from pm_components.greengrass_site.device_policies import claim_policy

#: "AWS IoT waits five seconds for the function": "Pre-provisioning hooks", AWS IoT developer guide.
_HOOK_SECONDS = 5
_HOOK_PAYLOAD_VERSION = "2020-04-01"


class FleetProvisioning(NamedTuple):
    """The part of enrolment besides a claim: the template's name, known once the hook may be called."""

    template: pulumi.Output[str]
    template_arn: pulumi.Output[str]


def fleet_provisioning(
    name: str,
    site: str,
    serial_numbers: Mapping[str, str],
    things: Mapping[str, aws.iot.Thing],
    device_policies: Sequence[aws.iot.Policy],
    *,
    parent: pulumi.Resource,
) -> FleetProvisioning:
    """The template `{name}-provisioning-template` with its hook and role, and the policy `{name}-claim-policy`.

    Args:
        name: logical name.
        site: the site's name.
        serial_numbers: the serial number of each core device by its thing name.
        things: the things by name.
        device_policies: what a provisioned core device may do; each is attached to its certificate.
        parent: the component that it belongs to.

    Raises:
        ValueError: if a serial number is of no core device, two have the same, or there are too many.
    """
    core_devices = things_by_serial_number(serial_numbers, list(things))
    options = pulumi.ResourceOptions(parent=parent)
    physical = naming.physical_name(name, maximum=PROVISIONING_TEMPLATE_NAME_LENGTH)
    arn = naming.arn("iot", f"provisioningtemplate/{physical}", parent)
    thing_arns = [things[thing].arn for thing in sorted(serial_numbers)]
    hook = lambda_function(
        f"{name}-pre-provisioning",
        "pre_provisioning",
        parent=parent,
        description=f"Says which core device of site {site} a new device is",
        statements=[allow(["iot:ListThingPrincipals"], thing_arns)],
        environment={"CORE_DEVICES": core_devices},
        layers=[contracts_layer(f"{name}-pre-provisioning", parent=parent).arn],
        timeout_seconds=_HOOK_SECONDS,
    )
    permission = aws.lambda_.Permission(
        f"{name}-pre-provisioning-permission",
        statement_id="provisioning",
        action="lambda:InvokeFunction",
        function=hook.function.name,
        principal="iot.amazonaws.com",
        source_account=naming.account_id(parent),
        source_arn=arn,
        opts=options,
    )
    certificates = naming.arn("iot", "cert/*", parent)
    role = service_role(
        f"{name}-provisioning",
        "iot.amazonaws.com",
        [
            # The certificate is made by the device's request, so that no policy can name it.
            allow(["iot:DescribeCertificate", "iot:UpdateCertificate", "iot:AttachPolicy"], [certificates]),
            # The things exist; AWS's own policy for templates (AWSIoTThingsRegistration) has them made all the same.
            allow(["iot:CreateThing", "iot:DescribeThing", "iot:ListThingPrincipals"], thing_arns),
            allow(["iot:AttachThingPrincipal"], [certificates, *thing_arns]),
            allow(["iot:GetPolicy"], [policy.arn for policy in device_policies]),
        ],
        parent=parent,
    )
    template = aws.iot.ProvisioningTemplate(
        f"{name}-provisioning-template",
        name=physical,
        description=f"Core devices of site {site}",
        enabled=True,
        provisioning_role_arn=role.arn,
        template_body=pulumi.Output.all(*(policy.name for policy in device_policies)).apply(template_body),
        pre_provisioning_hook={"target_arn": hook.function.arn, "payload_version": _HOOK_PAYLOAD_VERSION},
        # AWS calls the function's policy into question when the template is made.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[permission]),
    )
    aws.iot.Policy(
        f"{name}-claim-policy",
        name=naming.physical_name(name, "claim"),
        policy=naming.arn("iot", "", parent).apply(lambda head: claim_policy(head, physical)),
        opts=options,
    )
    return FleetProvisioning(template.name, template.arn)


def template_body(device_policies: Sequence[str]) -> str:
    """The template, JSON: binds the certificate to policies and the thing that the hook names, and changes no more.

    A template may name more than one policy ("Provisioning templates", AWS IoT developer guide).
    """
    policies = {
        f"policy{number}": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": name}}
        for number, name in enumerate(device_policies, 1)
    }
    return json.dumps(
        {
            "Parameters": {
                SERIAL_NUMBER: {"Type": "String"},
                THING_NAME: {"Type": "String"},
                "AWS::IoT::Certificate::Id": {"Type": "String"},
            },
            "Resources": {
                "thing": {
                    "Type": "AWS::IoT::Thing",
                    "OverrideSettings": {
                        "AttributePayload": "DO_NOTHING",
                        "ThingTypeName": "DO_NOTHING",
                        "ThingGroups": "DO_NOTHING",
                    },
                    "Properties": {"ThingName": {"Ref": THING_NAME}},
                },
                "certificate": {
                    "Type": "AWS::IoT::Certificate",
                    "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"},
                },
                **policies,
            },
        },
        sort_keys=True,
    )


def things_by_serial_number(serial_numbers: Mapping[str, str], core_devices: list[str]) -> str:
    """The thing name by serial number, as JSON for the hook.

    Raises:
        ValueError: if a serial number is of no core device, two have the same, or there are too many.
    """
    strangers = sorted(set(serial_numbers) - set(core_devices))
    if strangers:
        raise ValueError(f"serial_numbers: found {', '.join(strangers)}, allowed are {', '.join(sorted(core_devices))}")
    things = {serial: thing for thing, serial in sorted(serial_numbers.items())}
    if len(things) != len(serial_numbers):
        raise ValueError("serial_numbers: two core devices have the same, each needs its own")
    text = json.dumps(things, sort_keys=True)
    if len(text) > LAMBDA_ENVIRONMENT_BYTES:
        raise ValueError(
            f"serial_numbers: {len(text)} bytes, allowed are {LAMBDA_ENVIRONMENT_BYTES}: make two sites of the site"
        )
    return text
