"""Rules for requests for certificates, and for trust bundles (pkg/apis/certificates/validation)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from longshore.core.objects import kinds, names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.problems import (
    METADATA,
    SPEC,
    STATUS,
    Path,
    Problems,
    Rule,
    StatusRule,
    UpdateRule,
    repeats,
)
from longshore.core.objects.signing import DECISIONS

_USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign",
    "data encipherment", "decipher only", "digital signature", "email protection",
    "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement",
    "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth",
    "signing", "timestamping",
)  # fmt: skip
_LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
_TRUE_ONLY = (*DECISIONS, "Failed")
_STATES = ("False", "True", "Unknown")
_LIFE_MIN_S = 600
_CONDITIONS: Path = (STATUS, "conditions")
_CERTIFICATE: Path = (STATUS, "certificate")
_BUNDLE_MAX_BYTES = 1024 * 1024
_OMITTED = "<value omitted>"
_BLOCK = re.compile(rb"-----BEGIN ([^-\n]+)-----\r?\n(.*?)-----END \1-----", re.DOTALL)
_BEGIN = b"-----BEGIN"
_UID_MAX = 128
_POD_LIFE_MIN_S, _POD_LIFE_MAX_S, _OWN_LIFE_MAX_S = 3600, 91 * 86_400, 86_400


# ---- signing requests


def signing_request(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    wrong = _request_problem(spec.get("request", ""))
    if wrong:
        problems.invalid((SPEC, "request"), spec.get("request", ""), wrong)
    _usages(spec.get("usages", []), (SPEC, "usages"), problems)
    signer = spec.get("signerName", "")
    if signer == _LEGACY_SIGNER:
        why = "the legacy signerName is not allowed via this API version"
        problems.invalid((SPEC, "signerName"), signer, why)
    else:
        signer_name(signer, (SPEC, "signerName"), problems)
    life_s = spec.get("expirationSeconds")
    if life_s is not None and life_s < _LIFE_MIN_S:
        why = "may not specify a duration less than 600 seconds (10 minutes)"
        problems.invalid((SPEC, "expirationSeconds"), life_s, why)


def signing_status(new: Doc, old: Doc, subresource: str, problems: Problems) -> None:
    """Conditions, and who may decide through which subresource."""
    after, before = new.get("status") or {}, old.get("status") or {}
    conditions = after.get("conditions") or []
    _conditions(conditions, problems)
    for kind in _TRUE_ONLY:
        has, had = (_of(kind, status) for status in (after, before))
        if len(has) < len(had):
            why = f'updates may not remove a condition of type "{kind}"'
            problems.forbidden(_CONDITIONS, why)
        elif subresource != "approval" and kind in DECISIONS and len(has) > len(had):
            problems.forbidden(_CONDITIONS, f'updates may not add a condition of type "{kind}"')
    _certificate(after.get("certificate"), before.get("certificate"), problems)


def _of(kind: str, status: Doc) -> list[Doc]:
    return [one for one in status.get("conditions") or () if one.get("type") == kind]


def _usages(given: list[str], path: Path, problems: Problems) -> None:
    if not given:
        problems.required(path)
    again = repeats(given)
    for index, usage in enumerate(given):
        if usage not in _USAGES:
            problems.unsupported((path, index), usage, _USAGES)
        if index in again:
            problems.duplicate((path, index), usage)


def _conditions(conditions: list[Doc], problems: Problems) -> None:
    seen: set[str] = set()
    for index, one in enumerate(conditions):
        kind, path = one.get("type", ""), (_CONDITIONS, index)
        if not kind:
            problems.required((path, "type"))
        states = ("True",) if kind in _TRUE_ONLY else _STATES
        problems.one_of((path, "status"), one.get("status", ""), states)
        if kind in DECISIONS and seen & (set(DECISIONS) - {kind}):
            why = "Approved and Denied conditions are mutually exclusive"
            problems.invalid(_CONDITIONS, kind, why)
        if kind in seen:
            problems.duplicate((path, "type"), kind)
        seen.add(kind)


def _certificate(given: str | None, had: str | None, problems: Problems) -> None:
    if given == had:
        return
    if had:
        problems.forbidden(_CERTIFICATE, "updates may not modify existing certificate content")
    wrong = _certificate_problem(_decoded(given or ""))
    if given and wrong:
        problems.invalid(_CERTIFICATE, "<certificate data>", wrong)


def signer_name(name: str, path: Path, problems: Problems) -> None:
    """DOMAIN/PATH, the domain of two labels at least."""
    if not name:
        problems.required(path)
        return
    parts = name.split("/")
    if len(parts) != 2:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        problems.invalid(path, name, why)
        return
    domain, rest = parts
    if len(domain) > names.SUBDOMAIN_MAX:
        problems.too_long(path, names.SUBDOMAIN_MAX)
    _dotted(domain, names.label_problems, path, problems)
    if "." not in domain:
        why = "should be a domain with at least two segments separated by dots"
        problems.invalid(path, domain, why)
    _dotted(rest, names.subdomain_problems, path, problems)


def _dotted(
    text: str, rule: Callable[[str], tuple[str, ...]], path: Path, problems: Problems
) -> None:
    """Every part must be good; the first that is not is told of."""
    for part in text.split("."):
        wrong = rule(part)
        if wrong:
            for why in wrong:
                problems.invalid(path, text, f'validating label "{part}": {why}')
            return


# ---- trust bundles


def trust_bundle(doc: Doc, problems: Problems) -> None:
    spec, name = doc.get("spec", {}), doc["metadata"].get("name", "")
    signer = spec.get("signerName", "")
    problems.all_invalid((METADATA, "name"), name, _bundle_name_problems(name, signer))
    if signer:
        signer_name(signer, (SPEC, "signerName"), problems)
    path, text = (SPEC, "trustBundle"), spec.get("trustBundle", "")
    if len(text) > _BUNDLE_MAX_BYTES:
        problems.too_long(path, _BUNDLE_MAX_BYTES)
        return
    for why in _bundle_problems(text.encode()):
        problems.invalid(path, _OMITTED, why)


def trust_bundle_update(new: Doc, old: Doc, problems: Problems) -> None:
    given, had = (doc.get("spec", {}).get("signerName") for doc in (new, old))
    problems.unchanged((SPEC, "signerName"), given, had)


def _bundle_name_problems(name: str, signer: str) -> tuple[str, ...]:
    if not signer:
        if ":" in name:
            return ('ClusterTrustBundle without signer name must not have ":" in its name',)
        return names.subdomain_problems(name)
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        return (f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}",)
    return names.subdomain_problems(name.removeprefix(prefix))


def _bundle_problems(text: bytes) -> list[str]:
    found: list[str] = []
    seen: dict[bytes, list[int]] = {}
    for index, (label, block) in enumerate(_BLOCK.findall(text)):
        why = _anchor_problem(label.decode(), block)
        if why:
            found.append(f"entry {index} {why}")
        seen.setdefault(b"".join(block.split()), []).append(index)
    if found:
        return found
    if not seen:
        return ["at least one trust anchor must be provided"]
    doubled = [at for at in seen.values() if len(at) > 1]
    return [f"duplicate trust anchor (indices [{' '.join(map(str, at))}])" for at in doubled]


def _anchor_problem(label: str, block: bytes) -> str:
    from cryptography import x509

    if label != "CERTIFICATE":
        return f"has bad block type: {label}"
    if b":" in block:
        return "has PEM block headers"
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(block))
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return "does not have the CA bit set"
    except ValueError:
        return "does not parse as X.509"
    return "" if basic.value.ca else "does not have the CA bit set"


# ---- pods' requests


def pod_request(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    signer_name(spec.get("signerName", ""), (SPEC, "signerName"), problems)
    for field in ("pod", "serviceAccount", "node"):
        name, uid = spec.get(f"{field}Name", ""), spec.get(f"{field}UID", "")
        problems.all_invalid((SPEC, f"{field}Name"), name, names.subdomain_problems(name))
        if not uid:
            problems.invalid((SPEC, f"{field}UID"), uid, "must not be empty")
        if len(uid) > _UID_MAX:
            problems.too_long((SPEC, f"{field}UID"), _UID_MAX)
    _pod_life(spec, (SPEC, "maxExpirationSeconds"), problems)
    stub = bool(spec.get("stubPKCS10Request"))
    key, proof = bool(spec.get("pkixPublicKey")), bool(spec.get("proofOfPossession"))
    if key != proof or stub == key:
        why = "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"
        problems.invalid(SPEC, None, why)


def _pod_life(spec: Doc, path: Path, problems: Problems) -> None:
    life_s: Any = spec.get("maxExpirationSeconds")
    if life_s is None:
        problems.required(path, "must be set")
        return
    domain = spec.get("signerName", "").partition("/")[0]
    own = domain == "kubernetes.io" or domain.endswith(".kubernetes.io")
    most = _OWN_LIFE_MAX_S if own else _POD_LIFE_MAX_S
    if not _POD_LIFE_MIN_S <= life_s <= most:
        why = f"must be in the range [{_POD_LIFE_MIN_S}, {most}]"
        problems.invalid(path, life_s, why)


def pod_request_update(new: Doc, old: Doc, problems: Problems) -> None:
    problems.unchanged(SPEC, new.get("spec"), old.get("spec"))


# ---- PEM


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (ValueError, binascii.Error):
        return b""


def _request_problem(encoded: str) -> str:
    try:
        _subject_of(encoded)
    except ValueError as error:
        return str(error)
    return ""


def _subject_of(encoded: str) -> Any:
    """The name in a request that is good. Raises ValueError.

    What is judged must be what is signed, and what those are shown who approve it: of two blocks,
    one program reads this and another that.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    text = _decoded(encoded)
    block = _BLOCK.search(text)
    if block is None or block[1] != b"CERTIFICATE REQUEST":
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    if text.count(_BEGIN) > 1:
        raise ValueError("must be one PEM block alone")
    try:
        request = x509.load_pem_x509_csr(text)
        good, subject = request.is_signature_valid, request.subject
    except (ValueError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise ValueError(f"malformed certificate request: {error}") from None
    if not good:
        raise ValueError("the signature of the certificate request is not valid")
    return subject


def signing_organizations(encoded: str) -> list[str]:
    """The organizations in the subject of a certificate request, given as base64 of its PEM; none
    of what cannot be read, which the rules refuse."""
    return _in_subject(encoded, "O")


def signing_name(encoded: str) -> str:
    """The common name in the subject of a certificate request, as signing_organizations()."""
    names = _in_subject(encoded, "CN")
    return names[-1] if names else ""


def _in_subject(encoded: str, attribute: str) -> list[str]:
    try:
        subject = _subject_of(encoded)
    except ValueError:
        return []
    return [str(one.value) for one in subject if one.rfc4514_attribute_name == attribute]


def _certificate_problem(text: bytes) -> str:
    from cryptography import x509

    blocks = _BLOCK.findall(text)
    if not blocks:
        return "must contain at least one CERTIFICATE PEM block"
    for label, block in blocks:
        if label != b"CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{label.decode()}"'
        try:
            x509.load_der_x509_certificate(base64.b64decode(block))
        except ValueError as error:
            return f"malformed certificate: {error}"
    return ""


RULES: dict[str, Rule] = {
    kinds.CSR.schema: signing_request,
    kinds.CLUSTER_TRUST_BUNDLE.schema: trust_bundle,
    kinds.POD_CERTIFICATE_REQUEST.schema: pod_request,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    kinds.CLUSTER_TRUST_BUNDLE.schema: trust_bundle_update,
    kinds.POD_CERTIFICATE_REQUEST.schema: pod_request_update,
}
STATUS_RULES: dict[str, StatusRule] = {kinds.CSR.schema: signing_status}
