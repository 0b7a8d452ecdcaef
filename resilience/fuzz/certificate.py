"""A self-signed certificate, as text (PEM)."""

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

#: Nobody trusts it; a signature by Ed25519 is the same each time, so that a seed gives the same cases.
_KEY = bytes(32)


def of(common_name: str) -> bytes:
    """The certificate of a thing, PEM: the same bytes for the same name."""
    key = Ed25519PrivateKey.from_private_bytes(_KEY)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=3650))
        .sign(key, None)
    )
    return certificate.public_bytes(serialization.Encoding.PEM)
