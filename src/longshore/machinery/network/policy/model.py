"""What NetworkPolicies, Pods and Namespaces say, in the terms of a plan. Pure.

Semantics: the NetworkPolicy reference of networking.k8s.io/v1 and the page "Network Policies" of the
documentation (concepts/services-networking/network-policies).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal, TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import EVERYTHING, Selector, from_doc
from longshore.machinery.network.table import is_ip

Key: TypeAlias = tuple[str, str]
"""Namespace and name."""
Direction: TypeAlias = Literal["ingress", "egress"]
DIRECTIONS: tuple[Direction, Direction] = ("ingress", "egress")

PORT_MAX = 65_535
_OVER = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Peers:
    """Pods that a policy names: of one namespace, or (namespace empty) of those that `namespaces`
    selects."""

    namespace: str
    namespaces: Selector
    pods: Selector


@dataclass(frozen=True, slots=True)
class Block:
    """Addresses, without some of them. Everything is a canonical IPv4 CIDR."""

    cidr: str
    excepts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Numbers:
    """Ports of one protocol (tcp, udp or sctp), both ends included."""

    protocol: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Named:
    """A port by the name that the pod which is spoken to has for it."""

    protocol: str
    name: str


Peer: TypeAlias = Peers | Block
Port: TypeAlias = Numbers | Named


@dataclass(frozen=True, slots=True)
class Match:
    """What one rule allows: these ports (None: all of every protocol) of or to these peers (None:
    everybody)."""

    ports: frozenset[Port] | None
    peers: frozenset[Peer] | None


@dataclass(frozen=True, slots=True)
class Policy:
    """One NetworkPolicy; None is a direction which it leaves alone."""

    pods: Selector
    ingress: tuple[Match, ...] | None
    egress: tuple[Match, ...] | None

    def matches(self, direction: Direction) -> tuple[Match, ...] | None:
        return self.ingress if direction == "ingress" else self.egress


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as policies see it. ip is empty where none can be said of it: it has none yet, it is
    over, or it has its node's (hostNetwork), which is nobody's own."""

    uid: str
    namespace: str
    labels: Mapping[str, str]
    ip: str
    ports: frozenset[tuple[str, str, int]]
    """Protocol, name and number of every port that has a name."""


def key_of(doc: Doc) -> Key:
    return doc["metadata"].get("namespace", ""), doc["metadata"]["name"]


def revision_of(doc: Doc) -> int:
    """As our servers number objects; 0 for a document that has no revision."""
    return int(doc["metadata"].get("resourceVersion") or 0)


# ---- pods


def pod_of(doc: Doc, ip: str | None = None) -> Pod:
    """A Pod or a PodPeer; ip is the address that its node gave it, if the caller knows better."""
    metadata, spec, status = doc["metadata"], doc.get("spec") or {}, doc.get("status") or {}
    if ip is None:
        ip = status.get("podIP") or ""
        if spec.get("hostNetwork") or status.get("phase") in _OVER or not is_ip(ip):
            ip = ""
    labels = metadata.get("labels") or {}
    return Pod(metadata.get("uid", ""), metadata["namespace"], labels, ip, _named_ports(spec))


def _named_ports(spec: Doc) -> frozenset[tuple[str, str, int]]:
    """Also those of init containers that stay (sidecars): they serve beside the others."""
    staying = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return frozenset(
        ((port.get("protocol") or "TCP").lower(), port["name"], port["containerPort"])
        for container in (*(spec.get("containers") or ()), *staying)
        for port in container.get("ports") or ()
        if port.get("name")
    )


# ---- policies


def policy_of(doc: Doc) -> Policy:
    """A NetworkPolicy of the API, which has been validated."""
    namespace, spec = doc["metadata"]["namespace"], doc.get("spec") or {}
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    rules = {
        field: tuple(_match(rule, peers, namespace) for rule in spec.get(field) or ())
        for field, peers in (("ingress", "from"), ("egress", "to"))
    }
    return Policy(
        pods=_selector(spec.get("podSelector")),
        ingress=rules["ingress"] if "Ingress" in types else None,
        egress=rules["egress"] if "Egress" in types else None,
    )


def _match(rule: Doc, peers: str, namespace: str) -> Match:
    """An absent or empty list of ports or peers leaves that open."""
    ports = [_port(one) for one in rule.get("ports") or ()]
    found = [_peer(one, namespace) for one in rule.get(peers) or ()]
    return Match(
        ports=frozenset(ports) if ports else None,
        peers=frozenset(filter(None, found)) if found else None,
    )


def _port(doc: Doc) -> Port:
    protocol, port = (doc.get("protocol") or "TCP").lower(), doc.get("port")
    if port is None:
        return Numbers(protocol, 0, PORT_MAX)
    if isinstance(port, str):
        return Named(protocol, port)
    return Numbers(protocol, port, doc.get("endPort") or port)


def _peer(doc: Doc, namespace: str) -> Peer | None:
    """None for addresses that no packet here has (IPv6)."""
    if (block := doc.get("ipBlock")) is not None:
        return _block(block)
    pods = _selector(doc.get("podSelector"))
    if "namespaceSelector" not in doc:
        return Peers(namespace, EVERYTHING, pods)
    return Peers("", _selector(doc["namespaceSelector"]), pods)


def _block(doc: Doc) -> Block | None:
    if ":" in doc["cidr"]:
        return None
    excepts = (one for one in doc.get("except") or () if ":" not in one)
    return Block(_canonical(doc["cidr"]), tuple(sorted({_canonical(one) for one in excepts})))


def _canonical(cidr: str) -> str:
    """Without host bits and leading zeros, which older validation let pass."""
    address, _, prefix = cidr.partition("/")
    plain = ".".join(str(int(part)) for part in address.split("."))
    return str(IPv4Network(f"{plain}/{prefix}", strict=False))


def _selector(doc: Doc | None) -> Selector:
    return EVERYTHING if doc is None else from_doc(doc) or EVERYTHING
