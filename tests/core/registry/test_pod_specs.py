"""Pods that are alike share their spec, and nothing that happens to one happens to another."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.errors import Invalid
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.registry import pod_specs
from longshore.core.registry.client import Bind, Patch
from longshore.core.registry.patching import STRATEGIC_PATCH
from longshore.core.registry.pod_specs import PodSpecs

from .conftest import ADMIN, Desk
from .test_writes import pod


def _stored(desk: Desk, name: str) -> Doc:
    return desk.registry.get(ADMIN, Ref(kinds.POD, "default", name)).fresh()


async def test_pods_that_are_alike_share_one_spec(desk: Desk) -> None:
    one, two = [await desk.create(kinds.POD, pod(name)) for name in ("a", "b")]
    other = await desk.create(kinds.POD, pod("c", hostname="else"))
    assert one["spec"] is two["spec"] is not other["spec"]
    assert one["metadata"]["uid"] != two["metadata"]["uid"]
    assert _stored(desk, "b")["spec"] == two["spec"]
    assert _stored(desk, "b")["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


async def test_what_happens_to_one_pod_leaves_its_like_as_it_was(desk: Desk) -> None:
    for name in ("a", "b"):
        await desk.create(kinds.POD, pod(name))
    before = _stored(desk, "b")
    await desk.registry.bind(ADMIN, Bind("default", "a", "node-1"))
    image = b'{"spec":{"containers":[{"name":"c","image":"new"}]}}'
    ref = Ref(kinds.POD, "default", "a")
    await desk.registry.patch(ADMIN, ref, STRATEGIC_PATCH, image)
    changed = _stored(desk, "a")["spec"]
    assert (changed["nodeName"], changed["containers"][0]["image"]) == ("node-1", "new")
    assert _stored(desk, "b") == before
    again = await desk.create(kinds.POD, pod("c"))
    assert again["spec"] == before["spec"]


async def test_a_spec_that_breaks_a_rule_is_refused_each_time(desk: Desk) -> None:
    for name in ("a", "b"):
        with pytest.raises(Invalid, match="restartPolicy"):
            await desk.create(kinds.POD, pod(name, restartPolicy="Sometimes"))


async def test_of_a_good_spec_the_name_is_judged_all_the_same(desk: Desk) -> None:
    await desk.create(kinds.POD, pod("a"))
    with pytest.raises(Invalid, match=r"metadata\.name"):
        await desk.create(kinds.POD, pod("Not-A-Name"))


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_specs, "_SPECS_MAX", 2)
    specs = PodSpecs()
    made = [{"spec": {"hostname": name}, "status": {}} for name in ("a", "b", "c")]
    for one in made:
        specs.share(one)
    assert [specs.of(one) is not None for one in made] == [False, True, True]


def test_a_spec_too_large_to_hold_has_its_class_all_the_same() -> None:
    specs = PodSpecs()
    large: Doc = {"spec": {"hostname": "x" * 10_000}, "status": {}}
    specs.share(large)
    assert specs.of(large) is None
    assert large["status"]["qosClass"] == "BestEffort"


def test_a_spec_that_was_decoded_anew_is_known_by_what_it_says() -> None:
    specs = PodSpecs()
    made: Doc = {"spec": {"hostname": "a"}, "status": {}}
    specs.share(made)
    again: Doc = {"spec": {"hostname": "a"}}
    assert specs.of(again) is None
    assert specs.like(again) is specs.like(made) is specs.of(made) is not None
    assert specs.like({"spec": {"hostname": "b"}}) is None
    assert specs.like({"spec": {"hostname": "x" * 10_000}}) is None


async def test_what_is_bound_is_stored_as_if_it_were_encoded_anew(desk: Desk) -> None:
    """Its spec's bytes are made of those that are known, and the name of the node."""
    name = 'a"node'
    await desk.create(kinds.POD, pod("p"))
    await desk.client.write(Bind("default", "p", name))
    stored = desk.registry.cache.shelf(kinds.POD).get(kinds.POD.key("default", "p"))
    assert stored is not None
    assert stored.fresh() == stored.doc
    assert stored.fresh()["spec"]["nodeName"] == name


async def test_a_bound_pod_gets_the_labels_that_its_node_has_by_then(desk: Desk) -> None:
    zone = "topology.kubernetes.io/zone"
    await desk.create(kinds.NODE, {"metadata": {"name": "n", "labels": {zone: "a"}}})
    for name, moved_to in (("p", "b"), ("q", "c")):
        await desk.create(kinds.POD, pod(name))
        await desk.client.write(Bind("default", name, "n"))
        labels = {"metadata": {"labels": {zone: moved_to}}}
        await desk.client.write(Patch(kinds.NODE, "", "n", labels))
    found = [_stored(desk, name)["metadata"]["labels"][zone] for name in ("p", "q")]
    assert found == ["a", "b"]
