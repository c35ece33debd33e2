"""Documents and views that kubelet tests are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import PodView
from longshore.machinery.runtime.protocol import Container, State

NOW = 1_767_225_600.0


def container(name: str = "main", **more: Any) -> Doc:
    return {"name": name, "image": "registry.test/app:1", **more}


def pod(*containers: Doc, name: str = "web", inits: Sequence[Doc] = (), **spec: Any) -> Doc:
    spec = {"containers": list(containers) or [container()], "nodeName": "node-1", **spec}
    if inits:
        spec["initContainers"] = list(inits)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "generation": 1},
        "spec": spec,
    }


def deleting(doc: Doc, grace_s: int = 30) -> Doc:
    stamp = {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": grace_s}
    return {**doc, "metadata": {**doc["metadata"], **stamp}}


def running(name: str = "main", attempt: int = 0) -> Container:
    return Container(f"{name}-{attempt}", "uid-web", name, attempt, "registry.test/app:1",
                     "sha256:1", State.RUNNING, started_at=NOW - 60)  # fmt: skip


def exited(name: str = "main", code: int = 0, attempt: int = 0, at: float = NOW - 1) -> Container:
    return Container(f"{name}-{attempt}", "uid-web", name, attempt, "registry.test/app:1",
                     "sha256:1", State.EXITED, started_at=at - 5, finished_at=at,
                     exit_code=code)  # fmt: skip


def seen(*containers: Container) -> Mapping[str, Container]:
    return {c.name: c for c in containers}


def view(doc: Doc, *containers: Container, **more: Any) -> PodView:
    more = {"sandbox": True, "now": NOW, "started_at": NOW - 60, "ips": ("10.42.0.2",),
            "host_ip": "10.90.0.10", **more}  # fmt: skip
    return PodView(doc=doc, containers=seen(*containers), **more)
