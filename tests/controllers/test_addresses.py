"""IPAddresses are there for the addresses of Services, and the range that they are of is ready."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.addresses.plan import parent_of, plan

from .world import World, running

_ADDRESS = "10.43.0.77"
_PORTS = [{"port": 80}]


def service(name: str, **spec: object) -> Doc:
    return {"metadata": {"name": name}, "spec": {"ports": _PORTS, **spec}}


def addresses(world: World) -> dict[str, tuple[str, str] | None]:
    return {one["metadata"]["name"]: parent_of(one) for one in world.cache.all(kinds.IP_ADDRESS)}


async def test_an_address_comes_and_goes_with_its_service() -> None:
    async with running(nodes=0) as world:
        made = await world.create(kinds.SERVICE, service("web"))
        await world.create(kinds.SERVICE, service("headless", clusterIP="None"))
        await world.quiet()
        address = made["spec"]["clusterIP"]
        assert addresses(world) == {address: ("default", "web")}
        there = world.get(kinds.IP_ADDRESS, address)
        assert there["metadata"]["labels"] == {
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }
        await world.delete(kinds.SERVICE, "web")
        await world.quiet()
        assert addresses(world) == {}


async def test_what_is_deleted_under_a_service_comes_back() -> None:
    async with running(nodes=0) as world:
        made = await world.create(kinds.SERVICE, service("web"))
        await world.quiet()
        await world.delete(kinds.IP_ADDRESS, made["spec"]["clusterIP"])
        await world.quiet()
        assert addresses(world) == {made["spec"]["clusterIP"]: ("default", "web")}


async def test_an_address_changes_hands() -> None:
    async with running(nodes=0) as world:
        first = await world.create(kinds.SERVICE, service("first"))
        await world.quiet()
        address = first["spec"]["clusterIP"]
        await world.delete(kinds.SERVICE, "first")
        await world.create(kinds.SERVICE, service("second", clusterIP=address))
        await world.quiet()
        assert addresses(world) == {address: ("default", "second")}


async def test_addresses_of_others_are_left_alone() -> None:
    async with running(nodes=0) as world:
        parent = {"group": "example.com", "resource": "gateways", "name": "g", "namespace": "a"}
        mine = {"metadata": {"name": "192.0.2.7"}, "spec": {"parentRef": parent}}
        await world.create(kinds.IP_ADDRESS, mine)
        await world.quiet()
        assert addresses(world) == {"192.0.2.7": None}


async def test_the_default_range_is_ready_and_protected_and_others_are_not_used() -> None:
    async with running(nodes=0) as world:

        def ready(name: str) -> tuple[str, str]:
            (told,) = world.get(kinds.SERVICE_CIDR, name)["status"]["conditions"]
            assert told["type"] == "Ready"
            return told["status"], told["reason"]

        for name, block in (("kubernetes", "10.43.0.0/16"), ("other", "192.0.2.0/24")):
            await world.create(
                kinds.SERVICE_CIDR, {"metadata": {"name": name}, "spec": {"cidrs": [block]}}
            )
        await world.quiet()
        assert ready("kubernetes") == ("True", "")
        assert ready("other") == ("False", "NotSupported")
        for name in ("other", "kubernetes"):
            await world.delete(kinds.SERVICE_CIDR, name)
        await world.quiet()
        assert world.missing(kinds.SERVICE_CIDR, "other")
        assert ready("kubernetes") == ("False", "Terminating")


def test_who_held_an_address_does_not_delete_the_next_ones() -> None:
    new = plan(_ADDRESS, ("a", "new"), service("new", clusterIP=_ADDRESS), None).create
    assert new is not None
    assert plan(_ADDRESS, ("a", "old"), None, new) == plan(_ADDRESS, ("a", "old"), None, None)
    assert plan(_ADDRESS, ("a", "new"), service("new"), new).delete is new
