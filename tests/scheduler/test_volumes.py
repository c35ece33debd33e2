"""Pods go where their volumes can be: bound ones, ones to be bound, and ones still to be made."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.rules import volume_binding
from longshore.machinery.scheduler.rules.volume_binding import VolumeWork
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import class_of, explain, node, place, pod
from .storage import HOSTNAME, ZONE, Heard, claim, heard, on, storage_class, user, volume

NODES = [node("a", labels={ZONE: "east"}), node("b", labels={ZONE: "west"}), node("c")]


def where(view: ClusterView, doc: Doc) -> set[str]:
    """All nodes that would take a pod: the best one cordoned, again and again."""
    found = set()
    while rows := place(view, doc):
        found |= set(rows)
        [row] = rows
        shut = node(row, unschedulable=True, labels=dict(view.labels_of(view.rows[row])))
        view.put_node(shut)
    return found


def work(view: ClusterView, doc: Doc, name: str) -> VolumeWork | None:
    return volume_binding.work_for(view, class_of(doc), view.rows[name])


# ---- bound claims


def test_a_bound_claim_is_followed() -> None:
    bound = [claim(volume="v"), volume("v", nodeAffinity=on(ZONE, "west"), holder="uid-data")]
    view = heard(NODES, *bound)
    assert where(view, user("data")) == {"b"}
    assert work(view, user("data"), "b") is None
    assert explain(heard([NODES[0]], *bound), user("data")) == (
        "0/1 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity."
    )


def test_a_volume_without_affinity_is_everywhere() -> None:
    assert where(heard(NODES, claim(volume="v"), volume("v")), user("data")) == {"a", "b", "c"}


def test_zones_of_old_are_kept_to_by_nodes_that_have_one() -> None:
    """Nodes without any zone or region are not asked (VolumeZone)."""
    old = {"failure-domain.beta.kubernetes.io/zone": "east__south"}
    bound = [claim(volume="v"), volume("v", labels=old)]
    assert where(heard(NODES, *bound), user("data")) == {"a", "c"}
    assert explain(heard([NODES[1]], *bound), user("data")) == (
        "0/1 nodes are available: 1 node(s) had no available volume zone."
    )


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([], 'persistentvolumeclaim "data" not found'),
        ([claim(volume="v", phase="Lost")],
         'persistentvolumeclaim "data" bound to non-existent persistentvolume "v"'),
        ([claim(deletionTimestamp="x")], 'persistentvolumeclaim "data" is being deleted'),
        ([claim(storage_class="")], "pod has unbound immediate PersistentVolumeClaims"),
        ([claim(), storage_class(volumeBindingMode="Immediate")],
         "pod has unbound immediate PersistentVolumeClaims"),
        ([claim(volume="v")],
         "3 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"),
    ],
)  # fmt: skip
def test_what_is_in_the_way_is_said_as_upstream_says_it(objects: list[Heard], why: str) -> None:
    assert explain(heard(NODES, *objects), user("data")) == f"0/3 nodes are available: {why}."


def test_the_claim_of_an_ephemeral_volume_is_waited_for_and_must_be_the_pods() -> None:
    scratch = pod("p", volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}])
    assert explain(heard(NODES), scratch) == (
        "0/3 nodes are available: waiting for ephemeral volume controller to create the "
        'persistentvolumeclaim "p-scratch".'
    )
    others = heard(NODES, claim("p-scratch", volume="v"), volume("v"))
    assert "PVC shop/p-scratch was not created for pod shop/p (pod is not owner)" in explain(
        others, scratch
    )
    owner = [{"uid": "uid-p", "controller": True}]
    mine = heard(NODES, claim("p-scratch", volume="v", ownerReferences=owner), volume("v"))
    assert place(mine, scratch)


# ---- claims that wait for their pod


def test_an_unbound_claim_takes_the_pod_to_a_volume() -> None:
    view = heard(NODES, claim(), storage_class(), volume("v", nodeAffinity=on(HOSTNAME, "c")))
    assert where(view, user("data")) == {"c"}
    assert work(view, user("data"), "c") == VolumeWork((("v", "shop/data"),), (), ("shop/data",))


@pytest.mark.parametrize(
    "offered",
    [volume("v", "512Mi"), volume("v", storage_class="other"), volume("v", phase="Released"),
     volume("v", volumeMode="Block"), volume("v", accessModes=["ReadOnlyMany"]),
     volume("v", claimRef={"namespace": "shop", "name": "data", "uid": "another"})],
)  # fmt: skip
def test_a_volume_that_does_not_fit_helps_nobody(offered: Heard) -> None:
    view = heard(NODES, claim(), storage_class(), offered)
    assert explain(view, user("data")) == (
        "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind."
    )


def test_the_smallest_that_fits_is_chosen_on_each_node() -> None:
    sizes = {"8": "a", "2": "a", "4": "b"}
    offers = [volume(f"v{n}", f"{n}Gi", nodeAffinity=on(HOSTNAME, at)) for n, at in sizes.items()]
    view = heard(NODES, claim(), storage_class(), *offers)
    given = [work(view, user("data"), name) for name in ("a", "b")]
    assert [one.give[0][0] for one in given if one] == ["v2", "v4"]


def test_two_claims_of_one_pod_get_two_volumes() -> None:
    two = [claim("small", "1Gi"), claim("big", "2Gi"), storage_class()]
    offers = [volume("v1", "1Gi", nodeAffinity=on(HOSTNAME, "a")),
              volume("v5", "5Gi", nodeAffinity=on(HOSTNAME, "a", "b")),
              volume("v6", "6Gi", nodeAffinity=on(HOSTNAME, "c"))]  # fmt: skip
    view = heard(NODES, *two, *offers)
    assert where(view, user("big", "small")) == {"a"}
    found = work(heard(NODES, *two, *offers), user("big", "small"), "a")
    assert found is not None and dict(found.give) == {"v1": "shop/small", "v5": "shop/big"}


def test_a_volume_that_is_taken_is_not_given_again() -> None:
    view = heard(NODES, claim(), claim("more"), storage_class(),
                 volume("v", nodeAffinity=on(HOSTNAME, "c")))  # fmt: skip
    found = work(view, user("data"), "c")
    assert found is not None
    volume_binding.assume(view, found, view.rows["c"])
    assert place(view, user("more")) == []
    assert place(view, user("data")) == ["c"], "it is its own"


def test_nodes_that_come_and_volumes_that_come_count_at_once() -> None:
    view = heard(NODES, claim(), storage_class())
    assert place(view, user("data")) == []
    view.volumes.hear(*volume("v", nodeAffinity=on(HOSTNAME, "d")), gone=False)
    assert place(view, user("data")) == []
    view.put_node(node("d"))
    assert place(view, user("data")) == ["d"]
    view.volumes.hear(*volume("v"), gone=True)
    assert place(view, user("data")) == []


# ---- volumes still to be made

MAKER = storage_class("made", "d.example", allowedTopologies=[
    {"matchLabelExpressions": [{"key": ZONE, "values": ["west", "north"]}]}])  # fmt: skip
WISH = claim(storage_class="made", size="5Gi")


def test_a_volume_is_made_where_its_class_allows() -> None:
    view = heard(NODES, WISH, MAKER)
    assert where(view, user("data")) == {"b"}
    assert work(view, user("data"), "b") == VolumeWork((), ("shop/data",), ("shop/data",))


def test_a_claim_whose_volume_is_being_made_stays_with_its_node() -> None:
    anywhere = storage_class("made", "d.example")
    chosen = claim(storage_class="made", annotations={"volume.kubernetes.io/selected-node": "c"})
    assert where(heard(NODES, chosen, anywhere), user("data")) == {"c"}


def capacity(name: str, size: str, zone: str, **more: str) -> Heard:
    doc = {"metadata": {"namespace": "kube-system", "name": name}, "storageClassName": "made",
           "nodeTopology": {"matchLabels": {ZONE: zone}}, "capacity": size, **more}  # fmt: skip
    return kinds.CSI_STORAGE_CAPACITY, doc


def driver(**spec: object) -> Heard:
    return kinds.CSI_DRIVER, {"metadata": {"name": "d.example"}, "spec": spec}


def test_storage_that_is_full_makes_no_more() -> None:
    anywhere, says = storage_class("made", "d.example"), driver(storageCapacity=True)
    few, much = capacity("x", "4Gi", "east"), capacity("y", "9Gi", "west")
    assert where(heard(NODES, WISH, anywhere, says, few, much), user("data")) == {"b"}
    pieces = capacity("y", "9Gi", "west", maximumVolumeSize="1Gi")
    assert explain(heard(NODES[:2], WISH, anywhere, says, few, pieces), user("data")) == (
        "0/2 nodes are available: 2 node(s) did not have enough free storage."
    )
    assert len(where(heard(NODES, WISH, anywhere, few), user("data"))) == 3, "it does not count"


def test_the_emptier_storage_is_preferred() -> None:
    rooms = [capacity("x", "10Gi", "east"), capacity("y", "100Gi", "west")]
    anywhere, says = storage_class("made", "d.example"), driver(storageCapacity=True)
    view = heard(NODES, WISH, anywhere, says, *rooms)
    assert place(view, user("data")) == ["b"]


# ---- limits


def test_a_claim_of_one_pod_is_one_pods() -> None:
    view = heard(NODES, claim(volume="v", modes=["ReadWriteOncePod"]), volume("v"))
    view.put_pod("u", "a", class_of(user("data", name="first")))
    assert explain(view, user("data", name="second")) == (
        "0/3 nodes are available: 3 node(s) unavailable due to PersistentVolumeClaim with "
        "ReadWriteOncePod access mode already in-use by another pod."
    )
    view.drop_pod("u")
    assert place(view, user("data", name="second"))


def csi_node(name: str, count: int | None) -> Heard:
    one: Doc = {"name": "d.example", "nodeID": name}
    if count is not None:
        one["allocatable"] = {"count": count}
    return kinds.CSI_NODE, {"metadata": {"name": name}, "spec": {"drivers": [one]}}


def test_a_node_takes_as_many_volumes_as_its_driver_says() -> None:
    csi = {"driver": "d.example", "volumeHandle": "h"}
    objects = [one for n in range(4) for one in (
        claim(f"c{n}", volume=f"v{n}"), volume(f"v{n}", csi=csi))]  # fmt: skip
    view = heard(NODES[:2], *objects, csi_node("a", 2), csi_node("b", 0))
    for n in range(2):
        assert place(view, user(f"c{n}")) == ["a"]
        view.put_pod(f"u{n}", "a", class_of(user(f"c{n}", name=f"p{n}")))
    assert explain(view, user("c2")) == (
        "0/2 nodes are available: 2 node(s) exceed max volume count."
    )
    assert place(view, user("c1")) == ["a"], "it is attached there already"
    view.drop_pod("u0")
    assert place(view, user("c2")) == ["a"]
    view.volumes.hear(*csi_node("b", None), gone=False)
    assert place(view, user("c2", "c3")) == ["b"]


def test_a_driver_that_is_needed_is_looked_for() -> None:
    csi = {"driver": "d.example", "volumeHandle": "h"}
    needed = [claim(volume="v"), volume("v", csi=csi), driver(preventPodSchedulingIfMissing=True)]
    assert where(heard(NODES, *needed, csi_node("c", None)), user("data")) == {"c"}
    view = heard(NODES, *needed, csi_node("c", None))
    view.volumes.hear(*csi_node("c", None), gone=True)
    assert explain(view, user("data")) == (
        "0/3 nodes are available: 3 d.example CSI driver is not installed on the node."
    )


# ---- who is woken


def test_only_what_pods_wait_for_wakes_them() -> None:
    view = heard(NODES, claim(), storage_class())
    view.volumes.stirred()
    claims = class_of(user("data")).claims
    for news, helps in (
        (volume("v"), True),
        (volume("w", storage_class="other"), False),
        (claim("other"), False),
        (claim(volume="v"), True),
        (storage_class("other"), False),
        (csi_node("a", 3), True),
    ):
        view.volumes.hear(*news, gone=False)
        assert view.volumes.concerns(view.volumes.stirred(), claims) == helps, news
