"""The decision of fleet provisioning's hook on a new core device, without I/O."""

import base64
import binascii
from collections.abc import Mapping
from typing import NamedTuple

SERIAL_NUMBER = "SerialNumber"
"""The template's parameter that the device gives."""
THING_NAME = "ThingName"
"""The template's parameter that the hook sets, whatever the device says."""

# DER tags: X.690.
_INTEGER, _OID, _SEQUENCE, _SET, _EXPLICIT_0 = 0x02, 0x06, 0x30, 0x31, 0xA0
#: id-at-commonName, 2.5.4.3: RFC 5280, appendix A.
_COMMON_NAME = b"\x55\x04\x03"


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
    """The subject's common name of an X.509 certificate; its layout is in RFC 5280, section 4.1.

    Raises:
        ValueError: if the text is no certificate, or its subject has not exactly one common name.
    """
    lines = [line for line in certificate_pem.strip().splitlines() if not line.startswith("-----")]
    try:
        der = base64.b64decode("".join(lines), validate=True)
    except binascii.Error as error:
        raise ValueError("not a PEM text") from error
    [(tag, certificate)] = _parts(der)
    signed = _parts(_expected(tag, _SEQUENCE, certificate))
    if not signed:
        raise ValueError("not an X.509 certificate")
    fields = _parts(signed[0][1])
    if fields and fields[0][0] == _EXPLICIT_0:  # the version, which may be left out
        fields = fields[1:]
    if len(fields) < 5 or fields[0][0] != _INTEGER:
        raise ValueError("not an X.509 certificate")
    _serial, _algorithm, _issuer, _validity, (tag, subject) = fields[:5]
    names = []
    for _, relative in _parts(_expected(tag, _SEQUENCE, subject)):
        for kind, attribute in _parts(relative):
            (oid_kind, oid), (_, value) = _parts(_expected(kind, _SEQUENCE, attribute))
            if oid_kind == _OID and oid == _COMMON_NAME:
                names.append(value.decode())
    if len(names) != 1:
        raise ValueError(f"its subject has {len(names)} common names, allowed is one")
    return names[0]


def _expected(tag: int, wanted: int, content: bytes) -> bytes:
    if tag != wanted:
        raise ValueError("not an X.509 certificate")
    return content


def _parts(der: bytes) -> list[tuple[int, bytes]]:
    """The elements in `der`, each with its tag and content."""
    parts = []
    while der:
        if len(der) < 2:
            raise ValueError("not an X.509 certificate: it is cut off")
        tag, length, start = der[0], der[1], 2
        if length & 0x80:
            count = length & 0x7F
            length, start = int.from_bytes(der[2 : 2 + count], "big"), 2 + count
        if len(der) < start + length:
            raise ValueError("not an X.509 certificate: it is cut off")
        parts.append((tag, der[start : start + length]))
        der = der[start + length :]
    return parts
