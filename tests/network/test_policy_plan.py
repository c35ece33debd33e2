"""What NetworkPolicies allow, case by case, and that a plan made bit by bit is the plan."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.base.chance import Chance
from longshore.core.objects.kinds import Doc
from longshore.machinery.network.policy import nft
from longshore.machinery.network.policy.model import key_of, pod_of
from longshore.machinery.network.policy.plan import Book

from .policies import Remembered, namespace, pod, policy, tell

# Two namespaces. web and db are what policies select; all of them run on the node that is planned.
WEB, DB, CLIENT, OTHER, GUEST = "10.42.1.2", "10.42.1.3", "10.42.2.4", "10.42.2.5", "10.42.2.6"
OUTSIDE, LAN = "203.0.113.9", "10.90.0.1"
WORLD = (
    namespace("a", team="red"),
    namespace("b", team="blue"),
    pod("web", WEB, {"app": "web"}, ports=[("http", "TCP", 8080), ("dns", "UDP", 53)]),
    pod("db", DB, {"app": "db"}, ports=[("http", "TCP", 9090)]),
    pod("client", CLIENT, {"app": "client"}),
    pod("other", OTHER, {"app": "other"}, ports=[("http", "TCP", 7070)]),
    pod("guest", GUEST, {"app": "client"}, namespace="b"),
    pod("host", LAN, {"app": "client"}, hostNetwork=True),
)
IN, OUT = ["Ingress"], ["Egress"]


def labelled(**labels: str) -> Doc:
    return {"matchLabels": labels}


def only(app: str) -> Doc:
    return {"podSelector": labelled(app=app)}


def tcp(port: int | str, **more: Any) -> Doc:
    return {"protocol": "TCP", "port": port, **more}


def web(**spec: Any) -> Doc:
    return policy("p", {"app": "web"}, **spec)


def ingress(*rules: Doc) -> Doc:
    return web(ingress=list(rules))


def egress(*rules: Doc) -> Doc:
    return web(policyTypes=OUT, egress=list(rules))


def block(cidr: str, *excepts: str) -> Doc:
    return {"ipBlock": {"cidr": cidr, **({"except": list(excepts)} if excepts else {})}}


Connection = tuple[str, str, int]
# Name, policies, connections that pass, connections that do not.
CASES: dict[str, tuple[list[Doc], list[Connection], list[Connection]]] = {
    "no policy": ([], [(CLIENT, WEB, 80), (WEB, OUTSIDE, 443), (OUTSIDE, WEB, 80)], []),
    "default deny of ingress": (
        [policy("deny", policyTypes=IN)],
        [(WEB, OUTSIDE, 1), (WEB, GUEST, 1), (WEB, WEB, 80)],
        [(CLIENT, WEB, 80), (GUEST, DB, 80), (OUTSIDE, WEB, 80), (WEB, DB, 80)],
    ),
    "absent types mean ingress": ([web()], [(WEB, DB, 1)], [(CLIENT, WEB, 80)]),
    "absent types with egress rules mean both": (
        [web(egress=[{}])], [(WEB, OUTSIDE, 1)], [(CLIENT, WEB, 80)],
    ),
    "egress rules without their type do nothing": (
        [web(policyTypes=IN, egress=[{"to": [only("db")]}], ingress=[{}])],
        [(WEB, OUTSIDE, 1), (CLIENT, WEB, 1)], [],
    ),
    "default deny of egress": (
        [policy("deny", policyTypes=OUT)],
        [(GUEST, WEB, 80), (WEB, WEB, 1), (OUTSIDE, WEB, 1)],
        [(WEB, DB, 80), (WEB, OUTSIDE, 80)],
    ),
    "an empty rule lets everybody in": (
        [ingress({})], [(CLIENT, WEB, 1), (OUTSIDE, WEB, 2)], [],
    ),
    "an empty list of peers is everybody": (
        [ingress({"from": [], "ports": [tcp(80)]})], [(OUTSIDE, WEB, 80)], [(OUTSIDE, WEB, 81)],
    ),
    "pods of the policy's own namespace": (
        [ingress({"from": [only("client")]})],
        [(CLIENT, WEB, 80)],
        [(OTHER, WEB, 80), (GUEST, WEB, 80), (OUTSIDE, WEB, 80)],
    ),
    "all pods of the own namespace": (
        [ingress({"from": [{"podSelector": {}}]})],
        [(CLIENT, WEB, 80), (OTHER, WEB, 1)], [(GUEST, WEB, 80)],
    ),
    "all pods of a namespace": (
        [ingress({"from": [{"namespaceSelector": labelled(team="blue")}]})],
        [(GUEST, WEB, 80)], [(CLIENT, WEB, 80)],
    ),
    "all pods of all namespaces are not everybody": (
        [ingress({"from": [{"namespaceSelector": {}}]})],
        [(GUEST, WEB, 80), (CLIENT, WEB, 80)], [(OUTSIDE, WEB, 80)],
    ),
    "both selectors in one peer": (
        [ingress({"from": [{"namespaceSelector": labelled(team="red"), **only("client")}]})],
        [(CLIENT, WEB, 80)], [(GUEST, WEB, 80), (OTHER, WEB, 80)],
    ),
    "two peers add up": (
        [ingress({"from": [{"namespaceSelector": labelled(team="blue")}, only("other")]})],
        [(GUEST, WEB, 80), (OTHER, WEB, 80)], [(CLIENT, WEB, 80)],
    ),
    "expressions": (
        [ingress({"from": [{"namespaceSelector": {"matchExpressions": [
            {"key": "team", "operator": "NotIn", "values": ["blue"]}]}}]})],
        [(OTHER, WEB, 80)], [(GUEST, WEB, 80)],
    ),
    "a host network's pod is no peer": (
        [ingress({"from": [only("client")]})], [(CLIENT, WEB, 80)], [(LAN, WEB, 80)],
    ),
    "a block with exceptions": (
        [ingress({"from": [block("10.42.0.0/16", "10.42.2.4/31", "10.42.9.0/24")]})],
        [(GUEST, WEB, 80), (DB, WEB, 1)], [(CLIENT, WEB, 80), (OTHER, WEB, 80), (OUTSIDE, WEB, 1)],
    ),
    "an exception binds only its own block": (
        [ingress({"from": [block("10.42.0.0/16", "10.42.2.4/31"), block("10.42.2.4/32")]})],
        [(CLIENT, WEB, 80)], [(OTHER, WEB, 80)],
    ),
    "a block of IPv6 is nobody here": (
        [ingress({"from": [block("fd00::/8")]})], [], [(CLIENT, WEB, 80), (OUTSIDE, WEB, 80)],
    ),
    "ports": (
        [ingress({"ports": [tcp(80), tcp(443)]})],
        [(CLIENT, WEB, 80), (CLIENT, WEB, 443)], [(CLIENT, WEB, 81)],
    ),
    "a range of ports": (
        [ingress({"ports": [tcp(8000, endPort=8010)]})],
        [(CLIENT, WEB, 8000), (CLIENT, WEB, 8010)], [(CLIENT, WEB, 7999), (CLIENT, WEB, 8011)],
    ),
    "a named port is that of the pod": (
        [policy("p", ingress=[{"ports": [tcp("http")]}])],
        [(CLIENT, WEB, 8080), (CLIENT, DB, 9090)], [(CLIENT, WEB, 9090), (CLIENT, DB, 8080)],
    ),
    "a named port is of its protocol": (
        [ingress({"ports": [tcp("dns")]})], [], [(CLIENT, WEB, 53)],
    ),
    "a name that the pod does not have": ([ingress({"ports": [tcp("x")]})], [], [(DB, WEB, 80)]),
    "a named port of whom it speaks to": (
        [egress({"to": [{"podSelector": {}}], "ports": [tcp("http")]})],
        [(WEB, DB, 9090), (WEB, OTHER, 7070)], [(WEB, DB, 7070), (WEB, OUTSIDE, 9090)],
    ),
    "peers and ports go together": (
        [ingress({"from": [only("client")], "ports": [tcp(80)]},
                 {"from": [only("other")], "ports": [tcp(81)]})],
        [(CLIENT, WEB, 80), (OTHER, WEB, 81)], [(CLIENT, WEB, 81), (OTHER, WEB, 80)],
    ),
    "policies add up": (
        [policy("deny", policyTypes=IN), policy("x", ingress=[{"from": [only("client")]}]),
         policy("y", {"app": "web"}, ingress=[{"from": [block("203.0.113.0/24")]}])],
        [(CLIENT, WEB, 80), (CLIENT, DB, 80), (OUTSIDE, WEB, 80)], [(OUTSIDE, DB, 80)],
    ),
    "a policy of another namespace": (
        [policy("deny", namespace="b", policyTypes=IN)], [(CLIENT, WEB, 80)], [(WEB, GUEST, 80)],
    ),
    "egress to a pod": (
        [egress({"to": [only("db")]})], [(WEB, DB, 80)], [(WEB, CLIENT, 80), (WEB, OUTSIDE, 80)],
    ),
    "egress to addresses": (
        [egress({"to": [block("203.0.113.0/24")], "ports": [tcp(443)]})],
        [(WEB, OUTSIDE, 443)], [(WEB, OUTSIDE, 80), (WEB, DB, 443)],
    ),
    "both sides are asked": (
        [policy("out", {"app": "web"}, policyTypes=OUT, egress=[{"to": [only("db")]}]),
         policy("in", {"app": "db"}, ingress=[{"from": [only("client")]}])],
        [(CLIENT, DB, 80)], [(WEB, DB, 80)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_who_may_speak_to_whom(name: str) -> None:
    policies, passing, refused = CASES[name]
    book, kernel = Book(), Remembered()
    tell(book, *WORLD, *policies, here=("web", "db", "guest"))
    kernel.take(book.take())
    for source, target, port in passing:
        assert kernel.passes(source, target, port), (source, target, port)
    for source, target, port in refused:
        assert not kernel.passes(source, target, port), (source, target, port)


@pytest.mark.parametrize(
    ("port", "passing", "refused"),
    [
        ({"protocol": "UDP", "port": 53}, [("udp", 53)], [("tcp", 53), ("udp", 54), ("icmp", 0)]),
        ({"protocol": "UDP"}, [("udp", 1), ("udp", 65535)], [("tcp", 1), ("icmp", 0)]),
        ({"port": 80}, [("tcp", 80)], [("udp", 80), ("sctp", 80)]),
        ({"protocol": "SCTP", "port": 9}, [("sctp", 9)], [("tcp", 9), ("udp", 9)]),
    ],
)  # fmt: skip
def test_protocols(
    port: Doc, passing: list[tuple[str, int]], refused: list[tuple[str, int]]
) -> None:
    book, kernel = Book(), Remembered()
    tell(book, *WORLD, ingress({"ports": [port]}), here=("web",))
    kernel.take(book.take())
    assert all(kernel.passes(CLIENT, WEB, number, kind) for kind, number in passing)
    assert not any(kernel.passes(CLIENT, WEB, number, kind) for kind, number in refused)


def test_a_pod_that_is_over_or_has_no_address_is_no_peer() -> None:
    for status in ({"phase": "Succeeded", "podIP": "10.42.1.9"}, {"phase": "Pending"},
                   {"phase": "Running", "podIP": "10.42.1.9 }; flush ruleset"}):  # fmt: skip
        assert pod_of({**pod("x", ""), "status": status}).ip == ""


def test_pods_of_other_nodes_are_asked_for_only_where_something_depends_on_them() -> None:
    book = Book()
    tell(book, *WORLD, ingress({"from": [only("client")]}), policy("deny"))
    assert not book.settle()
    assert not book.names_pods
    tell(book, pod("db", DB, {"app": "db"}), here=("db",))
    assert book.settle()
    assert not book.names_pods, "nobody is named by what selects db"
    tell(book, pod("web", WEB, {"app": "web"}), here=("web",))
    assert book.settle()
    assert book.names_pods


def test_however_many_ports_and_blocks_a_packet_is_looked_up_once() -> None:
    book = Book()
    blocks = ["10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8", "192.0.2.7/32", "0.0.0.0/32"]
    ports = [tcp(80), tcp(81, endPort=90), tcp(85, endPort=99), tcp(443), {"protocol": "UDP"}]
    some = [block("10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/16", "10.5.0.0/16")]
    rule = {"from": [*map(block, blocks), *some], "ports": ports}
    tell(book, *WORLD, ingress(rule), here=("web",))
    lines = nft.Table().transaction(book.take()).splitlines()
    assert [line.split(" ", 5)[5] for line in lines if line.startswith("add rule")] == [
        "ct original ip saddr { 10.0.0.0-10.1.255.255, 10.5.0.0-10.5.255.255 } return",
        "ct original ip saddr 10.0.0.0/8 accept",
        "ct original ip saddr { 0.0.0.0, 10.0.0.0-11.255.255.255, 192.0.2.7 } accept",
        "jump block/1",
        "meta l4proto tcp ct reply proto-src { 80-99, 443 } jump peers/2",
        "meta l4proto udp jump peers/2",
        "drop",
    ]


def test_an_address_that_changes_hands_is_the_newest_pod_s() -> None:
    book, kernel = Book(), Remembered()
    tell(book, ingress(), pod("web", WEB, {"app": "web"}), here=("web",))
    kernel.take(book.take())
    assert not kernel.passes(CLIENT, WEB, 80)
    book.put_local(pod_of(pod("next", WEB, {"app": "x"}), WEB), "next")
    kernel.take(book.take())
    assert kernel.passes(CLIENT, WEB, 80)
    book.drop_local("a-web")
    assert not book.take(), "what the old pod leaves is no longer its own"


def test_a_pod_of_which_only_its_address_is_known_speaks_to_nobody() -> None:
    """Left by an earlier life of the agent; a pod that is gone from the API stays so."""
    book, kernel = Book(), Remembered()
    for uid, ip in (("a-web", WEB), ("a-gone", "10.42.1.99")):
        book.adopt(uid, ip)
    tell(book, *WORLD[:2], policy("x", {"app": "x"}))
    kernel.take(book.take())
    assert not kernel.passes(WEB, OUTSIDE, 1)
    assert not kernel.passes(OUTSIDE, WEB, 1)
    tell(book, pod("web", WEB, {"app": "web"}))
    kernel.take(book.take())
    assert kernel.passes(WEB, OUTSIDE, 1)
    assert not kernel.passes(WEB, "10.42.1.99", 1)


# --- bit by bit ---

APPS, TEAMS, NAMESPACES = ("web", "db", "client"), ("red", "blue"), ("a", "b", "c")


class World:
    """A cluster in which anything may change, from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance.seeded(seed)
        self.docs: dict[tuple[str, str, str], Doc] = {}
        self.here: set[str] = set()

    def step(self, book: Book) -> None:
        change = self.chance.choice((self.a_pod, self.a_pod, self.a_namespace, self.a_policy))
        doc, old = change(), None
        key = (doc["kind"], *key_of(doc))
        old = self.docs.pop(key, None)
        if old is not None and self.chance.uniform(0, 1) < 0.4:
            self._gone(book, old)
            return
        self.docs[key] = doc
        tell(book, doc, here=self.here)

    def _gone(self, book: Book, doc: Doc) -> None:
        match doc["kind"]:
            case "Pod":
                book.put_pod(key_of(doc), None)
                if doc["metadata"]["name"] in self.here:
                    book.drop_local(doc["metadata"]["uid"])
            case "Namespace":
                book.members.put_namespace(doc["metadata"]["name"], None)
            case "NetworkPolicy":
                book.put_policy(key_of(doc), None)

    def anew(self) -> Book:
        book = Book()
        tell(book, *self.docs.values(), here=self.here)
        return book

    def a_pod(self) -> Doc:
        number = self.chance.below(24)
        name, place = f"pod{number}", NAMESPACES[number % 3]
        if number < 8:
            self.here.add(name)
        labels = {"app": self.chance.choice(APPS), "tier": self.chance.choice("xy")}
        ports = [("http", "TCP", self.chance.choice((80, 8080)))]
        return pod(name, f"10.42.1.{number + 2}", labels, namespace=place, ports=ports)

    def a_namespace(self) -> Doc:
        return namespace(self.chance.choice(NAMESPACES), team=self.chance.choice(TEAMS))

    def a_policy(self) -> Doc:
        number = self.chance.below(9)
        fields = {"ingress": "from", "egress": "to"}
        rules = {
            field: [self._rule(peers) for _ in range(self.chance.below(3))]
            for field, peers in fields.items()
        }
        types = self.chance.choice((IN, OUT, [*IN, *OUT], []))
        selected = self.chance.choice(({}, {"app": self.chance.choice(APPS)}))
        return policy(
            f"p{number}", selected, namespace=NAMESPACES[number % 3], policyTypes=types, **rules
        )

    def _rule(self, peers: str) -> Doc:
        rule: Doc = {}
        if self.chance.uniform(0, 1) < 0.7:
            rule[peers] = [self._peer() for _ in range(1 + self.chance.below(3))]
        if self.chance.uniform(0, 1) < 0.5:
            rule["ports"] = [self.chance.choice((tcp(80), tcp("http")))]
        return rule

    def _peer(self) -> Doc:
        match self.chance.below(4):
            case 0:
                return only(self.chance.choice(APPS))
            case 1:
                return {"namespaceSelector": labelled(team=self.chance.choice(TEAMS))}
            case 2:
                tier = labelled(tier=self.chance.choice("xy"))
                return {"namespaceSelector": {}, "podSelector": tier}
        return block("10.42.0.0/16", "10.42.1.0/28")


@pytest.mark.parametrize("seed", range(12))
def test_a_plan_made_bit_by_bit_is_the_plan_made_anew(seed: int) -> None:
    world, book, kernel = World(seed), Book(), Remembered()
    seen = 0
    for turn in range(300):
        for _ in range(1 + world.chance.below(3)):
            world.step(book)
        if world.chance.uniform(0, 1) < 0.3:
            book.settle()
        kernel.take(book.take())
        if turn % 5:
            continue
        whole = Remembered()
        whole.take(world.anew().whole())
        assert (kernel.sides, kernel.groups) == (whole.sides, whole.groups), f"seed {seed}"
        again = Remembered()
        again.take(book.whole())
        assert (again.sides, again.groups) == (whole.sides, whole.groups), f"seed {seed}"
        seen += len(whole.sides) + len(whole.groups)
    assert seen > 100, "the test saw next to nothing"


def test_pods_of_one_kind_share_their_rules() -> None:
    book, table = Book(), nft.Table()
    pods = [pod(f"w{n}", f"10.42.1.{n}", {"app": "web"}) for n in range(2, 102)]
    tell(book, *WORLD[:2], *pods, here=[f"w{n}" for n in range(2, 102)])
    tell(book, ingress({"from": [only("client")], "ports": [tcp(80), tcp(443)]}))
    text = table.transaction(book.take())
    assert text.count("add chain") == 2
    assert text.count("add set") == 1
    assert text.count("jump side/") == 100
    tell(book, pod("client", CLIENT, {"app": "client"}))
    assert table.transaction(book.take()) == (
        f"add element ip longshore-policy pods/1 {{ {CLIENT} }}\n"
    )
