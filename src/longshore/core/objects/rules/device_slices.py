"""Rules for slices: the devices that drivers publish (pkg/apis/resource/validation)."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import kinds, names, versions
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.devices import limited, not_supported, pool_name, taint
from longshore.core.objects.rules.metadata import unique
from longshore.core.objects.rules.placement import node_selector_terms
from longshore.core.objects.rules.problems import IMMUTABLE, SPEC, Path, Problems, Rule, UpdateRule
from longshore.core.objects.rules.storage import driver_name

_DEVICES_MAX, _DEVICES_MAX_ADVANCED = 128, 64
_PROPERTIES_MAX, _TEXT_MAX, _TAINTS_MAX = 32, 64, 16
_COUNTER_SETS_MAX, _COUNTERS_MAX, _CONSUMED_MAX = 8, 32, 2
_DOMAIN_MAX, _NAME_MAX = 63, 32
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_DEVICE_PLACES = ("nodeName", "nodeSelector", "allNodes")
_KINDS_OF_VALUE = ("bool", "int", "string", "version")
_LISTS = ("bools", "ints", "strings", "versions")


def resource_slice(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    driver_name(spec.get("driver", ""), (SPEC, "driver"), problems)
    _pool(spec.get("pool", {}), (SPEC, "pool"), problems)
    _place(spec, problems)
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        problems.invalid(SPEC, "", "only one of `sharedCounters` or `devices` is allowed")
    not_supported(spec, ("partitionTypeAttribute", "skipNodeOperations"), SPEC, problems)
    _devices(spec, (SPEC, "devices"), problems)
    _counter_sets(spec.get("sharedCounters", []), (SPEC, "sharedCounters"), problems)


def resource_slice_update(new: Doc, old: Doc, problems: Problems) -> None:
    given, had = new.get("spec", {}), old.get("spec", {})
    before, name = had.get("pool", {}).get("name"), given.get("pool", {}).get("name")
    if name != before:
        problems.invalid(((SPEC, "pool"), "name"), name, IMMUTABLE)
    for field in ("driver", "nodeName"):
        problems.unchanged((SPEC, field), given.get(field), had.get(field))


def _pool(pool: Doc, path: Path, problems: Problems) -> None:
    pool_name(pool.get("name", ""), (path, "name"), problems)
    slices, generation = pool.get("resourceSliceCount", 0), pool.get("generation", 0)
    if slices <= 0:
        problems.invalid((path, "resourceSliceCount"), slices, "must be greater than zero")
    if generation < 0:
        why = "must be greater than or equal to zero"
        problems.invalid((path, "generation"), generation, why)


def _place(spec: Doc, problems: Problems) -> None:
    """Where the devices are is said in exactly one way."""
    listed = ", ".join(f"`{field}`" for field in _PLACES)
    _one_place(spec, _PLACES, f"exactly one of {listed} is required", SPEC, problems)


def _one_place(
    one: Doc, fields: Iterable[str], either: str, path: Path, problems: Problems
) -> None:
    said = [f"`{field}`" for field in fields if one.get(field)]
    if not said:
        problems.required(path, either)
    elif len(said) > 1:
        shown = f"{{{', '.join(said)}}}"
        problems.invalid(path, shown, f"{either}, but multiple fields are set")
    node = one.get("nodeName")
    if node:
        problems.all_invalid((path, "nodeName"), node, names.subdomain_problems(node))
    chosen = one.get("nodeSelector")
    if chosen is not None:
        node_selector_terms(chosen, (path, "nodeSelector"), problems)
        terms = chosen.get("nodeSelectorTerms", [])
        if len(terms) != 1:
            at = ((path, "nodeSelector"), "nodeSelectorTerms")
            problems.invalid(at, terms, "must have exactly one node selector term")


def _devices(spec: Doc, path: Path, problems: Problems) -> None:
    devices = spec.get("devices", [])
    advanced = any(one.get("taints") or one.get("consumesCounters") for one in devices)
    limited(devices, _DEVICES_MAX_ADVANCED if advanced else _DEVICES_MAX, path, problems)
    unique(devices, "name", path, problems)
    for index, device in enumerate(devices):
        _device(device, (path, index), problems)
        _place_of_device(device, bool(spec.get("perDeviceNodeSelection")), (path, index), problems)


def _device(device: Doc, path: Path, problems: Problems) -> None:
    problems.label((path, "name"), device.get("name", ""))
    attributes, capacity = device.get("attributes", {}), device.get("capacity", {})
    total = len(attributes) + len(capacity)
    if total > _PROPERTIES_MAX:
        why = f"the total number of attributes and capacities must not exceed {_PROPERTIES_MAX}"
        problems.invalid(path, total, why)
    for name, one in attributes.items():
        _qualified(name, (path, "attributes"), problems)
        _attribute(one, ((path, "attributes"), f"[{name}]"), problems)
    for name, one in capacity.items():
        _qualified(name, (path, "capacity"), problems)
        if one.get("requestPolicy"):
            at = (((path, "capacity"), f"[{name}]"), "requestPolicy")
            problems.forbidden(at, "allowMultipleAllocations must be true")
    limited(device.get("taints", []), _TAINTS_MAX, (path, "taints"), problems)
    for index, one in enumerate(device.get("taints", ())):
        taint(one, ((path, "taints"), index), problems)
    _consumed(device.get("consumesCounters", []), (path, "consumesCounters"), problems)
    unknown = (
        "allowMultipleAllocations", "bindingConditions", "bindingFailureConditions",
        "bindsToNode", "nodeAllocatableResources", "compatibilityGroups",
    )  # fmt: skip
    not_supported(device, unknown, path, problems)


def _place_of_device(device: Doc, asked: bool, path: Path, problems: Problems) -> None:
    if asked:
        either = (
            "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when "
            "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        )
        _one_place(device, _DEVICE_PLACES, either, path, problems)
    elif any(device.get(field) is not None for field in _DEVICE_PLACES):
        why = (
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if "
            "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
        )
        problems.invalid(path, None, why)


def _qualified(name: str, path: Path, problems: Problems) -> None:
    """NAME, or DOMAIN/NAME."""
    if not name:
        problems.required(path, "name must not be empty")
        return
    domain, slash, own = name.rpartition("/")
    if slash:
        if len(domain) > _DOMAIN_MAX:
            problems.too_long(path, _DOMAIN_MAX)
        problems.all_invalid(path, domain, names.subdomain_problems(domain))
    if len(own) > _NAME_MAX:
        problems.too_long(path, _NAME_MAX)
    if not own.isascii() or not own.isidentifier():
        problems.invalid(path, own, "a valid C identifier must start with alphabetic character or "
                         "'_', followed by a string of alphanumeric characters or '_' (e.g. "
                         "'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is "
                         "'[A-Za-z_][A-Za-z0-9_]*')")  # fmt: skip


def _attribute(one: Doc, path: Path, problems: Problems) -> None:
    not_supported(one, _LISTS, path, problems)
    given = [kind for kind in _KINDS_OF_VALUE if kind in one]
    if len(given) > 1 or not (given or any(kind in one for kind in _LISTS)):
        problems.invalid(path, one if given else "", "exactly one value must be specified")
    for kind in given:
        value = one[kind]
        if kind == "version" and versions.semantic(value) is None:
            why = "must be a string compatible with semver.org spec 2.0.0"
            problems.invalid((path, kind), value, why)
        if kind in ("string", "version") and len(value) > _TEXT_MAX:
            problems.too_long((path, kind), _TEXT_MAX)


def _counter_sets(sets: list[Doc], path: Path, problems: Problems) -> None:
    limited(sets, _COUNTER_SETS_MAX, path, problems)
    unique(sets, "name", path, problems)
    for index, one in enumerate(sets):
        problems.label(((path, index), "name"), one.get("name", ""))
        _counters(one.get("counters", {}), ((path, index), "counters"), problems)


def _consumed(given: list[Doc], path: Path, problems: Problems) -> None:
    limited(given, _CONSUMED_MAX, path, problems)
    unique(given, "counterSet", path, problems)
    for index, one in enumerate(given):
        problems.label(((path, index), "counterSet"), one.get("counterSet", ""))
        _counters(one.get("counters", {}), ((path, index), "counters"), problems)


def _counters(counters: Doc, path: Path, problems: Problems) -> None:
    if not counters:
        problems.required(path)
    if len(counters) > _COUNTERS_MAX:
        problems.too_many(path, len(counters), _COUNTERS_MAX)
    for name in counters:
        problems.all_invalid(path, name, names.label_problems(name))


RULES: dict[str, Rule] = {kinds.RESOURCE_SLICE.schema: resource_slice}
UPDATE_RULES: dict[str, UpdateRule] = {kinds.RESOURCE_SLICE.schema: resource_slice_update}
