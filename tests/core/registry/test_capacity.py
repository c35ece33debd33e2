"""Bindings never take more of a node than it has, whoever binds and however they race."""

from __future__ import annotations

import asyncio

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, Conflict
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.registry.capacity.book import Entry
from longshore.core.registry.capacity.ledger import Ledger
from longshore.core.registry.client import Bind, DeleteOptions, Patch
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored
from tests.core.registry.conftest import ADMIN, Desk


def node(name: str = "n1", **allocatable: str) -> Doc:
    return {"metadata": {"name": name}, "status": {"allocatable": allocatable}}


def pod(name: str, cpu: str = "1", node_name: str = "", **more: str) -> Doc:
    requests = {"cpu": cpu, **more}
    limits = {name: value for name, value in more.items() if "/" in name}
    resources = {"requests": requests, "limits": limits}
    spec: Doc = {"containers": [{"name": "c", "image": "i", "resources": resources}]}
    if node_name:
        spec["nodeName"] = node_name
    return {"metadata": {"name": name}, "spec": spec}


async def bind(desk: Desk, name: str, node: str = "n1") -> Doc:
    return await desk.client.write(Bind("default", name, node))


async def remove(desk: Desk, name: str) -> None:
    options = DeleteOptions(grace_s=0)
    await desk.registry.delete(ADMIN, Ref(kinds.POD, "default", name), options)


async def test_what_does_not_fit_is_refused_in_one_sentence(desk: Desk) -> None:
    await desk.create(kinds.NODE, node(cpu="2", memory="1Gi", pods="10"))
    for name, cpu in (("a", "1500m"), ("b", "600m")):
        await desk.create(kinds.POD, pod(name, cpu))
    await bind(desk, "a")
    with pytest.raises(Conflict) as refused:
        await bind(desk, "b")
    assert refused.value.message == (
        'Operation cannot be fulfilled on pods/binding "b": node "n1": Node didn\'t have enough '
        "resource: cpu, requested: 600, used: 1500, capacity: 2000"
    )
    assert "nodeName" not in (await desk.client.get(kinds.POD, "default", "b"))["spec"]


@pytest.mark.parametrize(
    ("wanted", "short"),
    [({"memory": "600Mi"}, "memory"), ({"example.com/gpu": "2"}, "example.com/gpu"), ({}, "pods")],
)
async def test_every_resource_counts(desk: Desk, wanted: dict[str, str], short: str) -> None:
    had = {"cpu": "8", "memory": "1Gi", "example.com/gpu": "3", "pods": "2" if wanted else "1"}
    await desk.create(kinds.NODE, node(**had))
    for name in "ab":
        await desk.create(kinds.POD, pod(name, "1m", **wanted))
    await bind(desk, "a")
    with pytest.raises(Conflict, match=f"enough resource: {short},"):
        await bind(desk, "b")


async def test_of_those_who_race_in_one_transaction_the_last_is_refused(desk: Desk) -> None:
    await desk.create(kinds.NODE, node(cpu="5", memory="1Gi", pods="100"))
    for number in range(8):
        await desk.create(kinds.POD, pod(f"p{number}"))
    alone = [bind(desk, f"p{number}") for number in range(4)]
    together = desk.client.submit([Bind("default", f"p{number}", "n1") for number in range(4, 8)])
    *one_by_one, many = await asyncio.gather(*alone, together, return_exceptions=True)
    assert isinstance(many, list)
    refused = [one for one in [*one_by_one, *many] if isinstance(one, ApiError)]
    assert len(refused) == 3


async def test_a_pod_made_on_its_node_counts_and_is_never_refused(desk: Desk) -> None:
    await desk.create(kinds.NODE, node(cpu="2", memory="1Gi", pods="100"))
    for number in range(3):
        await desk.create(kinds.POD, pod(f"static{number}", node_name="n1"))
    await desk.create(kinds.POD, pod("late", "1m"))
    with pytest.raises(Conflict, match="used: 3000"):
        await bind(desk, "late")


@pytest.mark.parametrize("end", ["deleted", "Succeeded", "Failed"])
async def test_what_ends_makes_room(desk: Desk, end: str) -> None:
    await desk.create(kinds.NODE, node(cpu="1", memory="1Gi", pods="100"))
    for name in "ab":
        await desk.create(kinds.POD, pod(name))
    await bind(desk, "a")
    with pytest.raises(Conflict):
        await bind(desk, "b")
    if end == "deleted":
        await remove(desk, "a")
    else:
        over = {"status": {"phase": end}}
        await desk.client.write(Patch(kinds.POD, "default", "a", over, "status"))
    assert (await bind(desk, "b"))["spec"]["nodeName"] == "n1"


async def test_what_a_node_has_may_change(desk: Desk) -> None:
    await desk.create(kinds.NODE, node(cpu="1", memory="1Gi", pods="100"))
    for name in "ab":
        await desk.create(kinds.POD, pod(name))
    await bind(desk, "a")
    grown = {"status": {"allocatable": {"cpu": "2"}}}
    await desk.client.write(Patch(kinds.NODE, "", "n1", grown, "status"))
    await bind(desk, "b")


async def test_a_dry_run_takes_nothing(desk: Desk) -> None:
    await desk.create(kinds.NODE, node(cpu="1", memory="1Gi", pods="100"))
    await desk.create(kinds.POD, pod("a"))
    for _ in range(3):
        await desk.registry.bind(ADMIN, Bind("default", "a", "n1"), dry_run=True)
    await bind(desk, "a")
    await desk.create(kinds.POD, pod("b"))
    with pytest.raises(Conflict, match="used: 1000"):
        await desk.registry.bind(ADMIN, Bind("default", "b", "n1"), dry_run=True)


async def test_what_a_node_does_not_list_is_counted_elsewhere(desk: Desk) -> None:
    await desk.create(kinds.NODE, node(cpu="1"))
    await desk.create(kinds.POD, pod("a", "1", **{"example.com/elsewhere": "7"}))
    assert (await bind(desk, "a"))["spec"]["nodeName"] == "n1"


@pytest.mark.parametrize("known", [False, True])
async def test_a_node_that_has_not_told_is_not_judged(desk: Desk, known: bool) -> None:
    if known:
        await desk.create(kinds.NODE, {"metadata": {"name": "n1"}})
    await desk.create(kinds.POD, pod("a", "1000"))
    assert (await bind(desk, "a"))["spec"]["nodeName"] == "n1"


async def test_a_spec_that_changes_counts_anew(desk: Desk) -> None:
    """As an in-place resize changes it, which agents do."""
    await desk.create(kinds.NODE, node(cpu="2", memory="1Gi", pods="100"))
    await desk.create(kinds.POD, pod("a"))
    await bind(desk, "a")
    cache = desk.registry.cache
    before = cache.shelf(kinds.POD).get(kinds.POD.key("default", "a"))
    assert before is not None
    larger = {**before.fresh(), **pod("a", "2", "n1")}
    larger["metadata"] = {**before.doc["metadata"], "generation": 2}
    ledger, one = Ledger(cache), Entry({"cpu": 1000}, 1)
    ledger.charge("b", one, "n1", dry_run=True)
    stored = Stored.of(kinds.POD, before.key, larger, before.revision + 1)
    stored.terms = before.terms
    ledger.applied(Frame("MODIFIED", stored, before))
    with pytest.raises(Conflict, match="used: 2000"):
        ledger.charge("b", one, "n1", dry_run=True)


async def test_a_resized_pod_counts_for_what_it_still_has(desk: Desk) -> None:
    """Down from two cores to one: the second is free when its status says so."""
    await desk.create(kinds.NODE, node(cpu="2", memory="1Gi", pods="100"))
    await desk.create(kinds.POD, pod("a", "2"))
    await bind(desk, "a")
    cache = desk.registry.cache
    before = cache.shelf(kinds.POD).get(kinds.POD.key("default", "a"))
    assert before is not None
    ledger, one = Ledger(cache), Entry({"cpu": 1000}, 1)
    with pytest.raises(Conflict, match="used: 2000"):
        ledger.charge("b", one, "n1", dry_run=True)
    smaller = {**before.fresh(), **pod("a", "1", "n1")}
    smaller["metadata"] = {**before.doc["metadata"], "generation": 2}
    for revision, cpu in enumerate(("2", "1"), 1):
        told = {"name": "c", "allocatedResources": {"cpu": cpu}}
        doc = {**smaller, "status": {"phase": "Running", "containerStatuses": [told]}}
        stored = Stored.of(kinds.POD, before.key, doc, before.revision + revision)
        stored.terms = before.terms
        ledger.applied(Frame("MODIFIED", stored, before))
        if cpu == "2":
            with pytest.raises(Conflict, match="used: 2000"):
                ledger.charge("b", one, "n1", dry_run=True)
    ledger.charge("b", one, "n1", dry_run=True)
