"""Rules for device classes, claims and slices (pkg/apis/resource/validation).

The expressions of selectors are not read here: the language they are written in comes with what
evaluates them.
"""

from __future__ import annotations

from longshore.core.objects import kinds, names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.metadata import unique
from longshore.core.objects.rules.problems import IMMUTABLE, SPEC, Path, Problems, Rule, UpdateRule
from longshore.core.objects.rules.storage import driver_name

_REQUESTS_MAX, _FIRST_AVAILABLE_MAX, _SELECTORS_MAX = 32, 8, 32
_POOL_NAME_MAX = 253
_DEVICES_MAX = 128
_MODES = ("All", "ExactCount")
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")


# ---- claims


def claim(doc: Doc, problems: Problems) -> None:
    _claim_spec(doc.get("spec", {}), SPEC, problems)


def claim_template(doc: Doc, problems: Problems) -> None:
    _claim_spec(doc.get("spec", {}).get("spec", {}), (SPEC, "spec"), problems)


def spec_update(new: Doc, old: Doc, problems: Problems) -> None:
    problems.unchanged(SPEC, new.get("spec"), old.get("spec"))


def _claim_spec(spec: Doc, path: Path, problems: Problems) -> None:
    devices, at = spec.get("devices", {}), (path, "devices")
    requests = devices.get("requests", [])
    _limited(requests, _REQUESTS_MAX, (at, "requests"), problems)
    unique(requests, "name", (at, "requests"), problems)
    for index, one in enumerate(requests):
        _request(one, ((at, "requests"), index), problems)
    known = _request_names(requests)
    for field in ("constraints", "config"):
        for index, one in enumerate(devices.get(field, ())):
            _references(one, known, (((at, field), index), "requests"), problems)


def _limited(items: list[Doc], most: int, path: Path, problems: Problems) -> None:
    if len(items) > most:
        problems.too_many(path, len(items), most)


def _request_names(requests: list[Doc]) -> set[str]:
    """Requests, and their alternatives as REQUEST/ALTERNATIVE."""
    found = {one.get("name", "") for one in requests}
    for one in requests:
        for other in one.get("firstAvailable", ()):
            found.add(f"{one.get('name', '')}/{other.get('name', '')}")
    return found


def _references(one: Doc, known: set[str], path: Path, problems: Problems) -> None:
    for index, name in enumerate(one.get("requests", ())):
        if name not in known:
            why = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"  # fmt: skip
            problems.invalid((path, index), name, why)


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
    _limited(several, _FIRST_AVAILABLE_MAX, path, problems)
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
    _selectors(one.get("selectors", []), (path, "selectors"), problems)
    mode, count = one.get("allocationMode", ""), one.get("count", 0)
    if mode not in _MODES:
        problems.unsupported((path, "allocationMode"), mode, _MODES)
    elif mode == "All" and count:
        why = "must not be specified when allocationMode is 'All'"
        problems.invalid((path, "count"), count, why)
    elif mode == "ExactCount" and count <= 0:
        problems.invalid((path, "count"), count, "must be greater than zero")


def _selectors(given: list[Doc], path: Path, problems: Problems) -> None:
    _limited(given, _SELECTORS_MAX, path, problems)
    for index, one in enumerate(given):
        if "cel" not in one:
            problems.required(((path, index), "cel"))


# ---- classes, slices, taints


def device_class(doc: Doc, problems: Problems) -> None:
    _selectors(doc.get("spec", {}).get("selectors", []), (SPEC, "selectors"), problems)


def resource_slice(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    driver_name(spec.get("driver", ""), (SPEC, "driver"), problems)
    _pool(spec.get("pool", {}), (SPEC, "pool"), problems)
    _place(spec, problems)
    devices, at = spec.get("devices", []), (SPEC, "devices")
    _limited(devices, _DEVICES_MAX, at, problems)
    unique(devices, "name", at, problems)
    for index, device in enumerate(devices):
        problems.label(((at, index), "name"), device.get("name", ""))


def resource_slice_update(new: Doc, old: Doc, problems: Problems) -> None:
    given, had = new.get("spec", {}), old.get("spec", {})
    before, name = had.get("pool", {}).get("name"), given.get("pool", {}).get("name")
    if name != before:
        problems.invalid(((SPEC, "pool"), "name"), name, IMMUTABLE)
    for field in ("driver", "nodeName"):
        problems.unchanged((SPEC, field), given.get(field), had.get(field))


def _pool(pool: Doc, path: Path, problems: Problems) -> None:
    _pool_name(pool.get("name", ""), (path, "name"), problems)
    slices, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    if slices <= 0:
        problems.invalid((path, "resourceSliceCount"), slices, "must be greater than zero")
    if generation < 0:
        why = "must be greater than or equal to zero"
        problems.invalid((path, "generation"), generation, why)


def _pool_name(name: str, path: Path, problems: Problems) -> None:
    if not name:
        problems.required(path)
        return
    if len(name) > _POOL_NAME_MAX:
        problems.too_long(path, _POOL_NAME_MAX)
    for part in name.split("/"):
        problems.all_invalid(path, part, names.subdomain_problems(part))


def _place(spec: Doc, problems: Problems) -> None:
    """Where the devices are is said in exactly one way."""
    said = [f"`{field}`" for field in _PLACES if spec.get(field)]
    listed = ", ".join(f"`{field}`" for field in _PLACES)
    either = f"exactly one of {listed} is required"
    if not said:
        problems.required(SPEC, either)
    elif len(said) > 1:
        shown = f"{{{', '.join(said)}}}"
        problems.invalid(SPEC, shown, f"{either}, but multiple fields are set")
    node = spec.get("nodeName")
    if node:
        problems.all_invalid((SPEC, "nodeName"), node, names.subdomain_problems(node))


def taint_rule(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    chosen, at = spec.get("deviceSelector", {}), (SPEC, "deviceSelector")
    if "driver" in chosen:
        driver_name(chosen["driver"], (at, "driver"), problems)
    if "pool" in chosen:
        _pool_name(chosen["pool"], (at, "pool"), problems)
    if "device" in chosen:
        problems.label((at, "device"), chosen["device"])
    taint, path = spec.get("taint", {}), (SPEC, "taint")
    key, value = taint.get("key", ""), taint.get("value", "")
    problems.all_invalid((path, "key"), key, names.qualified_name_problems(key))
    problems.all_invalid((path, "value"), value, names.label_value_problems(value))
    problems.one_of((path, "effect"), taint.get("effect", ""), _EFFECTS)


RULES: dict[str, Rule] = {
    kinds.RESOURCE_CLAIM.schema: claim,
    kinds.RESOURCE_CLAIM_TEMPLATE.schema: claim_template,
    kinds.DEVICE_CLASS.schema: device_class,
    kinds.RESOURCE_SLICE.schema: resource_slice,
    kinds.DEVICE_TAINT_RULE.schema: taint_rule,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    kinds.RESOURCE_CLAIM.schema: spec_update,
    kinds.RESOURCE_CLAIM_TEMPLATE.schema: spec_update,
    kinds.RESOURCE_SLICE.schema: resource_slice_update,
}
