"""What the loops of a cluster do for one tenant touches no other: owners, budgets, selectors, names."""

from __future__ import annotations

from collections.abc import AsyncIterator

import dns.message
import pytest

from longshore.base.addresses import CLUSTER_DOMAIN, SERVICE_RANGE
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Delete, DeleteOptions
from longshore.machinery.kubelet.containers.environment import service_env
from longshore.machinery.network.dns import codec
from longshore.machinery.network.dns.plan import Outcome, Zone, plan_names
from tests.access.tenants import BLUE, CORE, RED, as_admin, tenants
from tests.controllers.world import World, deployment, running
from tests.permission.rig import made

OURS = "default"
"""The namespace that is attacked, from RED."""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as one:
        await one.create(kinds.NAMESPACE, {"metadata": {"name": RED}})
        yield one


def depending_on(owner: Doc, *finalizers: str) -> Doc:
    ref = {
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": True, "controller": True,
    }  # fmt: skip
    metadata = {"name": "sly", "ownerReferences": [ref], "finalizers": list(finalizers)}
    return {"metadata": metadata}


async def test_nobody_holds_up_the_end_of_what_is_anothers(world: World) -> None:
    """A foreground deletion waits for dependents; those of another namespace are none, though they
    say so and do not go."""
    owner = await world.create(kinds.CONFIG_MAP, {"metadata": {"name": "owner"}})
    await world.create(kinds.CONFIG_MAP, depending_on(owner, "example.com/never"), RED)
    await world.delete(kinds.CONFIG_MAP, "owner", propagation="Foreground")
    await world.quiet()
    assert world.missing(kinds.CONFIG_MAP, "owner")


async def test_an_owner_elsewhere_is_none(world: World) -> None:
    """As upstream: the dependent goes, as it would if there were no such object; the owner stays."""
    owner = await world.create(kinds.CONFIG_MAP, {"metadata": {"name": "owner"}})
    await world.create(kinds.CONFIG_MAP, depending_on(owner), RED)
    await world.quiet()
    assert world.cache.get(kinds.CONFIG_MAP, RED, "sly") is None
    assert not world.missing(kinds.CONFIG_MAP, "owner")


async def test_orphaning_lets_go_of_ones_own_alone(world: World) -> None:
    owner = await world.create(kinds.CONFIG_MAP, {"metadata": {"name": "owner"}})
    kept = depending_on(owner, "example.com/never")
    await world.create(kinds.CONFIG_MAP, kept, RED)
    await world.create(kinds.CONFIG_MAP, kept)
    await world.delete(kinds.CONFIG_MAP, "owner", propagation="Orphan")
    await world.quiet()
    assert world.missing(kinds.CONFIG_MAP, "owner")
    assert not world.get(kinds.CONFIG_MAP, "sly")["metadata"].get("ownerReferences")
    assert world.get(kinds.CONFIG_MAP, "sly", RED)["metadata"]["ownerReferences"]


async def test_selectors_choose_pods_of_their_own_namespace(world: World) -> None:
    """Neither a Deployment nor a Service of the same labels takes another tenant's pods."""
    service = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    for namespace, replicas in ((OURS, 2), (RED, 1)):
        await world.create(kinds.DEPLOYMENT, deployment(replicas=replicas), namespace)
        await world.create(kinds.SERVICE, service, namespace)
    await world.play()
    assert len(world.pods()) == 2 and len(world.cache.all(kinds.POD, RED)) == 1
    theirs = {pod["status"]["podIP"] for pod in world.cache.all(kinds.POD, RED)}
    reached = {
        address
        for one in world.cache.all(kinds.ENDPOINT_SLICE, RED)
        for endpoint in one["endpoints"]
        for address in endpoint["addresses"]
    }
    assert reached == theirs
    gone = Delete(kinds.DEPLOYMENT, RED, "web", DeleteOptions())
    await world.client.write(gone)
    await world.play()
    assert len(world.pods()) == 2 and world.cache.all(kinds.POD, RED) == []


async def test_a_budget_spares_no_pods_of_others() -> None:
    async with tenants() as (ask, _):
        everything = {"metadata": {"name": "all"}, "spec": {"minAvailable": "100%", "selector": {}}}
        await made(ask, f"/apis/policy/v1/namespaces/{RED}/poddisruptionbudgets", everything)
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction"}
        budgets = f"/apis/policy/v1/namespaces/{BLUE}/poddisruptionbudgets"
        assert (await as_admin(ask, "DELETE", budgets)).status == 200
        for namespace, name, status in ((RED, "mine", 429), ("zoo", "canary-7d1f", 201)):
            body = {**eviction, "metadata": {"name": name}}
            path = f"{CORE}/{namespace}/pods/{name}/eviction"
            assert (await as_admin(ask, "POST", path, body)).status == status


# --- names ---


def service(name: str, namespace: str, address: str) -> Doc:
    spec = {"clusterIP": address, "ports": [{"name": "http", "port": 80}], "type": "ClusterIP"}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


SERVICES = [service("shop", RED, "10.96.1.1"), service("vault", BLUE, "10.96.1.2")]


def test_variables_tell_of_services_of_ones_own_namespace() -> None:
    pod = {"metadata": {"name": "p", "namespace": RED}, "spec": {}}
    variables = service_env(pod, SERVICES)
    assert variables["SHOP_SERVICE_HOST"] == "10.96.1.1"
    assert not any("VAULT" in name for name in variables)


@pytest.mark.parametrize("type_", ["AXFR", "IXFR", "ANY", "NS", "SOA", "TXT", "NSEC"])
@pytest.mark.parametrize("below", ["", "svc.", f"{BLUE}.svc.", f"*.{BLUE}.svc.", "*.svc."])
def test_names_of_services_cannot_be_listed(below: str, type_: str) -> None:
    """Who knows a name finds it, as in every cluster; no question answers with names."""
    zone = Zone(CLUSTER_DOMAIN, [SERVICE_RANGE])
    for doc in SERVICES:
        metadata = doc["metadata"]
        zone.put((metadata["namespace"], metadata["name"]), plan_names(doc, [], CLUSTER_DOMAIN))
    found = zone.lookup(f"vault.{BLUE}.svc.{CLUSTER_DOMAIN}", "A")
    assert found.outcome is Outcome.FOUND
    wire = dns.message.make_query(f"{below}{CLUSTER_DOMAIN}.", type_).to_wire()
    question = codec.parse(wire)
    if isinstance(question, codec.Question):
        answer = zone.lookup(question.name, question.type)
        assert answer.records == () and answer.additional == ()
