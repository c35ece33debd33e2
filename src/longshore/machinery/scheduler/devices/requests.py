"""What a claim asks for, and what it is given. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.devices.pools import Device, Place, Taint


class Toleration(NamedTuple):
    key: str
    operator: str
    value: str
    effect: str

    def tolerates(self, taint: Taint) -> bool:
        """resourceclaim.ToleratesTaint: an empty key or effect is every one."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        return self.operator == "Exists" or self.value == taint.value


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """selectors: the texts of expressions; config as it is given to drivers."""

    name: str
    selectors: tuple[str, ...]
    config: tuple[Doc, ...]


@dataclass(frozen=True, slots=True)
class Want:
    """Devices of one kind. name: REQUEST, or REQUEST/ALTERNATIVE. count 0: all there are.
    tolerations_given are as the claim has them."""

    name: str
    request: str
    device_class: str
    selectors: tuple[str, ...]
    count: int
    admin: bool
    tolerations: tuple[Toleration, ...]
    tolerations_given: tuple[Doc, ...] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Constraint:
    """Devices of some requests (none: of all) have the same value of an attribute, or (distinct)
    all another."""

    attribute: str
    requests: frozenset[str]
    distinct: bool

    def applies(self, want: Want) -> bool:
        return not self.requests or bool(self.requests & {want.name, want.request})


@dataclass(frozen=True, slots=True)
class Asked:
    """A claim's demands, equal for claims that the same devices do for. requests: each with its
    alternatives, of which the first that works is taken."""

    key: str = field(compare=False)
    requests: tuple[tuple[Want, ...], ...]
    constraints: tuple[Constraint, ...]
    config: tuple[Doc, ...] = field(compare=False)


class Grant(NamedTuple):
    """A device for one of a claim's requests."""

    want: Want
    device: Device


def class_of(doc: Doc) -> DeviceClass:
    spec = doc.get("spec") or {}
    return DeviceClass(
        doc["metadata"]["name"], tuple(_selectors(spec)), tuple(spec.get("config") or ())
    )


def asked_by(doc: Doc) -> Asked:
    """What a claim asks for; its classes are still names."""
    metadata, devices = doc["metadata"], (doc.get("spec") or {}).get("devices") or {}
    return Asked(
        key=f"{metadata['namespace']}/{metadata['name']}",
        requests=tuple(tuple(_wants(one)) for one in devices.get("requests") or ()),
        constraints=tuple(_constraint(one) for one in devices.get("constraints") or ()),
        config=tuple(devices.get("config") or ()),
    )


def _wants(request: Doc) -> Iterator[Want]:
    name = request["name"]
    if "exactly" in request:
        yield _want(name, name, request["exactly"])
    for one in request.get("firstAvailable") or ():
        yield _want(f"{name}/{one['name']}", name, one)


def _want(name: str, request: str, one: Doc) -> Want:
    given = tuple(one.get("tolerations") or ())
    return Want(
        name=name,
        request=request,
        device_class=one["deviceClassName"],
        selectors=tuple(_selectors(one)),
        count=0 if one.get("allocationMode") == "All" else int(one.get("count", 1)),
        admin=bool(one.get("adminAccess")),
        tolerations=tuple(_toleration(each) for each in given),
        tolerations_given=given,
    )


def _toleration(one: Doc) -> Toleration:
    operator = one.get("operator") or "Equal"
    return Toleration(one.get("key", ""), operator, one.get("value", ""), one.get("effect", ""))


def _selectors(one: Doc) -> Iterator[str]:
    for selector in one.get("selectors") or ():
        yield selector["cel"]["expression"]


def _constraint(one: Doc) -> Constraint:
    distinct = "distinctAttribute" in one
    attribute = one["distinctAttribute"] if distinct else one["matchAttribute"]
    return Constraint(attribute, frozenset(one.get("requests") or ()), distinct)


# ---- what is written


def allocation(asked: Asked, grants: Sequence[Grant], classes: Mapping[str, DeviceClass]) -> Doc:
    """status.allocation of a claim that has been granted devices."""
    devices: Doc = {"results": [_result(one) for one in grants]}
    config = [*_class_config(grants, classes), *_claim_config(asked, grants)]
    if config:
        devices["config"] = config
    selector = _node_selector([one.device.place for one in grants])
    return {"devices": devices, **({"nodeSelector": selector} if selector else {})}


def _result(grant: Grant) -> Doc:
    driver, pool, device = grant.device.id
    given = list(grant.want.tolerations_given)
    return {
        "request": grant.want.name,
        "driver": driver,
        "pool": pool,
        "device": device,
        **({"adminAccess": True} if grant.want.admin else {}),
        **({"tolerations": given} if given else {}),
    }


def _class_config(grants: Sequence[Grant], classes: Mapping[str, DeviceClass]) -> Iterator[Doc]:
    """That of each class once, for all requests of it."""
    by_class: dict[str, dict[str, None]] = {}
    for grant in grants:
        by_class.setdefault(grant.want.device_class, {})[grant.want.name] = None
    for name, requests in by_class.items():
        for config in classes[name].config:
            yield {"source": "FromClass", "requests": list(requests), **config}


def _claim_config(asked: Asked, grants: Sequence[Grant]) -> Iterator[Doc]:
    """That which is for all requests, or for one that was chosen."""
    chosen = {name for grant in grants for name in (grant.want.name, grant.want.request)}
    for config in asked.config:
        requests = config.get("requests") or []
        if not requests or chosen.intersection(requests):
            yield {"source": "FromClaim", **config}


def _node_selector(places: Sequence[Place]) -> Doc | None:
    """The nodes on which all of these can be used; None if that is all nodes."""
    for place in places:
        if place.node:
            named = {"key": "metadata.name", "operator": "In", "values": [place.node]}
            return {"nodeSelectorTerms": [{"matchFields": [named]}]}
    term: Doc = {}
    for place in places:
        given = place.selector["nodeSelectorTerms"][0] if place.selector else {}
        for part in ("matchFields", "matchExpressions"):
            for one in given.get(part) or ():
                if one not in term.setdefault(part, []):
                    term[part].append(one)
    return {"nodeSelectorTerms": [term]} if term else None
