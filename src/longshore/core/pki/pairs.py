"""A certificate and its key as files, and how long the certificate is good for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from longshore.base.files import write_private


@dataclass(frozen=True, slots=True)
class Lifetime:
    """From when to when a certificate is valid, in seconds since the epoch."""

    begins: float
    ends: float

    def renewal(self, share: float) -> float:
        """The moment at which that share of it is over (client-go util/certificate renews between
        0.7 and 0.9, so that not everybody does so at once)."""
        return self.begins + share * (self.ends - self.begins)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files in PEM form."""

    certificate: Path
    key: Path

    @classmethod
    def named(cls, directory: Path, name: str) -> Pair:
        return cls(directory / f"{name}.crt", directory / f"{name}.key")

    @property
    def exists(self) -> bool:
        return self.certificate.exists() and self.key.exists()

    def read(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate.read_bytes())

    @property
    def lifetime(self) -> Lifetime:
        return lifetime_of(self.read())

    def write(self, key: bytes, certificate: bytes) -> None:
        """Both in PEM form, mode 0600; each file is replaced whole, the key first."""
        write_private(self.key, key)
        write_private(self.certificate, certificate)


def lifetime_of(certificate: x509.Certificate) -> Lifetime:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Lifetime(begins.timestamp(), ends.timestamp())
