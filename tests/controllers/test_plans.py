"""Safety of the planners' arithmetic, whatever the sizes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.hashing import template_hash
from longshore.machinery.controllers.deployment import revisions, sizes
from longshore.machinery.controllers.endpoints import plan as endpoints
from longshore.machinery.controllers.replicaset import plan as replicas

NOW = 1_767_225_600.0


def sized_set(name: str, size: int, available: int, most: int = 0) -> Doc:
    notes = {revisions.MOST: str(most)} if most else {}
    metadata = {"name": name, "creationTimestamp": f"2026-01-01T00:00:{name[-2:]}Z"}
    return {
        "metadata": {**metadata, "annotations": notes},
        "spec": {"replicas": size},
        # More than its size while it has yet to hear that it was made smaller.
        "status": {"availableReplicas": available},
    }


pairs = st.tuples(st.integers(0, 30), st.integers(0, 30))
sets = st.lists(pairs, max_size=4).map(
    lambda given_pairs: [sized_set(f"rs-{10 + i}", *p) for i, p in enumerate(given_pairs)]
)
amounts = st.one_of(st.integers(0, 10), st.integers(0, 100).map(lambda n: f"{n}%"))


def deployment(want: int, surge: int | str, missing: int | str) -> Doc:
    rolling = {"maxSurge": surge, "maxUnavailable": missing}
    return {"spec": {"replicas": want, "strategy": {"rollingUpdate": rolling}}, "status": {}}


@given(sets, pairs, st.integers(0, 30), amounts, amounts)
def test_a_step_never_costs_more_than_may_be_missing(
    old: list[Doc], new: tuple[int, int], want: int, surge: int | str, missing: int | str
) -> None:
    within = sizes.bounds(deployment(want, surge, missing))
    current = sized_set("rs-59", *new)
    after = sizes.shrink_old(within, current, old)
    usable = sizes.staying(current)
    for one in old:
        size = after.get(one["metadata"]["name"], sizes.size(one))
        assert 0 <= size <= sizes.size(one)
        usable += min(size, sizes.available(one))
    before = sum(map(sizes.staying, [*old, current]))
    assert usable >= min(before, within.least)


@given(sets, st.integers(0, 30), st.integers(0, 30), amounts, amounts)
def test_growing_never_passes_the_surge(
    old: list[Doc], now: int, want: int, surge: int | str, missing: int | str
) -> None:
    within = sizes.bounds(deployment(want, surge, missing))
    everything = [*old, sized_set("rs-59", now, 0)]
    after = sizes.size_of_new(within, everything, now)
    assert after <= max(want, now)
    if after > now:
        assert sizes.total(old) + after <= within.most


@given(st.integers(1, 200), amounts, amounts)
def test_a_rollout_can_always_move(want: int, surge: int | str, missing: int | str) -> None:
    within = sizes.bounds(deployment(want, surge, missing))
    assert 0 <= within.least <= want <= within.most
    assert within.least < within.most


@given(st.lists(pairs, min_size=2, max_size=4), st.integers(1, 60), st.integers(0, 5))
def test_proportional_scaling_gives_exactly_what_is_allowed(
    given_pairs: list[tuple[int, int]], want: int, surge: int
) -> None:
    docs = [
        sized_set(f"rs-{10 + i}", size + 1, 0, most=40) for i, (size, _) in enumerate(given_pairs)
    ]
    doc = deployment(want, surge, 1)
    within = sizes.bounds(doc)
    after = sizes.scale(within, docs[0], docs[1:], doc)
    total = sum(after.get(one["metadata"]["name"], sizes.size(one)) for one in docs)
    assert total == within.most
    assert min(after.values(), default=0) >= 0


def pod(number: int, phase: str, node: str, *, ready: bool, leaving: bool) -> Doc:
    metadata: Doc = {"name": f"p{number}", "namespace": "default", "uid": f"u{number}"}
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status: Doc = {"phase": phase, "podIP": f"10.42.0.{number}"}
    if ready:
        since = "2025-12-31T23:59:00Z"
        status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
    spec = {"containers": [{"name": "c"}], **({"nodeName": node} if node else {})}
    return {"metadata": metadata, "spec": spec, "status": status}


pods = st.lists(
    st.tuples(
        st.sampled_from(["Pending", "Running", "Failed", "Succeeded"]),
        st.sampled_from(["", "a", "b"]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
).map(
    lambda rows: [
        pod(i, phase, node, ready=ready, leaving=leaving)
        for i, (phase, node, ready, leaving) in enumerate(rows)
    ]
)


@given(pods, st.integers(0, 12))
def test_the_right_number_is_left_and_no_ready_pod_goes_before_a_lesser_one(
    docs: list[Doc], want: int
) -> None:
    template: Doc = {"metadata": {"labels": {}}, "spec": {}}
    doc = {"metadata": {"generation": 1}, "spec": {"replicas": want, "template": template}}
    plan = replicas.plan(doc, docs, lambda: docs, NOW)
    active = [p for p in docs if pod_state.is_active(p)]
    assert len(active) + plan.create - len(plan.delete) == want
    assert not (plan.create and plan.delete)
    kept = [p for p in active if p not in plan.delete]
    if any(pod_state.is_ready(p) and p["spec"].get("nodeName") for p in plan.delete):
        assert all(p["spec"].get("nodeName") for p in kept)


@given(pods, st.lists(st.integers(0, 11), max_size=12))
def test_every_endpoint_is_listed_once_and_a_second_look_changes_nothing(
    docs: list[Doc], before: list[int]
) -> None:
    service: Doc = {
        "metadata": {"name": "web", "namespace": "default", "uid": "s"},
        "spec": {"ports": [{"port": 80}], "ipFamilies": ["IPv4"]},
    }
    first = endpoints.plan_slices(service, [docs[i] for i in set(before) if i < len(docs)], (), {})
    there = [
        {**one, "metadata": {**one["metadata"], "name": f"web-{n}"}}
        for n, one in enumerate(first.create)
    ]
    plan = endpoints.plan_slices(service, docs, there, {})
    changed = {one["metadata"]["name"]: one for one in plan.update}
    gone = {one["metadata"]["name"] for one in plan.delete}
    kept = [
        changed.get(s["metadata"]["name"], s) for s in there if s["metadata"]["name"] not in gone
    ]
    after = kept + [
        {**one, "metadata": {**one["metadata"], "name": f"new-{n}"}}
        for n, one in enumerate(plan.create)
    ]
    listed = [e["targetRef"]["uid"] for one in after for e in one["endpoints"]]
    assert sorted(listed) == sorted(
        p["metadata"]["uid"] for p in docs if endpoints.counts(p, leaving=True)
    )
    assert len(after) >= 1
    assert endpoints.plan_slices(service, docs, after, {}) == endpoints.SlicePlan()


def test_a_hash_stands_for_its_template() -> None:
    one = {"spec": {"containers": [{"name": "c", "image": "one"}]}}
    same = {"spec": {"containers": [{"image": "one", "name": "c"}]}}
    assert template_hash(one, 0) == template_hash(same, 0)
    assert template_hash(one, 0) != template_hash(one, 1)


def test_pods_end_by_how_long_they_were_ready_in_powers_of_two_nanoseconds() -> None:
    """8.5 s and 11.5 s are on two sides of 2**33 ns, 11.5 s and 13.5 s on one."""

    def pod(name: str, ready_at: str) -> Doc:
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": ready_at}
        metadata = {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z", "uid": name}
        status = {"phase": "Running", "conditions": [ready]}
        return {"metadata": metadata, "spec": {"nodeName": "n"}, "status": status}

    pods = [pod("a", "2026-01-01T00:00:15Z"), pod("b", "2026-01-01T00:00:17Z"),
            pod("c", "2026-01-01T00:00:20Z")]  # fmt: skip
    ending = replicas.in_order_of_ending(pods, pods, NOW + 28.5)
    assert [one["metadata"]["name"] for one in ending] == ["c", "a", "b"]
