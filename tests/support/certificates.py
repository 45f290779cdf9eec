"""Certificates of the tests' own."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Issued:
    """A certificate with its key, in one PEM file, and the certificate alone."""

    certificate: x509.Certificate
    key: Any
    both: Path
    alone: Path

    def context(self) -> ssl.SSLContext:
        """What a server shows it by."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.both)
        return context


def issue(folder: Path, name: str, days: float = 90, issuer: Issued | None = None, starts: float = -1) -> Issued:
    """A certificate for the host `name`, good for so many days; without an issuer it is self-signed and may issue others."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    end = now + timedelta(days=days, seconds=60)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now + timedelta(days=starts), end - timedelta(days=1)))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    alone, both = folder / f"{name}-{abs(days)}.pem", folder / f"{name}-{abs(days)}-key.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    alone.write_bytes(pem)
    plain = serialization.NoEncryption()
    both.write_bytes(pem + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return Issued(certificate, key, both, alone)
