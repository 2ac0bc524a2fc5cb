"""Certificates for loopback, made anew."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LONG_AGO, LAST_YEAR, FAR_OFF = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2021, 2100))
LOOPBACK = x509.IPAddress(ip_address("127.0.0.1"))
ELSEWHERE = x509.DNSName("elsewhere.example")


@dataclass(frozen=True)
class Authority:
    """Somebody who says who a server is. `certificate` is a file, for those who trust it."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @property
    def certificate(self) -> Path:
        return self.folder / "authority.pem"

    @classmethod
    def made(cls, folder: Path) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        authority = cls(folder, key, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)]))
        itself = authority._builder(authority.name, key, FAR_OFF)
        itself = itself.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        authority.certificate.write_bytes(itself.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return authority

    def server(self, who: x509.GeneralName = LOOPBACK, until: datetime = FAR_OFF) -> ssl.SSLContext:
        """What a server needs to prove that it is `who`."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([]), key, until)
        builder = builder.add_extension(x509.SubjectAlternativeName([who]), critical=True)
        file = self.folder / f"{builder._serial_number}.pem"
        file.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime
    ) -> x509.CertificateBuilder:
        return x509.CertificateBuilder(
            issuer_name=self.name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=LONG_AGO,
            not_valid_after=until,
        )
