"""The decision of AWS IoT policies on what a device does: whose policies count, and which variables they know.

| Way | Policies | Variables |
|---|---|---|
| MQTT | the certificate's, and those of the groups of the connection's thing | of certificate, client and thing |
| HTTPS | the certificate's alone | of the certificate alone |

Sources, AWS IoT developer guide: "Static thing groups" (policies of groups give no access to the data plane of
Greengrass), "Thing policy variables" (known on MQTT connections only), "Associating an AWS IoT thing to an MQTT client
connection" (the thing is the one that the certificate is attached to exclusively, or the one that the client id
names). That the policies of groups do not count for shadows over HTTPS follows from the last two: a request has no
client id, and so no thing whose groups could be looked up.
"""

from collections.abc import Iterable

from ministack.core import responses
from ministack.services import iot

from pm_sandbox.cloud import seams

_THING = "iot:connection.thing.thingname"
_OF_THE_CERTIFICATE = "iot:certificate."


def check_seams() -> None:
    """Check the functions of the emulator that this module relies on.

    Raises:
        SeamError: if one has changed.
    """
    seams.require(iot, "_parsed_iot_policy", "document", "context")
    seams.require(iot, "_policies_attached_to", "target")
    seams.require_value(iot, "_certificates", responses.AccountRegionScopedDict)


def mqtt_allows(
    account_id: str, region: str, certificate_id: str, context: dict[str, str], action: str, resource: str
) -> bool:
    """Return whether a device may do `action` on `resource` over an MQTT connection.

    Args:
        account_id: the account of the certificate.
        region: its region.
        certificate_id: whom the device is known by.
        context: the policy variables of its connection.
        action: as in a policy, for example `iot:Publish`.
        resource: what ends the ARN, for example `topic/a/b`.
    """
    with responses.request_scope(account_id, region):
        names = [*_own(certificate_id), *_of_groups(context.get(_THING, ""))]
        return _allows(account_id, region, certificate_id, names, context, action, resource)


def https_allows(account_id: str, region: str, certificate_id: str, action: str, resource: str) -> bool:
    """Return whether a device may do `action` on `resource` by HTTPS; arguments as of `mqtt_allows`."""
    known = iot._mqtt_policy_context(account_id, region, certificate_id, "")
    context = {key: value for key, value in known.items() if key.startswith(_OF_THE_CERTIFICATE)}
    with responses.request_scope(account_id, region):
        return _allows(account_id, region, certificate_id, _own(certificate_id), context, action, resource)


def _own(certificate_id: str) -> list[str]:
    return list((iot._certificates.get(certificate_id) or {}).get("attachedPolicies", []))


def _of_groups(thing: str) -> list[str]:
    groups = sorted((iot._things.get(thing) or {}).get("thingGroupNames", []))
    return [each["policyName"] for group in groups for each in iot._policies_attached_to(iot._thing_group_arn(group))]


def _allows(
    account_id: str,
    region: str,
    certificate_id: str,
    names: Iterable[str],
    context: dict[str, str],
    action: str,
    resource: str,
) -> bool:
    asked = iot.EvalContext(
        principal_arn=f"arn:aws:iot:{region}:{account_id}:cert/{certificate_id}",
        principal_type="Certificate",
        principal_account=account_id,
        action=action,
        resource_arn=f"arn:aws:iot:{region}:{account_id}:{resource}",
        region=region,
        service_context=context,
    )
    variables = tuple(sorted(context.items()))
    policies = [policy for name in dict.fromkeys(names) if (policy := iot._policies.get(name))]
    documents = [policy["versions"][policy["defaultVersionId"]]["document"] for policy in policies]
    parsed = [iot._parsed_iot_policy(document, variables) for document in documents]
    return bool(iot.evaluate(asked, parsed).decision == "Allow")
