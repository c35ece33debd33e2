"""Regions and zones as Atomic Enterprise placed by them: ServiceAffinity, ServiceAntiAffinity, and
labels that nodes have at all."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler import explain as explaining
from longshore.machinery.scheduler import plan
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import class_of, node, pod, view_of

# The default policy of Atomic Enterprise: one region for a service, its pods over its zones.
REGIONS = Profile(affinity_labels=("region",), anti_affinity_labels=("zone",),
                  weights={"ServiceAffinity": 2.0})  # fmt: skip
NODES = [node(f"{region}-{zone}", labels={"region": region, "zone": zone})
         for region in ("infra", "primary") for zone in ("east", "west")]  # fmt: skip


def web(name: str = "p", app: str = "web", **spec: Any) -> Doc:
    made = pod(name, **spec)
    made["metadata"]["labels"] = {"app": app}
    return made


def cluster(*services: str) -> ClusterView:
    view = view_of(*NODES)
    for app in services:
        view.services.put({"metadata": {"namespace": "shop", "name": app},
                           "spec": {"selector": {"app": app}}})  # fmt: skip
    return view


def place(view: ClusterView, doc: Doc, count: int = 1, profile: Profile = REGIONS) -> list[str]:
    rows = plan.place(view, class_of(doc), count, Memo(profile))
    return [view.names[row] for row in rows]


def test_pods_of_a_service_follow_the_first_into_its_region() -> None:
    view = cluster("web")
    view.put_pod("u", "primary-east", class_of(web("first")))
    found = place(view, web(), 4)
    assert {name.partition("-")[0] for name in found} == {"primary"}
    assert found[0] == "primary-west", "and are spread over its zones"
    assert sorted(found).count("primary-west") == 2


def test_the_first_pod_is_free_and_so_are_those_of_no_service() -> None:
    assert len(place(cluster("web"), web())) == 1
    view = cluster("other")
    view.put_pod("u", "primary-east", class_of(web("first")))
    assert "infra-west" in place(view, web(), 4)


def test_what_the_pod_selects_itself_counts_before_what_others_do() -> None:
    view = cluster("web")
    view.put_pod("u", "primary-east", class_of(web("first")))
    assert place(view, web(nodeSelector={"region": "infra"}))[0].startswith("infra")


def test_a_refusal_says_so() -> None:
    view = cluster("web")
    view.put_pod("u", "primary-east", class_of(web("first")))
    for name in ("primary-east", "primary-west"):
        view.put_node(node(name, cpu="0", labels={"region": "primary"}))
    big = web()
    big["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    assert explaining.explain(view, class_of(big), REGIONS) == (
        "0/4 nodes are available: 2 Insufficient cpu, 2 node(s) didn't match service affinity."
    )


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (Profile(present_labels=("zone",), absent_labels=("retired",)), {"a"}),
        (Profile(absent_labels=("retired",)), {"a", "c"}),
        (Profile(liked_labels=("retired",), weights={"NodeLabel": 9.0}), {"b"}),
        (Profile(shunned_labels=("retired", "zone"), weights={"NodeLabel": 9.0}), {"c"}),
    ],
)
def test_labels_that_nodes_have_at_all(profile: Profile, expected: set[str]) -> None:
    view = view_of(node("a", labels={"zone": "x"}), node("b", labels={"zone": "x", "retired": ""}),
                   node("c"))  # fmt: skip
    fits = explaining.feasible(view, class_of(pod("p")), profile)
    chosen = {view.names[row] for row in fits.nonzero()[0]}
    wishes = profile.liked_labels or profile.shunned_labels
    assert (set(place(view, pod("p"), profile=profile)) if wishes else chosen) == expected
