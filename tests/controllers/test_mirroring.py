"""Endpoints of Services without a selector, told as EndpointSlices too."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create
from longshore.machinery.controllers.mirroring import plan as planning

from .world import World, running

PORT = {"name": "http", "port": 8080, "protocol": "TCP"}


def service(**spec: Any) -> Doc:
    return {"metadata": {"name": "db"}, "spec": {"ports": [{"name": "http", "port": 80}], **spec}}


def endpoints(*ips: str, **metadata: Any) -> Doc:
    addresses = [{"ip": ip} for ip in ips]
    return {
        "metadata": {"name": "db", **metadata},
        "subsets": [{"addresses": addresses, "ports": [PORT]}],
    }


def mirrors(world: World) -> list[Doc]:
    found = world.cache.all(kinds.ENDPOINT_SLICE, "default")
    return sorted(filter(planning.is_ours, found), key=lambda one: one["addressType"])


async def test_what_a_person_keeps_is_mirrored_followed_and_taken_away() -> None:
    async with running() as world:
        await world.create(kinds.SERVICE, service())
        notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "told": "by a person"}
        made = endpoints("10.1.2.3", labels={"app": "db"}, annotations=notes)
        made["subsets"][0]["notReadyAddresses"] = [{"ip": "10.1.2.4", "hostname": "late"}]
        made = await world.create(kinds.ENDPOINTS, made)
        await world.quiet()
        (one,) = mirrors(world)
        assert one["metadata"]["name"].startswith("db-")
        assert one["metadata"]["labels"] == {
            "app": "db",
            "kubernetes.io/service-name": "db",
            "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
        }
        assert one["metadata"]["annotations"] == {"told": "by a person"}
        (owner,) = one["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Endpoints", made["metadata"]["uid"])
        assert (one["addressType"], one["ports"]) == ("IPv4", [PORT])
        assert one["endpoints"] == [
            {"addresses": ["10.1.2.3"], "conditions": {"ready": True}},
            {"addresses": ["10.1.2.4"], "conditions": {"ready": False}, "hostname": "late"},
        ]
        await world.patch(kinds.ENDPOINTS, "db", {"subsets": endpoints("10.1.2.5")["subsets"]})
        await world.quiet()
        (after,) = mirrors(world)
        assert after["metadata"]["name"] == one["metadata"]["name"], "changed, not made anew"
        assert [e["addresses"] for e in after["endpoints"]] == [["10.1.2.5"]]
        await world.delete(kinds.ENDPOINTS, "db")
        await world.quiet()
        assert mirrors(world) == []


async def test_families_and_ports_have_slices_of_their_own() -> None:
    async with running() as world:
        made = endpoints("10.1.2.3", "fd00::7", "10.1.2.4")
        more = {"addresses": [{"ip": "10.1.2.3"}], "ports": [{"name": "admin", "port": 9}]}
        await world.create(kinds.ENDPOINTS, {**made, "subsets": [*made["subsets"], more]})
        await world.create(kinds.SERVICE, service())
        await world.quiet()
        told = [
            (one["addressType"], [p["name"] for p in one["ports"]], len(one["endpoints"]))
            for one in mirrors(world)
        ]
        assert sorted(told) == [
            ("IPv4", ["admin"], 1),
            ("IPv4", ["http"], 2),
            ("IPv6", ["http"], 1),
        ]


async def test_a_slice_that_somebody_changes_or_deletes_is_put_right() -> None:
    async with running() as world:
        await world.create(kinds.SERVICE, service())
        await world.create(kinds.ENDPOINTS, endpoints("10.1.2.3"))
        await world.quiet()
        (one,) = mirrors(world)
        name = one["metadata"]["name"]
        await world.patch(kinds.ENDPOINT_SLICE, name, {"endpoints": []})
        await world.quiet()
        assert mirrors(world)[0]["endpoints"] == one["endpoints"]
        await world.delete(kinds.ENDPOINT_SLICE, name)
        await world.quiet()
        assert mirrors(world)[0]["endpoints"] == one["endpoints"]
        stolen = {"metadata": {"labels": {planning.MANAGED_BY: "somebody"}}}
        await world.patch(kinds.ENDPOINT_SLICE, mirrors(world)[0]["metadata"]["name"], stolen)
        await world.quiet()
        assert mirrors(world)[0]["endpoints"] == one["endpoints"], "another was made"
        assert len(world.cache.all(kinds.ENDPOINT_SLICE, "default")) == 2


async def test_some_endpoints_are_not_mirrored() -> None:
    async with running() as world:
        await world.create(kinds.ENDPOINTS, endpoints("10.1.2.3"))
        await world.quiet()
        assert mirrors(world) == [], "there is no Service"
        await world.create(kinds.SERVICE, service())
        await world.quiet()
        assert len(mirrors(world)) == 1
        for field, value in (
            ("labels", {"endpointslice.kubernetes.io/skip-mirror": "true"}),
            ("annotations", {"control-plane.alpha.kubernetes.io/leader": "{}"}),
        ):
            await world.patch(kinds.ENDPOINTS, "db", {"metadata": {field: value}})
            await world.quiet()
            assert mirrors(world) == []
            await world.patch(kinds.ENDPOINTS, "db", {"metadata": {field: dict.fromkeys(value)}})
            await world.quiet()
            assert len(mirrors(world)) == 1
        await world.patch(kinds.SERVICE, "db", {"spec": {"selector": {"app": "db"}}})
        await world.quiet()
        assert mirrors(world) == [], "now its pods are told of"
        await world.delete(kinds.SERVICE, "db")
        await world.quiet()
        assert mirrors(world) == []


async def test_more_addresses_than_a_slice_can_hold_are_told_of() -> None:
    async with running() as world:
        await world.create(kinds.SERVICE, service())
        made = endpoints(*(f"10.1.{at // 250}.{at % 250 + 1}" for at in range(1003)))
        metadata = {**made["metadata"], "namespace": "default"}
        await world.client.write(Create(kinds.ENDPOINTS, {**made, "metadata": metadata}))
        await world.quiet()
        (one,) = mirrors(world)
        assert len(one["endpoints"]) == 1000
        assert world.events("TooManyAddressesToMirror") == [
            "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. "
            "3 addresses were skipped"
        ]


IPS = st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2"])
ADDRESSES = st.lists(st.builds(lambda ip: {"ip": ip}, IPS), max_size=4)
PORTS = st.lists(
    st.sampled_from([PORT, {"name": "dns", "port": 53, "protocol": "UDP"}]),
    max_size=2,
    unique_by=lambda one: one["name"],
)
SUBSETS = st.lists(
    st.builds(
        lambda ready, late, ports: {"addresses": ready, "notReadyAddresses": late, "ports": ports},
        ADDRESSES,
        ADDRESSES,
        PORTS,
    ),
    max_size=3,
)


@given(SUBSETS, SUBSETS)
def test_every_address_is_mirrored_and_a_second_look_changes_nothing(
    before: list[Doc], after: list[Doc]
) -> None:
    slices: list[Doc] = []
    for subsets in (before, after):
        metadata = {"name": "db", "namespace": "default", "uid": "1"}
        doc = {"metadata": metadata, "subsets": subsets}
        slices = applied(planning.plan(doc, slices), slices)
        again = planning.plan(doc, slices)
        assert (again.create, again.update, again.delete) == ((), (), ())
        wanted = {
            (one["ip"], port["name"] if port else "")
            for subset in subsets
            for one in [*subset["addresses"], *subset["notReadyAddresses"]]
            for port in subset["ports"] or [None]
        }
        told = [
            (end["addresses"][0], port["name"] if port else "")
            for one in slices
            for end in one["endpoints"]
            for port in one["ports"] or [None]
        ]
        assert set(told) == wanted


def applied(plan: planning.MirrorPlan, slices: list[Doc]) -> list[Doc]:
    gone = {one["metadata"]["name"] for one in (*plan.update, *plan.delete)}
    kept = [one for one in slices if one["metadata"]["name"] not in gone]
    known = len(slices)
    made = [
        {**one, "metadata": {**one["metadata"], "name": f"db-{known + at}-{id(one)}"}}
        for at, one in enumerate(plan.create)
    ]
    return [*kept, *plan.update, *made]
