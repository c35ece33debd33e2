"""Which names a cluster has. Pure: documents in, Names out; Zone looks questions up in them.

The schema is Kubernetes' own (kubernetes/dns docs/specification.md, version 1.1.0):

    NAME.NS.svc.DOMAIN               A: the service's address; headless: every ready endpoint's
    HOST.NAME.NS.svc.DOMAIN          A: one endpoint of a headless service, by hostname or 10-42-1-5
    _PORT._PROTO.NAME.NS.svc.DOMAIN  SRV: a named port
    10-42-1-5.NS.pod.DOMAIN          A: that address, as CoreDNS' "pods insecure" answers
    5.1.42.10.in-addr.arpa           PTR: the service or endpoint with that address

An ExternalName service is a CNAME. A name that exists without the type asked for is an empty
answer, not NXDOMAIN: resolvers would give up the name for A when AAAA is denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from longshore.core.objects.kinds import Doc
from longshore.machinery.network.table import Endpoint, Key, endpoints

TTL_S = 5
"""CoreDNS' default for cluster names: addresses change often, and asking is cheap."""
_CNAME_HOPS_MAX = 8
_REVERSE = ".in-addr.arpa"


@dataclass(frozen=True, slots=True)
class Record:
    """One answer; data is in the textual form of its type, names in it end with a dot."""

    name: str
    type: str
    data: str


class Outcome(Enum):
    FOUND = "found"
    EMPTY = "empty"
    """The name exists, the type does not."""
    UNKNOWN = "unknown"
    """There is no such name in this zone."""
    ELSEWHERE = "elsewhere"
    """The name belongs to somebody else's zone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the zone says. follow is a name of another zone that completes a CNAME."""

    outcome: Outcome
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    follow: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one service, below it: "" is the service itself. reverse maps addresses to
    full names; cname is set for ExternalName only."""

    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ports: Mapping[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    reverse: Mapping[str, str] = field(default_factory=dict)
    cname: str = ""


def plan_names(service: Doc, slices: Iterable[Doc], domain: str) -> Names:
    """The names of one service."""
    spec, metadata = service["spec"], service["metadata"]
    full = f"{metadata['name']}.{metadata['namespace']}.svc.{domain}"
    if spec.get("type") == "ExternalName":
        return Names(cname=spec.get("externalName", "").rstrip(".").lower())
    ip = spec.get("clusterIP", "")
    if ip == "None":
        return _headless(full, spec, [e for e in endpoints(slices) if e.ready])
    if not ip:
        return Names()
    ports = {_port_name(port): ((port["port"], full),) for port in _named(spec)}
    return Names({"": (ip,)}, ports, {ip: full})


def _headless(full: str, spec: Doc, found: Sequence[Endpoint]) -> Names:
    addresses: dict[str, tuple[str, ...]] = {"": tuple(sorted({e.ip for e in found}))}
    reverse = {}
    for endpoint in found:
        host = _host(endpoint)
        addresses[host] = tuple(sorted({*addresses.get(host, ()), endpoint.ip}))
        reverse[endpoint.ip] = f"{host}.{full}"
    ports = {}
    for port in _named(spec):
        key = (port["name"], port.get("protocol") or "TCP")
        having = [endpoint for endpoint in found if key in endpoint.ports]
        ports[_port_name(port)] = tuple(
            sorted({(e.ports[key], f"{_host(e)}.{full}") for e in having})
        )
    return Names(addresses, ports, reverse)


def _host(endpoint: Endpoint) -> str:
    return endpoint.hostname or endpoint.ip.replace(".", "-")


def _named(spec: Doc) -> list[Doc]:
    return [port for port in spec.get("ports") or () if port.get("name")]


def _port_name(port: Doc) -> str:
    return f"_{port['name']}._{(port.get('protocol') or 'TCP').lower()}"


class Zone:
    """All names of a cluster. ranges are the CIDRs whose reverse names are ours to answer."""

    def __init__(self, domain: str, ranges: Iterable[str]) -> None:
        self.domain = domain
        self._ranges = [IPv4Network(cidr) for cidr in ranges]
        self._names: dict[Key, Names] = {}
        self._in_namespace: dict[str, int] = {}
        self._reverse: dict[str, dict[Key, str]] = {}

    def put(self, key: Key, names: Names | None) -> bool:
        """Set a service's names, or forget them; whether that changed anything."""
        before = self._names.pop(key, None)
        if names is not None:
            self._names[key] = names
        if before == names:
            return False
        self._count(key[0], (names is not None) - (before is not None))
        for ip in before.reverse if before else ():
            del self._reverse[ip][key]
            if not self._reverse[ip]:
                del self._reverse[ip]
        for ip, name in names.reverse.items() if names else ():
            self._reverse.setdefault(ip, {})[key] = name
        return True

    def _count(self, namespace: str, change: int) -> None:
        count = self._in_namespace.get(namespace, 0) + change
        if count:
            self._in_namespace[namespace] = count
        else:
            self._in_namespace.pop(namespace, None)

    def lookup(self, name: str, type_: str) -> Answer:
        """What a name (lower case, no dot at the end) has of a type ("A", "SRV", "ANY", ...)."""
        answer = self._lookup(name, type_)
        chain = answer.records
        for _ in range(_CNAME_HOPS_MAX):
            if not answer.follow:
                break
            onward = self._lookup(answer.follow, type_)
            if onward.outcome is Outcome.ELSEWHERE:
                break
            chain += onward.records
            answer = Answer(Outcome.FOUND, chain, onward.additional, onward.follow)
        return answer

    def _lookup(self, name: str, type_: str) -> Answer:
        if name == self.domain:
            return Answer(Outcome.EMPTY)
        if name.endswith("." + self.domain):
            labels = name[: -len(self.domain) - 1].split(".")
            if labels[-1] == "svc":
                return self._service(name, labels[:-1], type_)
            if labels[-1] == "pod":
                return _pod(name, labels[:-1], type_)
            return Answer(Outcome.UNKNOWN)
        if name.endswith(_REVERSE):
            return self._pointer(name, type_)
        return Answer(Outcome.ELSEWHERE)

    def _service(self, name: str, labels: Sequence[str], type_: str) -> Answer:
        if not labels:
            return Answer(Outcome.EMPTY)
        if len(labels) == 1:
            known = labels[0] in self._in_namespace
            return Answer(Outcome.EMPTY if known else Outcome.UNKNOWN)
        names = self._names.get((labels[-1], labels[-2]))
        if names is None:
            return Answer(Outcome.UNKNOWN)
        below = ".".join(labels[:-2])
        if names.cname:
            return _alias(name, below, names.cname, type_)
        if below in names.ports:
            return self._ports(name, names, below, type_)
        if below in names.addresses:
            return _addresses(name, names.addresses[below], type_)
        inner = any(port.endswith(f".{below}") for port in names.ports)
        return Answer(Outcome.EMPTY if inner or not below else Outcome.UNKNOWN)

    def _ports(self, name: str, names: Names, below: str, type_: str) -> Answer:
        if type_ not in ("SRV", "ANY") or not names.ports[below]:
            return Answer(Outcome.EMPTY)
        targets = names.ports[below]
        # Priority 0, and weight spread evenly as CoreDNS does; 1 at least.
        weight = max(100 // len(targets), 1)
        records = tuple(
            Record(name, "SRV", f"0 {weight} {port} {target}.") for port, target in targets
        )
        extra = [
            record
            for target in sorted({target for _, target in targets})
            for record in self._lookup(target, "A").records
        ]
        return Answer(Outcome.FOUND, records, tuple(extra))

    def _pointer(self, name: str, type_: str) -> Answer:
        try:
            ip = IPv4Address(".".join(reversed(name.removesuffix(_REVERSE).split("."))))
        except AddressValueError:
            return Answer(Outcome.ELSEWHERE)
        if not any(ip in network for network in self._ranges):
            return Answer(Outcome.ELSEWHERE)
        owners = self._reverse.get(str(ip))
        if not owners:
            return Answer(Outcome.UNKNOWN)
        if type_ not in ("PTR", "ANY"):
            return Answer(Outcome.EMPTY)
        records = tuple(Record(name, "PTR", f"{owner}.") for owner in sorted(owners.values()))
        return Answer(Outcome.FOUND, records)


def _alias(name: str, below: str, target: str, type_: str) -> Answer:
    if below:
        return Answer(Outcome.UNKNOWN)
    record = Record(name, "CNAME", f"{target}.")
    return Answer(Outcome.FOUND, (record,), follow="" if type_ == "CNAME" else target)


def _addresses(name: str, ips: Sequence[str], type_: str) -> Answer:
    if type_ not in ("A", "ANY") or not ips:
        return Answer(Outcome.EMPTY)
    return Answer(Outcome.FOUND, tuple(Record(name, "A", ip) for ip in ips))


def _pod(name: str, labels: Sequence[str], type_: str) -> Answer:
    """Which pods there are is not looked at: that would make every node follow every pod."""
    if len(labels) < 2:
        return Answer(Outcome.EMPTY)
    try:
        ip = str(IPv4Address(labels[0].replace("-", ".")))
    except AddressValueError:
        return Answer(Outcome.UNKNOWN)
    return _addresses(name, [ip], type_) if len(labels) == 2 else Answer(Outcome.UNKNOWN)
