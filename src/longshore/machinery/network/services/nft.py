"""Routing rules in nftables' own language, and the library that hands them to the kernel.

Three maps lead from where a packet is going to the chain of its service or pod, so a node with ten
thousand services looks one packet up as fast as a node with ten:

    services   address . protocol . port -> goto svc/...     from pods, and from the node itself
    hostports  protocol . port           -> goto pod/...     on the node's own addresses, loopback too
    nodeports  protocol . port           -> goto svc/...     on the node's own addresses

A chain picks an endpoint at random in one rule. Only services with ClientIP affinity have a chain
and a set for every endpoint. libnftables is driven in process (0.6 ms a transaction against 2.4 ms
through the nft command).
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

from longshore.machinery.network.errors import NftFailure
from longshore.machinery.network.services.book import Delta, Swap
from longshore.machinery.network.services.plan import Front, Rule, Site, Target

TABLE = "ip longshore"
GONE = f"add table {TABLE}\ndelete table {TABLE}\n"
"""Take it all away, whether there is any of it or not."""
# Clients that one endpoint remembers; a new one beyond that is simply not kept.
_CLIENTS_MAX = 65_535


def base(site: Site) -> str:
    """The table without any service, replacing whatever there was, in one transaction."""
    hairpin = ", ".join(f"{ip} . {ip}" for ip in IPv4Network(site.pod_cidr).hosts())
    near = ", ".join(sorted({site.pod_range, *site.near_ranges}))
    return f"""{GONE}table {TABLE} {{
  map services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  map hostports {{ type inet_proto . inet_service : verdict; }}
  map nodeports {{ type inet_proto . inet_service : verdict; }}
  # A pod that reaches itself through a service must see another source than itself.
  set hairpin {{ type ipv4_addr . ipv4_addr; elements = {{ {hairpin} }} }}
  chain serve {{
    ip daddr . meta l4proto . th dport vmap @services
    ip daddr != {site.service_range} fib daddr type local meta l4proto . th dport vmap @hostports
    ip daddr {{ {", ".join(site.node_ips)} }} meta l4proto . th dport vmap @nodeports
  }}
  # Loopback addresses are routed, for the node's own clients of its pods' ports; nobody else has them.
  chain martians {{
    type filter hook prerouting priority raw; policy accept;
    iif != lo ip daddr 127.0.0.0/8 drop
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    jump serve
  }}
  chain output-nat {{
    type nat hook output priority -100; policy accept;
    jump serve
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ct status dnat ip saddr . ip daddr @hairpin masquerade
    # From outside: the answer must come back through this node.
    ct status dnat ct original ip daddr != {site.service_range} masquerade
    ip saddr {site.pod_cidr} ip daddr != {{ {near} }} masquerade
  }}
  # No service has this address and port: say so, rather than send it out to the world.
  chain forward {{
    type filter hook forward priority filter; policy accept;
    ip daddr {site.service_range} reject
  }}
  chain output {{
    type filter hook output priority filter; policy accept;
    ip daddr {site.service_range} fib daddr type != local reject
  }}
}}
"""


def transaction(delta: Delta) -> str:
    """The commands of a delta, in an order in which nothing refers to what is not there."""
    lines = list(_entries("delete", [(front, "") for front, _ in delta.unlink]))
    for swap in delta.swaps:
        lines += _swapped(swap)
    lines += _entries("add", [(front, f" : goto {name}") for front, name in delta.link])
    return "\n".join(lines) + "\n"


def _entries(verb: str, entries: Sequence[tuple[Front, str]]) -> Iterator[str]:
    """One command for all entries of a map."""
    for map_ in ("services", "hostports", "nodeports"):
        if of_map := [f"{front.element}{to}" for front, to in entries if front.map == map_]:
            yield f"{verb} element {TABLE} {map_} {{ {', '.join(of_map)} }}"


def _swapped(swap: Swap) -> Iterator[str]:
    """Refill the rule's chain. An endpoint that stays keeps its set of clients: a client stays
    where it was when other endpoints come or go."""
    old, new = _keepers(swap.old), _keepers(swap.new)
    if swap.old:
        yield f"flush chain {TABLE} {swap.old.name}"
    else:
        yield f"add chain {TABLE} {swap.name}"
    for name in old.keys() - new.keys():
        yield f"flush chain {TABLE} ep/{name}"
        yield f"delete chain {TABLE} ep/{name}"
        yield f"delete set {TABLE} clients/{name}"
    for name in new.keys() - old.keys():
        yield from _keeper(name, new[name])
    if swap.new:
        yield from (f"add rule {TABLE} {swap.name} {body}" for body in _body(swap.new))
    else:
        yield f"delete chain {TABLE} {swap.name}"


def _keepers(rule: Rule | None) -> dict[str, tuple[Rule, Target]]:
    """Where clients are remembered, by name; none without affinity. The time is in the name since
    a set cannot change its own."""
    if rule is None or not rule.affinity_s:
        return {}
    return {
        f"{rule.affinity_s}/{rule.name}/{ip}/{port}": (rule, (ip, port))
        for ip, port in rule.targets
    }


def _keeper(name: str, of: tuple[Rule, Target]) -> Iterator[str]:
    rule, (ip, port) = of
    yield (
        f"add set {TABLE} clients/{name} {{ type ipv4_addr; flags dynamic,timeout; "
        f"timeout {rule.affinity_s}s; size {_CLIENTS_MAX}; }}"
    )
    yield f"add chain {TABLE} ep/{name}"
    yield (
        f"add rule {TABLE} ep/{name} update @clients/{name} {{ ip saddr }} "
        f"meta l4proto {rule.protocol} dnat to {ip}:{port}"
    )


def _body(rule: Rule) -> Iterator[str]:
    if not rule.targets:
        yield "meta l4proto tcp reject with tcp reset"
        yield "reject"
        return
    pick = f"numgen random mod {len(rule.targets)}"
    if names := list(_keepers(rule)):
        yield from (f"ip saddr @clients/{name} goto ep/{name}" for name in names)
        choices = ", ".join(f"{i} : goto ep/{name}" for i, name in enumerate(names))
        yield f"{pick} vmap {{ {choices} }}"
        return
    if len(rule.targets) == 1:
        # Without an anonymous map: to name a new one, the kernel looks at all that there are.
        ip, port = rule.targets[0]
        yield f"meta l4proto {rule.protocol} dnat to {ip}:{port}"
        return
    choices = ", ".join(f"{i} : {ip} . {port}" for i, (ip, port) in enumerate(rule.targets))
    yield f"meta l4proto {rule.protocol} dnat to {pick} map {{ {choices} }}"


class Nft:
    """libnftables, speaking to the namespace that the thread is in which makes this. Blocking;
    one thread at a time. Raises NftFailure if the library is not there."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("nftables") or "libnftables.so.1"
        try:
            library = ctypes.CDLL(name)
        except OSError as error:
            raise NftFailure("libnftables is missing: install nftables") from error
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_ctx_free.argtypes = [ctypes.c_void_p]
        for of_buffer in (library.nft_ctx_buffer_error, library.nft_ctx_buffer_output):
            of_buffer.argtypes = [ctypes.c_void_p]
        for text_of in (library.nft_ctx_get_error_buffer, library.nft_ctx_get_output_buffer):
            text_of.argtypes = [ctypes.c_void_p]
            text_of.restype = ctypes.c_char_p
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._library = library
        self._context = library.nft_ctx_new(0)
        if not self._context:
            raise NftFailure("libnftables could not open netlink")
        library.nft_ctx_buffer_error(self._context)
        library.nft_ctx_buffer_output(self._context)

    def close(self) -> None:
        self._library.nft_ctx_free(self._context)

    def run(self, commands: str) -> str:
        """Carry a transaction out, all of it or none; what it printed. Raises NftFailure."""
        result = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        complaint = self._library.nft_ctx_get_error_buffer(self._context).decode()
        printed: str = self._library.nft_ctx_get_output_buffer(self._context).decode()
        if result != 0:
            raise NftFailure(f"nftables refused: {complaint.strip()[:500]}")
        return printed
