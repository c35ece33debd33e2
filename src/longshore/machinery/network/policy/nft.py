"""A plan's changes in nftables' own language. Pure, but for the names that a Table remembers.

    map egress, ingress    address -> jump to the chain of what that side lets pass
    set pods/N, ports/N    the elements of a group (members.py)
    chain side/N           its rules, and at the end: drop
    chain peers/N          accept for each of a rule's peers
    chain block/N          accept for the addresses of an ipBlock with exceptions

Chains are named by what is in them, so the thousand pods of one workload share one, a policy that
changes makes a new one and moves them over, and nothing is ever edited in place. One transaction is
one change: every packet sees all of the old rules or all of the new.

A packet is judged by its connection (ct original: who began it; ct reply: who answers, which is the
pod behind a service), both ways alike. So answers pass because their connection does, and what a
policy forbids ends also for connections that are open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TypeAlias

from longshore.machinery.network.policy.members import Group
from longshore.machinery.network.policy.model import (
    DIRECTIONS,
    PORT_MAX,
    Block,
    Direction,
    Match,
    Named,
    Numbers,
    Peer,
    Peers,
    Port,
)
from longshore.machinery.network.policy.plan import Allowed, Change, Side

TABLE = "ip longshore-policy"
GONE = f"add table {TABLE}\ndelete table {TABLE}\n"
"""Take it all away, whether there is any of it or not."""

# Who the other one of a connection is, and what its first packet was sent to.
_SELF = {"ingress": "ct reply ip saddr", "egress": "ct original ip saddr"}
_OTHER = {"ingress": "ct original ip saddr", "egress": "ct reply ip saddr"}
_TARGET, _PORT = "ct reply ip saddr", "ct reply proto-src"


def base(pod_cidr: str) -> str:
    """The table in which nobody is isolated, replacing whatever there was, in one transaction.

    A node's own traffic with its pods is never forwarded, so it is not judged. Addresses that a pod
    does not have are not believed: policies of this and other nodes go by them."""
    selves = ", ".join(f"{ip} . {ip}" for ip in IPv4Network(pod_cidr).hosts())
    judged = "\n".join(_hook(direction) for direction in DIRECTIONS)
    return f"""{GONE}table {TABLE} {{
  map egress {{ type ipv4_addr : verdict; }}
  map ingress {{ type ipv4_addr : verdict; }}
  set selves {{ type ipv4_addr . ipv4_addr; elements = {{ {selves} }} }}
  chain sources {{
    type filter hook prerouting priority raw; policy accept;
    iifname "pod*" fib saddr . iif oif missing drop
  }}
{judged}
}}
"""


def _hook(direction: Direction) -> str:
    """A chain for each direction: what one accepts, the other still judges."""
    return f"""  chain judge-{direction} {{
    type filter hook forward priority filter; policy accept;
    ct state related accept
    ct state invalid,untracked drop
    ct original ip saddr . ct reply ip saddr @selves accept
    {_SELF[direction]} vmap @{direction}
  }}"""


@dataclass(frozen=True, slots=True)
class _SideChain:
    direction: Direction
    allowed: Allowed


@dataclass(frozen=True, slots=True)
class _PeersChain:
    direction: Direction
    peers: frozenset[Peer]


@dataclass(frozen=True, slots=True)
class _BlockChain:
    direction: Direction
    block: Block


_Chain: TypeAlias = _SideChain | _PeersChain | _BlockChain
Span: TypeAlias = tuple[int, int]
"""First and last number, both included."""


class Table:
    """The names of what the kernel has, and the commands from there to the next state."""

    def __init__(self) -> None:
        self._last = 0
        self._sets: dict[Group, str] = {}
        self._chains: dict[_Chain, str] = {}
        self._uses: dict[_Chain, int] = {}
        self._fresh: list[_Chain] = []
        self._unused: dict[_Chain, None] = {}
        self._sides: dict[Side, _SideChain] = {}

    def transaction(self, change: Change) -> str:
        """The commands of a change, in an order in which nothing refers to what is not there."""
        lines = list(self._set_lines(change))
        judged = [side for side in change.sides if side in self._sides]
        self._move(change)
        fresh, self._fresh = self._fresh, []
        for chain in fresh:
            lines += self._made(chain)
        lines += self._unjudged(judged)
        lines += self._judged(change)
        lines += self._removed()
        lines += [f"delete set {TABLE} {self._sets.pop(group)}" for group in change.dropped]
        return "\n".join(lines) + "\n" if lines else ""

    # -- sets

    def _set_lines(self, change: Change) -> Iterator[str]:
        for group, turnover in change.groups.items():
            if turnover.fresh:
                yield self._new_set(group)
            name = self._sets[group]
            for verb, elements in (("delete", turnover.gone), ("add", turnover.come)):
                if elements:
                    listed = ", ".join(sorted(elements))
                    yield f"{verb} element {TABLE} {name} {{ {listed} }}"

    def _new_set(self, group: Group) -> str:
        kind, types = ("pods", "ipv4_addr") if isinstance(group, Peers) else _PORTS
        self._sets[group] = name = self._name(kind)
        return f"add set {TABLE} {name} {{ type {types}; }}"

    # -- sides

    def _move(self, change: Change) -> None:
        """Note who uses which chain now. Who comes is counted first, so that a chain which both
        need stays."""
        before = [self._sides.pop(side) for side in change.sides if side in self._sides]
        for side, allowed in change.sides.items():
            if allowed is not None:
                now = self._sides[side] = _SideChain(side.direction, allowed)
                self._use(now, 1)
        for chain in before:
            self._use(chain, -1)

    def _use(self, chain: _Chain, by: int) -> None:
        """Count a user of a chain; who comes first or leaves last counts for what is below it."""
        before = self._uses.get(chain, 0)
        self._uses[chain] = now = before + by
        if (before == 0) == (now == 0):
            return
        for below in _below(chain):
            self._use(below, by)
        if now:
            self._unused.pop(chain, None)
        else:
            self._unused[chain] = None
        if chain not in self._chains:
            self._chains[chain] = self._name(_KINDS[type(chain)])
            self._fresh.append(chain)

    def _unjudged(self, sides: list[Side]) -> Iterator[str]:
        for direction in DIRECTIONS:
            if ips := [side.ip for side in sides if side.direction == direction]:
                yield f"delete element {TABLE} {direction} {{ {', '.join(ips)} }}"

    def _judged(self, change: Change) -> Iterator[str]:
        """Who is judged by which chain. One that moves was let go just before."""
        for direction in DIRECTIONS:
            come = [
                f"{side.ip} : jump {self._chains[self._sides[side]]}"
                for side in change.sides
                if side.direction == direction and side in self._sides
            ]
            if come:
                yield f"add element {TABLE} {direction} {{ {', '.join(come)} }}"

    # -- chains

    def _made(self, chain: _Chain) -> Iterator[str]:
        name = self._chains[chain]
        yield f"add chain {TABLE} {name}"
        yield from (f"add rule {TABLE} {name} {rule}" for rule in self._rules(chain))

    def _removed(self) -> Iterator[str]:
        """First emptied, so that none of them leads to another."""
        unused, self._unused = self._unused, {}
        for chain in unused:
            del self._uses[chain]
        names = [self._chains.pop(chain) for chain in unused]
        yield from (f"flush chain {TABLE} {name}" for name in names)
        yield from (f"delete chain {TABLE} {name}" for name in names)

    def _rules(self, chain: _Chain) -> Iterator[str]:
        match chain:
            case _SideChain(direction, allowed):
                for one in allowed:
                    yield from self._match(one, direction)
                yield "drop"
            case _PeersChain(direction):
                yield from self._peers(chain, _OTHER[direction])
            case _BlockChain(direction, block):
                yield f"{_OTHER[direction]} {_one_of(_joined(block.excepts))} return"
                yield f"{_OTHER[direction]} {block.cidr} accept"

    def _match(self, match: Match, direction: Direction) -> Iterator[str]:
        verdict = "accept"
        if match.peers is not None:
            verdict = f"jump {self._chains[_PeersChain(direction, match.peers)]}"
        if match.ports is None:
            yield verdict
        else:
            yield from (f"{port} {verdict}" for port in self._ports(match.ports))

    def _peers(self, chain: _PeersChain, other: str) -> Iterator[str]:
        blocks = [peer for peer in chain.peers if isinstance(peer, Block)]
        if whole := [block.cidr for block in blocks if not block.excepts]:
            yield f"{other} {_one_of(_joined(whole))} accept"
        for peer in chain.peers:
            if isinstance(peer, Peers):
                yield f"{other} @{self._sets[peer]} accept"
        yield from (f"jump {self._chains[below]}" for below in _below(chain))

    def _ports(self, ports: frozenset[Port]) -> Iterator[str]:
        numbers = [port for port in ports if isinstance(port, Numbers)]
        for protocol in sorted({port.protocol for port in numbers}):
            own = [port for port in numbers if port.protocol == protocol]
            spans = _spans((port.first, port.last) for port in own)
            if spans == [(0, PORT_MAX)]:
                yield f"meta l4proto {protocol}"
            else:
                listed = [str(low) if low == high else f"{low}-{high}" for low, high in spans]
                yield f"meta l4proto {protocol} {_PORT} {_one_of(listed)}"
        for port in ports:
            if isinstance(port, Named):
                target = f"{_TARGET} . {_PORT} @{self._sets[port]}"
                yield f"meta l4proto {port.protocol} {target}"

    def _name(self, kind: str) -> str:
        self._last += 1
        return f"{kind}/{self._last}"


_PORTS = ("ports", "ipv4_addr . inet_service")
_KINDS: dict[type, str] = {_SideChain: "side", _PeersChain: "peers", _BlockChain: "block"}


def _below(chain: _Chain) -> Iterator[_Chain]:
    """The chains that one leads to, each once."""
    if isinstance(chain, _SideChain):
        found = {one.peers for one in chain.allowed if one.peers is not None}
        yield from (_PeersChain(chain.direction, peers) for peers in found)
    elif isinstance(chain, _PeersChain):
        for peer in chain.peers:
            if isinstance(peer, Block) and peer.excepts:
                yield _BlockChain(chain.direction, peer)


def _joined(cidrs: Iterable[str]) -> list[str]:
    """The same addresses as ranges."""
    spans = _spans(map(_addresses, cidrs))
    return [
        _dotted(low) if low == high else f"{_dotted(low)}-{_dotted(high)}" for low, high in spans
    ]


def _addresses(cidr: str) -> Span:
    """First and last of a canonical CIDR. IPv4Network takes five times as long."""
    network, _, prefix = cidr.partition("/")
    one, two, three, four = map(int, network.split("."))
    first = one << 24 | two << 16 | three << 8 | four
    return first, first + (1 << 32 - int(prefix)) - 1


def _dotted(address: int) -> str:
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def _spans(given: Iterable[Span]) -> list[Span]:
    """The same numbers as spans that do not touch: sets take no overlaps."""
    spans: list[Span] = []
    for first, last in sorted(given):
        if spans and first <= spans[-1][1] + 1:
            spans[-1] = spans[-1][0], max(last, spans[-1][1])
        else:
            spans.append((first, last))
    return spans


def _one_of(values: Sequence[str]) -> str:
    """One value, or a set of several: however many there are, a packet is looked up once."""
    return values[0] if len(values) == 1 else f"{{ {', '.join(values)} }}"
