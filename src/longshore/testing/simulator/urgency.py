"""What users ask about priorities and disruption budgets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from longshore.testing.simulator.script import Args
from longshore.testing.simulator.sets import Ask

_CORE, _SCHEDULING, _POLICY = "/api/v1", "/apis/scheduling.k8s.io/v1", "/apis/policy/v1"


def _rank(args: Args) -> Ask:
    """A class of pods before which others give way."""
    body = {
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": args["class"]}, "value": args["value"],
    }  # fmt: skip
    return Ask("POST", _SCHEDULING, "/priorityclasses", body)


def _urgent_pod(args: Args) -> Ask:
    requests = {"cpu": args["cpu"], "memory": "128Mi"}
    container = {"name": "main", "image": "main:1", "resources": {"requests": requests}}
    spec = {
        "containers": [container], "terminationGracePeriodSeconds": 2,
        "priorityClassName": args["class"],
    }  # fmt: skip
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": args["name"]}, "spec": spec}
    return Ask("POST", _CORE, "/namespaces/default/pods", body)


def _budget(args: Args) -> Ask:
    name = args["name"]
    body = {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, args["field"]: args["amount"]},
    }  # fmt: skip
    return Ask("POST", _POLICY, "/namespaces/default/poddisruptionbudgets", body)


def _delete_budget(args: Args) -> Ask:
    return Ask("DELETE", _POLICY, f"/namespaces/default/poddisruptionbudgets/{args['name']}")


ASKS: Mapping[str, Callable[[Args], Ask]] = {
    "rank": _rank,
    "create urgent pod": _urgent_pod,
    "create budget": _budget,
    "delete budget": _delete_budget,
}
