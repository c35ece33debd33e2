"""Which rules a Service needs, and which of them change: by value, without a kernel."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from longshore.base.addresses import DNS_ADDRESS
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Change
from longshore.machinery.network.ranges import node_net
from longshore.machinery.network.services.book import Book, Delta
from longshore.machinery.network.services.nft import transaction
from longshore.machinery.network.services.plan import Front, Rule, ServicePlan, plan_service
from longshore.machinery.network.table import Key, ServiceTable, endpoints

from .network_world import endpoint, endpoint_slice, service, site

SITE = site(node_net("node-1", 1))


def planned(doc: Doc, *slices: Doc) -> ServicePlan:
    return plan_service(doc, slices, SITE)


def one(doc: Doc, *slices: Doc) -> Rule:
    (rule,) = planned(doc, *slices).rules
    return rule


def test_a_cluster_ip_leads_to_the_ready_endpoints() -> None:
    down = endpoint("10.42.1.9", conditions={"ready": False})
    unsaid = endpoint("10.42.1.7", conditions={})
    slices = endpoint_slice("web", endpoint("10.42.2.5"), down, unsaid, port=8080)
    assert one(service(), slices) == Rule(
        name="svc/default/web/tcp/80",
        protocol="tcp",
        fronts=(Front("services", "10.96.0.50 . tcp . 80"),),
        targets=(("10.42.1.7", 8080), ("10.42.2.5", 8080)),
    )


def test_endpoints_that_end_serve_only_if_there_is_no_other() -> None:
    ending = {"ready": False, "serving": True, "terminating": True}
    old = endpoint("10.42.1.5", conditions=ending)
    assert one(service(), endpoint_slice("web", old)).targets == (("10.42.1.5", 80),)
    both = endpoint_slice("web", old, endpoint("10.42.1.6"))
    assert one(service(), both).targets == (("10.42.1.6", 80),)


def test_ports_are_matched_by_name_and_protocol() -> None:
    ports = [
        {"name": "a", "protocol": "TCP", "port": 1},
        {"name": "b", "protocol": "UDP", "port": 1},
        {"name": "c", "protocol": "SCTP", "port": 2},
    ]
    slices = [
        endpoint_slice("web", endpoint("10.42.1.5"), port=11, port_name="a"),
        endpoint_slice("web", endpoint("10.42.1.6"), port=12, port_name="b", protocol="UDP"),
    ]
    plan = planned(service(ports=ports), *slices)
    assert {rule.name: rule.targets for rule in plan.rules} == {
        "svc/default/web/tcp/1": (("10.42.1.5", 11),),
        "svc/default/web/udp/1": (("10.42.1.6", 12),),
    }
    assert plan.notes == ("port 2/SCTP is not routed: only TCP and UDP",)


def test_every_front_of_a_load_balancer() -> None:
    doc = service(
        type="LoadBalancer",
        ports=[{"port": 80, "nodePort": 30080}],
        externalIPs=["192.0.2.7"],
        externalTrafficPolicy="Local",
    )
    doc["status"] = {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}, {"ip": "192.0.2.8"}]}}
    plan = planned(doc)
    assert plan.rules[0].fronts == (
        Front("services", "10.96.0.50 . tcp . 80"),
        Front("nodeports", "tcp . 30080"),
        Front("services", "192.0.2.7 . tcp . 80"),
        Front("services", "192.0.2.8 . tcp . 80"),
    )
    assert plan.notes == (
        "externalTrafficPolicy Local is treated as Cluster: "
        "traffic may cross nodes and the client's address is not kept",
    )


def test_internal_traffic_stays_on_the_node_if_so_wished() -> None:
    doc = service(
        type="NodePort",
        internalTrafficPolicy="Local",
        ports=[{"name": "http", "port": 80, "nodePort": 30080}],
    )
    slices = endpoint_slice(
        "web", endpoint("10.42.1.5", nodeName="node-1"), endpoint("10.42.2.5", nodeName="node-2")
    )
    inner, outer = planned(doc, slices).rules
    assert (inner.name, inner.targets) == ("local/default/web/tcp/80", (("10.42.1.5", 80),))
    assert outer.fronts == (Front("nodeports", "tcp . 30080"),)
    assert len(outer.targets) == 2


def test_services_without_an_address_of_their_own_have_no_rules() -> None:
    for doc in (
        service(ip="None"),
        service(ip=""),
        service(ip=DNS_ADDRESS),
        service(type="ExternalName", ip="", externalName="example.org"),
    ):
        assert planned(doc, endpoint_slice("web", endpoint("10.42.1.5"))) == ServicePlan()


def test_what_is_not_an_address_never_becomes_a_rule() -> None:
    evil = "10.0.0.1 } ; flush ruleset"
    doc = service(externalIPs=[evil], ports=[{"name": "http", "port": 80}])
    slices = endpoint_slice("web", endpoint(evil), {"addresses": []}, endpoint("fe80::1"))
    rule = one(doc, slices)
    assert rule.targets == ()
    assert len(rule.fronts) == 1


def test_affinity_lasts_three_hours_unless_told_otherwise() -> None:
    assert one(service(sessionAffinity="ClientIP")).affinity_s == 10_800
    config = {"clientIP": {"timeoutSeconds": 60}}
    told = service(sessionAffinity="ClientIP", sessionAffinityConfig=config)
    assert one(told).affinity_s == 60


def test_the_table_tells_whom_a_change_touches() -> None:
    table = ServiceTable()
    web, slices = service(), endpoint_slice("web", endpoint("10.42.1.5"))
    assert table.services.replace([web]) == {("default", "web")}
    assert table.services.replace([web]) == set()
    assert table.apply_slices([Change("ADDED", slices)]) == {("default", "web")}
    assert [e.ip for e in endpoints(table.slices(("default", "web")))] == ["10.42.1.5"]
    moved: dict[str, Any] = endpoint_slice("other")
    moved["metadata"]["name"] = slices["metadata"]["name"]
    assert table.apply_slices([Change("MODIFIED", moved)]) == {
        ("default", "web"), ("default", "other"),
    }  # fmt: skip
    assert table.slices(("default", "web")) == []
    assert table.replace_slices([]) == {("default", "other")}


FRONTS = [Front("services", f"10.96.0.{n} . tcp . 80") for n in range(4)]
RULES = st.builds(
    Rule,
    name=st.just(""),
    protocol=st.just("tcp"),
    fronts=st.sets(st.sampled_from(FRONTS), min_size=1).map(lambda fronts: tuple(sorted(fronts))),
    targets=st.sets(st.sampled_from([("10.42.1.2", 80), ("10.42.1.3", 80)])).map(
        lambda targets: tuple(sorted(targets))
    ),
    affinity_s=st.sampled_from([0, 0, 60]),
)
UPDATES = st.dictionaries(st.sampled_from("abcd"), st.none() | RULES, min_size=1).map(
    lambda update: {("default", name): rule for name, rule in update.items()}
)


def body(rule: Rule | None) -> object:
    """What of a rule lies in its chain; its fronts lie in the maps."""
    return rule and (rule.name, rule.targets, rule.affinity_s)


class Kernel:
    """What nftables would hold; it refuses what nftables would refuse."""

    def __init__(self) -> None:
        self.chains: dict[str, Rule] = {}
        self.entries: dict[Front, str] = {}

    def run(self, delta: Delta) -> None:
        for front, name in delta.unlink:
            assert self.entries.pop(front) == name
        for swap in delta.swaps:
            assert body(self.chains.get(swap.name)) == body(swap.old)
            if swap.new is None:
                assert swap.name not in self.entries.values(), "a chain that is in use"
                del self.chains[swap.name]
            else:
                self.chains[swap.name] = swap.new
        for front, name in delta.link:
            assert front not in self.entries, "an entry that is there"
            assert name in self.chains, "an entry to nowhere"
            self.entries[front] = name


@given(st.lists(UPDATES, max_size=12))
def test_deltas_lead_to_what_a_fresh_start_would_make(steps: list[dict[Key, Rule | None]]) -> None:
    book, kernel = Book(), Kernel()
    now: dict[Key, Rule] = {}
    for step in steps:
        named = {
            key: Rule(f"svc/{key[1]}", r.protocol, r.fronts, r.targets, r.affinity_s) if r else None
            for key, r in step.items()
        }
        kernel.run(book.change({key: [rule] if rule else [] for key, rule in named.items()}))
        now = {k: r for k, r in (now | named).items() if r}
        fresh = Kernel()
        fresh.run(book.whole())
        assert fresh.entries == kernel.entries
        assert {front for rule in now.values() for front in rule.fronts} == set(kernel.entries)
        held = {name: (rule.targets, rule.affinity_s) for name, rule in kernel.chains.items()}
        assert held == {rule.name: (rule.targets, rule.affinity_s) for rule in now.values()}


def test_a_change_of_one_endpoint_is_two_commands() -> None:
    book = Book()
    front = (FRONTS[0],)
    book.change({("d", "a"): [Rule("svc/a", "tcp", front, (("10.42.1.2", 80),))]})
    delta = book.change({("d", "a"): [Rule("svc/a", "tcp", front, (("10.42.1.3", 80),))]})
    assert transaction(delta).splitlines() == [
        "flush chain ip longshore svc/a",
        "add rule ip longshore svc/a meta l4proto tcp dnat to 10.42.1.3:80",
    ]
    assert not book.change({("d", "a"): [Rule("svc/a", "tcp", front, (("10.42.1.3", 80),))]})
