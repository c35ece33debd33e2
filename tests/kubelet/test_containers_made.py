"""What a container is made of: environment, files, security, resources, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.containers.environment import Sources, container_env, expand
from longshore.machinery.kubelet.containers.facts import ConfigMissing, Facts
from longshore.machinery.kubelet.containers.files import (
    full_hostname_of,
    hosts_file,
    pod_files,
    resolv_conf,
)
from longshore.machinery.kubelet.containers.security import security_of
from longshore.machinery.kubelet.containers.spec import pull_policy
from longshore.machinery.kubelet.containers.support import Abilities, refused
from longshore.machinery.kubelet.lifecycle.qos import cgroup_resources, cpu_shares, qos_class
from longshore.machinery.runtime.protocol import Image, RuntimeFailure

from .docs import container, pod

PLAIN = Image("sha256:1", ("app:1",), 1)


def facts(doc: Doc) -> Facts:
    return Facts(doc, "node-1", "10.90.0.11", ("10.42.1.2",), {"cpu": "4", "memory": "8Gi"})


def env_of(main: Doc, sources: Sources | None = None) -> dict[str, str]:
    return container_env(main, facts(pod(main)), sources or Sources())


@pytest.mark.parametrize(
    ("text", "expanded"),
    [("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$$(A)", "$(A)"), ("$(NO)", "$(NO)"),
     ("$A", "$A"), ("$", "$"), ("$$$(A)", "$1"), ("$(A", "$(A")],
)  # fmt: skip
def test_references_expand_as_upstream_expands_them(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expanded


_TOKENS = st.sampled_from([("$$", "$"), ("$(A)", "1"), ("$(NO)", "$(NO)"), ("x", "x"), (")", ")")])


@given(st.lists(_TOKENS, max_size=8))
def test_expansion_is_one_pass_over_the_text(tokens: list[tuple[str, str]]) -> None:
    text = "".join(written for written, _ in tokens)
    assert expand(text, {"A": "1"}) == "".join(read for _, read in tokens)


def test_later_variables_see_earlier_ones_and_win_over_services() -> None:
    service = {"metadata": {"name": "db", "namespace": "shop"},
               "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 5432}]}}  # fmt: skip
    env = [{"name": "URL", "value": "pg://$(DB_SERVICE_HOST):$(DB_SERVICE_PORT)/$(LATER)"},
           {"name": "LATER", "value": "x"}, {"name": "DB_PORT", "value": "mine"}]  # fmt: skip
    made = env_of(container(env=env), Sources(services=(service,)))
    assert made["URL"] == "pg://10.96.0.7:5432/$(LATER)"
    assert made["DB_PORT"] == "mine"


def test_without_service_links_only_the_api_server_is_told_of() -> None:
    services = tuple(
        {"metadata": {"name": name, "namespace": space},
         "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443, "name": "https"}]}}
        for name, space in (("db", "shop"), ("kubernetes", "default"), ("else", "other"))
    )  # fmt: skip
    doc = pod(enableServiceLinks=False)
    env = container_env(doc["spec"]["containers"][0], facts(doc), Sources(services=services))
    assert {name.split("_")[0] for name in env} == {"KUBERNETES"}


def test_whole_maps_and_secrets_with_prefixes() -> None:
    maps = {"app": {"kind": "ConfigMap", "data": {"a": "1", "b": "2"}}}
    secrets = {"key": {"kind": "Secret", "data": {"p": base64.b64encode(b"w").decode()}}}
    sources = [{"configMapRef": {"name": "app"}, "prefix": "X_"}, {"secretRef": {"name": "key"}},
               {"configMapRef": {"name": "none", "optional": True}}]  # fmt: skip
    env = env_of(container(envFrom=sources), Sources(maps, secrets))
    assert env == {"X_a": "1", "X_b": "2", "p": "w"}
    with pytest.raises(ConfigMissing, match='configmap "none" not found'):
        env_of(container(envFrom=[{"configMapRef": {"name": "none"}}]))


def test_resources_are_told_in_the_wanted_unit() -> None:
    refs = [("limits.memory", "1Mi", "64"), ("requests.cpu", "1m", "250"),
            ("limits.cpu", None, "4"), ("requests.memory", "1", str(64 * 2**20))]  # fmt: skip
    env = [{"name": f"V{n}", "valueFrom": {"resourceFieldRef":
            {"resource": what, **({"divisor": unit} if unit else {})}}}
           for n, (what, unit, _) in enumerate(refs)]  # fmt: skip
    resources = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}}
    made = env_of(container(env=env, resources=resources))
    assert list(made.values()) == [value for _, _, value in refs]


def test_labels_and_annotations_by_name() -> None:
    paths = ["metadata.labels['app']", "metadata.annotations['no']", "spec.nodeName",
             "status.hostIP"]  # fmt: skip
    env = [{"name": f"V{n}", "valueFrom": {"fieldRef": {"fieldPath": p}}}
           for n, p in enumerate(paths)]  # fmt: skip
    doc = pod(container(env=env))
    doc["metadata"]["labels"] = {"app": "web"}
    made = container_env(doc["spec"]["containers"][0], facts(doc), Sources())
    assert list(made.values()) == ["web", "", "node-1", "10.90.0.11"]


# -- files -----------------------------------------------------------------------------------


def test_hosts_names_the_pod_and_its_aliases() -> None:
    doc = pod(hostname="db-0", subdomain="db",
              hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}])  # fmt: skip
    lines = hosts_file(doc, ("10.42.1.2",), "node-1", "cluster.local", "").splitlines()
    assert "10.42.1.2\tdb-0.db.shop.svc.cluster.local\tdb-0" in lines
    assert "1.2.3.4\ta\tb" in lines


def test_a_host_name_may_be_the_full_one() -> None:
    doc = pod(hostname="db-0", subdomain="db", setHostnameAsFQDN=True)
    full = "db-0.db.shop.svc.cluster.local"
    assert full_hostname_of(doc, "node-1", "cluster.local") == full
    assert pod_files(doc, (), "node-1", ((), "cluster.local", ""))["/etc/hostname"] == f"{full}\n"
    with pytest.raises(RuntimeFailure, match=r"is too long \(64 .* 83 characters requested"):
        full_hostname_of(
            pod(hostname="x" * 57, subdomain="db", setHostnameAsFQDN=True), "", "cluster.local"
        )
    for plain in ({"subdomain": ""}, {"hostNetwork": True, "subdomain": "db"}):
        doc = pod(hostname="db-0", setHostnameAsFQDN=True, **plain)
        assert "." not in full_hostname_of(doc, "node-1", "cluster.local")


NODE_DNS = "nameserver 9.9.9.9\nsearch corp.test\noptions timeout:1\n"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, "search shop.svc.cluster.local svc.cluster.local cluster.local corp.test\n"
             "nameserver 10.96.0.10\noptions ndots:5\n"),
        ({"dnsPolicy": "Default"}, "search corp.test\nnameserver 9.9.9.9\noptions timeout:1\n"),
        ({"hostNetwork": True}, "search corp.test\nnameserver 9.9.9.9\noptions timeout:1\n"),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["x"],
          "options": [{"name": "edns0"}, {"name": "ndots", "value": "2"}]}},
         "search x\nnameserver 1.1.1.1\noptions edns0 ndots:2\n"),
    ],
)  # fmt: skip
def test_name_servers_follow_the_policy(spec: Doc, text: str) -> None:
    assert resolv_conf(pod(**spec), ("10.96.0.10",), "cluster.local", NODE_DNS) == text


# -- numbers and rights ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resources", "class_"),
    [({}, "BestEffort"), ({"requests": {"cpu": "1"}}, "Burstable"),
     ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
     ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
     ({"requests": {"example.com/gpu": "1"}}, "BestEffort")],
)  # fmt: skip
def test_quality_of_service(resources: Doc, class_: str) -> None:
    assert qos_class(pod(container(resources=resources))["spec"]) == class_


def test_cgroup_numbers() -> None:
    assert [cpu_shares(m) for m in (0, 1, 500, 1000, 10**9)] == [2, 2, 512, 1024, 262144]
    limited = cgroup_resources(container(resources={"limits": {"cpu": "1500m", "memory": "1Gi"}}))
    assert (limited.cpu_shares, limited.cpu_limit_millis) == (1536, 1500)
    assert (limited.memory_limit_bytes, limited.pids_limit) == (2**30, 4096)


def security(own: Doc | None = None, image: Image = PLAIN, **shared: Any) -> Any:
    main = container(securityContext=own or {})
    return security_of(main, pod(main, securityContext=shared), image, "/profiles")


def test_a_containers_security_wins_over_its_pods() -> None:
    made = security({"runAsUser": 5, "allowPrivilegeEscalation": False,
                     "capabilities": {"add": ["CAP_NET_ADMIN"], "drop": ["ALL"]}},
                    runAsUser=1, runAsGroup=9, fsGroup=7, supplementalGroups=[3])  # fmt: skip
    assert (made.user, made.groups) == ("5:9", (3, 7))
    assert made.no_new_privileges
    assert (made.add_capabilities, made.drop_capabilities) == (("NET_ADMIN",), ("ALL",))
    assert not made.seccomp_unconfined, "without a word the default profile holds"
    assert security({"privileged": True}).seccomp_unconfined


@pytest.mark.parametrize(
    ("user", "fails"), [("", "will run as root"), ("0:5", "will run as root"),
                        ("web", "non-numeric user"), ("7", "")],
)  # fmt: skip
def test_not_root_means_not_root(user: str, fails: str) -> None:
    image = Image("i", (), 1, user=user)
    if fails:
        with pytest.raises(ConfigMissing, match=fails):
            security({"runAsNonRoot": True}, image)
    else:
        assert security({"runAsNonRoot": True}, image).user == ""


@pytest.mark.parametrize(
    ("image", "policy"),
    [("a", "Always"), ("a:latest", "Always"), ("a:1", "IfNotPresent"), ("r:5000/a", "Always"),
     ("r:5000/a:2", "IfNotPresent"), ("a@sha256:00", "IfNotPresent")],
)  # fmt: skip
def test_pull_policy_defaults_by_tag(image: str, policy: str) -> None:
    assert pull_policy({"name": "x", "image": image}) == policy


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"hostUsers": False}, "spec.hostUsers=false"),
        ({"volumes": [{"name": "n", "nfs": {}}]}, "spec.volumes[n].nfs"),
        ({"volumes": [{"name": "n", "emptyDir": {"medium": "HugePages"}}]},
         "spec.volumes[n].emptyDir.medium=HugePages"),
        ({"volumes": [{"name": "t", "projected": {"sources": [{"clusterTrustBundle": {}}]}}]},
         "spec.volumes[t].projected.clusterTrustBundle"),
        ({"containers": [container(ports=[{"containerPort": 1, "hostPort": 1, "protocol": "SCTP"}])]},
         "spec.containers[main].ports.hostPort of SCTP"),
        ({"containers": [container(lifecycle={"preStop": {"exec": {"command": ["x"]}}})]},
         "spec.containers[main].lifecycle.preStop.exec"),
        ({"securityContext": {"seLinuxOptions": {"level": "s0"}}},
         "spec.securityContext.seLinuxOptions"),
        ({"containers": [container(securityContext={"appArmorProfile": {"type": "Localhost"}})]},
         "spec.containers[main].securityContext.appArmorProfile.type=Localhost"),
        ({"containers": [container(volumeMounts=[{"mountPath": "/d", "recursiveReadOnly": "Enabled"}])]},
         "spec.containers[main].volumeMounts[/d].recursiveReadOnly=Enabled"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_named(spec: Doc, named: str) -> None:
    sentence = refused({**pod()["spec"], **spec}, Abilities(False, False, False))
    assert sentence == f"not supported by this node: {named}"


def test_ordinary_pods_and_exec_where_it_is_possible_are_not_refused() -> None:
    probes: Doc = {"livenessProbe": {"exec": {"command": ["true"]}}}
    spec = pod(container(**probes), inits=[container("s", restartPolicy="Always")])["spec"]
    assert refused(spec, Abilities()) == ""
    assert refused(spec, Abilities(execs=False)).endswith("containers[main].livenessProbe.exec")
