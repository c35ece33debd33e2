"""The planner, asked the same questions as the plain reference.

Each answer here is the reference's; that the planner agrees with it is asserted on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler import explain, plan
from longshore.machinery.scheduler import profile as profiles
from longshore.machinery.scheduler.exact import fits as suited_rows
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.pods.demand import term_of
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses
from longshore.machinery.scheduler.pods.spread import default_spread
from longshore.machinery.scheduler.view.view import ClusterView

from .reference import scheduler
from .reference.cluster import Cluster, Scores, name_of
from .reference.profile import DEFAULT, Profile
from .worlds import PREFERRED, REQUIRED


class Planner:
    """The planner with its own view of a cluster."""

    def __init__(self, cluster: Cluster, profile: Profile = DEFAULT) -> None:
        self.view = ClusterView()
        self._classes = PodClasses()
        self._profile = settings_of(profile)
        self._memo = Memo(self._profile)
        for name, labels in cluster.namespaces.items():
            self.put_namespace(name, labels)
        for node in cluster.nodes.values():
            self.view.put_node(node)
        for node_name, pods in cluster.pods.items():
            for pod in pods:
                self.bind(pod, node_name)

    def place(self, pods: Sequence[Doc], seed: int = 0) -> list[str]:
        """The nodes of pods that are alike, in the order in which they are chosen; as many as
        there is room for."""
        pod_class = self._classes.of(pods[0])
        rows = plan.place(self.view, pod_class, len(pods), self._memo, seed)
        return [self.view.names[row] for row in rows]

    def decide(self, pods: Sequence[Doc], seed: int) -> plan.Decision:
        """About pods of several classes together, by uid."""
        told = [(pod["metadata"]["uid"], self._classes.of(pod)) for pod in pods]
        return plan.plan(self.view, told, seed, self._profile)

    def class_of(self, pod: Doc) -> PodClass:
        return self._classes.of(pod)

    def bind(self, pod: Doc, node: str) -> None:
        self.view.put_pod(pod["metadata"]["uid"], node, self._classes.of(pod))

    def put_namespace(self, name: str, labels: dict[str, str]) -> None:
        self.view.put_namespace(name, labels)

    def feasible(self, pod: Doc) -> set[str]:
        """The nodes that the rules allow, asked for anew and as remembered."""
        pod_class = self._classes.of(pod)
        remembered = suited_rows(self.view, pod_class, self._memo)
        assert np.array_equal(remembered, explain.feasible(self.view, pod_class, self._profile)), (
            "what is remembered differs"
        )
        return {self.view.names[row] for row in np.flatnonzero(remembered)}

    def refusal(self, pod: Doc) -> str:
        return explain.explain(self.view, self._classes.of(pod), self._profile)

    def scores(self, pod: Doc, among: Iterable[str]) -> Scores:
        """The weighted sum of the table that is shown to users."""
        told = explain.verdicts(self.view, self._classes.of(pod), self._profile)
        total = sum(
            (one.weight * one.scores for one in told if one.scores is not None),
            np.zeros(self.view.size),
        )
        return {name: float(total[self.view.rows[name]]) for name in among}


def settings_of(profile: Profile) -> profiles.Profile:
    """A reference's profile as the planner's."""
    spread = profiles.SYSTEM_SPREADING
    if profile.constraints is not None:
        spread = default_spread(profile.constraints)
    required = profile.added_affinity.get(REQUIRED) or {}
    return profiles.Profile(
        weights=profile.weights,
        strategy=profiles.Strategy(profile.strategy),
        resources=tuple(profile.resources.items()),
        shape=profile.shape,
        balanced=profile.balanced,
        spreading=spread,
        added_terms=tuple(term_of(one) for one in required.get("nodeSelectorTerms") or ()),
        added_preferred=tuple(
            (one["weight"], term_of(one["preference"]))
            for one in profile.added_affinity.get(PREFERRED) or ()
        ),
        near_weight=profile.hard_pod_affinity_weight,
        deaf_to_wishes_of_others=profile.ignore_preferred_terms_of_existing_pods,
        ignored=profile.ignored_resources | profile.ignored_resource_groups,
    )


def fits(cluster: Cluster, pod: Doc, profile: Profile = DEFAULT) -> set[str]:
    """Where the pod may go."""
    agree(cluster, pod, Planner(cluster, profile), profile)
    return {name_of(node) for node in scheduler.feasible(cluster, pod, profile)}


def best(cluster: Cluster, pod: Doc, profile: Profile = DEFAULT) -> set[str]:
    """Where the pod should go: all nodes that share the highest score."""
    agree(cluster, pod, Planner(cluster, profile), profile)
    return scheduler.best(cluster, pod, profile)


def refusal(cluster: Cluster, pod: Doc, profile: Profile = DEFAULT) -> str:
    agree(cluster, pod, Planner(cluster, profile), profile)
    assert not scheduler.best(cluster, pod, profile)
    return scheduler.refusal(cluster, pod, profile)


def agree(cluster: Cluster, pod: Doc, planner: Planner, profile: Profile = DEFAULT) -> None:
    """The planner allows the same nodes, scores them alike and takes one of the best; or says in
    the same words why there is none."""
    among = scheduler.feasible(cluster, pod, profile)
    names = {name_of(node) for node in among}
    assert planner.feasible(pod) == names
    chosen = planner.place([pod])
    if not names:
        assert not chosen
        assert planner.refusal(pod) == scheduler.refusal(cluster, pod, profile)
        return
    expected, found = scheduler.scores(cluster, pod, among, profile), planner.scores(pod, names)
    shifts = [found[name] - expected[name] for name in names]
    # What adds the same to all nodes decides nothing.
    assert max(shifts) - min(shifts) < scheduler.SAME, (found, expected)
    assert chosen[0] in scheduler.best(cluster, pod, profile), (chosen, expected)
