"""Small nodes and pods for the scheduler's tests."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler import explain as explaining
from longshore.machinery.scheduler import plan
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses
from longshore.machinery.scheduler.view.view import ClusterView


def node(name: str, cpu: str = "4", memory: str = "8Gi", pods: int = 110, **more: Any) -> Doc:
    """more: labels, taints ("key=value:Effect"), unschedulable, extended (amounts)."""
    labels = {"kubernetes.io/hostname": name, **more.get("labels", {})}
    spec: Doc = {}
    if taints := more.get("taints"):
        spec["taints"] = [taint(text) for text in taints]
    if more.get("unschedulable"):
        spec["unschedulable"] = True
    amounts = {"cpu": cpu, "memory": memory, "pods": str(pods), **more.get("extended", {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "resourceVersion": "1"},
        "spec": spec,
        "status": {"allocatable": amounts},
    }


def taint(text: str) -> Doc:
    pair, _, effect = text.partition(":")
    key, _, value = pair.partition("=")
    return {"key": key, "value": value, "effect": effect}


def pod(name: str, requests: Doc | None = None, owner: str = "", **spec: Any) -> Doc:
    """spec fields override; ports are given to its one container, node becomes nodeName."""
    container: Doc = {"name": "c", "image": "i", "resources": {"requests": requests or {}}}
    if ports := spec.pop("ports", None):
        container["ports"] = ports
    if bound := spec.pop("node", ""):
        spec["nodeName"] = bound
    metadata: Doc = {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": "1",
    }
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], **spec},
        "status": {"phase": "Pending"},
    }


def view_of(*nodes: Doc) -> ClusterView:
    view = ClusterView()
    for one in nodes:
        view.put_node(one)
    return view


def class_of(doc: Doc) -> PodClass:
    return PodClasses().of(doc)


def place(view: ClusterView, doc: Doc, count: int = 1) -> list[str]:
    """Names of the nodes chosen for so many pods like doc."""
    rows = plan.place(view, class_of(doc), count, Memo())
    return [view.names[row] for row in rows]


def explain(view: ClusterView, doc: Doc) -> str:
    return explaining.explain(view, class_of(doc))
