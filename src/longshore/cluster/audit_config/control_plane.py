"""Controls about the API server and the loops beside it (1.2 to 1.4)."""

from __future__ import annotations

from longshore.cluster.audit_config import auditing, doors, etcd
from longshore.cluster.audit_config.evidence import (
    ANONYMOUS,
    MADE_UP_TOKEN,
    NOBODY_MAY,
    NODE_FOREIGN_SECRET,
    NODE_ITSELF,
    OPEN,
    PASSWORD,
    PROFILING,
    SELF_REVIEW,
    Evidence,
)
from longshore.cluster.audit_config.files import no_more_than, of_nodes
from longshore.cluster.audit_config.verdicts import (
    Check,
    Control,
    Verdict,
    always,
    decided,
    failed,
    manual,
    not_applicable,
    passed,
    unless,
)
from longshore.core.objects import kinds
from longshore.doors.kit.pulse import ServerLimits
from longshore.doors.kubernetes.audit.trail import FILE_MAX_BYTES, FILES_MAX
from longshore.doors.kubernetes.deadlines import LONGEST_S
from longshore.machinery.controllers.run_all import ControllerConfig

# --- who gets in ---


def _anonymous(evidence: Evidence) -> Verdict:
    status, health = evidence.api.statuses[ANONYMOUS], evidence.api.statuses[OPEN]
    return decided(
        status in doors.REFUSED,
        f"without credentials nodes are not shown ({status}); health and version are ({health})",
        f"without credentials /api/v1/nodes was answered with {status}",
    )


def _no_static_secrets(evidence: Evidence) -> Verdict:
    tried = {what: evidence.api.statuses[what] for what in (MADE_UP_TOKEN, PASSWORD)}
    answered = [f"{what} ({status})" for what, status in tried.items() if status != 401]
    good = "there are no files of tokens or passwords; a made-up token and a password got 401"
    return unless(answered, good, "not refused with 401: {}")


def _reaches_nodes(evidence: Evidence) -> Verdict:
    names = {file.path for file in evidence.files}
    wanted = {"pki/server-to-nodes.crt", "pki/server-to-nodes.key"}
    good = "nodes are asked with the pair server-to-nodes, and answer nobody else"
    return unless(wanted - names, good, "missing: {}")


def _rbac(evidence: Evidence) -> Verdict:
    review = evidence.reviews[SELF_REVIEW]
    return decided(
        review.allowed and "RBAC" in review.reason,
        f"a default role decided ({review.reason})",
        "the default roles grant nothing: RBAC does not decide",
    )


def _node_authorizer(evidence: Evidence) -> Verdict:
    own, foreign = evidence.reviews[NODE_ITSELF], evidence.reviews[NODE_FOREIGN_SECRET]
    return decided(
        own.allowed and not foreign.allowed,
        "a node may read itself, and no secret that its pods do not use",
        f"a node may read itself: {own.allowed}; a foreign secret: {foreign.allowed}",
    )


def _not_everybody(evidence: Evidence) -> Verdict:
    return decided(
        not evidence.reviews[NOBODY_MAY].allowed,
        "a user without any role may not list secrets",
        "a user without any role may list secrets",
    )


# --- admission ---


def _has(plugin: str) -> Check:
    def check(evidence: Evidence) -> Verdict:
        off = f"{plugin} is off: leave it out of --disable-admission-plugins"
        return decided(plugin in evidence.settings.plugins, f"{plugin} is on", off)

    return check


def _may_have(plugin: str, what_for: str) -> Check:
    """Off as upstream's default is: whether to have it is the operator's choice."""

    def check(evidence: Evidence) -> Verdict:
        if plugin in evidence.settings.plugins:
            return passed(f"{plugin} is on")
        return manual(f"{plugin} is off: `up --enable-admission-plugins {plugin}` {what_for}")

    return check


def _admits_not_all(evidence: Evidence) -> Verdict:
    on = "AlwaysAdmit" in evidence.settings.plugins
    return decided(not on, "AlwaysAdmit is not there and cannot be switched on", "it is on")


def _no_profiling(evidence: Evidence) -> Verdict:
    status = evidence.api.statuses[PROFILING]
    return decided(
        status == 404,
        "there is nothing at /debug/pprof/, not even for the administrator",
        f"/debug/pprof/ was answered with {status}",
    )


# --- the loops beside the server ---


def _on_loopback(evidence: Evidence) -> Verdict:
    if evidence.listeners is None:
        return manual("this system does not show who listens: look at the server's sockets")
    elsewhere = [one for one in evidence.listeners if not one.startswith("127.")]
    good = "no listener of its own; the server's are on 127.0.0.1 and in the cluster's own network"
    return unless(elsewhere, good, "the server listens on {}")


def _root_authority(evidence: Evidence) -> Verdict:
    kept = {
        doc["metadata"]["namespace"]: (doc.get("data") or {}).get("ca.crt", "").strip()
        for doc in evidence.all(kinds.CONFIG_MAP)
        if doc["metadata"]["name"] == "kube-root-ca.crt"
    }
    active = [n for n in evidence.all(kinds.NAMESPACE) if "deletionTimestamp" not in n["metadata"]]
    names = [doc["metadata"]["name"] for doc in active]
    wrong = [name for name in names if kept.get(name) != evidence.authority.strip()]
    return unless(wrong, "every namespace has the authority's certificate", "not in namespace {}")


def _sealed(evidence: Evidence) -> Verdict:
    by = evidence.settings.sealed_by
    return (
        passed(f"Secrets are written with AES-GCM and the key {by.split(':')[-2]!r}")
        if by
        else failed("the first provider of secrets in encryption.yaml says identity")
    )


_LIMITS = ServerLimits()
_FINISHED_MAX = ControllerConfig().finished_pods_max
_SAME_PROCESS = always(
    not_applicable("controllers are loops inside the server: there is no credential to share out")
)
_KEYS = no_more_than(0o600, "pki/service-accounts*.key")

API_SERVER = (
    Control("1.2.1", "nobody anonymous is served", _anonymous),
    Control("1.2.2", "no file of static tokens", _no_static_secrets),
    Control("1.2.3", "DenyServiceExternalIPs", _may_have(
        "DenyServiceExternalIPs", "keeps everybody, and not tenants alone, from drawing others' addresses to Services",
    )),
    Control("1.2.4", "the server proves to nodes who it is", of_nodes(_reaches_nodes)),
    Control("1.2.5", "the server checks nodes' certificates", of_nodes(always(
        passed("a node is asked only if the cluster's authority vouches for its certificate"),
    ))),
    Control("1.2.6", "not everything is allowed", _not_everybody),
    Control("1.2.7", "nodes are judged as nodes", _node_authorizer),
    Control("1.2.8", "roles decide", _rbac),
    Control("1.2.9", "EventRateLimit", _may_have("EventRateLimit", "with limits in --admission-control-config-file bounds Events",)),
    Control("1.2.10", "not AlwaysAdmit", _admits_not_all),
    Control("1.2.11", "AlwaysPullImages", _may_have(
        "AlwaysPullImages", "keeps tenants from images that others have pulled",
    )),
    Control("1.2.12", "ServiceAccount admission", _has("ServiceAccount")),
    Control("1.2.13", "NamespaceLifecycle admission", _has("NamespaceLifecycle")),
    Control("1.2.14", "NodeRestriction admission", _has("NodeRestriction")),
    Control("1.2.15", "no profiling of the server", _no_profiling),
    Control("1.2.16", "there is an audit log", auditing.is_written),
    Control("1.2.17", "audit logs are kept 30 days", always(
        passed("age removes no audit log, only their number does"),
    )),
    Control("1.2.18", "at least 10 old audit logs", always(decided(
        FILES_MAX >= 10, f"{FILES_MAX} are kept", f"only {FILES_MAX} are kept",
    ))),
    Control("1.2.19", "audit logs of 100 MB", always(decided(
        FILE_MAX_BYTES >= 100 * 10**6,
        f"a file is turned over at {FILE_MAX_BYTES >> 20} MiB",
        f"a file is turned over at {FILE_MAX_BYTES >> 20} MiB already",
    ))),
    Control("1.2.20", "requests end", always(
        passed(f"none is worked on for longer than {LONGEST_S:g} s, watches and streams aside"),
    )),
    Control("1.2.21", "tokens of deleted accounts are void", always(
        passed("at every use of a token its account, and the pod it is bound to, must still be there"),
    )),
    Control("1.2.22", "tokens have a key pair of their own", _KEYS),
    Control("1.2.23", "the server proves to etcd who it is", etcd.proves_itself),
    Control("1.2.24", "the server shows a certificate", lambda evidence: doors.is_known(evidence.api)),
    Control("1.2.25", "clients' certificates are checked", lambda evidence: doors.refuses_foreign(evidence.api)),
    Control("1.2.26", "the server checks etcd's certificate", etcd.checks_it),
    Control("1.2.27", "Secrets are encrypted at rest", _sealed),
    Control("1.2.28", "with a strong cipher", _sealed),
    Control("1.2.29", "strong ciphers towards clients", lambda evidence: doors.strong_ciphers(evidence.api)),
    Control("1.2.30", "tokens are not prolonged", always(
        passed("a token ends when it says; nothing is added to what was asked for"),
    )),
)  # fmt: skip

LOOPS = (
    Control("1.3.1", "finished pods are collected", always(
        passed(f"the oldest go when there are more than {_FINISHED_MAX}"),
    )),
    Control("1.3.2", "no profiling of the controllers", _no_profiling),
    Control("1.3.3", "each controller has its own account", _SAME_PROCESS),
    Control("1.3.4", "key that signs tokens", _KEYS),
    Control("1.3.5", "pods can check the server", _root_authority),
    Control("1.3.6", "nodes' serving certificates are rotated", of_nodes(always(
        passed("an agent asks for a new one before the old one ends, and the cluster signs it"),
    ))),
    Control("1.3.7", "controllers listen on loopback", _on_loopback),
    Control("1.4.1", "no profiling of the scheduler", _no_profiling),
    Control("1.4.2", "the scheduler listens on loopback", _on_loopback),
)  # fmt: skip
