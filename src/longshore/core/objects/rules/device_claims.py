"""Rules for claims of devices and templates of them (pkg/apis/resource/validation)."""

from __future__ import annotations

from longshore.core.objects import kinds, names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.devices import (
    config,
    configs,
    limited,
    not_supported,
    pool_name,
    selectors,
    tolerations,
    unique_values,
)
from longshore.core.objects.rules.metadata import unique
from longshore.core.objects.rules.placement import node_selector_terms
from longshore.core.objects.rules.problems import (
    SPEC,
    STATUS,
    Path,
    Problems,
    Rule,
    StatusRule,
    UpdateRule,
)
from longshore.core.objects.rules.storage import driver_name

_REQUESTS_MAX, _FIRST_AVAILABLE_MAX, _CONSTRAINTS_MAX = 32, 8, 32
_RESULTS_MAX, _ALLOCATED_CONFIG_MAX, _RESERVED_MAX = 32, 64, 256
_MODES = ("All", "ExactCount")
_SOURCES = ("FromClaim", "FromClass")
_NOT_A_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest "
    "separated by '/'"
)
_ATTRIBUTES = ("matchAttribute", "distinctAttribute")


def claim(doc: Doc, problems: Problems) -> None:
    _spec(doc.get("spec", {}), SPEC, problems)


def claim_template(doc: Doc, problems: Problems) -> None:
    _spec(doc.get("spec", {}).get("spec", {}), (SPEC, "spec"), problems)


def spec_update(new: Doc, old: Doc, problems: Problems) -> None:
    problems.unchanged(SPEC, new.get("spec"), old.get("spec"))


def _spec(spec: Doc, path: Path, problems: Problems) -> None:
    devices, at = spec.get("devices", {}), (path, "devices")
    requests = devices.get("requests", [])
    limited(requests, _REQUESTS_MAX, (at, "requests"), problems)
    unique(requests, "name", (at, "requests"), problems)
    for index, one in enumerate(requests):
        _request(one, ((at, "requests"), index), problems)
    known = _request_names(requests)
    constraints = devices.get("constraints", [])
    limited(constraints, _CONSTRAINTS_MAX, (at, "constraints"), problems)
    for index, one in enumerate(constraints):
        _constraint(one, known, ((at, "constraints"), index), problems)
    for index, one in enumerate(devices.get("config", ())):
        _references(one, known, (((at, "config"), index), "requests"), problems)
    configs(devices.get("config", []), (at, "config"), problems)


def _request_names(requests: list[Doc]) -> set[str]:
    """Requests, and their alternatives as REQUEST/ALTERNATIVE."""
    found = {one.get("name", "") for one in requests}
    for one in requests:
        for other in one.get("firstAvailable", ()):
            found.add(f"{one.get('name', '')}/{other.get('name', '')}")
    return found


def _references(one: Doc, known: set[str], path: Path, problems: Problems) -> None:
    given = one.get("requests", [])
    limited(given, _REQUESTS_MAX, path, problems)
    unique_values(given, path, problems)
    for index, name in enumerate(given):
        if name not in known:
            problems.invalid((path, index), name, _NOT_A_REQUEST)


def _constraint(one: Doc, known: set[str], path: Path, problems: Problems) -> None:
    _references(one, known, (path, "requests"), problems)
    given = [field for field in _ATTRIBUTES if one.get(field)]
    if len(given) != 1:
        told = 'exactly one of "matchAttribute" or "distinctAttribute" is required'
        problems.required(path, told + (", but multiple fields are set" if given else ""))
    for field in given:
        _full_name(one[field], (path, field), problems)


def _full_name(name: str, path: Path, problems: Problems) -> None:
    """DOMAIN/NAME: a name alone is one of nobody's here."""
    domain, slash, own = name.partition("/")
    if not slash:
        problems.invalid(path, name, "must include a domain")
        return
    problems.all_invalid(path, domain, names.subdomain_problems(domain))
    if not own:
        problems.required(path, "must include a name after the domain")


def _request(one: Doc, path: Path, problems: Problems) -> None:
    problems.label((path, "name"), one.get("name", ""))
    exact, several = one.get("exactly"), one.get("firstAvailable")
    either = "exactly one of `exactly` or `firstAvailable` is required"
    if exact is None and not several:
        problems.required(path, either)
    elif exact is not None and several:
        problems.invalid(path, None, f"{either}, but multiple fields are set")
    elif exact is not None:
        _wanted(exact, (path, "exactly"), problems)
    else:
        _alternatives(several or [], (path, "firstAvailable"), problems)


def _alternatives(several: list[Doc], path: Path, problems: Problems) -> None:
    limited(several, _FIRST_AVAILABLE_MAX, path, problems)
    unique(several, "name", path, problems)
    for index, one in enumerate(several):
        problems.label(((path, index), "name"), one.get("name", ""))
        _wanted(one, (path, index), problems)


def _wanted(one: Doc, path: Path, problems: Problems) -> None:
    name = one.get("deviceClassName", "")
    if not name:
        problems.required((path, "deviceClassName"))
    else:
        problems.all_invalid((path, "deviceClassName"), name, names.subdomain_problems(name))
    selectors(one.get("selectors", []), (path, "selectors"), problems)
    tolerations(one.get("tolerations", []), (path, "tolerations"), problems)
    not_supported(one, ("capacity", "derivedAttributes"), path, problems)
    mode, count = one.get("allocationMode", ""), one.get("count", 0)
    if mode not in _MODES:
        problems.unsupported((path, "allocationMode"), mode, _MODES)
    elif mode == "All" and count:
        why = "must not be specified when allocationMode is 'All'"
        problems.invalid((path, "count"), count, why)
    elif mode == "ExactCount" and count <= 0:
        problems.invalid((path, "count"), count, "must be greater than zero")


# ---- what has been allocated


def claim_status(new: Doc, old: Doc, subresource: str, problems: Problems) -> None:
    """An allocation is made and taken back as a whole; who is new may not join what is going."""
    status, before = new.get("status") or {}, old.get("status") or {}
    known = _request_names(new.get("spec", {}).get("devices", {}).get("requests", []))
    allocation = status.get("allocation")
    _reserved(status, before, "deletionTimestamp" in new["metadata"], problems)
    _device_states(status.get("devices", []), allocation, problems)
    if allocation is not None and before.get("allocation") is not None:
        problems.unchanged((STATUS, "allocation"), allocation, before["allocation"])
    elif allocation is not None:
        _allocation(allocation, known, (STATUS, "allocation"), problems)


def _reserved(status: Doc, before: Doc, leaving: bool, problems: Problems) -> None:
    given, path = status.get("reservedFor", []), (STATUS, "reservedFor")
    limited(given, _RESERVED_MAX, path, problems)
    for index, one in enumerate(given):
        for field in ("resource", "name", "uid"):
            if not one.get(field):
                problems.required(((path, index), field))
    unique(given, "uid", path, problems)
    if given and status.get("allocation") is None:
        problems.forbidden(path, "may not be specified when `allocated` is not set")
    elif leaving and any(one not in before.get("reservedFor", ()) for one in given):
        why = (
            "new entries may not be added while `deallocationRequested` or `deletionTimestamp` "
            "are set"
        )
        problems.forbidden(path, why)


def _device_states(given: list[Doc], allocation: Doc | None, problems: Problems) -> None:
    path = (STATUS, "devices")
    results = (allocation or {}).get("devices", {}).get("results", ())
    allocated = {_device_of(one) for one in results}
    unique_values([_device_of(one) for one in given], path, problems)
    for index, one in enumerate(given):
        if _device_of(one) not in allocated:
            why = "must be an allocated device in the claim"
            problems.invalid((path, index), "/".join(_device_of(one)), why)


def _device_of(one: Doc) -> tuple[str, str, str]:
    return one.get("driver", ""), one.get("pool", ""), one.get("device", "")


def _allocation(one: Doc, known: set[str], path: Path, problems: Problems) -> None:
    devices, at = one.get("devices", {}), (path, "devices")
    results = devices.get("results", [])
    limited(results, _RESULTS_MAX, (at, "results"), problems)
    for index, result in enumerate(results):
        _result(result, known, ((at, "results"), index), problems)
    told = devices.get("config", [])
    limited(told, _ALLOCATED_CONFIG_MAX, (at, "config"), problems)
    for index, part in enumerate(told):
        place = ((at, "config"), index)
        problems.one_of((place, "source"), part.get("source", ""), _SOURCES)
        _references(part, known, (place, "requests"), problems)
        config(part, place, problems)
    if one.get("nodeSelector") is not None:
        node_selector_terms(one["nodeSelector"], (path, "nodeSelector"), problems)


def _result(one: Doc, known: set[str], path: Path, problems: Problems) -> None:
    if one.get("request") not in known:
        problems.invalid((path, "request"), one.get("request"), _NOT_A_REQUEST)
    driver_name(one.get("driver", ""), (path, "driver"), problems)
    pool_name(one.get("pool", ""), (path, "pool"), problems)
    problems.label((path, "device"), one.get("device", ""))
    tolerations(one.get("tolerations", []), (path, "tolerations"), problems)
    unknown = ("bindingConditions", "bindingFailureConditions", "consumedCapacity", "shareID")
    not_supported(one, unknown, path, problems)


RULES: dict[str, Rule] = {
    kinds.RESOURCE_CLAIM.schema: claim,
    kinds.RESOURCE_CLAIM_TEMPLATE.schema: claim_template,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    kinds.RESOURCE_CLAIM.schema: spec_update,
    kinds.RESOURCE_CLAIM_TEMPLATE.schema: spec_update,
}
STATUS_RULES: dict[str, StatusRule] = {kinds.RESOURCE_CLAIM.schema: claim_status}
