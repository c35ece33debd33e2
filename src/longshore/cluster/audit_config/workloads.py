"""Controls about what runs, and what its namespaces let run (5.2 to 5.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from longshore.cluster.audit_config.evidence import Evidence
from longshore.cluster.audit_config.verdicts import (
    Check,
    Control,
    Verdict,
    always,
    decided,
    manual,
    not_applicable,
    passed,
    unless,
)
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.podsecurity.policy import LEVELS, PREFIX, policy_of
from longshore.core.objects.podsecurity.walks import containers, context

BASELINE, RESTRICTED = LEVELS[1:]
_LABEL = f"{PREFIX}enforce"
_SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease"})


def of_users(evidence: Evidence) -> list[Doc]:
    """The pods that are not the cluster's own, and not over."""
    return [pod for pod in evidence.all(kinds.POD) if _is_of_users(pod)]


def _is_of_users(pod: Doc) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return pod["metadata"]["namespace"] not in _SYSTEM and phase not in ("Succeeded", "Failed")


def pods_which(test: Callable[[Doc], bool], good: str, bad: str) -> Check:
    """Fails if something is so of a user's pod; test is given its spec."""

    def check(evidence: Evidence) -> Verdict:
        return unless([named(p) for p in of_users(evidence) if test(p["spec"])], good, bad)

    return check


def named(doc: Doc) -> str:
    return f"{doc['metadata']['namespace']}/{doc['metadata']['name']}"


# --- Pod Security (5.2) ---


def _in_force(evidence: Evidence) -> Verdict:
    on = "PodSecurity" in evidence.settings.plugins
    return decided(on, "Pod Security admission is on", "Pod Security admission is off")


def refused_by(level: str) -> Check:
    """Namespaces in which users' pods are refuse what the level refuses."""

    def check(evidence: Evidence) -> Verdict:
        namespaces = {pod["metadata"]["namespace"] for pod in of_users(evidence)}
        open_ones = [name for name in namespaces if not _enforces(evidence, name, level)]
        good = f"every namespace with pods enforces {level}" if namespaces else _NOTHING_RUNS
        bad = f"pods run, and nothing enforces {level}: label namespace {{}} ({_LABEL}={level})"
        return unless(open_ones, good, bad)

    return check


_NOTHING_RUNS = "no namespace with pods of users is open to it"


def _enforces(evidence: Evidence, namespace: str, level: str) -> bool:
    if (
        "PodSecurity" not in evidence.settings.plugins
        or namespace in evidence.settings.exempt_namespaces
    ):
        return False
    labels = _labels(evidence).get(namespace, {})
    enforced = policy_of(labels, evidence.settings.usual)[0].enforce.level
    return LEVELS.index(enforced) >= LEVELS.index(level)


def _labels(evidence: Evidence) -> dict[str, dict[str, str]]:
    found = evidence.all(kinds.NAMESPACE)
    return {doc["metadata"]["name"]: doc["metadata"].get("labels") or {} for doc in found}


# --- network, secrets, images (5.3 to 5.5) ---


def _policies_work(evidence: Evidence) -> Verdict:
    if evidence.hollow:
        return not_applicable("hollow nodes carry no traffic")
    if not evidence.all(kinds.NETWORK_POLICY):
        return passed("every node's agent enforces NetworkPolicies; there is none now")
    if evidence.nodes is None:
        return manual("there are NetworkPolicies; only root sees whether nodes have their rules")
    without = [node.name for node in evidence.nodes if not node.filters]
    good = "every node's kernel has rules for the NetworkPolicies"
    return unless(without, good, "there are NetworkPolicies, and no rules for them on {}")


def _policies_everywhere(evidence: Evidence) -> Verdict:
    guarded = {one["metadata"]["namespace"] for one in evidence.all(kinds.NETWORK_POLICY)}
    bare = {pod["metadata"]["namespace"] for pod in of_users(evidence)} - guarded
    good = "every namespace with pods of users has a NetworkPolicy"
    return unless(bare, good, "pods, and no NetworkPolicy: namespace {}")


def _takes_secrets_as_variables(spec: Doc) -> bool:
    return any(
        "secretKeyRef" in (variable.get("valueFrom") or {})
        for container in containers(spec)
        for variable in container.get("env") or ()
    ) or any(
        "secretRef" in source
        for container in containers(spec)
        for source in container.get("envFrom") or ()
    )


def _origins(evidence: Evidence) -> Verdict:
    """The benchmark calls it Manual, and asks whether it is "as appropriate"."""
    if "ImagePolicyWebhook" in evidence.settings.plugins:
        return passed("ImagePolicyWebhook is on")
    return manual(
        "images are taken from everywhere: if not all of them should be, switch ImagePolicyWebhook on"
    )


# --- in general (5.6) ---


def _boundaries(evidence: Evidence) -> Verdict:
    namespaces = {pod["metadata"]["namespace"] for pod in of_users(evidence)}
    if not namespaces:
        return passed("nothing of users runs: there is nothing to keep apart")
    return manual(f"pods run in {len(namespaces)} namespaces: is that how teams are kept apart?")


def _is_unconfined(spec: Doc) -> bool:
    """By word: who says nothing gets the runtime's profile."""
    return any(_profile(holder) == "Unconfined" for holder in (spec, *containers(spec)))


def _profile(holder: Doc) -> str:
    kind: str = (context(holder).get("seccompProfile") or {}).get("type", "")
    return kind


def _has_no_context(spec: Doc) -> bool:
    return not context(spec) and not all(context(one) for one in containers(spec))


def _in_default(evidence: Evidence) -> Iterator[str]:
    yield from (named(p) for p in of_users(evidence) if p["metadata"]["namespace"] == "default")
    for kind in (kinds.SERVICE, kinds.DEPLOYMENT):
        for doc in evidence.all(kind):
            metadata = doc["metadata"]
            if metadata["namespace"] == "default" and metadata["name"] != "kubernetes":
                yield f"{kind.singular} {metadata['name']}"


def _default_is_empty(evidence: Evidence) -> Verdict:
    good = "the namespace default has only what every cluster has there"
    return unless(list(_in_default(evidence)), good, "in the namespace default: {}")


_NO_WINDOWS = always(not_applicable("every node runs Linux"))

POD_SECURITY = (
    Control("5.2.1", "something judges pods", _in_force),
    Control("5.2.2", "privileged containers", refused_by(BASELINE)),
    Control("5.2.3", "the node's processes", refused_by(BASELINE)),
    Control("5.2.4", "the node's IPC", refused_by(BASELINE)),
    Control("5.2.5", "the node's network", refused_by(BASELINE)),
    Control("5.2.6", "privilege escalation", refused_by(RESTRICTED)),
    Control("5.2.7", "containers as root", refused_by(RESTRICTED)),
    Control("5.2.8", "raw network packets", refused_by(RESTRICTED)),
    Control("5.2.9", "added capabilities", refused_by(RESTRICTED)),
    Control("5.2.10", "capabilities at all", refused_by(RESTRICTED)),
    Control("5.2.11", "Windows HostProcess containers", _NO_WINDOWS),
    Control("5.2.12", "the node's files", refused_by(BASELINE)),
    Control("5.2.13", "the node's ports", refused_by(BASELINE)),
)

GENERAL = (
    Control("5.3.1", "the network enforces NetworkPolicies", _policies_work),
    Control("5.3.2", "namespaces have NetworkPolicies", _policies_everywhere),
    Control("5.4.1", "secrets as files, not as variables", pods_which(
        _takes_secrets_as_variables,
        "no pod takes a secret as an environment variable", "secrets as environment variables: {}",
    )),
    Control("5.4.2", "secrets outside of the cluster", always(
        manual("the cluster keeps its Secrets itself: consider a vault outside for what is worth it"),
    )),
    Control("5.5.1", "images are judged by where they come from", _origins),
    Control("5.6.1", "namespaces keep teams apart", _boundaries),
    Control("5.6.2", "seccomp in pods", pods_which(
        _is_unconfined,
        "no pod does without seccomp: who says nothing gets the runtime's profile", "Unconfined: {}",
    )),
    Control("5.6.3", "security contexts in pods", pods_which(
        _has_no_context, "every pod of users has a security context", "no security context: {}",
    )),
    Control("5.6.4", "the namespace default is not used", _default_is_empty),
)  # fmt: skip
