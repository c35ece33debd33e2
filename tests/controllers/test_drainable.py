"""What keeps a pod where it is when its node is to go."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import from_doc
from longshore.machinery.controllers.nodegroups.drainable import Budget, hindrance, must_move

SAFE = "cluster-autoscaler.kubernetes.io/safe-to-evict"
VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
DATA = [{"name": "data", "emptyDir": {}}, {"name": "logs", "hostPath": {"path": "/var/log"}}]


def pod(
    owner: str = "ReplicaSet", namespace: str = "default", notes: Doc | None = None, **spec: Any
) -> Doc:
    owners = [{"kind": owner, "name": "o", "uid": "o", "controller": True}] if owner else []
    metadata = {"name": "p", "namespace": namespace, "labels": {"app": "web"}}
    return {
        "metadata": {**metadata, "ownerReferences": owners, "annotations": notes or {}},
        "spec": {"containers": [], **spec},
    }


def budget(allowed: int, namespace: str = "default", **labels: str) -> Budget:
    selector = from_doc({"matchLabels": labels or {"app": "web"}})
    assert selector is not None
    return Budget(namespace, selector, allowed)


@pytest.mark.parametrize(
    ("one", "budgets", "why"),
    [
        (pod(), [], ""),
        (pod(""), [], "NotReplicated"),
        (pod("", notes={SAFE: "true"}), [], ""),
        (pod(notes={SAFE: "false"}), [], "NotSafeToEvictAnnotation"),
        (pod(volumes=DATA), [], "LocalStorageRequested"),
        (pod(volumes=DATA, notes={VOLUMES: "data"}), [], "LocalStorageRequested"),
        (pod(volumes=DATA, notes={VOLUMES: "data, logs"}), [], ""),
        (pod(volumes=[{"name": "m", "emptyDir": {"medium": "Memory"}}]), [], ""),
        (pod(namespace="kube-system"), [], "UnmovableKubeSystemPod"),
        (pod(namespace="kube-system"), [budget(1, "kube-system")], ""),
        (pod(), [budget(0)], "NotEnoughPdb"),
        (pod(), [budget(1), budget(0)], "NotEnoughPdb"),
        (pod(notes={SAFE: "true"}), [budget(0)], "NotEnoughPdb"),
        (pod(), [budget(0, "other"), budget(0, app="db")], ""),
    ],
)
def test_what_keeps_it(one: Doc, budgets: list[Budget], why: str) -> None:
    assert hindrance(one, budgets) == why


def test_who_is_not_missed() -> None:
    assert must_move(pod()) and not must_move(pod("DaemonSet"))
    assert not must_move(pod(notes={"kubernetes.io/config.mirror": "x"}))
    assert not must_move({**pod(), "status": {"phase": "Succeeded"}})
    leaving = pod()
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not must_move(leaving)
