"""What a container is started with, and what it leaves.

Upstream: test/e2e/common/node/{containers,configmap,secrets,expansion,runtime,kubelet,kubelet_etc_hosts,
security_context,sysctl}.go, test/e2e/network/dns.go.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from longshore.machinery.runtime.images.build import ImageConfig, build_image

from ..driver import Cluster
from .playing import (
    Case,
    Change,
    Doc,
    Played,
    config_map,
    container,
    namespace,
    play,
    pod,
    secret,
)

pytestmark = [pytest.mark.root, pytest.mark.slow]

TELLING = "telling:1"


def simple(name: str, script: str, says: str | None, **container_fields: Any) -> Case:
    return Case(name, pod(container(script, **container_fields)), says)


def secured(name: str, script: str, says: str, of_pod: Doc, of_container: Doc) -> Case:
    main = container(script, securityContext=of_container)
    return Case(name, pod(main, securityContext=of_pod), says)


# --- entry points (the image's own: /bin/echo entry, then command) ---


def defaults(name: str, says: str, **fields: list[str]) -> Case:
    return Case(name, pod({"name": "main", "image": TELLING, **fields}), says)


ENTRY_POINTS = [
    defaults("image-defaults", "entry command\n"),
    defaults("override-args", "entry some words\n", args=["some", "words"]),
    defaults("override-command", "other\n", command=["/bin/echo", "other"]),
    defaults("override-both", "other some\n", command=["/bin/echo", "other"], args=["some"]),
]

# --- the environment ---

PAIRS = {"data_1": "value-1", "data_2": "value-2"}
SOURCES = (config_map("pairs", PAIRS), secret("pairs", PAIRS))


def from_all(reference: str, **more: str) -> Doc:
    return {reference: {"name": "pairs"}, **more}


def from_key(reference: str) -> list[Doc]:
    return [{"name": "ONE", "valueFrom": {reference: {"name": "pairs", "key": "data_1"}}}]


def of_environment(title: str, all_of: str, key_of: str) -> list[Case]:
    # A shell keeps for itself what it could not name; the environment that it was given is the node's.
    show = "busybox tr '\\0' '\\n' < /proc/1/environ | grep value- | busybox sort"
    return [
        Case(
            f"{title}-key",
            pod(container("echo $ONE", env=from_key(key_of))),
            "value-1\n",
            before=SOURCES,
        ),
        Case(
            f"{title}-all",
            pod(container(show, envFrom=[from_all(all_of)])),
            "data_1=value-1\ndata_2=value-2\n",
            before=SOURCES,
        ),
        Case(
            f"{title}-prefixed",
            pod(container(show, envFrom=[from_all(all_of, prefix="p-.[]~")])),
            "p-.[]~data_1=value-1\np-.[]~data_2=value-2\n",
            before=SOURCES,
        ),
    ]


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "foo-service"},
    "spec": {"clusterIP": "10.96.77.7", "ports": [{"port": 8765, "targetPort": 8080}]},
}
OF_SERVICES = Case(
    "services",
    pod(container("busybox env | grep ^FOO | busybox sort")),
    "FOO_SERVICE_PORT=tcp://10.96.77.7:8765\n"
    "FOO_SERVICE_PORT_8765_TCP=tcp://10.96.77.7:8765\n"
    "FOO_SERVICE_PORT_8765_TCP_ADDR=10.96.77.7\n"
    "FOO_SERVICE_PORT_8765_TCP_PORT=8765\n"
    "FOO_SERVICE_PORT_8765_TCP_PROTO=tcp\n"
    "FOO_SERVICE_SERVICE_HOST=10.96.77.7\n"
    "FOO_SERVICE_SERVICE_PORT=8765\n",
    before=(SERVICE,),
)
ENVIRONMENT = [
    *of_environment("map", "configMapRef", "configMapKeyRef"),
    *of_environment("secret", "secretRef", "secretKeyRef"),
    OF_SERVICES,
]

# --- last words ---

FALLBACK = {"terminationMessagePolicy": "FallbackToLogsOnError"}
CUSTOM = {
    "terminationMessagePath": "/dev/termination-custom-log",
    "securityContext": {"runAsUser": 1000},
}
LAST_WORDS = {
    "empty-on-success": (simple("empty-on-success", "echo DONE", "DONE\n", **FALLBACK), ""),
    "from-file": (
        simple("from-file", "printf OK > /dev/termination-log; echo no", "no\n", **FALLBACK), "OK",
    ),
    "from-log": (
        Case("from-log", pod(container("echo DONE; false", **FALLBACK)), "DONE\n", "Failed"), "DONE",
    ),
    "custom-path": (
        simple("custom-path", "printf DONE > /dev/termination-custom-log", "", **CUSTOM), "DONE",
    ),
}  # fmt: skip

# --- files of the node's making ---

MANAGED = "# Kubernetes-managed hosts file."
FILES = [
    simple("stdout", "echo 'Hello World'", "Hello World\n"),
    Case(
        "host-aliases",
        pod(
            container("busybox tail -n 2 /etc/hosts"),
            hostAliases=[{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}],
        ),
        "# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n",
    ),
    simple("managed-hosts", f"grep -c '^{MANAGED}$' /etc/hosts", "1\n"),
    Case(
        "own-hosts",
        pod(
            container(
                "cat /etc/hosts",
                volumeMounts=[{"name": "own", "mountPath": "/etc/hosts", "subPath": "hosts"}],
            ),
            volumes=[{"name": "own", "configMap": {"name": "hosts"}}],
        ),
        "1.2.3.4 mine\n",
        before=(config_map("hosts", {"hosts": "1.2.3.4 mine\n"}),),
    ),
    Case(
        "hosts-of-the-node",
        pod(container("busybox head -n 1 /etc/hosts"), hostNetwork=True),
        "# Kubernetes-managed hosts file (host network).\n",
    ),
    Case("host-name", pod(container("hostname; hostname -f"), hostname="me"), "me\nme\n"),
    Case(
        "own-domain",
        pod(container("hostname -f"), hostname="me", subdomain="sub"),
        "me.sub.containers.svc.cluster.local\n",
    ),
    Case(
        "own-dns",
        pod(
            container("cat /etc/resolv.conf"),
            dnsPolicy="None",
            dnsConfig={
                "nameservers": ["1.1.1.1"],
                "searches": ["resolv.conf.local"],
                "options": [{"name": "ndots", "value": "2"}],
            },
        ),
        "search resolv.conf.local\nnameserver 1.1.1.1\noptions ndots:2\n",
    ),
]

# --- rights ---

ID = "busybox id -u; busybox id -g"
WRITE = "echo text > /file && cat /file"
NO_NEW = "grep NoNewPrivs /proc/self/status"
RIGHTS = [
    secured("run-as-user", "busybox id -u", "65534\n", {}, {"runAsUser": 65534}),
    secured("container-user-and-group", ID, "1001\n2002\n", {"runAsUser": 1, "runAsGroup": 2},
            {"runAsUser": 1001, "runAsGroup": 2002}),
    secured("pod-user-and-group", ID, "1001\n2002\n", {"runAsUser": 1001, "runAsGroup": 2002}, {}),
    secured("supplemental-groups", "busybox id -G", "1001 1234 5678\n",
            {"runAsUser": 1001, "runAsGroup": 1001, "supplementalGroups": [1234, 5678]}, {}),
    secured("unprivileged", "mount -t tmpfs none /tmp 2>/dev/null || echo no", "no\n", {},
            {"privileged": False}),
    secured("privileged", "mount -t tmpfs none /tmp && echo yes", "yes\n", {},
            {"privileged": True}),
    secured("writable-root", WRITE, "text\n", {}, {"readOnlyRootFilesystem": False}),
    secured("read-only-root", f"({WRITE}) 2>/dev/null || echo no", "no\n", {},
            {"readOnlyRootFilesystem": True}),
    secured("no-escalation", NO_NEW, "NoNewPrivs:\t1\n", {},
            {"allowPrivilegeEscalation": False, "runAsUser": 1000}),
    secured("escalation", NO_NEW, "NoNewPrivs:\t0\n", {}, {"runAsUser": 1000}),
    secured("sysctl", "cat /proc/sys/kernel/shm_rmid_forced", "1\n",
            {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}, {}),
]  # fmt: skip

# --- what is shared, and what confines ---

FIRST = "cat /proc/1/comm; true"  # which keeps the shell
SECCOMP = "grep Seccomp: /proc/self/status"
FRAMES = [
    Case("own-processes", pod(container(FIRST)), "sh\n"),
    Case("shared-processes", pod(container(FIRST), shareProcessNamespace=True), "catatonit\n"),
    Case("processes-of-the-node", pod(container(FIRST), hostPID=True),
         Path("/proc/1/comm").read_text()),
    Case("memory-of-the-node", pod(container("busybox readlink /proc/self/ns/ipc"), hostIPC=True),
         os.readlink("/proc/self/ns/ipc") + "\n"),
    Case("least-important", pod(container("cat /proc/self/oom_score_adj")), "1000\n"),
    secured("default-profile", SECCOMP, "Seccomp:\t2\n", {"seccompProfile": {"type": "RuntimeDefault"}}, {}),
    secured("no-profile", SECCOMP, "Seccomp:\t0\n", {}, {"seccompProfile": {"type": "Unconfined"}}),
]  # fmt: skip

CASES = [
    *ENTRY_POINTS,
    *ENVIRONMENT,
    *FILES,
    *RIGHTS,
    *FRAMES,
    *(case for case, _ in LAST_WORDS.values()),
]


@pytest.fixture(scope="module")
def telling(cluster: Cluster, short_root: Path) -> None:
    """An image with an entry point and a command on all nodes."""
    tar = short_root / "telling.tar"
    config = ImageConfig(entrypoint=("/bin/echo", "entry"), command=("command",))
    files: dict[str, Path | bytes] = {"bin/echo": Path("/bin/busybox"), "etc/hosts": b"", "etc/hostname": b"",
             "etc/resolv.conf": b"", "proc/.keep": b"", "sys/.keep": b"", "dev/.keep": b""}  # fmt: skip
    build_image(tar, [TELLING], config, files=files)
    cluster.longshore("image load", str(tar))


@pytest.fixture(scope="module")
def played(cluster: Cluster, telling: None) -> Iterator[Played]:
    with namespace(cluster, "containers") as api:
        yield play(api, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_container(played: Played, case: Case) -> None:
    played.check(case)


@pytest.mark.parametrize("name", LAST_WORDS)
def test_last_words(played: Played, name: str) -> None:
    case, said = LAST_WORDS[name]
    ended = terminated(played.pod(case.name))
    assert ended.get("message", "") == said
    assert ended["reason"] == ("Error" if case.phase == "Failed" else "Completed")


def terminated(pod: Doc) -> Doc:
    found: Doc = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_an_empty_key_is_refused(played: Played, kind: str) -> None:
    make = config_map if kind == "ConfigMap" else secret
    with pytest.raises(ApiException) as refused:
        played.api.create(make("empty-key", {"": "value"}))
    assert refused.value.status == 422
    assert 'Invalid value: ""' in refused.value.reason


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_the_life_of_what_holds_data(played: Played, kind: str) -> None:
    """It is made, found by its label in all namespaces, patched, and deleted by it."""
    api, label = played.api, "labelSelector=life%3Dtested"
    make, plural = (config_map, "configmaps") if kind == "ConfigMap" else (secret, "secrets")
    doc = make("life", {"a": "1"})
    doc["metadata"]["labels"] = {"life": "tested"}
    api.create(doc)
    field = "data" if kind == "ConfigMap" else "stringData"
    api.change(Change("patch", kind, "life", {field: {"b": "2"}}))
    everywhere = api.call("GET", f"/api/v1/{plural}?{label}")["items"]
    assert [sorted(one["data"]) for one in everywhere] == [["a", "b"]]
    api.call("DELETE", f"{api.path(kind)}?{label}")
    assert api.call("GET", f"{api.path(kind)}?{label}")["items"] == []


def test_no_sysctl_is_so_called(played: Played) -> None:
    """Names that cannot be are refused; those that a node may not know are not."""
    names = ("foo-", "kernel.shmmax", "safe-and-unsafe", "bar..")
    sysctls = [{"name": name, "value": "100000000"} for name in names]
    spec = pod(container("true"), securityContext={"sysctls": sysctls})
    doc = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "odd"}, "spec": spec}
    with pytest.raises(ApiException) as refused:
        played.api.create(doc)
    assert refused.value.status == 422
    for number, name in enumerate(names):
        named = f'spec.securityContext.sysctls[{number}].name: Invalid value: "{name}"'
        assert (named in refused.value.reason) == (name in ("foo-", "bar.."))
