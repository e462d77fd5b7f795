"""Throw-away certificates: a CA that signs them, or none."""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, as objects and as files in PEM."""

    certificate: Path
    private_key: Path
    x509: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pin(self) -> str:
        """As kdig's +tls-pin wants it."""
        return base64.b64encode(hashlib.sha256(self.public_key).digest()).decode()

    @property
    def public_key(self) -> bytes:
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.DER, kind)

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(serialization.Encoding.DER)

    def put(self, certificate: Path, private_key: Path) -> None:
        """Copies it there, each file in one step."""
        for source, target in ((self.certificate, certificate), (self.private_key, private_key)):
            aside = target.with_name(f".{target.name}.new")
            aside.write_bytes(source.read_bytes())
            os.replace(aside, target)


def make(
    folder: Path,
    name: str,
    *,
    issuer: Certificate | None = None,
    ca: bool = False,
    names: tuple[str, ...] | None = None,
    days: int = 2,
) -> Certificate:
    """A certificate for the DNS names `names`, by default `name` alone; a file name of its own for each `name`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.x509.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    if not ca:
        listed = [x509.DNSName(each) for each in (names if names is not None else (name,))]
        builder = builder.add_extension(x509.SubjectAlternativeName(listed), critical=False)
    signed = builder.sign(key if issuer is None else issuer.key, hashes.SHA256())
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key", signed, key)
    made.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    made.private_key.write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, plain))
    return made
