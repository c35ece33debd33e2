"""Services by what they select, for rules that keep the pods of a Service together or apart."""

from __future__ import annotations

from collections.abc import Mapping

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Requirement, Selector
from longshore.machinery.scheduler.pods.kin import Kin, PodSelector, Queries, Query


class ServiceIndex:
    def __init__(self) -> None:
        self._selectors: dict[str, dict[str, Mapping[str, str]]] = {}
        self._queries = Queries()

    def put(self, service: Doc) -> None:
        """One that selects nothing is none of ours."""
        metadata, selector = service["metadata"], service["spec"].get("selector")
        self.drop(metadata["namespace"], metadata["name"])
        if selector:
            self._selectors.setdefault(metadata["namespace"], {})[metadata["name"]] = selector

    def drop(self, namespace: str, name: str) -> None:
        there = self._selectors.get(namespace, {})
        if there.pop(name, None) is not None and not there:
            del self._selectors[namespace]

    def first_of(self, kin: Kin) -> Query | None:
        """The pods of the first Service, by name, that selects a pod; None if none does."""
        there = self._selectors.get(kin.namespace, {})
        for name in sorted(there):
            if there[name].items() <= kin.labels.items():
                return self._all(kin.namespace, there[name])
        return None

    def alike(self, kin: Kin) -> Query:
        """The pods of its namespace that have all of a pod's labels."""
        return self._all(kin.namespace, kin.labels)

    def _all(self, namespace: str, labels: Mapping[str, str]) -> Query:
        asked = Selector(Requirement(key, "in", (value,)) for key, value in labels.items())
        return self._queries.of(PodSelector(frozenset((namespace,)), None, asked), leaving=True)
