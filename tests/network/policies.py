"""NetworkPolicies for tests: documents, a kernel that only remembers, and who may speak to whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.machinery.network.policy.members import Group
from longshore.machinery.network.policy.model import (
    Direction,
    Match,
    Numbers,
    Peer,
    Peers,
    Port,
    key_of,
    pod_of,
    policy_of,
)
from longshore.machinery.network.policy.plan import Allowed, Book, Change, Side


def policy(
    name: str, pods: Mapping[str, str] | None = None, *, namespace: str = "a", **spec: Any
) -> Doc:
    selector = {"matchLabels": dict(pods)} if pods else {}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"podSelector": selector, **spec},
    }  # fmt: skip


def pod(
    name: str, ip: str, labels: Mapping[str, str] | None = None, *, namespace: str = "a",
    ports: Iterable[tuple[str, str, int]] = (), **spec: Any,
) -> Doc:  # fmt: skip
    named = [{"name": n, "protocol": p, "containerPort": number} for n, p, number in ports]
    metadata = {"namespace": namespace, "name": name, "uid": f"{namespace}-{name}"}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {**metadata, "labels": dict(labels or {})},
        "spec": {"containers": [{"name": "c", "ports": named}], **spec},
        "status": {"phase": "Running", "podIP": ip},
    }  # fmt: skip


def namespace(name: str, **labels: str) -> Doc:
    labels["kubernetes.io/metadata.name"] = name
    return {
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels},
    }  # fmt: skip


def tell(book: Book, *docs: Doc, here: Iterable[str] = ()) -> None:
    """Put documents into a book; pods with a name in `here` are of its node."""
    for doc in docs:
        match doc["kind"]:
            case "NetworkPolicy":
                book.put_policy(key_of(doc), policy_of(doc))
            case "Namespace":
                book.members.put_namespace(doc["metadata"]["name"], doc["metadata"]["labels"])
            case "Pod":
                book.put_pod(key_of(doc), pod_of(doc))
                if doc["metadata"]["name"] in here:
                    local = pod_of(doc, doc["status"]["podIP"])
                    book.put_local(local, doc["metadata"]["name"])


class Remembered:
    """What a kernel would have after the changes that it was given."""

    def __init__(self) -> None:
        self.sides: dict[Side, Allowed] = {}
        self.groups: dict[Group, set[str]] = {}

    def take(self, change: Change) -> None:
        """Strict: what is said to go must be there, what comes must not."""
        for group, turnover in change.groups.items():
            if turnover.fresh:
                assert group not in self.groups
                self.groups[group] = set()
            assert turnover.gone <= self.groups[group]
            assert not turnover.come & self.groups[group]
            self.groups[group] = self.groups[group] - turnover.gone | turnover.come
        for group in change.dropped:
            del self.groups[group]
        for side, allowed in change.sides.items():
            if allowed is None:
                del self.sides[side]
            else:
                self.sides[side] = allowed

    def passes(self, source: str, target: str, port: int, protocol: str = "tcp") -> bool:
        """Whether a connection is let through on both of its sides (ports are ignored for icmp)."""
        if source == target:
            return True
        wire = (target, protocol, port)
        return self._side("egress", source, target, wire) and self._side(
            "ingress", target, source, wire
        )

    def _side(self, direction: Direction, own: str, other: str, wire: tuple[str, str, int]) -> bool:
        allowed = self.sides.get(Side(direction, own))
        return allowed is None or any(self._meets(match, other, wire) for match in allowed)

    def _meets(self, match: Match, other: str, wire: tuple[str, str, int]) -> bool:
        if match.ports is not None and not any(self._is_port(one, wire) for one in match.ports):
            return False
        return match.peers is None or any(self._is_peer(one, other) for one in match.peers)

    def _is_port(self, port: Port, wire: tuple[str, str, int]) -> bool:
        target, protocol, number = wire
        if port.protocol != protocol:
            return False
        if isinstance(port, Numbers):
            return port.first <= number <= port.last
        return f"{target} . {number}" in self.groups[port]

    def _is_peer(self, peer: Peer, ip: str) -> bool:
        if isinstance(peer, Peers):
            return ip in self.groups[peer]
        address = IPv4Address(ip)
        if any(address in IPv4Network(one) for one in peer.excepts):
            return False
        return address in IPv4Network(peer.cidr)
