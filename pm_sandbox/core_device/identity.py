"""The identity of a core device: a private key that never leaves it, and the cloud's certificate for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pm_sandbox.state_files import write_private


@dataclass(frozen=True)
class Identity:
    """The files of an identity."""

    private_key: Path
    certificate: Path
    root_certificate: Path


def identity_in(directory: Path) -> Identity:
    """The files of the identity that is, or is to be, in `directory`."""
    return Identity(directory / "private-key.pem", directory / "certificate.pem", directory / "root-ca.pem")


def enroll(directory: Path, thing_name: str, policies: Sequence[str], root_certificate: bytes, iot: Any) -> Identity:
    """Make a device known to the cloud; nothing happens where it is already.

    Args:
        directory: Where its identity is kept; made where missing, for its owner alone.
        thing_name: The thing that the certificate stands for, which exists.
        policies: Names of the IoT policies that say what it may do; each is attached to its certificate.
        root_certificate: PEM of what the device trusts the cloud by.
        iot: boto3 client of AWS IoT, with the operator's credentials.
    """
    identity = identity_in(directory)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if identity.certificate.exists():
        return identity
    request = make_request(identity.private_key, thing_name)
    signed = iot.create_certificate_from_csr(certificateSigningRequest=request, setAsActive=True)
    for policy in policies:
        iot.attach_policy(policyName=policy, target=signed["certificateArn"])
    # Exclusively: a certificate is no other thing's.
    iot.attach_thing_principal(
        thingName=thing_name, principal=signed["certificateArn"], thingPrincipalType="EXCLUSIVE_THING"
    )
    write_private(identity.root_certificate, root_certificate)
    # Last: it is the sign that the enrolment is complete.
    write_private(identity.certificate, signed["certificatePem"].encode())
    return identity


def make_request(private_key: Path, thing_name: str) -> str:
    """Make a private key, and a signing request (PEM) for it that bears the thing's name."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(
        private_key,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, thing_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
