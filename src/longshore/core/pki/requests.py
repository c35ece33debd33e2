"""Requests for certificates (PKCS #10, RFC 2986): made by those who want one, read by those who
sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from longshore.core.pki.pairs import Wanted

_TAKEN_OVER = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)
G = TypeVar("G", x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier)


class BadRequestForCertificate(Exception):
    """What was to be signed is no request; the message says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says, and the request itself."""

    common_name: str
    organizations: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    emails: tuple[str, ...]
    uris: tuple[str, ...]
    request: x509.CertificateSigningRequest


def make(wanted: Wanted) -> tuple[bytes, bytes]:
    """A new key (P-256) and a request signed with it, both in PEM form."""
    key = new_key()
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(wanted))
    if wanted.names:
        builder = builder.add_extension(alternatives(wanted.names), critical=False)
    signed = builder.sign(key, hashes.SHA256())
    return pem_of(key), signed.public_bytes(serialization.Encoding.PEM)


def read(pem: bytes) -> Asked:
    """Raises BadRequestForCertificate, also if it is not signed with the key it is about."""
    try:
        request = x509.load_pem_x509_csr(pem)
        proven = request.is_signature_valid
        names = _alternatives_of(request)
        said = request.subject
    except (
        ValueError,
        InvalidSignature,
        UnsupportedAlgorithm,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise BadRequestForCertificate(f"not a certificate request: {error}") from None
    if not proven:
        raise BadRequestForCertificate("the request is not signed with its own key")
    commons = said.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Asked(
        str(commons[-1].value) if commons else "",
        tuple(str(one.value) for one in said.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)),
        _texts(names, x509.DNSName),
        tuple(str(ip) for ip in names.get_values_for_type(x509.IPAddress)),
        _texts(names, x509.RFC822Name),
        _texts(names, x509.UniformResourceIdentifier),
        request,
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def subject(wanted: Wanted) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in wanted.organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, wanted.common_name)])


def alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([_general(name) for name in names])


def names_of(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName:
    """The names that a request asks for, each as what it is: a name that reads like an address
    stays a name."""
    return x509.SubjectAlternativeName(
        [one for one in _alternatives_of(request) if isinstance(one, _TAKEN_OVER)]
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _alternatives_of(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _texts(names: x509.SubjectAlternativeName, form: type[G]) -> tuple[str, ...]:
    return tuple(names.get_values_for_type(form))
