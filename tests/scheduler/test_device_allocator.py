"""Which devices claims are given: told case by case, and held to the plain reference."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.devices.allocator import STEPS_MAX, NotAllocatable
from longshore.machinery.scheduler.devices.requests import asked_by
from longshore.machinery.scheduler.profile import DEFAULT
from longshore.machinery.scheduler.rules import dynamic_resources
from longshore.machinery.scheduler.view.devices import CANNOT, allocations
from longshore.machinery.scheduler.view.view import ClusterView

from .claiming import (
    DRIVER,
    Heard,
    allocated,
    claim,
    claiming,
    device,
    device_class,
    heard,
    slice_on,
    want,
    wish,
)
from .placing import class_of, explain, node, place
from .reference import devices as reference

OWN = f'device.attributes["{DRIVER}"]'
NODES = [node("a", labels={"zone": "x"}), node("b", labels={"zone": "y"})]


def given_on(view: ClusterView, name: str, *claims: Heard) -> list[list[tuple[str, str]]] | None:
    """(request, device) for each claim on a node."""
    asked = tuple(asked_by(doc) for _, doc in claims)
    view.devices.where_free(asked)
    granted = view.devices.allocate(asked, view.rows[name])
    if granted is None:
        return None
    return [[(one.want.name, one.device.id[2]) for one in some] for some in granted]


def one_node(*devices: Doc, **more: Any) -> ClusterView:
    return heard(NODES[:1], device_class(), slice_on("a", *devices, **more))


# ---- requests


def test_exactly_so_many() -> None:
    view = one_node(device("d0"), device("d1"), device("d2"))
    assert given_on(view, "a", claim("one", want(count=2))) == [[("a", "d0"), ("a", "d1")]]
    assert given_on(view, "a", claim("one", want(count=4))) is None


def test_all_there_are_and_at_least_one() -> None:
    view = one_node(device("d0"), device("d1", attributes={"model": "x"}), device("d2"))
    every = claim("one", want(allocationMode="All"))
    assert given_on(view, "a", every) == [[("a", "d0"), ("a", "d1"), ("a", "d2")]]
    some = claim("one", want("a", "gpu", f'{OWN}.?model.orValue("") == "y"', allocationMode="All"))
    assert given_on(view, "a", some) is None
    view.devices.hear(*claim("two", status=allocated("a", "d1")), gone=False)
    assert given_on(view, "a", every) is None


def test_the_first_alternative_that_works() -> None:
    view = one_node(device("d0", memory="10Gi"), device("d1", memory="10Gi"))
    large = f'device.capacity["{DRIVER}"].memory.compareTo(quantity("20Gi")) >= 0'
    several = [
        {"name": "large", **wish("gpu", large)},
        {"name": "two", **wish("gpu", count=2)},
        {"name": "one", **wish()},
    ]
    asked = claim("one", {"name": "a", "firstAvailable": several})
    assert given_on(view, "a", asked) == [[("a/two", "d0"), ("a/two", "d1")]]
    view.devices.hear(*claim("other", status=allocated("a", "d0")), gone=False)
    assert given_on(view, "a", asked) == [[("a/one", "d1")]]


def test_a_later_request_makes_an_earlier_one_choose_otherwise() -> None:
    view = one_node(
        device("d0", attributes={"model": "x"}), device("d1", attributes={"model": "y"})
    )
    picky = want("b", "gpu", f'{OWN}.model == "x"')
    assert given_on(view, "a", claim("one", want(), picky)) == [[("a", "d1"), ("b", "d0")]]
    assert given_on(view, "a", claim("one"), claim("two", picky)) == [[("a", "d1")], [("b", "d0")]]


def test_administrators_use_what_others_have_and_take_nothing() -> None:
    view = one_node(device("d0"))
    view.devices.hear(*claim("other", status=allocated("a", "d0")), gone=False)
    assert given_on(view, "a", claim()) is None
    assert given_on(view, "a", claim("one", want(adminAccess=True))) == [[("a", "d0")]]
    assert given_on(view, "a", claim("one", want(adminAccess=True, count=2))) is None
    free = one_node(device("d0"))
    free.devices.hear(*claim("other", status=allocated("a", "d0", adminAccess=True)), gone=False)
    assert given_on(free, "a", claim()) == [[("a", "d0")]]


def test_a_claim_has_at_most_32_devices() -> None:
    view = one_node(*(device(f"d{number}") for number in range(40)))
    assert given_on(view, "a", claim("one", want(count=32))) is not None
    assert given_on(view, "a", claim("one", want(count=33))) is None
    assert given_on(view, "a", claim("one", want(count=20), want("b", count=20))) is None
    assert (
        given_on(view, "a", claim("one", want(count=20)), claim("two", want(count=20))) is not None
    )


def test_a_claim_that_asks_for_nothing_has_that() -> None:
    view = one_node(device("d0"))
    empty = (kinds.RESOURCE_CLAIM, {"metadata": {"namespace": "shop", "name": "one", "uid": "u"}})
    view.devices.hear(*empty, gone=False)
    assert given_on(view, "a", empty) == [[]]
    assert place(view, claiming()) == ["a"]
    view.devices.hear(kinds.DEVICE_CLASS, {"metadata": {"name": "any"}}, gone=False)
    assert given_on(view, "a", claim("two", want("a", "any"))) == [[("a", "d0")]]


# ---- constraints


def test_all_have_the_same_value_or_all_another() -> None:
    view = one_node(
        *(device(f"d{n}", attributes={"numa": n // 2}) for n in range(4)), device("bare")
    )
    name = f"{DRIVER}/numa"
    same = claim("one", want(count=2), constraints=[{"matchAttribute": name}])
    view.devices.hear(*claim("other", status=allocated("a", "d0")), gone=False)
    assert given_on(view, "a", same) == [[("a", "d2"), ("a", "d3")]]
    other = claim("one", want(count=2), constraints=[{"distinctAttribute": name}])
    assert given_on(view, "a", other) == [[("a", "d1"), ("a", "d2")]]
    only = claim("one", want(), want("b", count=2),
                 constraints=[{"matchAttribute": name, "requests": ["b"]}])  # fmt: skip
    assert given_on(view, "a", only) == [[("a", "d1"), ("b", "d2"), ("b", "d3")]]


# ---- pools


def test_incomplete_pools_are_not_used() -> None:
    view = one_node(device("d0"), total=2)
    assert given_on(view, "a", claim()) is None
    with pytest.raises(
        NotAllocatable, match=f"resource pool {DRIVER}/a is currently being updated"
    ):
        given_on(view, "a", claim("one", want(allocationMode="All")))
    view.devices.hear(*slice_on("a", device("d1"), name="more", total=2), gone=False)
    assert given_on(view, "a", claim("one", want(count=2))) is not None


def test_the_newest_generation_counts() -> None:
    view = one_node(device("old"))
    view.devices.hear(*slice_on("a", device("new"), name="newer", generation=2), gone=False)
    assert given_on(view, "a", claim()) == [[("a", "new")]]
    view.devices.hear(*slice_on("a", device("new"), name="newer", generation=2), gone=True)
    assert given_on(view, "a", claim()) == [[("a", "old")]]


def test_a_pool_with_a_name_twice_is_invalid() -> None:
    view = one_node(device("d0"), total=2)
    view.devices.hear(*slice_on("a", device("d0"), name="more", total=2), gone=False)
    with pytest.raises(NotAllocatable, match="pool a is invalid: duplicate device name d0"):
        given_on(view, "a", claim())


def test_where_devices_can_be_used() -> None:
    expression = {"key": "zone", "operator": "In", "values": ["y"]}
    zone = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    mixed = slice_on(
        "", device("on-a", nodeName="a"), device("in-y", nodeSelector=zone),
        device("anywhere", allNodes=True), pool="mixed", perDeviceNodeSelection=True,
    )  # fmt: skip
    view = heard(NODES, device_class(), mixed)
    every = claim("one", want(allocationMode="All"))
    assert given_on(view, "a", every) == [[("a", "on-a"), ("a", "anywhere")]]
    assert given_on(view, "b", every) == [[("a", "in-y"), ("a", "anywhere")]]
    asked = (asked_by(every[1]),)
    granted = view.devices.allocate(asked, view.rows["b"])
    assert granted is not None
    assert allocations(view.devices, asked, granted)["shop/one"]["nodeSelector"] == zone


# ---- taints, counters


def test_taints_are_tolerated_by_requests() -> None:
    taint = {"key": "broken", "value": "fan", "effect": "NoSchedule"}
    view = one_node(
        device("d0", taints=[taint]), device("d1", taints=[{**taint, "effect": "None"}])
    )
    assert given_on(view, "a", claim("one", want(count=2))) is None
    assert given_on(view, "a", claim()) == [[("a", "d1")]]
    fine = [{"key": "broken", "operator": "Equal", "value": "fan", "effect": "NoSchedule"}]
    assert given_on(view, "a", claim("one", want(count=2, tolerations=fine))) is not None
    assert given_on(view, "a", claim("one", want(allocationMode="All"))) is None
    assert given_on(view, "a", claim("one", want(count=2, tolerations=[{"operator": "Exists"}])))


def test_a_rule_taints_devices_of_a_driver() -> None:
    view = one_node(device("d0"), device("d1"))
    taint = {"key": "recall", "effect": "NoExecute"}
    rule = {"metadata": {"name": "r"}, "spec": {"deviceSelector": {"driver": DRIVER, "device": "d0"}, "taint": taint}}  # fmt: skip
    view.devices.hear(kinds.DEVICE_TAINT_RULE, rule, gone=False)
    assert given_on(view, "a", claim()) == [[("a", "d1")]]
    view.devices.hear(kinds.DEVICE_TAINT_RULE, rule, gone=True)
    assert given_on(view, "a", claim()) == [[("a", "d0")]]


def test_partitions_share_counters() -> None:
    def part(name: str, amount: str) -> Doc:
        used = {"counterSet": "card", "counters": {"memory": {"value": amount}}}
        return device(name, consumesCounters=[used])

    card = {"name": "card", "counters": {"memory": {"value": "40Gi"}}}
    shared = slice_on("a", name="counters", total=2, sharedCounters=[card])
    parts = slice_on(
        "a", part("whole", "40Gi"), part("half-1", "20Gi"), part("half-2", "20Gi"), total=2
    )
    view = heard(NODES[:1], device_class(), shared, parts)
    assert given_on(view, "a", claim("one", want(count=2))) == [[("a", "half-1"), ("a", "half-2")]]
    view.devices.hear(*claim("other", status=allocated("a", "half-2")), gone=False)
    assert given_on(view, "a", claim()) == [[("a", "half-1")]]
    assert given_on(view, "a", claim("one", want(count=2))) is None


# ---- bounds, reasons


def test_a_search_without_end_is_given_up() -> None:
    """Each of 16 requests needs another value, and there are only 15: all choices would be 10^12."""
    devices = [device(f"d{n}", attributes={"n": n % 15}) for n in range(60)]
    wants = [want(f"r{n}") for n in range(16)]
    hard = claim("one", *wants, constraints=[{"distinctAttribute": f"{DRIVER}/n"}])
    view = one_node(*devices)
    assert STEPS_MAX <= 100_000
    with pytest.raises(NotAllocatable, match="timed out trying to allocate devices"):
        given_on(view, "a", hard)


def test_dear_selectors_are_asked_a_few_at_a_time() -> None:
    """The scheduler's turns stay short, and it goes on with what is left in the next."""
    inner = "device.attributes.all(a, device.attributes.all(b, device.attributes.all(c, true)))"
    dear = f"{' && '.join([inner] * 6)} && {OWN}.n == 39"
    view = one_node(*(device(f"d{n}", attributes={"n": n}) for n in range(40)))
    asked = (asked_by(claim("one", want("a", "gpu", dear))[1]),)
    view.devices.stirred()
    asks = 1
    while not view.devices.where_free(asked).known[view.rows["a"]]:
        assert explain(view, claiming()) != ""
        assert view.devices.stirred().anything, "whoever waits is asked again"
        asks += 1
    assert 3 <= asks <= 20
    assert view.devices.where_free(asked).free[view.rows["a"]]


def told(view: ClusterView, doc: Doc) -> str:
    assert place(view, doc) == []
    return explain(view, doc)


def test_reasons_are_upstreams() -> None:
    view = heard(NODES, device_class(), slice_on("a", device("d0")))
    assert told(view, claiming()) == (
        '0/2 nodes are available: resourceclaim.resource.k8s.io "one" not found.'
    )
    unmade = claiming(name="q")
    unmade["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "t"}]
    assert told(view, unmade) == (
        '0/2 nodes are available: pod "shop/q": ResourceClaim not created yet.'
    )
    view.devices.hear(*claim("one", want(count=2)), gone=False)
    assert told(view, claiming()) == "0/2 nodes are available: 2 cannot allocate all claims."
    view.devices.hear(*claim("one", want("a", "none")), gone=False)
    view.devices.hear(*claim("one", deletionTimestamp="2030-01-01T00:00:00Z"), gone=False)
    assert (
        told(view, claiming()) == '0/2 nodes are available: resourceclaim "one" is being deleted.'
    )
    full = [str(number) for number in range(256)]
    view.devices.hear(*claim(status=allocated("a", "d0", users=full)), gone=False)
    assert told(view, claiming()) == "0/2 nodes are available: resourceclaim in use."
    view.devices.hear(*claim(status=allocated("a", "d0")), gone=False)
    assert told(view, claiming(nodeSelector={"zone": "y"})) == (
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
        "1 resourceclaim not available on the node."
    )


def test_a_selector_that_says_nothing_is_told_of_by_its_claim() -> None:
    view = heard(NODES[:1], device_class(), slice_on("a", device("d0")))
    view.devices.hear(*claim("one", want("a", "gpu", f'{OWN}.model == "x"')), gone=False)
    assert told(view, claiming()) == (
        "0/1 nodes are available: 1 claim shop/one: selector #0: CEL runtime error: "
        'NOT_FOUND: Key not found in map : "model".'
    )


def test_a_pod_without_claims_asks_nothing() -> None:
    view = heard(NODES, device_class(), slice_on("a", device("d0")))
    pod_class = class_of(
        {"metadata": {"name": "p", "namespace": "shop"}, "spec": {"containers": []}}
    )
    assert list(dynamic_resources.filter(view, pod_class, DEFAULT)) == []


# ---- against the reference

_MODELS = {f'{OWN}.model == "{model}"': model for model in "xy"}


def _is_model(model: str, device: Doc) -> bool:
    return bool(device["attributes"]["model"] == {"string": model})


_SAYS: reference.Says = {
    f'device.driver == "{DRIVER}"': lambda device: True,
    **{text: partial(_is_model, model) for text, model in _MODELS.items()},
}
_TAINT = {"key": "broken", "effect": "NoSchedule"}


@st.composite
def _device(draw: st.DrawFn, name: str) -> Doc:
    made = device(
        name, attributes={"model": draw(st.sampled_from("xy")), "numa": draw(st.integers(0, 1))}
    )
    if not draw(st.integers(0, 4)):
        del made["attributes"]["numa"]
    if not draw(st.integers(0, 4)):
        made["taints"] = [_TAINT]
    if draw(st.booleans()):
        amount = {"value": str(draw(st.integers(1, 3)))}
        made["consumesCounters"] = [{"counterSet": "s", "counters": {"c": amount}}]
    return made


@st.composite
def _slices(draw: st.DrawFn, pool: str) -> list[Heard]:
    count = draw(st.integers(1, 4))
    devices = [draw(_device(f"{pool}-{number}")) for number in range(count)]
    more: Doc = draw(st.sampled_from([{"nodeName": "a"}, {"allNodes": True}]))
    total = draw(st.sampled_from([2, 2, 2, 3]))
    card = {"name": "s", "counters": {"c": {"value": str(draw(st.integers(1, 5)))}}}
    return [
        slice_on("", *devices, pool=pool, name=f"{pool}-devices", total=total, **more),
        slice_on(
            "", pool=pool, name=f"{pool}-counters", total=total, sharedCounters=[card], **more
        ),
    ]


@st.composite
def _wish(draw: st.DrawFn) -> Doc:
    texts = draw(st.lists(st.sampled_from(sorted(_MODELS)), max_size=1))
    more: Doc = draw(
        st.sampled_from([{"allocationMode": "All"}, {"count": 1}, {"count": 1}, {"count": 2}])
    )
    if not draw(st.integers(0, 4)):
        more = {**more, "tolerations": [{"key": "broken", "operator": "Exists"}]}
    return wish("gpu", *texts, **more)


@st.composite
def _claim(draw: st.DrawFn, name: str) -> Heard:
    requests: list[Doc] = []
    for number in range(draw(st.integers(1, 2))):
        if draw(st.booleans()):
            requests.append({"name": f"r{number}", "exactly": draw(_wish())})
        else:
            several = [{"name": one, **draw(_wish())} for one in "mn"]
            requests.append({"name": f"r{number}", "firstAvailable": several})
    kind = draw(st.sampled_from(["", "matchAttribute", "distinctAttribute"]))
    constraints: list[Doc] = []
    if kind:
        constraints.append({kind: f"{DRIVER}/{draw(st.sampled_from(['numa', 'model']))}"})
    narrow: bool = draw(st.booleans())
    if constraints and narrow:
        constraints[0]["requests"] = ["r0"]
    return claim(name, *requests, constraints=constraints)


@given(st.data())
@settings(max_examples=150)
def test_what_is_given_is_what_the_reference_prefers(data: st.DataObject) -> None:
    slices = [*data.draw(_slices("p")), *data.draw(_slices("q"))]
    claims = [data.draw(_claim(name)) for name in ("one", "two")[: data.draw(st.integers(1, 2))]]
    names = [(DRIVER, doc["spec"]["pool"]["name"], one["name"])
             for _, doc in slices for one in doc["spec"].get("devices", ())]  # fmt: skip
    taken = frozenset(data.draw(st.lists(st.sampled_from(names), max_size=2)))
    view = heard(NODES[:1], device_class(), *slices)
    for number, (_, pool, name) in enumerate(taken):
        status = allocated(pool, name)
        view.devices.hear(*claim(f"other-{number}", status=status), gone=False)
    site = reference.Site(
        "a", {}, [doc for _, doc in slices], {"gpu": device_class()[1]}, taken, _SAYS
    )
    specs = [doc["spec"] for _, doc in claims]
    first = next(reference.choices(site, specs), None)
    asked = tuple(asked_by(doc) for _, doc in claims)
    answers = view.devices.where_free(asked)
    row = view.rows["a"]
    assert bool(answers.free[row]) == (first is not None)
    if first is None:
        why = answers.why[row]
        assert why is CANNOT or "currently being updated" in str(why)
        return
    granted = view.devices.allocate(asked, row)
    assert granted is not None
    assert [(one.claim, one.request, one.id) for one in first] == [
        (number, one.want.name, one.device.id)
        for number, some in enumerate(granted)
        for one in some
    ]
