"""The decision of fleet provisioning's hook, on certificates of every kind that `cryptography` makes.

Not proved here: that AWS IoT asks the function and heeds it (the emulated one does, in test_fleet_provisioning.py).
"""

import base64
import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from pm_components.functions.pre_provisioning.core import common_name, decide

_KEY = ec.generate_private_key(ec.SECP256R1())
_CORES = {"4711": "core-a", "4712": "core-b"}
_FREE = {"core-a": False, "core-b": False}


def certificate(*names: x509.NameAttribute, issuer: str = "AWS IoT") -> str:
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(_name(issuer))
        .public_key(_KEY.public_key())
        .serial_number(2**150)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(_KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def of(name: str) -> str:
    return certificate(x509.NameAttribute(NameOID.COMMON_NAME, name))


def test_a_known_serial_number_with_its_own_certificate_becomes_its_thing() -> None:
    assert decide({"SerialNumber": "4711", "ThingName": "core-b"}, of("core-a"), _CORES, _FREE) == ("core-a", "")


@pytest.mark.parametrize(
    ("parameters", "pem", "enrolled", "refusal"),
    [
        ({}, of("core-a"), _FREE, "serial number '' is not one of this site's"),
        ({"SerialNumber": "4713"}, of("core-a"), _FREE, "serial number '4713' is not one of this site's"),
        ({"SerialNumber": "4711"}, of("core-b"), _FREE, "the certificate is of 'core-b', allowed for this serial"),
        ({"SerialNumber": "4711"}, certificate(), _FREE, "certificate: its subject has 0 common names"),
        ({"SerialNumber": "4711"}, "", _FREE, "certificate: not"),
        ({"SerialNumber": "4711"}, of("core-a"), {"core-a": True}, "core-a has a certificate already"),
    ],
)
def test_anyone_else_is_refused_with_the_reason(
    parameters: dict[str, str], pem: str, enrolled: dict[str, bool], refusal: str
) -> None:
    decision = decide(parameters, pem, _CORES, enrolled)
    assert decision.thing_name == ""
    assert refusal in decision.refusal


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=64), st.text(max_size=40))
def test_the_common_name_is_the_subjects_whatever_stands_beside_it(name: str, organization: str) -> None:
    beside = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    own = x509.NameAttribute(NameOID.COMMON_NAME, name)
    assert common_name(certificate(*beside, own, issuer="core-z")) == name


def test_two_common_names_are_none() -> None:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in ("core-a", "core-b")]
    with pytest.raises(ValueError, match="2 common names"):
        common_name(certificate(*names))


@given(st.integers(0, 400), st.binary(max_size=4))
def test_a_damaged_certificate_raises_nothing_but_value_error(cut: int, instead: bytes) -> None:
    der = x509.load_pem_x509_certificate(of("core-a").encode()).public_bytes(serialization.Encoding.DER)
    damaged = der[:cut] + instead + der[cut + len(instead) :]
    for content in (damaged, damaged[: max(cut, 10)]):
        lines = base64.encodebytes(content).decode()
        for end in ("", "-----END CERTIFICATE-----\n"):
            try:
                common_name(f"-----BEGIN CERTIFICATE-----\n{lines}{end}")
            except ValueError:
                continue


def test_a_request_for_a_certificate_is_none() -> None:
    request = x509.CertificateSigningRequestBuilder().subject_name(_name("core-a")).sign(_KEY, hashes.SHA256())
    with pytest.raises(ValueError, match="not a certificate but a CERTIFICATE REQUEST"):
        common_name(request.public_bytes(serialization.Encoding.PEM).decode())


def test_what_follows_a_certificate_in_its_text_is_refused() -> None:
    der = x509.load_pem_x509_certificate(of("core-a").encode()).public_bytes(serialization.Encoding.DER)
    lines = base64.encodebytes(der + b"more").decode()
    with pytest.raises(ValueError, match=r"not an X[.]509 certificate"):
        common_name(f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n")
