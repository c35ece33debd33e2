"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction and ClusterTrustBundleAttest:
who may speak for a signer (plugin/pkg/admission/certificates)."""

from __future__ import annotations

from functools import partial

from longshore.core.objects import kinds
from longshore.core.objects.rules.certificates import signing_organizations
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.admission.surroundings import Surroundings
from longshore.core.registry.wishes import Wish

_CLIENT_SIGNER, _MASTERS = "kubernetes.io/kube-apiserver-client", "system:masters"
_DECIDED = ("certificate", "conditions")


def _may(around: Surroundings, request: Attributes, verb: str, signer: str) -> bool:
    """Whether the caller has the right to that signer, or to all of its domain."""
    names = (signer, signer.partition("/")[0] + "/*")
    return any(around.may(request.who, _to_signer(verb, name)) for name in names)


def _to_signer(verb: str, name: str) -> Wish:
    return Wish(verb, kinds.CSR.group, "signers", "", name)


def _approve(around: Surroundings, request: Attributes) -> None:
    assert request.old is not None
    signer = request.old["spec"].get("signerName", "")
    if not _may(around, request, "approve", signer):
        why = f'user not permitted to approve requests with signerName "{signer}"'
        raise request.forbidden(why)


def _sign(around: Surroundings, request: Attributes) -> None:
    assert request.old is not None
    new, old = (doc.get("status") or {} for doc in (request.doc, request.old))
    if all(new.get(field) == old.get(field) for field in _DECIDED):
        return
    signer = request.old["spec"].get("signerName", "")
    if not _may(around, request, "sign", signer):
        raise request.forbidden(f'user not permitted to sign requests with signerName "{signer}"')


def _attest(around: Surroundings, request: Attributes) -> None:
    signer = (request.doc.get("spec") or {}).get("signerName", "")
    if signer and not _may(around, request, "attest", signer):
        raise request.forbidden(f'user not permitted to attest for signerName "{signer}"')


def _no_masters(request: Attributes) -> None:
    spec = request.doc.get("spec") or {}
    if spec.get("signerName") != _CLIENT_SIGNER:
        return
    if _MASTERS in signing_organizations(spec.get("request", "")):
        why = f"use of {_CLIENT_SIGNER} signer with {_MASTERS} group is not allowed"
        raise request.forbidden(why)


def approval(around: Surroundings) -> Hooks:
    return Hooks(
        checks=(Hook(partial(_approve, around), (kinds.CSR,), ("update",), "approval"),),
    )


def signing(around: Surroundings) -> Hooks:
    return Hooks(checks=(Hook(partial(_sign, around), (kinds.CSR,), ("update",), "status"),))


def attestation(around: Surroundings) -> Hooks:
    verbs = ("create", "update")
    return Hooks(checks=(Hook(partial(_attest, around), (kinds.CLUSTER_TRUST_BUNDLE,), verbs),))


SUBJECT_RESTRICTION = Hooks(checks=(Hook(_no_masters, (kinds.CSR,)),))
