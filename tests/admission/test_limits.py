"""LimitRanger: defaults, least, most and ratios, of containers, pods and claims."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from ..doors.rig import Kube
from .rig import admitting, ask, made, make, of_spec, path_of, refused


async def limit(api: Kube, *, name: str = "l", of: str = "Container", **item: Any) -> None:
    await make(api, kinds.LIMIT_RANGE, name, spec={"limits": [{"type": of, **item}]})


def sized(requests: Doc | None = None, limits: Doc | None = None, **spec: Any) -> Doc:
    resources = {"requests": requests or {}, "limits": limits or {}}
    return of_spec(containers=[{"name": "c", "image": "i", "resources": resources}], **spec)


async def test_containers_get_what_they_do_not_say_and_it_is_noted() -> None:
    async with admitting() as api:
        await limit(api, default={"cpu": "1", "memory": "1Gi"}, defaultRequest={"cpu": "100m"})
        doc = sized({"memory": "10Mi"}, initContainers=[{"name": "i", "image": "i"}])
        answer = await ask(api, doc)
        spec, note = answer.doc["spec"], answer.doc["metadata"]["annotations"]
        assert spec["containers"][0]["resources"] == {
            "requests": {"memory": "10Mi", "cpu": "100m"}, "limits": {"cpu": "1", "memory": "1Gi"},
        }  # fmt: skip
        assert note == {
            "kubernetes.io/limit-ranger": (
                "LimitRanger plugin set: cpu request for container c; cpu, memory limit for "
                "container c; cpu, memory request for init container i; cpu, memory limit for init "
                "container i"
            )
        }


@pytest.mark.parametrize(
    ("item", "requests", "limits", "why"),
    [
        ({"min": {"cpu": "200m"}}, {}, {}, "minimum cpu usage per Pod is 200m.  "
         "No request is specified"),
        ({"min": {"cpu": "200m"}}, {"cpu": "0.1"}, {},
         "minimum cpu usage per Pod is 200m, but request is 100m"),
        ({"max": {"memory": "1Gi"}}, {"memory": "1Mi"}, {},
         "maximum memory usage per Pod is 1Gi.  No limit is specified"),
        ({"max": {"memory": "1Gi"}}, {}, {"memory": "2048Mi"},
         "maximum memory usage per Pod is 1Gi, but limit is 2Gi"),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, {"cpu": "1"}, {"cpu": "3"},
         "cpu max limit to request ratio per Pod is 2, but provided ratio is 3.000000"),
        ({"maxLimitRequestRatio": {"cpu": "2"}}, {}, {},
         "cpu max limit to request ratio per Pod is 2, but no request is specified or "
         "request is 0"),
    ],
)  # fmt: skip
async def test_what_may_not_be_asked_for(item: Doc, requests: Doc, limits: Doc, why: str) -> None:
    async with admitting() as api:
        # Of containers, bounds are defaults as well: a whole pod has none.
        await limit(api, of="Pod", **item)
        assert await refused(api, sized(requests, limits)) == why


async def test_bounds_serve_as_defaults() -> None:
    async with admitting() as api:
        await limit(api, max={"cpu": "1"}, min={"cpu": "200m"})
        resources = (await made(api, sized()))["containers"][0]["resources"]
        assert resources == {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
        both = sized({"cpu": "100m"}, {"cpu": "2"})
        both["metadata"]["name"] = "b"
        assert await refused(api, both) == (
            "[minimum cpu usage per Container is 200m, but request is 100m, "
            "maximum cpu usage per Container is 1, but limit is 2]"
        )


async def test_a_whole_pod_is_limited_as_the_sum_of_its_containers() -> None:
    async with admitting() as api:
        await limit(api, of="Pod", max={"memory": "1Gi"})
        each = {"image": "i", "resources": {"limits": {"memory": "600Mi"}}}
        two = of_spec(containers=[{**each, "name": "a"}, {**each, "name": "b"}])
        assert await refused(api, two) == (
            "maximum memory usage per Pod is 1Gi, but limit is 1200Mi"
        )
        await made(api, of_spec(containers=[{**each, "name": "a"}]))


async def test_claims_are_limited_by_what_they_request() -> None:
    async with admitting() as api:
        least, most = {"storage": "1Gi"}, {"storage": "5Gi"}
        await limit(api, of="PersistentVolumeClaim", min=least, max=most)

        def claim(size: str) -> Doc:
            asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
            return {"metadata": {"name": f"c{size.lower()}"}, "spec": asked}

        path = path_of(kinds.PVC)
        assert (await api("POST", path, claim("2Gi"))).status == 201
        for size, why in (("10Gi", "maximum storage usage per PersistentVolumeClaim is 5Gi, but "
                           "request is 10Gi"),
                          ("1Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but "
                           "request is 1Mi")):  # fmt: skip
            answer = await api("POST", path, claim(size))
            assert answer.status == 403 and answer.doc["message"].endswith(why)


async def test_other_namespaces_are_not_concerned() -> None:
    async with admitting() as api:
        await limit(api, max={"cpu": "1"})
        await make(api, kinds.NAMESPACE, "other")
        answer = await ask(api, of_spec("free"), "other")
        assert (
            "resources" not in answer.doc["spec"]["containers"][0]
            or not (answer.doc["spec"]["containers"][0]["resources"])
        )
