"""The cluster's own certificate authority. Elliptic-curve keys (P-256).

Client certificates name their bearer as Kubernetes reads them: CN is the user, O its groups
(kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from longshore.base.clock import Clock
from longshore.base.files import write_private
from longshore.core.pki import requests
from longshore.core.pki.pairs import Pair, Wanted
from longshore.core.pki.requests import Asked

AUTHORITY_S, LEAF_S = 3650 * 86_400, 365 * 86_400
# A certificate is valid from a little before it was made: clocks differ.
BACKDATED_S = 300.0
_CLIENT, _SERVER = ("digital signature", "client auth"), ("digital signature", "server auth")
_PEER = ("digital signature", "server auth", "client auth")
# Names of usages as the API has them (certificates.k8s.io/v1 KeyUsage): bits of the certificate,
_BITS = {
    "signing": "digital_signature", "digital signature": "digital_signature",
    "content commitment": "content_commitment", "key encipherment": "key_encipherment",
    "key agreement": "key_agreement", "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign", "crl sign": "crl_sign", "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}  # fmt: skip
# and purposes.
_PURPOSES = {
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "ipsec end system": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec tunnel": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec user": x509.ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "microsoft sgc": x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape sgc": x509.ObjectIdentifier("2.16.840.1.113730.4.1"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A certificate to be: of whom, for whose key, with what else it says."""

    subject: x509.Name
    key: CertificatePublicKeyTypes
    extensions: tuple[x509.Extension[x509.ExtensionType], ...]
    lifetime_s: float = LEAF_S


def certificate_of(pair: Pair) -> x509.Certificate:
    """What its file has."""
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


class Authority:
    """Made at first use and kept in a directory, as ca.crt and ca.key."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self.pair = Pair.named(directory, "ca")
        if not self.pair.exists:
            self._create()
        self._certificate = certificate_of(self.pair)

    @property
    def pem(self) -> str:
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def server(self, name: str, addresses: Sequence[str]) -> Pair:
        """A serving certificate for DNS names and IP addresses, kept as NAME.crt and NAME.key until
        it lacks one of them."""
        return self._kept(name, Wanted(name, names=tuple(addresses)), _SERVER)

    def client(self, file: str, user: str, groups: Sequence[str]) -> Pair:
        """A client certificate for a user in groups, kept as FILE.crt and FILE.key."""
        return self._kept(file, Wanted(user, tuple(groups)), _CLIENT)

    def peer(self, name: str, addresses: Sequence[str]) -> Pair:
        """A certificate for one who both serves and calls others like it, kept as server() does."""
        return self._kept(name, Wanted(name, names=tuple(addresses)), _PEER)

    def sign(self, asked: Asked, usages: Iterable[str], lifetime_s: float) -> bytes:
        """A certificate, in PEM form, for what was asked: its subject, names (of DNS, addresses,
        e-mail and URIs) and key. Nothing else of the request is taken over."""
        said = _said(requests.names_of(asked.request), usages)
        leaf = _Leaf(asked.request.subject, asked.request.public_key(), said, lifetime_s)
        return self._signed(leaf)

    def renew(self, pair: Pair) -> None:
        """Put a new certificate with a new key in the place of one, that says the same. The
        authority's own keeps its key, so that what it signed stays valid."""
        if pair == self.pair:
            self._renew_itself()
            return
        old, key = certificate_of(pair), requests.new_key()
        leaf = _Leaf(old.subject, key.public_key(), tuple(old.extensions))
        pair.write(requests.pem_of(key), self._signed(leaf))

    def _kept(self, file: str, wanted: Wanted, usages: Iterable[str]) -> Pair:
        pair = Pair.named(self._directory, file)
        names = requests.alternatives(wanted.names)
        if not pair.exists or not _has_names(pair, names):
            key = requests.new_key()
            leaf = _Leaf(requests.subject(wanted), key.public_key(), _said(names, usages))
            pair.write(requests.pem_of(key), self._signed(leaf))
        return pair

    def _signed(self, leaf: _Leaf) -> bytes:
        left = self._certificate.not_valid_after_utc.timestamp() - self._clock.now()
        builder = self._builder(leaf.subject, leaf.key, min(leaf.lifetime_s, left))
        builder = builder.issuer_name(self._certificate.subject)
        for one in leaf.extensions:
            builder = builder.add_extension(one.value, one.critical)
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        key = serialization.load_pem_private_key(self.pair.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    def _create(self) -> None:
        key = requests.new_key()
        write_private(self.pair.key, requests.pem_of(key))
        write_private(self.pair.certificate, self._own(requests.subject(Wanted("longshore")), key))

    def _renew_itself(self) -> None:
        write_private(self.pair.certificate, self._own(self._certificate.subject, self._key))
        self._certificate = certificate_of(self.pair)

    def _own(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> bytes:
        signed = (
            self._builder(subject, key.public_key(), AUTHORITY_S)
            .issuer_name(subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_bits({"digital_signature", "key_cert_sign", "crl_sign"}), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        return signed.public_bytes(serialization.Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: CertificatePublicKeyTypes, lifetime_s: float
    ) -> x509.CertificateBuilder:
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(seconds=BACKDATED_S))
            .not_valid_after(now + timedelta(seconds=lifetime_s))
        )


def _said(
    names: x509.SubjectAlternativeName, usages: Iterable[str]
) -> tuple[x509.Extension[x509.ExtensionType], ...]:
    """What a certificate of somebody says besides its subject."""
    wanted = list(usages)
    purposes = [_PURPOSES[usage] for usage in wanted if usage in _PURPOSES]
    said: list[x509.Extension[x509.ExtensionType]] = [
        _extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
    ]
    if bits := _bits_of(wanted):
        # One without a bit is none (RFC 5280, 4.2.1.3): OpenSSL and so clients refuse it.
        said.append(_extension(_bits(bits), critical=True))
    if purposes:
        said.append(_extension(x509.ExtendedKeyUsage(purposes), critical=False))
    if list(names):
        said.append(_extension(names, critical=False))
    return tuple(said)


def _has_names(pair: Pair, wanted: x509.SubjectAlternativeName) -> bool:
    """Whether a kept certificate has all names that it is wanted for."""
    if not list(wanted):
        return True
    said = certificate_of(pair).extensions
    kept = said.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(kept) >= set(wanted)


def _extension(value: x509.ExtensionType, *, critical: bool) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


def _bits_of(usages: Iterable[str]) -> set[str]:
    """Without key agreement the two that limit it mean nothing (RFC 5280, 4.2.1.3)."""
    wanted = {_BITS[usage] for usage in usages if usage in _BITS}
    return wanted if "key_agreement" in wanted else wanted - {"encipher_only", "decipher_only"}


def _bits(wanted: set[str]) -> x509.KeyUsage:
    return x509.KeyUsage(**{bit: bit in wanted for bit in sorted(set(_BITS.values()))})
