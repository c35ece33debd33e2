"""A certificate and its key: what it shall say, and their files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from longshore.base.files import write_private
from longshore.core.pki.lifetimes import Lifetime, lifetime_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a certificate shall say. names are DNS names and IP addresses."""

    common_name: str
    organizations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


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

    @property
    def lifetime(self) -> Lifetime:
        return lifetime_of(self.certificate.read_bytes())

    def write(self, key: bytes, certificate: bytes) -> None:
        """Both in PEM form, mode 0600; each file is replaced whole, the key first."""
        write_private(self.key, key)
        write_private(self.certificate, certificate)
