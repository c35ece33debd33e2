"""What is said of each control, for a cluster that is as it should be, and for one that is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from longshore.cluster.audit_config import report
from longshore.cluster.audit_config.controls import CONTROLS
from longshore.cluster.audit_config.evidence import (
    ANONYMOUS,
    FOREIGN,
    MADE_UP_TOKEN,
    NOBODY_MAY,
    NODE_FOREIGN_SECRET,
    NODE_ITSELF,
    OPEN,
    ORDINARY,
    PASSWORD,
    PROFILING,
    SELF_REVIEW,
    Door,
    Etcd,
    Evidence,
    File,
    Node,
    Review,
    Settings,
)
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.host import etcd
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.podsecurity.policy import Policy, Standard
from longshore.core.objects.rbac.defaults import default_objects
from longshore.doors.kubernetes.audit import policy as audit_policy

CHECKS = {control.number: control.check for control in CONTROLS}
REFUSING = {
    ANONYMOUS: 401,
    OPEN: 200,
    MADE_UP_TOKEN: 401,
    PASSWORD: 401,
    FOREIGN: 0,
    PROFILING: 404,
}
API = Door(True, REFUSING, agreed="TLSv1.3 X")
NODE = Node("node-1", Door(True, {ANONYMOUS: 403, ORDINARY: 403, FOREIGN: 0}), filters=True)
PLUGINS = frozenset({"ServiceAccount", "NamespaceLifecycle", "NodeRestriction", "PodSecurity"})
SETTINGS = Settings(
    PLUGINS,
    Policy(),
    frozenset(),
    audit_policy.parse(audit_policy.DEFAULT),
    (),
    "k8s:enc:aesgcm:v1:k:",
)
FILES = [
    File("state", 0o700, 0),
    File("kubeconfig", 0o600, 0),
    File("cluster.json", 0o600, 0),
    File("log/audit.log", 0o600, 0),
    File("pki", 0o700, 0),
    *(
        File(f"pki/{name}.{end}", 0o600, 0)
        for name in ("ca", "admin", "server-to-nodes", "node-1-client", "service-accounts")
        for end in ("crt", "key")
    ),
]
REVIEWS = {
    NOBODY_MAY: Review(False, ""),
    SELF_REVIEW: Review(True, "RBAC: allowed by ClusterRoleBinding"),
    NODE_ITSELF: Review(True, ""),
    NODE_FOREIGN_SECRET: Review(False, ""),
}
DEFAULTS = default_objects()
NAMESPACES: list[Doc] = [
    {"metadata": {"name": "default"}},
    {
        "metadata": {
            "name": "strict",
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        }
    },
]


def evidence(objects: dict[Kind, list[Doc]] | None = None, **changed: Any) -> Evidence:
    """A cluster as it should be, with some objects more, and what is changed."""
    roots = [
        _doc("kube-root-ca.crt", one["metadata"]["name"], data={"ca.crt": "PEM"})
        for one in NAMESPACES
    ]
    there: dict[Kind, list[Doc]] = {kinds.NAMESPACE: NAMESPACES, kinds.CONFIG_MAP: roots}
    for kind, doc in DEFAULTS:
        there.setdefault(kind, []).append(doc)
    for kind, docs in (objects or {}).items():
        there[kind] = [*there.get(kind, []), *docs]
    good = Evidence(
        hollow=False,
        files=FILES,
        owner=0,
        api=API,
        nodes=[NODE],
        settings=SETTINGS,
        audit_log_grew=True,
        listeners=["127.0.0.1:6443"],
        reviews=REVIEWS,
        authority="PEM\n",
        administrators=["longshore:cluster-admins"],
        objects=there,
    )
    return replace(good, **changed)


def _doc(name: str, namespace: str, **content: Any) -> Doc:
    return {"metadata": {"name": name, "namespace": namespace}, **content}


POLICY = {kinds.NETWORK_POLICY: [_doc("deny", "strict")]}


# --- a cluster as it should be ---

# What a person has to look at.
LOOKS = {"1.2.3", "1.2.9", "1.2.11", "3.1.1", "5.4.2", "5.5.1"}


def verdicts(of: Evidence, verdict: str) -> set[str]:
    return {one.number for one in report.judge(of) if one.verdict == verdict}


def test_a_cluster_as_it_should_be() -> None:
    assert verdicts(evidence(), "fail") == set()
    assert verdicts(evidence(), "manual") == LOOKS


PLAIN: dict[str, Any] = {"settings": replace(SETTINGS, sealed_by="")}
FAILS = {"1.2.27", "1.2.28"}


def test_plain_secrets_fail() -> None:
    assert verdicts(evidence(**PLAIN), "fail") == FAILS


def test_a_hollow_cluster_has_no_agents_to_judge() -> None:
    hollow = evidence(hollow=True, nodes=[])
    assert verdicts(hollow, "fail") == set()
    more = verdicts(hollow, "n/a") - verdicts(evidence(), "n/a")
    assert {"1.2.4", "4.1.5", "4.2.1", "4.2.14", "5.3.1"} <= more


def test_who_is_not_root_cannot_ask_nodes() -> None:
    asked = verdicts(evidence(nodes=None), "manual") - LOOKS
    assert asked == {"4.2.1", "4.2.2", "4.2.3", "4.2.4", "4.2.9", "4.2.12"}


def test_every_control_is_said_once_and_with_a_reason() -> None:
    found = report.judge(evidence())
    assert len({one.number for one in found}) == len(found) == len(CONTROLS)
    assert all(one.why and one.title for one in found)


# --- etcd ---

OF_ETCD = {"1.2.23", "1.2.26", *(f"2.{number}" for number in range(1, 8))}


def own_etcd(**changed: str | None) -> Etcd:
    """As the members of three servers are told."""
    config, paths = (
        ClusterConfig("c", 1, "hollow", "none", 1, servers=3),
        ClusterPaths(Path("/r"), "c"),
    )
    told = etcd.arguments(config, paths, "etcd-1")
    options = dict(one.removeprefix("--").split("=", 1) for one in told)
    for name, value in changed.items():
        options.pop(name.replace("_", "-"), None)
        if value is not None:
            options[name.replace("_", "-")] = value
    return Etcd("etcd://10.0.0.1:2379", True, options)


def test_a_cluster_without_etcd_has_none_to_judge() -> None:
    assert verdicts(evidence(), "n/a") >= OF_ETCD


def test_its_own_members_are_as_they_should_be() -> None:
    assert verdicts(evidence(etcd=own_etcd()), "pass") >= OF_ETCD


def test_members_of_somebody_else_are_for_a_person_to_look_at() -> None:
    theirs = Etcd("etcd://e:2379", True, {})
    assert verdicts(evidence(etcd=theirs), "manual") - LOOKS == OF_ETCD - {"1.2.23", "1.2.26"}
    assert verdicts(evidence(etcd=theirs._replace(certified=False)), "fail") == {"1.2.23", "1.2.26"}


@pytest.mark.parametrize(
    ("changed", "fails"),
    [
        ({"cert_file": None}, "2.1"),
        ({"client_cert_auth": "false"}, "2.2"),
        ({"auto_tls": "true"}, "2.3"),
        ({"peer_cert_file": None}, "2.4"),
        ({"peer_client_cert_auth": None}, "2.5"),
        ({"peer_auto_tls": "true"}, "2.6"),
        ({"trusted_ca_file": "/r/c/pki/ca.crt"}, "2.7"),
    ],
)
def test_members_that_are_told_otherwise_fail(changed: dict[str, str | None], fails: str) -> None:
    assert verdicts(evidence(etcd=own_etcd(**changed)), "fail") == {fails}


# --- files, doors, settings ---


def files(path: str, mode: int = 0o600, owner: int = 0) -> dict[str, Any]:
    """The files, with one of them otherwise."""
    return {
        "files": [File(path, mode, owner), *(one for one in FILES if one.path != path)],
    }


def api(**changed: Any) -> dict[str, Any]:
    return {"api": replace(API, **changed)}


def answered(what: str, status: int) -> dict[str, Any]:
    return api(statuses={**REFUSING, what: status})


def node(statuses: dict[str, int] | None = None, **changed: Any) -> dict[str, Any]:
    assert NODE.door is not None
    door = replace(NODE.door, statuses={**NODE.door.statuses, **(statuses or {})}, **changed)
    return {"nodes": [NODE, Node("node-2", door)]}


def settings(**changed: Any) -> dict[str, Any]:
    return {"settings": replace(SETTINGS, **changed)}


def told(*rules: Doc) -> dict[str, Any]:
    doc = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules)}
    return settings(audit_policy=audit_policy.parse(doc))


def review(what: str, allowed: bool, reason: str = "") -> dict[str, Any]:
    return {"reviews": {**REVIEWS, what: Review(allowed, reason)}}


@pytest.mark.parametrize(
    ("number", "changed", "why"),
    [
        ("1.1.11", files("state", 0o750), "state (750)"),
        ("1.1.12", files("state", owner=7), "another user: state (7)"),
        ("1.1.13", files("kubeconfig", 0o644), "kubeconfig (644)"),
        ("1.1.14", files("kubeconfig", owner=7), "kubeconfig (7)"),
        ("1.1.19", files("pki/ca.key", owner=7), "pki/ca.key (7)"),
        ("1.1.20", files("pki/ca.crt", 0o664), "pki/ca.crt (664)"),
        ("1.1.21", files("pki/ca.key", 0o640), "pki/ca.key (640)"),
        ("1.1.21", {"files": []}, "missing in the cluster's directory"),
        ("1.2.1", answered(ANONYMOUS, 200), "answered with 200"),
        ("1.2.2", answered(PASSWORD, 403), "a name and a password (403)"),
        ("1.2.4", {"files": FILES[:5]}, "pki/server-to-nodes.crt"),
        ("1.2.6", review(NOBODY_MAY, True), "may list secrets"),
        ("1.2.7", review(NODE_FOREIGN_SECRET, True), "a foreign secret: True"),
        ("1.2.8", review(SELF_REVIEW, True, "everything is allowed"), "RBAC does not decide"),
        ("1.2.10", settings(plugins=PLUGINS | {"AlwaysAdmit"}), "it is on"),
        ("1.2.12", settings(plugins=PLUGINS - {"ServiceAccount"}), "ServiceAccount is off"),
        ("1.2.13", settings(plugins=PLUGINS - {"NamespaceLifecycle"}), "is off"),
        ("1.2.14", settings(plugins=PLUGINS - {"NodeRestriction"}), "is off"),
        ("1.2.15", answered(PROFILING, 200), "answered with 200"),
        ("1.2.16", {"audit_log_grew": False}, "does not tell of it"),
        ("1.2.16", files("log/audit.log", 0o644), "log/audit.log (644)"),
        ("1.2.22", files("pki/service-accounts.key", 0o604), "(604)"),
        ("1.2.24", api(verified=False), "not of the cluster's authority"),
        ("1.2.25", answered(FOREIGN, 200), "was answered with 200"),
        ("1.2.29", api(old_protocol="TLSv1.1 X"), "it agreed to TLSv1.1 X"),
        ("1.3.5", {"authority": "another"}, "not in namespace default, strict"),
        ("1.3.7", {"listeners": ["127.0.0.1:1", "0.0.0.0:2"]}, "listens on 0.0.0.0:2"),
        ("3.2.2", told({"level": "Metadata", "verbs": ["get"]}), "create pods/exec"),
        ("3.2.2", told({"level": "Request"}), "get secrets in full"),
        ("4.1.5", files("pki/node-1-client.key", 0o644), "node-1-client.key (644)"),
        ("4.1.9", files("cluster.json", 0o644), "cluster.json (644)"),
        ("4.2.1", node({ANONYMOUS: 200}), "node-2: without a certificate"),
        ("4.2.2", node({ORDINARY: 200}), "node-2: a caller who is not the server"),
        ("4.2.3", node({FOREIGN: 200}), "node-2: a certificate of another authority"),
        ("4.2.4", {"nodes": [replace(NODE, read_only_port=True)]}, "port 10255 is open"),
        ("4.2.9", node(verified=False), "node-2: its certificate"),
        ("4.2.12", node(weak_cipher="TLSv1.2 AES"), "node-2: it agreed to TLSv1.2 AES"),
        ("5.2.1", settings(plugins=frozenset()), "Pod Security admission is off"),
        ("5.3.1", {"nodes": [replace(NODE, filters=False)], "objects": POLICY}, "for them on node-1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(number: str, changed: dict[str, Any], why: str) -> None:
    assert CHECKS[number](evidence()).verdict == "pass", "and otherwise nothing is"
    verdict = CHECKS[number](evidence(**changed))
    assert (verdict.verdict, why in verdict.why) == ("fail", True), verdict.why


@pytest.mark.parametrize(
    ("number", "changed", "verdict"),
    [
        ("1.2.11", settings(plugins=PLUGINS | {"AlwaysPullImages"}), "pass"),
        ("1.2.29", api(weak_cipher=None), "manual"),
        ("1.3.7", {"listeners": None}, "manual"),
        ("3.1.1", settings(issuers=["https://login.example"]), "pass"),
        ("4.2.1", {"nodes": [Node("node-1", None)]}, "manual"),
        ("5.3.1", {"nodes": None, "objects": POLICY}, "manual"),
        ("5.3.1", {"nodes": [NODE], "objects": POLICY}, "pass"),
        ("5.1.7", {"administrators": ["system:masters"]}, "manual"),
        ("5.5.1", settings(plugins=PLUGINS | {"ImagePolicyWebhook"}), "pass"),
    ],
)
def test_what_a_person_chooses_or_has_to_see(
    number: str, changed: dict[str, Any], verdict: str
) -> None:
    assert CHECKS[number](evidence(**changed)).verdict == verdict


# --- credentials and rights ---


def binding(role: str, *subjects: Doc, namespace: str = "") -> dict[Kind, list[Doc]]:
    kind = kinds.ROLE_BINDING if namespace else kinds.CLUSTER_ROLE_BINDING
    doc = _doc("ours", namespace, kind=kind.name, subjects=list(subjects))
    doc["roleRef"] = {"kind": "ClusterRole", "name": role}
    if not namespace:
        del doc["metadata"]["namespace"]
    return {kind: [doc]}


def role(*rules: Doc) -> dict[Kind, list[Doc]]:
    return {kinds.CLUSTER_ROLE: [{
        "kind": "ClusterRole", "metadata": {"name": "ours"}, "rules": list(rules),
    }]}  # fmt: skip


def may(verb: str, group: str, resource: str, **more: Any) -> Doc:
    return {"verbs": [verb], "apiGroups": [group], "resources": [resource], **more}


JANE = {"kind": "User", "name": "jane"}
ALL = {"kind": "Group", "name": "system:authenticated"}
DEFAULT = {"kind": "ServiceAccount", "name": "default", "namespace": "strict"}
JOINERS = {"kind": "Group", "name": "system:bootstrappers"}
MASTERS = {"kind": "Group", "name": "system:masters"}
RBAC = "rbac.authorization.k8s.io"


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        ("5.1.2", may("watch", "", "secrets")),
        ("5.1.4", may("create", "", "pods")),
        ("5.1.8", may("bind", RBAC, "clusterroles")),
        ("5.1.8", may("impersonate", "", "users")),
        ("5.1.9", may("create", "", "persistentvolumes")),
        ("5.1.10", may("get", "", "nodes/*") | {"resources": ["*/proxy"]}),
        ("5.1.11", may("update", "certificates.k8s.io", "certificatesigningrequests/approval")),
        (
            "5.1.12",
            may("patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ),
        ("5.1.13", may("create", "", "serviceaccounts/token")),
    ],
)
def test_who_may_more_than_usual_is_named_and_everybody_must_not(number: str, rule: Doc) -> None:
    check, ours = CHECKS[number], role(rule)
    assert check(evidence(ours)).verdict == "pass", "a role alone gives nothing"
    found = check(evidence({**ours, **binding("ours", JANE)}))
    assert found.verdict == "manual"
    assert "User jane (everywhere)" in found.why
    assert check(evidence({**ours, **binding("ours", ALL)})).verdict == "fail"
    other = role(may("get", "", "services"), rule | {"resourceNames": ["one"]})
    assert check(evidence({**other, **binding("ours", ALL)})).verdict == "pass"


def test_cluster_admin_is_for_few() -> None:
    check = CHECKS["5.1.1"]
    assert (
        "User jane (team)" in check(evidence(binding("cluster-admin", JANE, namespace="team"))).why
    )
    assert check(evidence(binding("cluster-admin", DEFAULT))).verdict == "fail"


def test_somebody_who_was_added_to_a_default_binding_is_seen() -> None:
    seen = evidence()
    bindings = [
        {**one, "subjects": [*one["subjects"], JANE]}
        if one["metadata"]["name"] == "cluster-admin" else one
        for one in seen.all(kinds.CLUSTER_ROLE_BINDING)
    ]  # fmt: skip
    changed = replace(seen, objects={**seen.objects, kinds.CLUSTER_ROLE_BINDING: bindings})
    assert "User jane" in CHECKS["5.1.1"](changed).why


def test_a_rule_that_was_added_to_a_default_role_is_seen() -> None:
    seen = evidence()
    wild = may("*", "*", "*")
    roles = [
        {**one, "rules": [*one["rules"], wild]}
        if one["metadata"]["name"] == "system:basic-user" else one
        for one in seen.all(kinds.CLUSTER_ROLE)
    ]  # fmt: skip
    changed = replace(seen, objects={**seen.objects, kinds.CLUSTER_ROLE: roles})
    assert CHECKS["5.1.2"](changed).verdict == "fail", "all who are authenticated have that role"
    assert "system:basic-user" in CHECKS["5.1.3"](changed).why


def token(**data: str) -> dict[Kind, list[Doc]]:
    content = {"type": "bootstrap.kubernetes.io/token", "data": data}
    return {kinds.SECRET: [_doc("bootstrap-token-a", "kube-system", **content)]}


LASTING = {
    kinds.SECRET: [_doc("old", "default", type="kubernetes.io/service-account-token")]
}  # fmt: skip
ISSUED = {
    "spec": {"signerName": "kubernetes.io/kube-apiserver-client"},
    "status": {"certificate": "x"},
}


@pytest.mark.parametrize(
    ("number", "objects", "verdict", "why"),
    [
        ("3.1.1", {kinds.CSR: [{"metadata": {"name": "jane"}, **ISSUED}]}, "manual", "jane"),
        ("3.1.2", LASTING, "fail", "default/old"),
        ("3.1.3", token(), "fail", "bootstrap-token-a"),
        ("3.1.3", token(expiration="MjAzMC0wMS0wMVQwMDowMDowMFo="), "pass", "1 tokens"),
        ("3.1.3", binding("view", JOINERS), "fail", "Group system:bootstrappers"),
        ("5.1.3", role(may("get", "", "*")), "fail", "ours"),
        ("5.1.5", binding("view", DEFAULT), "fail", "ServiceAccount strict/default"),
        ("5.1.7", binding("view", MASTERS), "fail", "which needs none"),
    ],
)
def test_credentials_and_accounts(
    number: str, objects: dict[Kind, list[Doc]], verdict: str, why: str
) -> None:
    found = CHECKS[number](evidence(objects))
    assert (found.verdict, why in found.why) == (verdict, True), found.why


# --- what runs ---

SAFE: Doc = {
    "securityContext": {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "containers": [
        {
            "name": "main",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
        }
    ],
}
TOKEN = {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}


def running(
    namespace: str = "strict", phase: str = "Running", **spec: Any
) -> dict[Kind, list[Doc]]:
    pod = _doc("web", namespace, spec={**SAFE, **spec}, status={"phase": phase})
    return {kinds.POD: [pod]}


def container(**content: Any) -> dict[str, Any]:
    return {"containers": [{**SAFE["containers"][0], **content}]}


def test_a_pod_that_keeps_to_everything_breaks_nothing() -> None:
    assert verdicts(evidence({**running(), **POLICY}), "fail") == set()
    assert verdicts(evidence({**running(), **POLICY}), "manual") == LOOKS | {"5.6.1"}


def variable(source: Doc) -> dict[str, Any]:
    return container(env=[{"name": "A", "valueFrom": source}])


UNCONFINED = {"seccompProfile": {"type": "Unconfined"}}


@pytest.mark.parametrize(
    ("spec", "broken"),
    [
        (variable({"secretKeyRef": {"name": "a", "key": "b"}}), {"5.4.1"}),
        (container(envFrom=[{"secretRef": {"name": "a"}}]), {"5.4.1"}),
        (variable({"fieldRef": {"fieldPath": "metadata.name"}}), set()),
        ({"volumes": [TOKEN], "serviceAccountName": "default"}, {"5.1.5", "5.1.6"}),
        ({"volumes": [TOKEN], "serviceAccountName": "robot"}, {"5.1.6"}),
        ({"hostNetwork": True}, {"baseline/hostNamespaces"}),
        (
            {"volumes": [{"name": "a", "hostPath": {"path": "/"}}]},
            {"baseline/hostPathVolumes", "restricted/restrictedVolumes"},
        ),
        (
            {"securityContext": {"runAsNonRoot": True, **UNCONFINED}},
            {"5.6.2", "baseline/seccompProfile", "restricted/seccompProfile"},
        ),
        (
            {"securityContext": {}, "containers": [{"name": "main"}]},
            {
                "5.6.3", "restricted/allowPrivilegeEscalation", "restricted/capabilities",
                "restricted/runAsNonRoot", "restricted/seccompProfile",
            },
        ),
    ],
)  # fmt: skip
def test_what_a_pod_breaks(spec: dict[str, Any], broken: set[str]) -> None:
    found = evidence({**running(**spec), **POLICY})
    assert verdicts(found, "fail") == broken
    over = evidence(running(phase="Succeeded", **spec))
    assert verdicts(over, "fail") == set(), "what is over does no harm"
    system = evidence(running("kube-system", **spec))
    assert verdicts(system, "fail") == set(), "the cluster's own pods are not users'"


def test_a_token_is_needed_where_a_role_is_bound() -> None:
    robot = {"kind": "ServiceAccount", "name": "robot", "namespace": "strict"}
    pods = running(volumes=[TOKEN], serviceAccountName="robot")
    found = evidence({**pods, **binding("view", robot, namespace="strict")})
    assert CHECKS["5.1.6"](found).verdict == "pass"


BY_BASELINE = {"5.2.2", "5.2.3", "5.2.4", "5.2.5", "5.2.12", "5.2.13"}
BY_RESTRICTED = {"5.2.6", "5.2.7", "5.2.8", "5.2.9", "5.2.10"}


@pytest.mark.parametrize(
    ("changed", "open_to"),
    [
        ({}, BY_BASELINE | BY_RESTRICTED),
        (settings(usual=Policy(enforce=Standard("baseline"))), BY_RESTRICTED),
        (settings(usual=Policy(enforce=Standard("restricted"))), set()),
        (
            settings(
                usual=Policy(enforce=Standard("restricted")),
                exempt_namespaces=frozenset({"default"}),
            ),
            BY_BASELINE | BY_RESTRICTED,
        ),
    ],
)
def test_what_a_namespace_lets_run(changed: dict[str, Any], open_to: set[str]) -> None:
    found = verdicts(evidence(running("default"), **changed), "fail")
    assert found == open_to | {"5.3.2", "5.6.4"}


# --- what is printed ---


def test_a_table_for_people() -> None:
    found = report.judge(evidence(**PLAIN))
    text = report.as_text("c", found, "fail")
    lines = text.splitlines()
    assert lines[0].split() == ["CONTROL", "VERDICT", "TITLE", "WHY"]
    assert lines[1].startswith("1.2.27   fail ")
    assert len(lines) == 1 + len(FAILS) + 2
    assert lines[-1].startswith("c: ")
    assert f"{len(FAILS)} fail, {len(LOOKS)} manual" in lines[-1]
    assert report.fails(found)
    assert not report.fails([one for one in found if one.verdict != "fail"])


def test_an_object_for_machines() -> None:
    doc = report.as_dict("c", report.judge(evidence(**PLAIN)), "manual")
    assert doc["summary"]["fail"] == len(FAILS)
    assert {one["number"] for one in doc["controls"]} == LOOKS
    assert set(doc["controls"][0]) == {"number", "title", "verdict", "why"}


def test_long_lists_are_cut() -> None:
    many = [_doc(f"old-{n}", "a", type="kubernetes.io/service-account-token") for n in range(9)]
    why = CHECKS["3.1.2"](evidence({kinds.SECRET: many})).why
    assert why.endswith("a/old-0, a/old-1, a/old-2 and 6 more")
