"""What a pod says of its frame, its security and its weight, as the runtime is told it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.containers.facts import Facts
from longshore.machinery.kubelet.containers.security import security_of
from longshore.machinery.kubelet.containers.spec import sandbox_spec
from longshore.machinery.kubelet.lifecycle.container_details import details
from longshore.machinery.kubelet.lifecycle.qos import oom_score_adj, pod_resources
from longshore.machinery.kubelet.volumes.propagation import hindrance
from longshore.machinery.runtime.protocol import (
    Image,
    Pids,
    Propagation,
    Resources,
    SandboxSpec,
    Security,
)
from tests.kubelet.docs import container, pod, running

GIB = 1 << 30
IMAGE = Image("i", (), 1)


def frame(**spec: Any) -> SandboxSpec:
    facts = Facts(pod(**spec), "node-1", "10.90.0.10", ("10.42.0.2",))
    return sandbox_spec(facts, "web", "/run/netns/web", "/logs/web")


def limited(name: str, cpu: str = "", memory: str = "") -> Doc:
    limits = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    return container(name, resources={"limits": limits, "requests": limits})


def test_a_frame_is_the_pods_own_by_default() -> None:
    found = frame()
    assert (found.pids, found.host_ipc, found.host_network) == (Pids.CONTAINER, False, False)
    assert (found.ips, found.log_directory, found.qos) == (
        ("10.42.0.2",),
        "/logs/web",
        "BestEffort",
    )


@pytest.mark.parametrize(
    ("spec", "pids"),
    [
        ({"shareProcessNamespace": True}, Pids.POD),
        ({"hostPID": True}, Pids.NODE),
        ({"hostPID": True, "shareProcessNamespace": False}, Pids.NODE),
        ({"shareProcessNamespace": False}, Pids.CONTAINER),
    ],
)
def test_whose_processes_are_seen(spec: Doc, pids: Pids) -> None:
    assert frame(**spec).pids is pids


def test_the_nodes_own_and_kernel_parameters() -> None:
    asked = {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}
    found = frame(hostIPC=True, hostNetwork=True, securityContext=asked)
    assert (found.host_ipc, found.host_network) == (True, True)
    assert found.sysctls == {"kernel.shm_rmid_forced": "1"}


@pytest.mark.parametrize(
    ("containers", "bounds"),
    [
        ([container()], Resources(cpu_shares=2)),
        ([limited("a", "500m", "1Gi"), limited("b", "1", "1Gi")],
         Resources(1536, 1500, 2 * GIB)),
        ([limited("a", "500m", "1Gi"), container("b")], Resources(512)),
        ([limited("a", memory="1Gi"), limited("b", memory="2Gi")], Resources(2, 0, 3 * GIB)),
    ],
)  # fmt: skip
def test_a_pod_is_bounded_by_the_sum_of_its_containers(
    containers: list[Doc], bounds: Resources
) -> None:
    assert pod_resources(pod(*containers)["spec"]) == bounds


@pytest.mark.parametrize("spec", [pod(container())["spec"], pod(limited("a", "1", "1Gi"))["spec"]])
def test_a_node_bounds_the_processes_of_its_pods(spec: Doc) -> None:
    assert pod_resources(spec, 500).pids_limit == 500
    assert pod_resources(spec, -1) == pod_resources(spec)
    assert pod_resources(spec).pids_limit == 0


def test_overhead_raises_what_is_bounded() -> None:
    spec = {**pod(limited("a", "1", "1Gi"))["spec"], "overhead": {"cpu": "1", "memory": "1Gi"}}
    assert pod_resources(spec) == Resources(2048, 2000, 2 * GIB)


@pytest.mark.parametrize(
    ("asked", "score"),
    [
        (container(), 1000),
        (limited("main", "1", "1Gi"), -997),
        (limited("main", memory="1Gi"), 900),
        (limited("main", memory="1Mi"), 999),
        (limited("main", memory="10Gi"), 3),
    ],
)
def test_whom_the_kernel_ends_first(asked: Doc, score: int) -> None:
    assert oom_score_adj(pod(asked)["spec"], asked, 10 * GIB) == score


def test_a_sidecar_lives_as_long_as_whom_it_serves_and_critical_pods_longest() -> None:
    sidecar = container("proxy", restartPolicy="Always")
    spec = pod(limited("main", memory="5Gi"), inits=[sidecar])["spec"]
    assert oom_score_adj(spec, sidecar, 10 * GIB) == 500
    critical = pod(priorityClassName="system-node-critical")["spec"]
    assert oom_score_adj(critical, critical["containers"][0], 10 * GIB) == -997


def security(own: Doc, **shared: Any) -> Security:
    main = container(securityContext=own)
    return security_of(main, pod(main, securityContext=shared), IMAGE, "/profiles")


def test_profiles_are_the_containers_own_or_the_pods() -> None:
    local = {"type": "Localhost", "localhostProfile": "a/b.json"}
    assert security({}, seccompProfile=local).seccomp_profile == "/profiles/a/b.json"
    found = security({"seccompProfile": {"type": "Unconfined"}}, seccompProfile=local)
    assert (found.seccomp_unconfined, found.seccomp_profile) == (True, "")
    named = {"type": "Localhost", "localhostProfile": "mine"}
    assert security({"appArmorProfile": named}).apparmor_profile == "mine"
    assert security({"appArmorProfile": {"type": "RuntimeDefault"}}).apparmor_profile == ""


def test_groups_may_be_those_of_the_pod_alone_and_proc_unmasked() -> None:
    assert security({}, supplementalGroupsPolicy="Strict").strict_groups
    assert not security({}, supplementalGroupsPolicy="Merge").strict_groups
    assert security({"procMount": "Unmasked"}).unmasked_proc


MOUNTS = """\
20 1 0:1 / / rw,relatime - ext4 /dev/vda rw
21 20 0:2 / /shared rw,relatime shared:5 - tmpfs none rw
22 20 0:3 / /follows rw,relatime master:5 - tmpfs none rw
23 21 0:4 / /shared/in rw - tmpfs none rw
"""


@pytest.mark.parametrize(
    ("path", "wanted", "why"),
    [
        ("/data", Propagation.PRIVATE, ""),
        ("/shared/a", Propagation.BOTH_WAYS, ""),
        ("/follows", Propagation.FROM_HOST, ""),
        ("/follows", Propagation.BOTH_WAYS, 'on "/follows" but it is not a shared mount'),
        ("/shared/in/a", Propagation.FROM_HOST, 'on "/shared/in" but it is not a shared or slave mount'),
        ("/sharedalso", Propagation.FROM_HOST, 'on "/" but it is not a shared or slave mount'),
    ],
)  # fmt: skip
def test_mounts_are_passed_on_only_where_the_node_lets_them(
    path: str, wanted: Propagation, why: str
) -> None:
    assert hindrance(path, wanted, MOUNTS) == (f'path "{path}" is mounted {why}' if why else "")


def test_a_status_says_who_runs_how_it_ends_and_what_is_read_only() -> None:
    mounts = [
        {"name": "a", "mountPath": "/a", "readOnly": True, "recursiveReadOnly": "IfPossible"},
        {"name": "b", "mountPath": "/b", "readOnly": True},
        {"name": "c", "mountPath": "/c"},
    ]
    told = replace(running(), stop_signal="SIGUSR1", user=(101, 102, 300))
    assert details(container(volumeMounts=mounts), told) == {
        "stopSignal": "SIGUSR1",
        "user": {"linux": {"uid": 101, "gid": 102, "supplementalGroups": [300]}},
        "volumeMounts": [
            {"name": "a", "mountPath": "/a", "readOnly": True, "recursiveReadOnly": "Enabled"},
            {"name": "b", "mountPath": "/b", "readOnly": True, "recursiveReadOnly": "Disabled"},
            {"name": "c", "mountPath": "/c"},
        ],
    }
    assert details(container(volumeMounts=mounts[1:]), running()) == {}
