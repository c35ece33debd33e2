"""Which way packets take to other machines' pods, as requests to the kernel."""

from __future__ import annotations

from typing import Any

from longshore.machinery.network.machines.plan import (
    VXLAN,
    VXLAN_INDEX,
    Neighbour,
    Surroundings,
    changed,
    forgotten,
    hardware_address,
    known_of,
    neighbour_of,
    stale,
    ways_to,
)
from longshore.machinery.network.netlink import Link, Route
from longshore.machinery.network.ranges import NodeNet

OWN = NodeNet("own", "10.0.0.5", "10.42.1.0/24")
NEAR = Neighbour("10.0.0.6", "10.42.2.0/24")
FAR = Neighbour("192.168.7.8", "10.42.3.0/24")
ETH0 = Link(2, "eth0", True, 0, mtu=9000)
PLUGGED = ((1, "127.0.0.1/8"), (1, "10.42.1.1/32"), (2, "10.0.0.5/24"))
AROUND = Surroundings((ETH0,), PLUGGED)
TUNNELLING = Surroundings((ETH0, Link(VXLAN_INDEX, VXLAN, True, 0)), PLUGGED)


def node(name: str, address: str, cidr: str) -> dict[str, Any]:
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    spec = {"podCIDR": cidr} if cidr else {}
    return {"metadata": {"name": name}, "spec": spec, "status": {"addresses": addresses}}


def whats(messages: list[Any]) -> list[str]:
    return [message.what for message in messages]


def test_a_machine_on_the_same_network_is_the_gateway_itself() -> None:
    near, far = ways_to([NEAR], OWN, AROUND)
    assert whats(near) == ["route 10.42.2.0/24 via 10.0.0.6"]
    assert far == []


def test_others_are_behind_a_tunnel_that_asks_nobody() -> None:
    near, far = ways_to([FAR], OWN, AROUND)
    assert near == []
    mac = hardware_address(FAR.pod_cidr)
    assert whats(far) == [
        f"add vxlan {VXLAN}",
        f"forward {mac} on link {VXLAN_INDEX} to 192.168.7.8",
        f"neighbour 10.42.3.1 on link {VXLAN_INDEX}",
        "route 10.42.3.0/24 via 10.42.3.1",
    ]


def test_the_tunnel_leaves_room_for_its_headers() -> None:
    assert AROUND.mtu("10.0.0.5") == 9000
    assert Surroundings((), ()).mtu("10.0.0.5") == 1500
    _, (tunnel, *_) = ways_to([FAR], OWN, AROUND)
    assert (9000 - 50).to_bytes(4, "little") in tunnel.body


def test_point_to_point_links_make_nobody_near() -> None:
    alone = Surroundings((ETH0,), ((2, "10.0.0.5/32"), (2, "10.0.0.7/31")))
    near, far = ways_to([NEAR], OWN, alone)
    assert (near, len(far)) == ([], 4)


def test_who_moved_keeps_its_route_and_who_left_loses_it() -> None:
    moved = Neighbour("10.0.0.9", NEAR.pod_cidr)
    assert whats(forgotten([NEAR], [moved], AROUND)) == []
    assert whats(forgotten([NEAR], [], AROUND)) == ["delete route 10.42.2.0/24"]
    gone = whats(forgotten([FAR], [], TUNNELLING))
    assert gone == [
        "delete route 10.42.3.0/24",
        f"forget {hardware_address(FAR.pod_cidr)} on link {VXLAN_INDEX}",
    ]


def test_routes_of_an_earlier_life_go_and_others_stay() -> None:
    routes = [
        Route("10.42.2.0/24", "10.0.0.6", 2), Route("10.42.9.0/24", "10.0.0.7", 2),
        Route("10.42.1.7/32", "", 9), Route("0.0.0.0/0", "10.0.0.1", 2),
    ]  # fmt: skip
    assert whats(stale(routes, [NEAR])) == ["delete route 10.42.9.0/24"]


def test_hardware_addresses_are_as_different_as_ranges() -> None:
    ranges = [f"10.42.{number}.0/24" for number in range(256)]
    found = {hardware_address(one) for one in ranges}
    assert len(found) == 256
    assert all(one.startswith("02:6c:") for one in found)  # locally administered, unicast


def test_who_has_no_pods_yet_is_no_neighbour() -> None:
    assert neighbour_of(node("new", "10.0.0.8", "")) is None
    known = known_of([node("own", "10.0.0.5", OWN.pod_cidr), node("a", *_of(NEAR))], "own")
    assert known == {"a": NEAR}
    assert changed(known, "b", node("b", *_of(FAR))) == {"a": NEAR, "b": FAR}
    assert changed(known, "a", None) == {}
    assert changed(known, "a", node("a", "10.0.0.6", "")) == {}


def _of(one: Neighbour) -> tuple[str, str]:
    return one.address, one.pod_cidr
