"""What the authority says in certificates that were asked for."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from longshore.core.pki import requests
from longshore.core.pki.authority import Authority
from longshore.testing.clock import VirtualClock

NAMES = (
    x509.DNSName("web.example"), x509.DNSName("192.0.2.9"), x509.IPAddress(ip_address("192.0.2.7")),
    x509.RFC822Name("jane@web.example"), x509.UniformResourceIdentifier("spiffe://web.example/jane"),
)  # fmt: skip
FOREIGN = x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))


def asked(*names: x509.GeneralName) -> requests.Asked:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    request = builder.sign(requests.new_key(), hashes.SHA256())
    return requests.read(request.public_bytes(serialization.Encoding.PEM))


def signed(directory: Path, usages: tuple[str, ...], *names: x509.GeneralName) -> x509.Certificate:
    pem = Authority(directory, VirtualClock()).sign(asked(*names), usages, 3600.0)
    return x509.load_pem_x509_certificate(pem)


def test_names_of_every_form_are_taken_over_and_nothing_else(tmp_path: Path) -> None:
    certificate = signed(tmp_path, ("client auth",), *NAMES, FOREIGN)
    said = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(said) == list(NAMES)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca


def test_without_names_nothing_is_said_of_them(tmp_path: Path) -> None:
    for names in ((), (FOREIGN,)):
        certificate = signed(tmp_path, ("client auth",), *names)
        with pytest.raises(x509.ExtensionNotFound):
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


@pytest.mark.parametrize("only", ["encipher only", "decipher only"])
def test_limits_of_key_agreement_mean_nothing_without_it(tmp_path: Path, only: str) -> None:
    attribute = only.replace(" ", "_")
    bits = _usage(signed(tmp_path, (only, "key agreement")))
    assert bits is not None and bits.key_agreement and getattr(bits, attribute)
    bits = _usage(signed(tmp_path, (only, "digital signature")))
    assert bits is not None and bits.digital_signature and not bits.key_agreement
    assert _usage(signed(tmp_path, (only, "client auth"))) is None


def _usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
