"""Cluster addresses and node ports of Services: given out by the registry, each at most once."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from longshore.base.addresses import SERVICE_RANGE
from longshore.base.chance import Chance
from longshore.core.objects import kinds
from longshore.core.objects.errors import Cause, InternalError, Invalid
from longshore.core.objects.kinds import Doc
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored

_DEFAULT_ADDRESSES = IPv4Network(SERVICE_RANGE)


@dataclass(frozen=True, slots=True)
class ServiceRanges:
    """Where Services get their addresses and ports (upstream's defaults)."""

    addresses: IPv4Network = _DEFAULT_ADDRESSES
    node_ports: range = range(30000, 32768)


class ServiceAddresses:
    """Knows which addresses and ports are taken, and by which Service (namespace/name)."""

    def __init__(self, ranges: ServiceRanges, chance: Chance) -> None:
        self._ranges = ranges
        self._chance = chance
        self._addresses: dict[str, str] = {}
        self._ports: dict[tuple[str, int], str] = {}

    def reload(self, cache: Cache) -> None:
        """Take stock of what is stored."""
        self._addresses.clear()
        self._ports.clear()
        for service in cache.all(kinds.SERVICE):
            self._take(service)

    def applied(self, frame: Frame) -> None:
        """A Service changed: what it no longer holds is free again."""
        if frame.before is not None:
            self.release(frame.before.doc)
        if frame.type != "DELETED":
            self._take(frame.stored.doc)

    def release(self, service: Doc) -> None:
        owner = _owner(service)
        spec = service.get("spec") or {}
        address = spec.get("clusterIP") or ""
        if self._addresses.get(address) == owner:
            del self._addresses[address]
        for port in _taken_ports(spec):
            if self._ports.get(port) == owner:
                del self._ports[port]

    def restore(self, service: Doc, before: Stored | None) -> None:
        """Take back what complete() reserved for a Service that is not going to be stored."""
        self.release(service)
        if before is not None:
            self._take(before.doc)

    def complete(self, service: Doc) -> None:
        """Give the Service what it lacks and reserve what it asks for, in a spec of its own: planned
        again, it may get other addresses.

        Raises Invalid when it asks for an address or port that is another's or out of range.
        """
        spec = service["spec"] = dict(service["spec"])
        if "ports" in spec:
            spec["ports"] = [dict(port) for port in spec["ports"] or ()]
        if spec.get("type") == "ExternalName":
            for field in ("clusterIP", "clusterIPs"):
                spec.pop(field, None)
            return
        self._complete_address(service, spec)
        self._complete_ports(service, spec)

    def _complete_address(self, service: Doc, spec: Doc) -> None:
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if wanted == "None":
            spec["clusterIP"], spec["clusterIPs"] = "None", ["None"]
            return
        owner = _owner(service)
        if wanted:
            self._check_address(service, wanted)
        address = wanted or self._free_address()
        self._addresses[address] = owner
        spec["clusterIP"], spec["clusterIPs"] = address, [address]

    def _check_address(self, service: Doc, wanted: str) -> None:
        try:
            inside = IPv4Address(wanted) in self._ranges.addresses
        except AddressValueError:
            inside = False
        if not inside:
            why = (
                f"the provided IP ({wanted}) is not in the valid range. "
                f"The range of valid IPs is {self._ranges.addresses}"
            )
        elif self._addresses.get(wanted, _owner(service)) != _owner(service):
            # Not to whom: that may be somebody else's secret.
            why = "provided IP is already allocated"
        else:
            return
        raise _invalid(
            service, "spec.clusterIPs", f'["{wanted}"]', f"failed to allocate IP {wanted}: {why}"
        )

    def _free_address(self) -> str:
        network = self._ranges.addresses
        # The first sixteen are for the platform's own services (API server .1, DNS .10).
        first, room = int(network.network_address) + 16, network.num_addresses - 17
        start = self._chance.below(room)
        for step in range(room):
            address = str(IPv4Address(first + (start + step) % room))
            if address not in self._addresses:
                return address
        raise InternalError(f"no address is left in the service range {network}")

    def _complete_ports(self, service: Doc, spec: Doc) -> None:
        wants = spec.get("type") == "NodePort" or (
            spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
        )
        for index, port in enumerate(spec.get("ports") or ()):
            protocol = port.get("protocol", "TCP")
            number = port.get("nodePort") or 0
            if not number and not wants:
                continue
            if number:
                self._check_port(service, index, protocol, number)
            number = number or self._free_port(protocol)
            port["nodePort"] = number
            self._ports[protocol, number] = _owner(service)

    def _check_port(self, service: Doc, index: int, protocol: str, number: int) -> None:
        field = f"spec.ports[{index}].nodePort"
        allowed = self._ranges.node_ports
        if number not in allowed:
            why = (
                "provided port is not in the valid range. "
                f"The range of valid ports is {allowed.start}-{allowed.stop - 1}"
            )
            raise _invalid(service, field, str(number), why)
        if self._ports.get((protocol, number), _owner(service)) != _owner(service):
            raise _invalid(service, field, str(number), "provided port is already allocated")

    def _free_port(self, protocol: str) -> int:
        ports = self._ranges.node_ports
        start = self._chance.below(len(ports))
        for step in range(len(ports)):
            number = ports[(start + step) % len(ports)]
            if (protocol, number) not in self._ports:
                return number
        raise InternalError(f"no node port is left in {ports.start}-{ports.stop - 1}")

    def _take(self, service: Doc) -> None:
        spec = service.get("spec") or {}
        address = spec.get("clusterIP") or ""
        if address and address != "None":
            self._addresses[address] = _owner(service)
        for port in _taken_ports(spec):
            self._ports[port] = _owner(service)


def held(service: Doc) -> set[str]:
    """Names of the addresses and ports that nobody else may have."""
    spec = service.get("spec") or {}
    address = spec.get("clusterIP") or "None"
    names = {f"node-port/{protocol}/{number}" for protocol, number in _taken_ports(spec)}
    return names if address == "None" else names | {f"address/{address}"}


def _owner(service: Doc) -> str:
    return f"{service['metadata'].get('namespace', '')}/{service['metadata']['name']}"


def _taken_ports(spec: Doc) -> list[tuple[str, int]]:
    return [
        (port.get("protocol", "TCP"), port["nodePort"])
        for port in spec.get("ports") or ()
        if port.get("nodePort")
    ]


def _invalid(service: Doc, field: str, value: str, why: str) -> Invalid:
    cause = Cause("FieldValueInvalid", f"Invalid value: {value}: {why}", field)
    return Invalid.of(kinds.SERVICE, service["metadata"]["name"], [cause])
