"""Controls about what people prove who they are with (3.1)."""

from __future__ import annotations

from longshore.cluster.audit_config.evidence import Evidence
from longshore.cluster.audit_config.rights import grants_beyond_defaults
from longshore.cluster.audit_config.verdicts import Control, Verdict, manual, passed, some, unless
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.identity import bootstrap_tokens

_OF_USERS = "kubernetes.io/kube-apiserver-client"
LASTING = "kubernetes.io/service-account-token"


def _certificates(evidence: Evidence) -> Verdict:
    issued = [_name(one) for one in evidence.all(kinds.CSR) if _is_for_user(one)]
    if issued:
        return manual(f"certificates were issued for clients: {some(issued)}; are these people?")
    if not evidence.settings.issuers:
        return manual(
            "people have nothing but the administrator's certificate: "
            "`up --authentication-config` lets them in by tokens of your issuer"
        )
    return passed(
        f"people come in by tokens of {some(evidence.settings.issuers)}; no certificate was issued"
    )


def _is_for_user(request: Doc) -> bool:
    issued = (request.get("status") or {}).get("certificate")
    return bool(issued) and request["spec"]["signerName"] == _OF_USERS


def _account_tokens(evidence: Evidence) -> Verdict:
    lasting = [
        f"{one['metadata']['namespace']}/{_name(one)}"
        for one in evidence.all(kinds.SECRET)
        if one.get("type") == LASTING
    ]
    good = "no token of a service account lasts: each ends by itself"
    return unless(lasting, good, "tokens that never end are kept in secrets: {}")


def _bootstrap_tokens(evidence: Evidence) -> Verdict:
    tokens = [one for one in evidence.all(kinds.SECRET) if one.get("type") == bootstrap_tokens.TYPE]
    endless = [_name(one) for one in tokens if bootstrap_tokens.expires_at(one) == float("inf")]
    if endless:
        return unless(endless, "", "tokens that never end: {} (longshore token delete)")
    favoured = {
        grant.subject
        for grant in grants_beyond_defaults(evidence)
        if grant.subject.removeprefix("Group ").startswith("system:bootstrap")
    }
    good = f"{len(tokens)} tokens; they let a machine ask for a certificate, and no more"
    return unless(favoured, good, "more rights than to join: {}")


def _name(doc: Doc) -> str:
    name: str = doc["metadata"]["name"]
    return name


AUTHENTICATION = (
    Control("3.1.1", "people do not come with certificates", _certificates),
    Control("3.1.2", "people do not come with accounts' tokens", _account_tokens),
    Control("3.1.3", "people do not come with bootstrap tokens", _bootstrap_tokens),
)
