"""Which devices could be given to claims on a node: every choice there is, looked at one by one.

Written from the API's documentation (k8s.io/api/resource/v1, types.go) over plain documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product
from typing import Any

from longshore.base.quantities import parse
from longshore.core.objects.kinds import Doc

Says = Mapping[str, Callable[[Doc], bool]]
"""What each expression means, of a device."""
Id = tuple[str, str, str]


@dataclass(frozen=True)
class Site:
    """A node with its labels, what drivers publish, classes by name, taints by rules, and the devices
    that others have."""

    node: str
    labels: Mapping[str, str]
    slices: Sequence[Doc]
    classes: Mapping[str, Doc]
    taken: frozenset[Id]
    says: Says


@dataclass(frozen=True)
class Given:
    """A device for a request, or for one of its alternatives ("request/alternative")."""

    claim: int
    request: str
    want: Doc
    id: Id
    device: Doc


def choices(site: Site, claims: Sequence[Doc]) -> Iterator[list[Given]]:
    """All that are allowed, in the order in which they are to be preferred: the first request has its
    first alternative, and of that the first devices, as far as the others allow. claims: their specs."""
    if _is_updated(site) and any(want["allocationMode"] == "All" for want in _wants(claims)):
        return
    every = [(n, one) for n, claim in enumerate(claims) for one in claim["devices"]["requests"]]
    options = [
        [some for one in _alternatives(number, request) for some in _options(site, *one)]
        for number, request in every
    ]
    for picked in product(*options):
        given = [one for some in picked for one in some]
        if _is_allowed(site, claims, given):
            yield given


def _wants(claims: Sequence[Doc]) -> Iterator[Doc]:
    for number, claim in enumerate(claims):
        for request in claim["devices"]["requests"]:
            yield from (want for _, _, want in _alternatives(number, request))


def _alternatives(number: int, request: Doc) -> Iterator[tuple[int, str, Doc]]:
    if "exactly" in request:
        yield number, request["name"], request["exactly"]
    for one in request.get("firstAvailable", ()):
        yield number, f"{request['name']}/{one['name']}", one


def _options(site: Site, number: int, name: str, want: Doc) -> list[list[Given]]:
    found = [
        Given(number, name, want, one, device)
        for one, device in visible(site)
        if _selected(site, want, device)
    ]
    if want["allocationMode"] == "All":
        return [found] if found else []
    return [list(some) for some in combinations(found, want["count"])]


def _selected(site: Site, want: Doc, device: Doc) -> bool:
    given = [
        *site.classes[want["deviceClassName"]]["spec"]["selectors"],
        *want.get("selectors", ()),
    ]
    return all(site.says[one["cel"]["expression"]](device) for one in given)


# ---- what there is


def visible(site: Site) -> list[tuple[Id, Doc]]:
    """The devices of complete pools that can be used on the node."""
    return [
        (_id(part, device), device)
        for part in _newest(site)
        if _is_complete(site, part)
        for device in part["spec"].get("devices", ())
        if _is_here(site, part, device)
    ]


def _pool(part: Doc) -> tuple[str, str]:
    return part["spec"]["driver"], part["spec"]["pool"]["name"]


def _id(part: Doc, device: Doc) -> Id:
    return *_pool(part), device["name"]


def _newest(site: Site) -> list[Doc]:
    last: dict[tuple[str, str], int] = {}
    for one in site.slices:
        last[_pool(one)] = max(last.get(_pool(one), 0), one["spec"]["pool"]["generation"])
    return [one for one in site.slices if one["spec"]["pool"]["generation"] == last[_pool(one)]]


def _is_complete(site: Site, part: Doc) -> bool:
    parts = [one for one in _newest(site) if _pool(one) == _pool(part)]
    return len(parts) == int(part["spec"]["pool"]["resourceSliceCount"])


def _is_updated(site: Site) -> bool:
    """Whether a pool that has devices here is not complete."""
    return any(
        not _is_complete(site, part) and _is_here(site, part, device)
        for part in _newest(site)
        for device in part["spec"].get("devices", ())
    )


def _is_here(site: Site, part: Doc, device: Doc) -> bool:
    said = device if part["spec"].get("perDeviceNodeSelection") else part["spec"]
    if "nodeName" in said:
        return bool(said["nodeName"] == site.node)
    if "nodeSelector" in said:
        (term,) = said["nodeSelector"]["nodeSelectorTerms"]
        return all(site.labels.get(e["key"]) in e["values"] for e in term["matchExpressions"])
    return True


# ---- what is allowed


def _is_allowed(site: Site, claims: Sequence[Doc], given: list[Given]) -> bool:
    return (
        _nobody_elses(site, given)
        and all(
            _tolerates(one.want, taint) for one in given for taint in one.device.get("taints", ())
        )
        and all(
            _holds(constraint, [one for one in given if one.claim == number])
            for number, claim in enumerate(claims)
            for constraint in claim["devices"].get("constraints", ())
        )
        and _within_counters(site, given)
    )


def _nobody_elses(site: Site, given: list[Given]) -> bool:
    own = [one.id for one in given if not one.want.get("adminAccess")]
    in_claims = Counter((one.claim, one.id) for one in given if one.want.get("adminAccess"))
    mixed = any(
        (one.claim, one.id) in in_claims for one in given if not one.want.get("adminAccess")
    )
    return (
        len(set(own)) == len(own)
        and not site.taken.intersection(own)
        and all(count == 1 for count in in_claims.values())
        and not mixed
    )


def _tolerates(want: Doc, taint: Doc) -> bool:
    if taint["effect"] not in ("NoSchedule", "NoExecute"):
        return True
    return any(
        one.get("key", taint["key"]) == taint["key"]
        and one.get("effect", taint["effect"]) == taint["effect"]
        and (one.get("operator") == "Exists" or one.get("value", "") == taint.get("value", ""))
        for one in want.get("tolerations", ())
    )


def _holds(constraint: Doc, given: list[Given]) -> bool:
    asked = constraint.get("requests")
    meant = [
        one for one in given
        if not asked or one.request in asked or one.request.partition("/")[0] in asked
    ]  # fmt: skip
    name = constraint.get("matchAttribute") or constraint["distinctAttribute"]
    values = [_attribute(one, name) for one in meant]
    if None in values:
        return False
    if "matchAttribute" in constraint:
        return all(value == values[0] for value in values)
    return all(one != other for one, other in combinations(values, 2))


def _attribute(one: Given, name: str) -> Any:
    attributes = one.device.get("attributes", {})
    domain, _, own = name.partition("/")
    return attributes.get(name, attributes.get(own) if domain == one.id[0] else None)


def _within_counters(site: Site, given: list[Given]) -> bool:
    having = {one.id for one in given if not one.want.get("adminAccess")} | site.taken
    left: dict[tuple[tuple[str, str], str, str], Fraction] = {}
    for part in _newest(site):
        for some in part["spec"].get("sharedCounters", ()):
            for name, counter in some["counters"].items():
                left[_pool(part), some["name"], name] = parse(counter["value"])
    for part in _newest(site):
        for device in part["spec"].get("devices", ()):
            for some in device.get("consumesCounters", ()) if _id(part, device) in having else ():
                for name, counter in some["counters"].items():
                    left[_pool(part), some["counterSet"], name] -= parse(counter["value"])
    asked = {
        (one.id[:2], some["counterSet"], name)
        for one in given if not one.want.get("adminAccess")
        for some in one.device.get("consumesCounters", ()) for name in some["counters"]
    }  # fmt: skip
    return all(left[one] >= 0 for one in asked)
