"""ResourceQuota: nobody uses more than there is, however many ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.core.objects.errors import Forbidden, InternalError
from longshore.core.objects.kinds import Doc
from longshore.core.objects.quota.amounts import UNIT, read
from longshore.core.registry.client import Create, Delete, DeleteOptions, Operation
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.core.store.protocol import StoreError, Write
from longshore.testing.clock import VirtualClock

from ..doors.rig import ADMIN, Kube, config_map
from .rig import PODS, admitting, ask, made, make, of_spec, path_of, refused

MERGE = "application/merge-patch+json"


async def quota(api: Kube, name: str = "q", /, *, more: Doc | None = None, **hard: str) -> None:
    """Underscores in names stand for dots."""
    named = {
        key.replace("_", ".").replace("count.", "count/"): value for key, value in hard.items()
    }
    await make(api, kinds.RESOURCE_QUOTA, name, spec={"hard": named, **(more or {})})


def sized(name: str, cpu: str = "", memory: str = "", **spec: Any) -> Doc:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    container = {"name": "c", "image": "i", "resources": {"requests": requests}}
    return of_spec(name, containers=[container], **spec)


async def test_pods_are_counted_until_they_are_over() -> None:
    async with admitting() as api:
        await quota(api, pods="1", count_pods="2")
        await made(api, of_spec("a"))
        assert await refused(api, of_spec("b")) == (
            "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
        )
        await api(
            "PATCH", f"{PODS}/a/status", {"status": {"phase": "Succeeded"}}, content_type=MERGE
        )
        await made(api, of_spec("b"))
        assert "count/pods" in await refused(api, of_spec("c"))
        await api("DELETE", f"{PODS}/a")
        assert "limited: pods=1" in await refused(api, of_spec("c"))
        await api("DELETE", f"{PODS}/b")
        await made(api, of_spec("c"))


async def test_amounts_are_summed_and_have_to_be_named() -> None:
    async with admitting() as api:
        await quota(api, requests_cpu="1", memory="1Gi")
        assert await refused(api, of_spec("a")) == (
            "failed quota: q: must specify memory for: main; requests.cpu for: main"
        )
        await made(api, sized("a", "600m", "512Mi"))
        assert await refused(api, sized("b", "500m", "768Mi")) == (
            "exceeded quota: q, requested: memory=768Mi,requests.cpu=500m, "
            "used: memory=512Mi,requests.cpu=600m, limited: memory=1Gi,requests.cpu=1"
        )
        await made(api, sized("b", "400m", "512Mi"))


async def test_init_containers_and_overhead_count_as_for_the_scheduler() -> None:
    async with admitting() as api:
        await quota(api, requests_cpu="1")
        init = {"name": "i", "image": "i", "resources": {"requests": {"cpu": "900m"}}}
        side = {**init, "name": "s", "restartPolicy": "Always",
                "resources": {"requests": {"cpu": "200m"}}}  # fmt: skip
        assert "requests.cpu=1100m" in await refused(
            api, sized("a", "100m", initContainers=[side, init])
        )
        await made(api, sized("b", "100m", initContainers=[init]))


async def test_objects_of_any_kind_are_counted() -> None:
    async with admitting() as api:
        await quota(api, "maps", configmaps="1")
        hard = {"count/deployments.apps": "0", "count/leases.coordination.k8s.io": "1"}
        await make(api, kinds.RESOURCE_QUOTA, "others", spec={"hard": hard})
        maps = path_of(kinds.CONFIG_MAP)
        assert (await api("POST", maps, config_map("a"))).status == 201
        answer = await api("POST", maps, config_map("b"))
        assert answer.doc["message"] == (
            'configmaps "b" is forbidden: exceeded quota: maps, requested: configmaps=1, '
            "used: configmaps=1, limited: configmaps=1"
        )
        body = {"selector": {"matchLabels": {"a": "b"}},
                "template": {"metadata": {"labels": {"a": "b"}}, "spec": of_spec()["spec"]}}  # fmt: skip
        refusal = await api(
            "POST", path_of(kinds.DEPLOYMENT), {"metadata": {"name": "d"}, "spec": body}
        )
        assert (
            "exceeded quota: others, requested: count/deployments.apps=1" in refusal.doc["message"]
        )


async def test_services_are_counted_by_what_they_ask_for_even_when_they_change() -> None:
    async with admitting() as api:
        await quota(api, services="2", services_nodeports="1", services_loadbalancers="0")
        port = {"port": 80}
        await make(api, kinds.SERVICE, "a", spec={"ports": [port], "type": "NodePort"})
        await make(api, kinds.SERVICE, "b", spec={"ports": [port]})
        path = path_of(kinds.SERVICE)
        to_node = {"spec": {"type": "NodePort"}}
        answer = await api("PATCH", f"{path}/b", to_node, content_type=MERGE)
        assert answer.status == 403
        assert (
            "requested: services.nodeports=1, used: services.nodeports=1" in answer.doc["message"]
        )
        third = await api("POST", path, {"metadata": {"name": "c"}, "spec": {"ports": [port]}})
        assert "requested: services=1" in third.doc["message"]
        again = {
            "spec": {"type": "ClusterIP", "externalTrafficPolicy": None, "ports": [{"port": 80}]}
        }
        assert (await api("PATCH", f"{path}/a", again, content_type=MERGE)).status == 200
        assert (await api("PATCH", f"{path}/b", to_node, content_type=MERGE)).status == 200


async def test_storage_is_limited_in_all_and_by_class() -> None:
    async with admitting() as api:
        gold = "gold.storageclass.storage.k8s.io/requests.storage"
        hard = {"requests.storage": "10Gi", gold: "2Gi"}
        await make(api, kinds.RESOURCE_QUOTA, "q", spec={"hard": hard})

        def claim(size: str, **spec: str) -> Doc:
            asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
            return {"metadata": {"name": f"c{size.lower()}"}, "spec": {**asked, **spec}}

        path = path_of(kinds.PVC)
        assert (await api("POST", path, claim("1Gi", storageClassName="gold"))).status == 201
        answer = await api("POST", path, claim("2Gi", storageClassName="gold"))
        assert f"used: {gold}=1Gi, limited: {gold}=2Gi" in answer.doc["message"]
        assert (await api("POST", path, claim("9Gi"))).status == 201
        assert (await api("POST", path, claim("3Gi"))).status == 403


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 9}, {}),
        ({"scopes": ["NotTerminating"]}, {}, {"activeDeadlineSeconds": 9}),
        ({"scopes": ["BestEffort"]}, {}, {"cpu": "1"}),
        ({"scopes": ["NotBestEffort"]}, {"cpu": "1"}, {}),
        ({"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}]}},
         {"priorityClassName": "system-node-critical"}, {}),
        ({"scopes": ["CrossNamespacePodAffinity"]},
         {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
             {"topologyKey": "k", "namespaceSelector": {}}]}}}, {}),
    ],
)  # fmt: skip
async def test_scopes_say_which_pods_a_quota_is_about(
    scope: Doc, inside: Doc, outside: Doc
) -> None:
    async with admitting() as api:
        await quota(api, more=scope, pods="0")
        assert "exceeded quota: q" in await refused(api, sized("a", **inside))
        await made(api, sized("b", **outside))


async def test_a_pod_that_changes_its_scope_is_charged() -> None:
    async with admitting() as api:
        await quota(api, more={"scopes": ["Terminating"]}, pods="0")
        await made(api, of_spec("a"))
        patch = {"spec": {"activeDeadlineSeconds": 5}}
        answer = await api("PATCH", f"{PODS}/a", patch, content_type=MERGE)
        assert answer.status == 403 and "exceeded quota: q" in answer.doc["message"]
        label = {"metadata": {"labels": {"a": "b"}}}
        assert (await api("PATCH", f"{PODS}/a", label, content_type=MERGE)).status == 200


async def test_what_is_only_tried_is_not_charged_and_failures_give_back() -> None:
    async with admitting() as api:
        await quota(api, pods="1")
        assert (await api("POST", f"{PODS}?dryRun=All", of_spec("a"))).status == 201
        await made(api, of_spec("a"))
        # A name that is taken is refused as such, and uses nothing.
        assert (await ask(api, of_spec("a"))).status == 409
        assert (await api("POST", f"{PODS}?dryRun=All", of_spec("b"))).status == 403


class Failing(MemoryStore):
    """A store that can be out of order."""

    broken = False

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        if self.broken:
            raise StoreError("the disk is full")
        return await super().commit(writes)


async def test_what_the_store_does_not_take_is_given_back() -> None:
    store = Failing()
    registry = Registry(store, VirtualClock(), Chance.seeded(1))
    await registry.open()
    client, home = InProcess(registry, ADMIN), {"namespace": "default"}
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        await client.write(Create(kinds.NAMESPACE, {"metadata": {"name": "default"}}))
        limit = {"metadata": {**home, "name": "q"}, "spec": {"hard": {"pods": "1"}}}
        await client.write(Create(kinds.RESOURCE_QUOTA, limit))
        one = Create(kinds.POD, {**of_spec(), "metadata": {**home, "name": "a"}})
        store.broken = True
        with pytest.raises(InternalError):
            await client.write(one)
        store.broken = False
        await client.write(one)
        with pytest.raises(Forbidden, match="exceeded quota: q"):
            await client.write(Create(kinds.POD, {**one.doc, "metadata": {**home, "name": "b"}}))
        running.cancel()


async def test_a_quota_that_changes_counts_anew() -> None:
    async with admitting() as api:
        await made(api, of_spec("a"))
        await quota(api, pods="1")
        assert "used: pods=1" in await refused(api, of_spec("b"))
        more = {"spec": {"hard": {"pods": "2"}}}
        await api("PATCH", f"{path_of(kinds.RESOURCE_QUOTA)}/q", more, content_type=MERGE)
        await made(api, of_spec("b"))
        assert (await ask(api, of_spec("c"))).status == 403
        await api("DELETE", f"{path_of(kinds.RESOURCE_QUOTA)}/q")
        await made(api, of_spec("c"))


async def test_a_limit_that_is_not_counted_is_refused() -> None:
    async with admitting() as api:
        hard = {"gpu.deviceclass.resource.k8s.io/devices": "1"}
        body = {"metadata": {"name": "q"}, "spec": {"hard": hard}}
        answer = await api("POST", path_of(kinds.RESOURCE_QUOTA), body)
        assert answer.status == 403 and "not counted yet" in answer.doc["message"]


async def test_many_at_once_never_get_more_than_there_is() -> None:
    async with admitting() as api:
        await quota(api, pods="7")
        answers = await asyncio.gather(*(ask(api, of_spec(f"p{n}")) for n in range(30)))
        assert sorted(answer.status for answer in answers) == [201] * 7 + [403] * 23
        client = InProcess(api.registry, ADMIN)
        metadata = {"namespace": "default"}
        more = [
            Create(kinds.POD, {**of_spec(), "metadata": {**metadata, "name": f"q{n}"}})
            for n in range(5)
        ]
        assert all(isinstance(one, Exception) for one in await client.submit(more))


@pytest.mark.parametrize("seed", range(8))
async def test_a_quota_holds_whatever_comes_and_goes(seed: int) -> None:
    """Random pods come and go in batches. At every moment the stored pods are within the quota, and
    whatever fits is let in: the refused would have been too much."""
    chance = Chance.seeded(seed)
    async with admitting() as api:
        await quota(api, pods="6", requests_cpu="3")
        client, serial = InProcess(api.registry, ADMIN), 0
        for _ in range(25):
            there = api.registry.cache.all(kinds.POD, "default")
            gone: list[Operation] = [
                Delete(kinds.POD, "default", pod["metadata"]["name"], DeleteOptions(grace_s=0))
                for pod in there
                if chance.below(10) < 3
            ]
            new: list[Operation] = []
            for _ in range(chance.below(6)):
                serial += 1
                doc = sized(f"p{serial}", chance.choice(("100m", "500m", "1", "1700m")))
                doc["metadata"]["namespace"] = "default"
                new.append(Create(kinds.POD, doc))
            await client.submit(chance.shuffled([*gone, *new]))
            pods = api.registry.cache.all(kinds.POD, "default")
            assert len(pods) <= 6 and cpu(pods) <= 3 * UNIT
        left = 3 * UNIT - cpu(api.registry.cache.all(kinds.POD, "default"))
        if len(api.registry.cache.all(kinds.POD, "default")) < 6 and left >= UNIT:
            await made(api, sized("last", "1"))


def cpu(pods: list[Doc]) -> int:
    requests = [pod["spec"]["containers"][0]["resources"]["requests"] for pod in pods]
    return sum(read(one)["cpu"].value for one in requests)
