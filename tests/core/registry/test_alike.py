"""Pods that are alike but for their names are completed once, and as if each had been alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError, Forbidden, NotFound
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.core.registry.admission.attributes import NOTES
from longshore.core.registry.admission.chain import Admission
from longshore.core.registry.admission.surroundings import AdmissionConfig, Surroundings
from longshore.core.registry.alike import Alike, Key, Made
from longshore.core.registry.client import Create, Patch
from longshore.core.registry.sent import PLAIN, WriteOptions
from longshore.core.watch.cache import Cache
from longshore.testing.clock import VirtualClock

from .conftest import ADMIN, Desk
from .test_writes import pod

OTHER = User("other", ("system:masters",))


def bare(name: str, **metadata: str) -> Doc:
    """A pod that asks for nothing, as a client sends it."""
    return {"metadata": {"name": name, **metadata}, "spec": {"containers": [{"name": "c", "image": "i"}]}}  # fmt: skip


def but_name(doc: Doc) -> Doc:
    own = ("name", "uid", "resourceVersion")
    metadata = {field: value for field, value in doc["metadata"].items() if field not in own}
    return {**doc, "metadata": metadata}


async def give(desk: Desk, kind: Kind, name: str, **fields: object) -> None:
    await desk.create(kind, {"metadata": {"name": name}, **fields})


async def test_the_second_of_two_alike_is_as_the_first_but_for_what_tells_them_apart(desk: Desk) -> None:  # fmt: skip
    one, two = [await desk.create(kinds.POD, bare(name)) for name in ("a", "b")]
    assert but_name(one) == but_name(two)
    assert (one["metadata"]["name"], two["metadata"]["name"]) == ("a", "b")
    assert one["metadata"]["uid"] != two["metadata"]["uid"]
    assert two["spec"]["serviceAccountName"] == "default"


async def test_what_a_loop_sends_stays_its_own(desk: Desk) -> None:
    sent = bare("a", namespace="default")
    for name in ("a", "b"):
        sent["metadata"]["name"] = name
        answers = await desk.client.submit([Create(kinds.POD, sent)])
        assert not isinstance(answers[0], ApiError)
    assert sent == bare("b", namespace="default")


async def test_generated_names_differ(desk: Desk) -> None:
    sent = [{**bare("a"), "metadata": {"generateName": "web-"}} for _ in range(3)]
    made = [await desk.create(kinds.POD, one) for one in sent]
    assert len({one["metadata"]["name"] for one in made}) == 3


async def test_a_new_limit_range_counts_for_the_next_pod(desk: Desk) -> None:
    await desk.create(kinds.POD, bare("a"))
    limits = [{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}}]
    await give(desk, kinds.LIMIT_RANGE, "usual", spec={"limits": limits})
    made = await desk.create(kinds.POD, bare("b"))
    assert made["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1"}


async def test_a_new_default_priority_counts_for_the_next_pod(desk: Desk) -> None:
    await desk.create(kinds.POD, bare("a"))
    await give(desk, kinds.PRIORITY_CLASS, "usual", value=7, globalDefault=True)
    assert (await desk.create(kinds.POD, bare("b")))["spec"]["priority"] == 7


async def test_a_changed_account_counts_for_the_next_pod(desk: Desk) -> None:
    await desk.create(kinds.POD, bare("a"))
    await give(desk, kinds.SERVICE_ACCOUNT, "default", automountServiceAccountToken=False)
    assert not (await desk.create(kinds.POD, bare("b")))["spec"].get("volumes")


async def test_a_stricter_namespace_refuses_the_next_pod(desk: Desk) -> None:
    await desk.create(kinds.POD, bare("a"))
    labels = {"name": "default", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    await desk.registry.change(
        ADMIN,
        Ref(kinds.NAMESPACE, "", "default"),
        lambda old: {**old.fresh(), "metadata": {**old.fresh()["metadata"], **labels}},
    )
    with pytest.raises(Forbidden, match="violates PodSecurity"):
        await desk.create(kinds.POD, bare("b"))


async def test_the_namespace_has_to_be_there(desk: Desk) -> None:
    await desk.create(kinds.POD, bare("a"))
    with pytest.raises(NotFound):
        await desk.create(kinds.POD, bare("a"), namespace="nowhere")


async def test_entries_of_ownership_tell_who_and_when(desk: Desk) -> None:
    told = []
    for name, who, later in (("a", "kubectl", 0.0), ("b", "argo", 0.0), ("c", "argo", 60.0)):
        await desk.clock.advance(later)
        options = WriteOptions(manager=who)
        stored, _ = await desk.registry.create(
            ADMIN, kinds.POD, bare(name), namespace="default", options=options
        )
        entry = stored.doc["metadata"]["managedFields"][0]
        told.append((entry["manager"], entry["time"]))
    assert [who for who, _ in told] == ["kubectl", "argo", "argo"]
    assert told[0][1] == told[1][1] < told[2][1]


async def test_warnings_and_notes_are_repeated(desk: Desk) -> None:
    labels = {"name": "strict", "labels": {"pod-security.kubernetes.io/warn": "restricted", "pod-security.kubernetes.io/audit": "restricted"}}  # fmt: skip
    await desk.create(kinds.NAMESPACE, {"metadata": labels})
    heard = []
    for name in ("a", "b"):
        token = NOTES.set({})
        _, warnings = await desk.registry.create(ADMIN, kinds.POD, bare(name), namespace="strict")
        heard.append((warnings, NOTES.get()))
        NOTES.reset(token)
    assert heard[0] == heard[1]
    assert "would violate PodSecurity" in heard[0][0][0]
    assert heard[0][1]


async def test_a_name_that_is_taken_is_refused(desk: Desk) -> None:
    await desk.create(kinds.POD, bare("a"))
    with pytest.raises(AlreadyExists):
        await desk.create(kinds.POD, bare("a"))


@given(st.lists(st.sampled_from(["i", "j", "k"]), min_size=1, max_size=6), st.data())
def test_only_pods_alike_are_taken_for_alike(images: list[str], data: st.DataObject) -> None:
    known = _alike()
    keys: dict[str, Key] = {}
    for image in images:
        sent = {"metadata": {"name": data.draw(st.text(max_size=3))}, "spec": {"containers": [{"image": image}]}}  # fmt: skip
        key = known.key(sent, "default", PLAIN)
        assert key is not None
        assert keys.setdefault(image, key) == key
    assert len(set(keys.values())) == len(set(images))


@pytest.mark.parametrize(
    "sent",
    [
        pod("a", nodeName="node-1"),
        {"metadata": [], "spec": {}},
        {"metadata": {"name": 7}, "spec": {}},
        {"metadata": {"name": "a"}, "spec": "x"},
        {"metadata": {"name": "a", "labels": {"large": "x" * 10_000}}, "spec": {}},
    ],
)
def test_some_pods_are_like_no_other(sent: Doc) -> None:
    assert _alike().key(sent, "default", PLAIN) is None


def test_where_rights_are_looked_up_no_two_pods_are_alike() -> None:
    known = alike_with(AdmissionConfig(enable=("OwnerReferencesPermissionEnforcement",)))
    assert known.key(pod("a"), "default", PLAIN) is None


def test_the_oldest_is_forgotten() -> None:
    known, cache = alike_with(AdmissionConfig(), most=2), Cache(kinds.KINDS)
    keys = [known.key(pod("a", hostname=name), "default", PLAIN) for name in ("x", "y", "z")]
    for key in keys:
        assert key is not None
        known.keep(key, Made(pod("a"), (), {}, known.revision(cache), 0))
    assert [known.of(key, cache, 0) is not None for key in keys if key] == [False, True, True]


def _alike() -> Alike:
    return alike_with(AdmissionConfig())


def alike_with(config: AdmissionConfig, most: int = 8) -> Alike:
    around = Surroundings(VirtualClock(), lambda who, wish: True, config)
    return Alike(Admission(around), most)


def test_all_plugins_that_are_on_say_what_they_look_up_of_a_new_pod() -> None:
    """One that does not has each pod of a workload completed anew, which takes twice as long."""
    around = Surroundings(VirtualClock(), lambda who, wish: True, AdmissionConfig())
    looked_up = Admission(around).looks_up("create", kinds.POD)
    assert looked_up is not None
    assert kinds.NAMESPACE in looked_up


async def test_a_pod_follows_the_node_selector_that_its_project_has_by_then(desk: Desk) -> None:
    selectors = []
    for number, zone in enumerate(("a", "b")):
        annotations = {"metadata": {"annotations": {"openshift.io/node-selector": f"zone={zone}"}}}
        await desk.client.write(Patch(kinds.NAMESPACE, "", "default", annotations))
        made = await desk.create(kinds.POD, bare(f"p{number}"))
        selectors.append(made["spec"]["nodeSelector"])
    assert selectors == [{"zone": "a"}, {"zone": "b"}]
