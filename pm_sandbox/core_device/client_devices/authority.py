"""The certificate authority of a core device: made on it, told to its devices by discovery, signs the broker's own."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pm_sandbox.state_files import write_private

#: A real core device's authority lives five years, and the broker's certificate seven days and is renewed; here it is
#: generated at each start.
_AUTHORITY_DAYS = 5 * 365
_BROKER_DAYS = 365


class Authority:
    """The authority in a folder, made there where it is missing."""

    def __init__(self, directory: Path, thing_name: str) -> None:
        """The authority of core device `thing_name`, in `directory`."""
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_file, certificate_file = directory / "authority-key.pem", directory / "authority.pem"
        if not certificate_file.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            name = _name(f"{thing_name} client device authority")
            certificate = (
                _builder(name, name, key, _AUTHORITY_DAYS)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .sign(key, hashes.SHA256())
            )
            write_private(key_file, _private_pem(key))
            write_private(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
        self.pem = certificate_file.read_text()
        loaded = serialization.load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)  # noqa: S101 - it was made above
        self._key = loaded
        self._certificate = x509.load_pem_x509_certificate(self.pem.encode())

    def server_context(self, host: str, client_authority: Path) -> ssl.SSLContext:
        """TLS as the broker speaks it: with a certificate for `host`, and with clients of `client_authority` only."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(host), self._certificate.subject, key, _BROKER_DAYS)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        chain = self._directory / "broker.pem"
        write_private(chain, certificate.public_bytes(serialization.Encoding.PEM) + _private_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(chain)
        context.load_verify_locations(client_authority)
        return context


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A clock of a device may be a little behind.
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
