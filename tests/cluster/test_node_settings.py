"""What a machine's agent is told of its resources, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from longshore.cluster.agent.settings import resources_of
from longshore.cluster.config import ClusterError
from longshore.machinery.kubelet.resource_settings import LINUX_EVICTION_HARD

HEAD = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"


def test_upstreams_defaults() -> None:
    assert resources_of(None, "").eviction_hard == LINUX_EVICTION_HARD


def test_a_file_and_a_reservation(tmp_path: Path) -> None:
    file = tmp_path / "kubelet.yaml"
    file.write_text(HEAD + """
evictionHard: {memory.available: 200Mi}
evictionSoft: {memory.available: 500Mi}
evictionSoftGracePeriod: {memory.available: 1m30s}
evictionPressureTransitionPeriod: 5m0s
systemReserved: {cpu: 1, memory: 1Gi}
kubeReserved: {cpu: 200m}
imageGCHighThresholdPercent: 90
containerLogMaxSize: 20Mi
podPidsLimit: 500
cpuManagerPolicy: static
reservedSystemCPUs: "0"
memoryManagerPolicy: None
topologyManagerPolicy: none
enforceNodeAllocatable: [pods]
""")  # fmt: skip
    told = resources_of(file, "cpu=500m,memory=100Mi")
    assert told.eviction_hard == {"memory.available": "200Mi"}
    assert told.eviction_soft_grace_s == {"memory.available": 90.0}
    assert (told.eviction_transition_s, told.image_gc_high_percent) == (300.0, 90)
    assert told.pod_pids_limit == 500
    assert told.system_reserved == {"cpu": "1", "memory": "1Gi"}
    assert told.kube_reserved == {"cpu": "500m", "memory": "100Mi"}
    assert (told.cpu_manager_policy, told.reserved_cpus) == ("static", "0")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("topologyManagerPolicy: restricted", "topologyManagerPolicy: restricted is not supported"),
        ("memoryManagerPolicy: Static", "memoryManagerPolicy: Static is not supported"),
        ("maxPods: 300", 'unknown field "maxPods"'),
        ("cpuManagerPolicy: static", "the static policy requires systemreserved.cpu"),
        (
            "allowedUnsafeSysctls: [vm.swappiness]",
            'the sysctls "vm.swappiness" are not known to be namespaced',
        ),
        ("cpuManagerPolicy: dynamic", 'unknown policy: "dynamic"'),
        ("evictionHard: {mood.available: 1}", "unsupported eviction signal mood.available"),
        ("evictionSoft: {memory.available: 1Gi}", "grace period must be specified"),
        ("imageGCHighThresholdPercent: 120", "must be between 0 and 100"),
        ("containerLogMaxFiles: 1", "containerLogMaxFiles: must be greater than 1"),
        ("podPidsLimit: 0", "podPidsLimit: 0 is neither a number of 1 or more nor -1"),
        ("systemReserved: {disks: 3}", "disks: 3 cannot be reserved"),
        ("systemReserved: [1]", "systemReserved: "),
        ("evictionPressureTransitionPeriod: soon", "'soon' is no span of time"),
        ("reservedSystemCPUs: 0-x", "is no list of CPUs"),
        ("- 1", "want a document of fields|while parsing|expected"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "kubelet.yaml"
    file.write_text(HEAD + text + "\n" if text != "- 1" else text)
    with pytest.raises(ClusterError, match=why):
        resources_of(file, "")


def test_a_reservation_is_a_list() -> None:
    with pytest.raises(ClusterError, match="--reserve: 'disks=3': want NAME=QUANTITY"):
        resources_of(None, "disks=3")
    with pytest.raises(ClusterError, match="quantities must match"):
        resources_of(None, "cpu=many")


def test_another_document_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("apiVersion: v1\nkind: Pod\n")
    with pytest.raises(ClusterError, match=r"want apiVersion kubelet\.config\.k8s\.io/v1beta1"):
        resources_of(tmp_path / "pod.yaml", "")
    with pytest.raises(ClusterError, match="No such file"):
        resources_of(tmp_path / "none.yaml", "")
