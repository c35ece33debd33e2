"""What a node's pods need, kept up change by change, is what a look at all pods says."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Bind, Create, Delete, DeleteOptions
from longshore.core.registry.wishes import Wish
from tests.doors.rig import ADMIN, Kube, kube, pod
from tests.permission.rig import node

NAMES, NODES, PODS = ("a", "b", "c"), ("n1", "n2"), ("p1", "p2", "p3")
STEP = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(PODS), st.sets(st.sampled_from(NAMES))),
    st.tuples(st.just("bind"), st.sampled_from(PODS), st.sampled_from(NODES)),
    st.tuples(st.just("delete"), st.sampled_from(PODS), st.none()),
    st.tuples(st.just("ask"), st.sampled_from(NODES), st.none()),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, max_size=25))
def test_every_answer_is_that_of_a_look_at_all_pods(steps: list[Any]) -> None:
    async def run() -> None:
        async with kube() as ask:
            for what, whom, more in steps:
                if what == "ask":
                    check(ask, whom)
                else:
                    # Some fail, as the pod is there already, or not yet, or bound.
                    await ask.registry.submit(ADMIN, [operation(what, whom, more)])
            for name in NODES:
                check(ask, name)

    asyncio.run(run())


def operation(what: str, name: str, more: Any) -> Create | Bind | Delete:
    if what == "bind":
        return Bind("default", name, more)
    if what == "delete":
        return Delete(kinds.POD, "default", name, DeleteOptions(grace_s=0))
    doc = pod(name, namespace="default")
    doc["spec"]["imagePullSecrets"] = [{"name": secret} for secret in sorted(more)]
    return Create(kinds.POD, doc)


def check(ask: Kube, name: str) -> None:
    needed = {
        secret["name"]
        for one in ask.registry.cache.all(kinds.POD)
        if one["spec"].get("nodeName") == name
        for secret in secrets_of(one)
    }
    for secret in NAMES:
        wish = Wish("get", "", "secrets", "default", secret)
        assert ask.registry.permission.allowed(node(name), wish) is (secret in needed)


def secrets_of(doc: Doc) -> list[Doc]:
    return doc["spec"].get("imagePullSecrets") or []
