"""Why no node takes a pod, in the words of kube-scheduler."""

from __future__ import annotations

from collections import Counter

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.suitability import kept_off, wanted
from longshore.machinery.scheduler.taints import untolerated
from longshore.machinery.scheduler.view.columns import PODS, Mask
from longshore.machinery.scheduler.view.view import ClusterView

NO_NODES = "no nodes available to schedule pods"


def explain(view: ClusterView, pod_class: PodClass) -> str:
    """Why no node takes a pod of a class, in the words of kube-scheduler's FitError: each node
    counts for the first filter that objects, but for every resource that it is short of."""
    if pod_class.refusal:
        return pod_class.refusal
    total = int(view.alive.sum())
    if not total:
        return NO_NODES
    reasons = Counter(dict(_objections(view, pod_class)))
    told = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items() if count))
    return f"0/{total} nodes are available: {told}."


def _objections(view: ClusterView, pod_class: PodClass) -> list[tuple[str, int]]:
    told: Counter[str] = Counter()
    left = view.alive.copy()
    off = left & kept_off(view, pod_class.demand)
    told["node(s) were unschedulable"] = int(off.sum())
    left &= ~off
    for number, taints in enumerate(view.taint_sets):
        taint = untolerated(taints, pod_class.demand.tolerations)
        if taint is not None:
            hit = left & (view.taints == number)
            told[f"node(s) had untolerated taint {taint}"] += int(hit.sum())
            left &= ~hit
    unwanted = left & ~wanted(view, pod_class.demand)
    told["node(s) didn't match Pod's node affinity/selector"] = int(unwanted.sum())
    left &= ~unwanted
    busy = left & view.ports_taken(pod_class.ports)
    told["node(s) didn't have free ports for the requested pod ports"] = int(busy.sum())
    left &= ~busy
    told.update(_shortages(view, pod_class, left))
    return list(told.items())


def _shortages(view: ClusterView, pod_class: PodClass, left: Mask) -> dict[str, int]:
    free = view.allocatable - view.used
    short = {"Too many pods": int((left & (free[PODS] < 1)).sum())}
    for name, value in pod_class.requests.items():
        column = view.resources.get(name)
        lacking = left if column is None else left & (free[column] < value)
        short[f"Insufficient {name}"] = int(lacking.sum())
    return short
