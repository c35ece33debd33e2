"""Names of a cluster: which there are, how they are answered on the wire, and a server's manners."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.base.addresses import POD_RANGE, SERVICE_RANGE
from longshore.base.clock import SystemClock
from longshore.core.objects.kinds import ENDPOINT_SLICE, SERVICE, Doc
from longshore.machinery.network.dns import codec
from longshore.machinery.network.dns.plan import Names, Outcome, Zone, plan_names
from longshore.machinery.network.dns.run import NameServer
from longshore.machinery.network.follow import ServiceWatch

from .network_world import HandCluster, endpoint, endpoint_slice, service

DOMAIN = "cluster.local"


def zone(*services: tuple[Doc, list[Doc]]) -> Zone:
    made = Zone(DOMAIN, (SERVICE_RANGE, POD_RANGE))
    for doc, slices in services:
        key = (doc["metadata"]["namespace"], doc["metadata"]["name"])
        made.put(key, plan_names(doc, slices, DOMAIN))
    return made


def web() -> Zone:
    db = endpoint_slice(
        "db",
        endpoint("10.42.1.5", hostname="db-0"),
        endpoint("10.42.2.6"),
        endpoint("10.42.2.9", conditions={"ready": False}),
        port=5432,
        port_name="sql",
    )
    sql = [{"name": "sql", "port": 5432, "protocol": "TCP"}]
    return zone(
        (service(), []),
        (service("db", ip="None", ports=sql), [db]),
        (service("out", ip="", type="ExternalName", externalName="Example.org."), []),
        (service("near", ip="", type="ExternalName", externalName="web.default.svc.cluster.local"), []),
        (service("loop", ip="", type="ExternalName", externalName="loop.default.svc.cluster.local"), []),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "type_", "outcome", "data"),
    [
        ("web.default.svc", "A", Outcome.FOUND, ["10.96.0.50"]),
        ("web.default.svc", "AAAA", Outcome.EMPTY, []),
        ("_http._tcp.web.default.svc", "SRV", Outcome.FOUND, ["0 100 80 web.default.svc.cluster.local."]),
        ("_http._tcp.web.default.svc", "A", Outcome.EMPTY, []),
        ("_tcp.web.default.svc", "SRV", Outcome.EMPTY, []),
        ("_no._tcp.web.default.svc", "SRV", Outcome.UNKNOWN, []),
        ("db.default.svc", "A", Outcome.FOUND, ["10.42.1.5", "10.42.2.6"]),
        ("db-0.db.default.svc", "A", Outcome.FOUND, ["10.42.1.5"]),
        ("10-42-2-6.db.default.svc", "A", Outcome.FOUND, ["10.42.2.6"]),
        ("10-42-2-9.db.default.svc", "A", Outcome.UNKNOWN, []),
        ("_sql._tcp.db.default.svc", "SRV", Outcome.FOUND, [
            "0 50 5432 10-42-2-6.db.default.svc.cluster.local.",
            "0 50 5432 db-0.db.default.svc.cluster.local.",
        ]),
        ("out.default.svc", "A", Outcome.FOUND, ["example.org."]),
        ("out.default.svc", "CNAME", Outcome.FOUND, ["example.org."]),
        ("x.out.default.svc", "A", Outcome.UNKNOWN, []),
        ("near.default.svc", "A", Outcome.FOUND, ["web.default.svc.cluster.local.", "10.96.0.50"]),
        ("10-42-9-9.default.pod", "A", Outcome.FOUND, ["10.42.9.9"]),
        ("10-42-9-999.default.pod", "A", Outcome.UNKNOWN, []),
        ("default.svc", "A", Outcome.EMPTY, []),
        ("other.svc", "A", Outcome.UNKNOWN, []),
        ("svc", "A", Outcome.EMPTY, []),
        ("no.default.svc", "A", Outcome.UNKNOWN, []),
        ("example.org.default.svc", "A", Outcome.UNKNOWN, []),
        ("elsewhere", "A", Outcome.UNKNOWN, []),
    ],
)  # fmt: skip
def test_the_schema(name: str, type_: str, outcome: Outcome, data: list[str]) -> None:
    answer = web().lookup(f"{name}.{DOMAIN}", type_)
    assert (answer.outcome, [record.data for record in answer.records]) == (outcome, data)


def test_srv_brings_the_addresses_along() -> None:
    answer = web().lookup(f"_sql._tcp.db.default.svc.{DOMAIN}", "SRV")
    assert [(r.name, r.data) for r in answer.additional] == [
        (f"10-42-2-6.db.default.svc.{DOMAIN}", "10.42.2.6"),
        (f"db-0.db.default.svc.{DOMAIN}", "10.42.1.5"),
    ]


@pytest.mark.parametrize(
    ("name", "outcome", "data"),
    [
        ("50.0.96.10.in-addr.arpa", Outcome.FOUND, ["web.default.svc.cluster.local."]),
        ("5.1.42.10.in-addr.arpa", Outcome.FOUND, ["db-0.db.default.svc.cluster.local."]),
        ("77.1.42.10.in-addr.arpa", Outcome.UNKNOWN, []),
        ("8.8.8.8.in-addr.arpa", Outcome.ELSEWHERE, []),
        ("nonsense.in-addr.arpa", Outcome.ELSEWHERE, []),
        ("example.org", Outcome.ELSEWHERE, []),
    ],
)
def test_reverse_and_foreign_names(name: str, outcome: Outcome, data: list[str]) -> None:
    answer = web().lookup(name, "PTR")
    assert (answer.outcome, [record.data for record in answer.records]) == (outcome, data)


def test_an_alias_of_itself_comes_to_an_end() -> None:
    assert len(web().lookup(f"loop.default.svc.{DOMAIN}", "A").records) == 9


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "10.96.0.1", "10.96.0.2"]))))
def test_a_zone_forgets_all_of_a_service(steps: list[tuple[str, str]]) -> None:
    kept, now = Zone(DOMAIN, (SERVICE_RANGE,)), dict[str, str]()
    for name, ip in steps:
        full = f"{name}.ns.svc.{DOMAIN}"
        kept.put(("ns", name), Names({"": (ip,)}, {}, {ip: full}) if ip else None)
        now[name] = ip
    live = {name: ip for name, ip in now.items() if ip}
    assert (kept.lookup(f"ns.svc.{DOMAIN}", "A").outcome is Outcome.EMPTY) == bool(live)
    for name in "ab":
        found = [record.data for record in kept.lookup(f"{name}.ns.svc.{DOMAIN}", "A").records]
        assert found == ([live[name]] if name in live else [])
    for ip in ("10.96.0.1", "10.96.0.2"):
        reverse = ".".join(reversed(ip.split("."))) + ".in-addr.arpa"
        owners = {record.data for record in kept.lookup(reverse, "PTR").records}
        assert owners == {f"{name}.ns.svc.{DOMAIN}." for name, at in live.items() if at == ip}


@given(st.binary(max_size=80))
def test_no_bytes_are_too_odd(wire: bytes) -> None:
    server = NameServer(ServiceWatch(HandCluster(), SystemClock()), web())
    answer = server.at_once(wire)
    assert answer is None or (isinstance(answer, bytes) and answer[:2] == wire[:2])


def test_what_is_no_question() -> None:
    response = dns.message.make_response(dns.message.make_query("a.", "A"))
    assert codec.parse(response.to_wire()) is None
    notify = dns.message.make_query("a.", "A")
    notify.set_opcode(4)  # type: ignore[arg-type]
    refused = codec.parse(notify.to_wire())
    assert isinstance(refused, bytes)
    assert dns.message.from_wire(refused).rcode() == dns.rcode.NOTIMP


@asynccontextmanager
async def serving(cluster: HandCluster) -> AsyncIterator[tuple[str, int]]:
    """A name server on free ports of the loopback."""
    tcp = socket.socket()
    tcp.bind(("127.0.0.1", 0))
    address = tcp.getsockname()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(address)
    watch = ServiceWatch(cluster, SystemClock())
    server = NameServer(watch, Zone(DOMAIN, (SERVICE_RANGE, POD_RANGE)))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watch.run()), group.create_task(server.run(udp, tcp))]
        await server.ready.wait()
        yield address
        for task in tasks:
            task.cancel()


async def asked(
    address: tuple[str, int], name: str, type_: str = "A", *, edns: int = -1, tcp: bool = False
) -> dns.message.Message:
    query = dns.message.make_query(name, type_)
    if edns > 0:
        query.use_edns(0, payload=edns)
    loop, wire = asyncio.get_running_loop(), query.to_wire()
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as client:
        client.setblocking(False)
        async with asyncio.timeout(30):
            await loop.sock_connect(client, address)
            if tcp:
                # In two pieces: framing must not depend on how the stream is cut.
                framed = len(wire).to_bytes(2) + wire
                await loop.sock_sendall(client, framed[:1])
                await loop.sock_sendall(client, framed[1:])
                size = int.from_bytes(await loop.sock_recv(client, 2))
                data = b""
                while len(data) < size:
                    data += await loop.sock_recv(client, size)
            else:
                await loop.sock_sendall(client, wire)
                data = await loop.sock_recv(client, 65535)
    response = dns.message.from_wire(data)
    assert response.id == query.id
    return response


def data_of(response: dns.message.Message) -> list[str]:
    return [item.to_text() for rrset in response.answer for item in rrset]


async def test_a_server_answers_and_follows_changes() -> None:
    cluster = HandCluster((SERVICE, service()))
    name = f"web.default.svc.{DOMAIN}"
    async with serving(cluster) as address:
        for _ in range(2):
            response = await asked(address, name.upper() if _ else name)
            assert data_of(response) == ["10.96.0.50"]
            assert response.flags & dns.flags.AA
        assert (await asked(address, name, "AAAA")).rcode() == dns.rcode.NOERROR
        missing = await asked(address, f"no.default.svc.{DOMAIN}")
        assert missing.rcode() == dns.rcode.NXDOMAIN
        assert missing.authority[0].rdtype == dns.rdatatype.SOA
        assert (await asked(address, "example.org")).rcode() == dns.rcode.NXDOMAIN
        cluster.put(SERVICE, service(ip="10.96.0.51"))
        async with asyncio.timeout(30):
            while data_of(await asked(address, name)) != ["10.96.0.51"]:
                pass


async def test_a_long_answer_is_cut_on_udp_and_whole_on_tcp() -> None:
    many = endpoint_slice("web", *(endpoint(f"10.42.1.{number}") for number in range(2, 102)))
    cluster = HandCluster((SERVICE, service(ip="None")), (ENDPOINT_SLICE, many))
    name = f"web.default.svc.{DOMAIN}"
    async with serving(cluster) as address:
        plain = await asked(address, name)
        assert plain.flags & dns.flags.TC
        assert len(data_of(plain)) > 20
        assert len(plain.to_wire()) <= 512
        wide = await asked(address, name, edns=4096)
        assert 512 < len(wide.to_wire()) <= 1232
        whole = await asked(address, name, tcp=True)
        assert len(data_of(whole)) == 100
        again = await asked(address, name, tcp=True)
        assert data_of(again)[0] != data_of(whole)[0], "clients take the first: it must change"


async def test_other_names_are_asked_of_the_upstream() -> None:
    """The upstream is a name server of another cluster's zone."""
    theirs = HandCluster((SERVICE, service("www", ip="10.96.0.99")))
    target = f"www.default.svc.{DOMAIN}"
    async with serving(theirs) as (ip, port):
        alias = service("out", ip="", type="ExternalName", externalName=target)
        ours = Zone("other.local", ())
        ours.put(("default", "out"), plan_names(alias, [], "other.local"))
        watch = ServiceWatch(HandCluster(), SystemClock())
        server = NameServer(watch, ours, upstreams=(ip,), upstream_port=port)
        for name, data in (
            (target, ["10.96.0.99"]),
            ("out.default.svc.other.local", [f"{target}.", "10.96.0.99"]),
            ("example.org", []),
        ):
            query = dns.message.make_query(name, "A")
            question = server.at_once(query.to_wire())
            assert isinstance(question, codec.Question)
            reply = dns.message.from_wire(await server.forwarded(question, over_tcp=False))
            assert (reply.id, data_of(reply)) == (query.id, data)


async def test_an_upstream_that_cannot_be_asked_is_a_failure_said_aloud() -> None:
    """The kernel refuses to send to the broadcast address, so nothing leaves and nobody waits."""
    watch = ServiceWatch(HandCluster(), SystemClock())
    server = NameServer(watch, web(), upstreams=("255.255.255.255",))
    question = server.at_once(dns.message.make_query("example.org", "A").to_wire())
    assert isinstance(question, codec.Question)
    reply = dns.message.from_wire(await server.forwarded(question, over_tcp=False))
    assert reply.rcode() == dns.rcode.SERVFAIL
