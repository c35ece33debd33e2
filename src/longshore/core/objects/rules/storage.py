"""Rules for storage classes, drivers and attachments (pkg/apis/storage/validation)."""

from __future__ import annotations

from typing import Any

from longshore.base import quantities
from longshore.core.objects import kinds, names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.metadata import label_selector
from longshore.core.objects.rules.problems import (
    IMMUTABLE,
    ROOT,
    SPEC,
    Path,
    Problems,
    Rule,
    UpdateRule,
    repeats,
)

_PARAMETERS_MAX, _PARAMETERS_MAX_BYTES = 512, 256 * 1024
_RECLAIM = ("Delete", "Retain")
_BINDING = ("Immediate", "WaitForFirstConsumer")
_FS_GROUP = ("File", "None", "ReadWriteOnceWithFSType")
_LIFECYCLES = ("Ephemeral", "Persistent")
_NODE_ID_MAX = 256
_DRIVER_MAX = 63
_TOKEN_MIN_S, _TOKEN_MAX_S = 600, 2**32
_UPDATE_PERIOD_MIN_S = 10


# ---- classes


def storage_class(doc: Doc, problems: Problems) -> None:
    _provisioner(doc.get("provisioner", ""), (ROOT, "provisioner"), problems)
    _parameters(doc.get("parameters", {}), problems)
    policy = doc.get("reclaimPolicy")
    if policy and policy not in _RECLAIM:
        problems.unsupported((ROOT, "reclaimPolicy"), policy, _RECLAIM)
    mode = doc.get("volumeBindingMode")
    if mode is None:
        problems.required((ROOT, "volumeBindingMode"))
    elif mode not in _BINDING:
        problems.unsupported((ROOT, "volumeBindingMode"), mode, _BINDING)
    _topologies(doc.get("allowedTopologies", []), (ROOT, "allowedTopologies"), problems)


def storage_class_update(new: Doc, old: Doc, problems: Problems) -> None:
    for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        problems.unchanged((ROOT, field), new.get(field), old.get(field))


def attributes_class(doc: Doc, problems: Problems) -> None:
    _provisioner(doc.get("driverName", ""), (ROOT, "driverName"), problems)
    _parameters(doc.get("parameters", {}), problems)
    if not doc.get("parameters"):
        problems.required((ROOT, "parameters"), "must contain at least one key/value pair")


def attributes_class_update(new: Doc, old: Doc, problems: Problems) -> None:
    for field in ("driverName", "parameters"):
        if new.get(field) != old.get(field):
            problems.forbidden((ROOT, field), f"updates to {field} are forbidden.")


def _provisioner(name: str, path: Path, problems: Problems) -> None:
    if not name:
        problems.required(path)
    else:
        lower = name.lower()
        problems.all_invalid(path, lower, names.qualified_name_problems(lower))


def _parameters(given: dict[str, str], problems: Problems) -> None:
    path = (ROOT, "parameters")
    if len(given) > _PARAMETERS_MAX:
        problems.too_long(path, _PARAMETERS_MAX)
        return
    if "" in given:
        problems.invalid(path, "", "field can not be empty.")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in given.items())
    if size > _PARAMETERS_MAX_BYTES:
        problems.too_long(path, _PARAMETERS_MAX_BYTES)


def _topologies(terms: list[Doc], path: Path, problems: Problems) -> None:
    seen: set[frozenset[tuple[str, frozenset[str]]]] = set()
    for index, term in enumerate(terms):
        at = ((path, index), "matchLabelExpressions")
        wanted: dict[str, frozenset[str]] = {}
        for position, one in enumerate(term.get("matchLabelExpressions", ())):
            _topology(one, wanted, (at, position), problems)
        if frozenset(wanted.items()) in seen:
            problems.duplicate(at, "")
        seen.add(frozenset(wanted.items()))


def _topology(one: Doc, wanted: dict[str, frozenset[str]], path: Path, problems: Problems) -> None:
    key, values = one.get("key", ""), one.get("values", [])
    if not values:
        problems.required((path, "values"))
    for index in sorted(repeats(values)):
        problems.duplicate(((path, "values"), index), values[index])
    problems.all_invalid((path, "key"), key, names.qualified_name_problems(key))
    if key in wanted:
        problems.duplicate((path, "key"), key)
    wanted[key] = frozenset(values)


# ---- drivers


def csi_driver(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in _FS_GROUP:
        problems.unsupported((SPEC, "fsGroupPolicy"), policy, _FS_GROUP)
    tokens = spec.get("tokenRequests", [])
    _tokens(tokens, (SPEC, "tokenRequests"), problems)
    for mode in spec.get("volumeLifecycleModes", ()):
        if mode not in _LIFECYCLES:
            problems.unsupported((SPEC, "volumeLifecycleModes"), mode, _LIFECYCLES)
    period_s, field = spec.get("nodeAllocatableUpdatePeriodSeconds"), "nodeAllocatableUpdatePeriodSeconds"  # fmt: skip
    if period_s is not None and period_s < _UPDATE_PERIOD_MIN_S:
        why = "must be greater than or equal to 10 seconds"
        problems.invalid((SPEC, field), period_s, why)
    secret = spec.get("serviceAccountTokenInSecrets")
    if secret is not None and not tokens:
        why = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        problems.invalid((SPEC, "serviceAccountTokenInSecrets"), secret, why)


def csi_driver_update(new: Doc, old: Doc, problems: Problems) -> None:
    given, had = new.get("spec", {}), old.get("spec", {})
    # Upstream's message names the first field so.
    for field, shown in (
        ("attachRequired", "attachedRequired"),
        ("volumeLifecycleModes", "volumeLifecycleModes"),
    ):
        problems.unchanged((SPEC, shown), given.get(field), had.get(field))


def _tokens(tokens: list[Doc], path: Path, problems: Problems) -> None:
    seen = set()
    for index, one in enumerate(tokens):
        audience, life_s = one.get("audience", ""), one.get("expirationSeconds")
        at = ((path, index), "expirationSeconds")
        if audience in seen:
            problems.duplicate(((path, index), "audience"), audience)
            continue
        seen.add(audience)
        if life_s is not None and life_s < _TOKEN_MIN_S:
            problems.invalid(at, life_s, "may not specify a duration less than 10 minutes")
        if life_s is not None and life_s > _TOKEN_MAX_S:
            problems.invalid(at, life_s, "may not specify a duration larger than 2^32 seconds")


def csi_node(doc: Doc, problems: Problems) -> None:
    seen: set[str] = set()
    for index, driver in enumerate(doc.get("spec", {}).get("drivers", ())):
        path, name = ((SPEC, "drivers"), index), driver.get("name", "")
        driver_name(name, (path, "name"), problems)
        if name in seen:
            problems.duplicate((path, "name"), name)
        seen.add(name)
        _node_driver(driver, path, problems)


def _node_driver(driver: Doc, path: Path, problems: Problems) -> None:
    node = driver.get("nodeID", "")
    if not node:
        problems.required((path, "nodeID"))
    if len(node) > _NODE_ID_MAX:
        why = f"must be {_NODE_ID_MAX} characters or less"
        problems.invalid((path, "nodeID"), node, why)
    count = driver.get("allocatable", {}).get("count")
    problems.not_negative(((path, "allocatable"), "count"), count)
    keys = driver.get("topologyKeys", [])
    again = repeats(keys)
    for index, key in enumerate(keys):
        if index in again:
            problems.duplicate(path, key)
        problems.all_invalid(path, key, names.qualified_name_problems(key))


def csi_node_update(new: Doc, old: Doc, problems: Problems) -> None:
    """A driver stays what it was, but for how much it can take."""
    had = {one.get("name"): one for one in old.get("spec", {}).get("drivers", ())}
    for driver in new.get("spec", {}).get("drivers", ()):
        before = had.get(driver.get("name"))
        if before is not None and _lasting(driver) != _lasting(before):
            problems.invalid((SPEC, "drivers"), driver, IMMUTABLE)


def _lasting(driver: Doc) -> dict[str, Any]:
    return {key: value for key, value in driver.items() if key != "allocatable"}


def driver_name(name: str, path: Path, problems: Problems) -> None:
    """A driver's name: a DNS subdomain, capitals allowed, of at most 63 bytes."""
    if not name:
        problems.required(path)
        return
    if len(name) > _DRIVER_MAX:
        problems.too_long(path, _DRIVER_MAX)
    problems.all_invalid(path, name, names.subdomain_problems(name.lower()))


def storage_capacity(doc: Doc, problems: Problems) -> None:
    if "nodeTopology" in doc:
        label_selector(doc["nodeTopology"], (ROOT, "nodeTopology"), problems)
    name, amount = doc.get("storageClassName", ""), doc.get("capacity")
    problems.all_invalid((ROOT, "storageClassName"), name, names.subdomain_problems(name))
    if amount is not None and quantities.parse(amount) < 0:
        problems.invalid((ROOT, "capacity"), amount, "must be greater than or equal to 0")


def storage_capacity_update(new: Doc, old: Doc, problems: Problems) -> None:
    for field in ("nodeTopology", "storageClassName"):
        problems.unchanged((ROOT, field), new.get(field), old.get(field))


# ---- attachments


def volume_attachment(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    driver_name(spec.get("attacher", ""), (SPEC, "attacher"), problems)
    source, at = spec.get("source", {}), (SPEC, "source")
    volume, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    either = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if volume is None and inline is None:
        problems.required(at, either)
    elif volume is not None and inline is not None:
        problems.forbidden(at, either)
    elif volume == "":
        problems.required(
            (at, "persistentVolumeName"), "must specify non empty persistentVolumeName"
        )
    elif volume is not None:
        wrong = names.subdomain_problems(volume)
        problems.all_invalid((at, "persistentVolumeName"), volume, wrong)
    node = spec.get("nodeName", "")
    problems.all_invalid((SPEC, "nodeName"), node, names.subdomain_problems(node))


def volume_attachment_update(new: Doc, old: Doc, problems: Problems) -> None:
    problems.unchanged(SPEC, new.get("spec"), old.get("spec"))


RULES: dict[str, Rule] = {
    kinds.STORAGE_CLASS.schema: storage_class,
    kinds.VOLUME_ATTRIBUTES_CLASS.schema: attributes_class,
    kinds.CSI_DRIVER.schema: csi_driver,
    kinds.CSI_NODE.schema: csi_node,
    kinds.CSI_STORAGE_CAPACITY.schema: storage_capacity,
    kinds.VOLUME_ATTACHMENT.schema: volume_attachment,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    kinds.STORAGE_CLASS.schema: storage_class_update,
    kinds.VOLUME_ATTRIBUTES_CLASS.schema: attributes_class_update,
    kinds.CSI_DRIVER.schema: csi_driver_update,
    kinds.CSI_NODE.schema: csi_node_update,
    kinds.CSI_STORAGE_CAPACITY.schema: storage_capacity_update,
    kinds.VOLUME_ATTACHMENT.schema: volume_attachment_update,
}
