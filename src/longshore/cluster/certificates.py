"""The cluster's certificates: one authority, and what it signs. Elliptic-curve keys (P-256).

Client certificates name their bearer as Kubernetes reads them: CN is the user, O its groups
(kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates).
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from longshore.base.clock import Clock
from longshore.cluster.config import write_private

AUTHORITY_DAYS, LEAF_DAYS = 3650, 365
# A certificate is valid from a little before it was made: clocks differ.
BACKDATED = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as files in PEM form."""

    certificate: Path
    key: Path

    @property
    def exists(self) -> bool:
        return self.certificate.exists() and self.key.exists()


class Authority:
    """The cluster's own certificate authority, made at first use and kept in a directory."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self.pair = self._pair("ca")
        if not self.pair.exists:
            self._create()
        self._key = serialization.load_pem_private_key(self.pair.key.read_bytes(), None)
        self._certificate = x509.load_pem_x509_certificate(self.pair.certificate.read_bytes())

    @property
    def pem(self) -> str:
        return self.pair.certificate.read_text()

    def server(self, name: str, addresses: Sequence[str]) -> Pair:
        """A serving certificate for DNS names and IP addresses."""
        entries: list[x509.GeneralName] = []
        for address in addresses:
            try:
                entries.append(x509.IPAddress(ip_address(address)))
            except ValueError:
                entries.append(x509.DNSName(address))
        names = x509.SubjectAlternativeName(entries)
        return self._issue(name, _name(name), ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, file: str, user: str, groups: Sequence[str]) -> Pair:
        """A client certificate for a user in groups, kept as FILE.crt and FILE.key."""
        return self._issue(file, _name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def _issue(
        self,
        file: str,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None,
    ) -> Pair:
        pair = self._pair(file)
        if pair.exists:
            return pair
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(subject, key.public_key(), LEAF_DAYS)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        assert isinstance(self._key, ec.EllipticCurvePrivateKey)
        _write(pair, key, builder.sign(self._key, hashes.SHA256()))
        return pair

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name("longshore")
        certificate = (
            self._builder(subject, key.public_key(), AUTHORITY_DAYS)
            .issuer_name(subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(self.pair, key, certificate)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        start = datetime.fromtimestamp(self._clock.now(), UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start - BACKDATED)
            .not_valid_after(start + timedelta(days=days))
        )

    def _pair(self, name: str) -> Pair:
        return Pair(self._directory / f"{name}.crt", self._directory / f"{name}.key")


def token_key(file: Path) -> bytes:
    """The key that signs service account tokens, in PEM form; made at first use (mode 0600)."""
    if not file.exists():
        write_private(file, _pem(ec.generate_private_key(ec.SECP256R1())))
    return file.read_bytes()


def server_context(pair: Pair, authority: Path) -> ssl.SSLContext:
    """TLS for a server that lets clients show a certificate, but does not demand one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pair.certificate, pair.key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    # No session is resumed: it would outlive the check of the certificate it began with. Clients
    # that keep their connections lose nothing, and every handshake is a message shorter. (TLS 1.2
    # has no such switch here; OpenSSL forgets its sessions after five minutes.)
    context.num_tickets = 0
    return context


def client_context(pair: Pair, authority: Path) -> ssl.SSLContext:
    """TLS for a client that shows a certificate and checks the server's against the authority."""
    context = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def _name(common: str, groups: Sequence[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature or key_cert_sign,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(pair: Pair, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    write_private(pair.key, _pem(key))
    write_private(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
