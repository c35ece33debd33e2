"""What the plain scheduler looks at: nodes, the pods on them, and the labels of namespaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from longshore.core.objects.kinds import Doc

Judge: TypeAlias = Callable[[Doc], list[str]]
"""Why a pod cannot go to a node, one sentence a reason; none: it can."""
Scores: TypeAlias = dict[str, float]
"""By the node's name."""


@dataclass
class Cluster:
    """nodes: by name. pods: those that are bound, by the name of their node; one whose node is not
    known is on none. namespaces: their labels by name."""

    nodes: dict[str, Doc] = field(default_factory=dict)
    pods: dict[str, list[Doc]] = field(default_factory=dict)
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: Sequence[Doc], pods: Sequence[Doc] = ()) -> Cluster:
        cluster = cls({name_of(node): node for node in nodes})
        for pod in pods:
            cluster.bind(pod, pod["spec"]["nodeName"])
        return cluster

    def bind(self, pod: Doc, node: str) -> None:
        self.pods.setdefault(node, []).append(pod)

    def on(self, node: Doc) -> list[Doc]:
        return self.pods.get(name_of(node), [])

    def everywhere(self) -> Iterator[tuple[Doc, Doc]]:
        """Each pod with its node."""
        for node in self.nodes.values():
            for pod in self.on(node):
                yield pod, node


def name_of(doc: Doc) -> str:
    return str(doc["metadata"]["name"])


def namespace_of(pod: Doc) -> str:
    return str(pod["metadata"]["namespace"])


def labels_of(doc: Doc) -> dict[str, str]:
    return doc["metadata"].get("labels") or {}


def is_leaving(pod: Doc) -> bool:
    return "deletionTimestamp" in pod["metadata"]
