"""NodeRestriction of requests for pods' certificates: a node asks for pods that it runs, as who they
run, and of signers that they name (plugin/pkg/admission/noderestriction)."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import Attributes
from longshore.core.registry.admission.surroundings import Surroundings
from longshore.core.registry.permission.references import MIRROR
from longshore.core.registry.wishes import Wish

_SIGNER_VERB = "request-serviceaccounts-podcertificate-signer"


def judge(around: Surroundings, request: Attributes, node: str) -> str | None:
    """What speaks against a node's PodCertificateRequest."""
    spec = request.doc.get("spec") or {}
    of = f"{request.namespace}/{spec.get('podName', '')}"
    if spec.get("nodeName") != node:
        named = spec.get("nodeName", "")
        return (
            f'PodCertificateRequest.Spec.NodeName="{named}", which is not the requesting node '
            f'"{node}"'
        )
    pod = request.cache.get(kinds.POD, request.namespace, spec.get("podName", ""))
    if pod is None:
        return f'while retrieving pod "{of}" named in the PodCertificateRequest: not found'
    return _of_another(request, node, pod, of) or _of_signer(around, request, pod, of)


def _of_another(request: Attributes, node: str, pod: Doc, of: str) -> str | None:
    spec = request.doc.get("spec") or {}
    if pod["spec"].get("nodeName") != node:
        return f'pod "{of}" is not running on node "{node}" named in the PodCertificateRequest'
    if MIRROR in (pod["metadata"].get("annotations") or {}):
        return f'pod "{of}" is a mirror pod'
    account = pod["spec"].get("serviceAccountName", "")
    if spec.get("serviceAccountName") != account:
        return (
            f'PodCertificateRequest for pod "{of}" contains serviceAccountName '
            f'("{spec.get("serviceAccountName", "")}") that differs from running pod ("{account}")'
        )
    return _stale(request, node, pod, of)


def _stale(request: Attributes, node: str, pod: Doc, of: str) -> str | None:
    """Whether a uid is not that of the present node, pod or account."""
    spec, cache = request.doc.get("spec") or {}, request.cache
    account = spec.get("serviceAccountName", "")
    for field, what, there in (
        ("nodeUID", "node", cache.get(kinds.NODE, "", node)),
        ("podUID", "pod", pod),
        (
            "serviceAccountUID",
            "service account",
            cache.get(kinds.SERVICE_ACCOUNT, request.namespace, account),
        ),
    ):
        uid = there["metadata"]["uid"] if there is not None else ""
        if spec.get(field) != uid:
            return (
                f'PodCertificateRequest for pod "{of}" names {what} UID "{spec.get(field, "")}", '
                f'inconsistent with the running {what} ("{uid}")'
            )
    return None


def _of_signer(around: Surroundings, request: Attributes, pod: Doc, of: str) -> str | None:
    spec = request.doc.get("spec") or {}
    signer = spec.get("signerName", "")
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if (source.get("podCertificate") or {}).get("signerName") == signer:
                return None
    # A resource cannot hold a slash: signers are written as in names of trust bundles.
    wish = Wish(
        _SIGNER_VERB, request.kind.group, signer.replace("/", ":"), request.namespace,
        spec.get("serviceAccountName", ""),
    )  # fmt: skip
    if around.may(request.who, wish):
        return None
    return f'pod "{of}" does not mount a podCertificate projected volume for signer "{signer}"'
