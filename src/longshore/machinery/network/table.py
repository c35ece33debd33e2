"""Services with their EndpointSlices, as the network's parts look at them. Pure.

One table serves the routing, the names and whoever else needs them; it tells after every change
which services it touched, so nobody ever looks at all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Change

Key: TypeAlias = tuple[str, str]
"""Namespace and name of a service."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address behind a service. ports maps a service port's name to the number there."""

    ip: str
    ports: Mapping[tuple[str, str], int]
    ready: bool
    serving: bool
    terminating: bool
    hostname: str = ""
    node: str = ""


class Docs:
    """The documents of one kind, by key."""

    def __init__(self) -> None:
        self._docs: dict[Key, Doc] = {}

    def keys(self) -> list[Key]:
        return list(self._docs)

    def values(self) -> list[Doc]:
        return list(self._docs.values())

    def get(self, key: Key) -> Doc | None:
        return self._docs.get(key)

    def replace(self, docs: Iterable[Doc]) -> set[Key]:
        """Take a new snapshot; whom it touched."""
        before, self._docs = self._docs, {key_of(doc): doc for doc in docs}
        keys = before.keys() | self._docs.keys()
        return {key for key in keys if before.get(key) is not self._docs.get(key)}

    def apply(self, changes: Iterable[Change]) -> set[Key]:
        """Take changes in; whom they touched."""
        touched = set()
        for change in changes:
            key = key_of(change.doc)
            touched.add(key)
            if change.type == "DELETED":
                self._docs.pop(key, None)
            else:
                self._docs[key] = change.doc
        return touched


class ServiceTable:
    """What is known now. Documents are shared and stay as they are."""

    def __init__(self) -> None:
        self.services = Docs()
        self._slices: dict[Key, dict[Key, Doc]] = {}
        self._owners: dict[Key, Key] = {}

    def keys(self) -> list[Key]:
        return self.services.keys()

    def service(self, key: Key) -> Doc | None:
        return self.services.get(key)

    def slices(self, key: Key) -> list[Doc]:
        """The service's EndpointSlices, in the order of their names."""
        return [doc for _, doc in sorted(self._slices.get(key, {}).items())]

    def replace_slices(self, docs: Iterable[Doc]) -> set[Key]:
        """Take a new snapshot of the slices; whose services it touched."""
        touched = set(self._slices)
        self._slices, self._owners = {}, {}
        for doc in docs:
            touched |= self._put_slice(doc)
        return touched

    def apply_slices(self, changes: Iterable[Change]) -> set[Key]:
        touched: set[Key] = set()
        for change in changes:
            if change.type == "DELETED":
                touched |= self._drop_slice(key_of(change.doc))
            else:
                touched |= self._put_slice(change.doc)
        return touched

    def _put_slice(self, doc: Doc) -> set[Key]:
        key = key_of(doc)
        touched = self._drop_slice(key)
        if name := doc["metadata"].get("labels", {}).get(_SERVICE_LABEL):
            owner = (key[0], name)
            self._owners[key] = owner
            self._slices.setdefault(owner, {})[key] = doc
            touched.add(owner)
        return touched

    def _drop_slice(self, key: Key) -> set[Key]:
        owner = self._owners.pop(key, None)
        if owner is None:
            return set()
        of_owner = self._slices[owner]
        del of_owner[key]
        if not of_owner:
            del self._slices[owner]
        return {owner}


def key_of(doc: Doc) -> Key:
    """Namespace (empty for cluster-scoped kinds) and name of an object."""
    metadata = doc["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def endpoints(slices: Iterable[Doc]) -> list[Endpoint]:
    """Every IPv4 endpoint of these slices. A condition that is not given counts as
    discovery.k8s.io/v1 says: ready and serving unless said otherwise."""
    found = []
    for doc in slices:
        if doc.get("addressType", "IPv4") != "IPv4":
            continue
        ports = {
            (port.get("name") or "", port.get("protocol") or "TCP"): port["port"]
            for port in doc.get("ports") or ()
            if port.get("port")
        }
        for entry in doc.get("endpoints") or ():
            addresses = entry.get("addresses") or ("",)
            if is_ip(addresses[0]):
                found.append(_endpoint(entry, ports))
    return found


def is_ip(text: str) -> bool:
    """Is it an IPv4 address, and nothing besides? Addresses become part of rules and answers, so
    no other text may pass for one."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _endpoint(entry: Doc, ports: Mapping[tuple[str, str], int]) -> Endpoint:
    conditions, hostname = entry.get("conditions") or {}, entry.get("hostname") or ""
    ready = conditions.get("ready") is not False
    return Endpoint(
        ip=entry["addresses"][0],
        ports=ports,
        ready=ready,
        serving=conditions.get("serving", ready) is not False,
        terminating=conditions.get("terminating") is True,
        hostname=hostname if _LABEL.fullmatch(hostname) else "",
        node=entry.get("nodeName") or "",
    )


def usable(found: Iterable[Endpoint]) -> list[Endpoint]:
    """Those that may get traffic: the ready ones, or, if there is none, those that still serve
    while they end (kube-proxy's rule, KEP-1669)."""
    found = list(found)
    ready = [endpoint for endpoint in found if endpoint.ready]
    return ready or [e for e in found if e.serving and e.terminating]
