"""The decision of fleet provisioning's hook on a new core device, without I/O."""

from collections.abc import Mapping
from typing import NamedTuple

from asn1crypto import pem, x509

SERIAL_NUMBER = "SerialNumber"
"""The template's parameter that the device gives."""
THING_NAME = "ThingName"
"""The template's parameter that the hook sets, whatever the device says."""

#: id-at-commonName: RFC 5280, appendix A.
_COMMON_NAME = "2.5.4.3"


class Decision(NamedTuple):
    """The hook's decision: the thing that the device becomes, or the reason for a refusal; one of them is empty."""

    thing_name: str
    refusal: str


def decide(
    parameters: Mapping[str, str], certificate_pem: str, core_devices: Mapping[str, str], enrolled: Mapping[str, bool]
) -> Decision:
    """Decide on a device that asks to be provisioned.

    It must name a serial number that is known, its certificate must bear the name of the thing that has that number,
    and the thing must not have a certificate yet: a stolen claim then takes no device's place, and gains nothing
    without a serial number that is still free.

    Args:
        parameters: what the device gives for the template's parameters.
        certificate_pem: the certificate that it was just given, of its own request.
        core_devices: the thing name by serial number.
        enrolled: by thing name, whether it has a certificate already; asked for the one thing only.
    """
    serial_number = parameters.get(SERIAL_NUMBER, "")
    thing_name = core_devices.get(serial_number, "")
    if not thing_name:
        return Decision("", f"serial number {serial_number!r} is not one of this site's")
    try:
        name = common_name(certificate_pem)
    except ValueError as error:
        return Decision("", f"certificate: {error}")
    if name != thing_name:
        return Decision("", f"the certificate is of {name!r}, allowed for this serial number is {thing_name!r}")
    if enrolled[thing_name]:
        return Decision("", f"{thing_name} has a certificate already: detach it first where the device is replaced")
    return Decision(thing_name, "")


def common_name(certificate_pem: str) -> str:
    """The subject's common name of an X.509 certificate.

    Raises:
        ValueError: if the text is no certificate, or its subject has not exactly one common name.
    """
    try:
        kind, _, der = pem.unarmor(certificate_pem.encode())
    except ValueError as error:
        raise ValueError("not a PEM text") from error
    if kind != "CERTIFICATE":
        raise ValueError(f"not a certificate but a {kind}")
    try:
        subject = x509.Certificate.load(der, strict=True).subject.chosen
        names = [part["value"].native for parts in subject for part in parts if part["type"].dotted == _COMMON_NAME]
    except (ValueError, TypeError) as error:  # asn1crypto has both for a damaged one
        raise ValueError(f"not an X.509 certificate: {error}") from error
    if len(names) != 1:
        raise ValueError(f"its subject has {len(names)} common names, allowed is one")
    return str(names[0])
