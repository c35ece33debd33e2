"""Rules for PersistentVolumes and the claims on them (pkg/apis/core/validation)."""

from __future__ import annotations

from longshore.base import quantities
from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.metadata import label_selector
from longshore.core.objects.rules.placement import node_selector_terms
from longshore.core.objects.rules.problems import SPEC, Path, Problems, Rule, UpdateRule
from longshore.core.objects.rules.volumes import REQUIRED, host_path
from longshore.core.objects.volumes import NOT_SOURCES

_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_ALONE = "ReadWriteOncePod"
_VOLUME_MODES = ("Block", "Filesystem")
_RECLAIM = ("Delete", "Recycle", "Retain")
_REQUIRED = {
    **REQUIRED, "csi": ("driver", "volumeHandle"), "local": ("path",), "glusterfs": ("endpoints", "path"),
}  # fmt: skip
_CLAIM_FROZEN = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
    "bound claims"
)
_SOURCE_FROZEN = "spec.persistentvolumesource is immutable after creation"


# ---- claims


def claim(doc: Doc, problems: Problems) -> None:
    claim_spec(doc["spec"], SPEC, problems)


def claim_spec(spec: Doc, path: Path, problems: Problems) -> None:
    """The spec of a claim, or of a template of one."""
    if "selector" in spec:
        label_selector(spec["selector"], (path, "selector"), problems)
    if not spec.get("accessModes"):
        problems.required((path, "accessModes"), "at least 1 access mode is required")
    _access_modes(spec.get("accessModes", []), (path, "accessModes"), problems)
    _wanted_size(spec.get("resources", {}), (path, "resources"), problems)
    _shared(spec, path, problems)
    for field in ("dataSource", "dataSourceRef"):
        if field in spec:
            _origin(spec[field], (path, field), problems)


def _wanted_size(resources: Doc, path: Path, problems: Problems) -> None:
    size = resources.get("requests", {}).get("storage")
    if size is None:
        problems.required((path, "[storage]"))
    else:
        _positive(size, ((path, "requests"), "[storage]"), problems)


def _origin(source: Doc, path: Path, problems: Problems) -> None:
    for field in ("name", "kind"):
        if not source.get(field):
            problems.required((path, field))
    group = source.get("apiGroup")
    if not group and source.get("kind") not in ("PersistentVolumeClaim", "", None):
        why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        problems.invalid((path, "kind"), source["kind"], why)


def _access_modes(modes: list[str], path: Path, problems: Problems) -> None:
    for mode in modes:
        if mode not in _ACCESS_MODES:
            problems.unsupported(path, mode, _ACCESS_MODES)
    if _ALONE in modes and len(modes) > 1:
        problems.forbidden(path, f"may not use {_ALONE} with other access modes")


def _positive(amount: str, path: Path, problems: Problems) -> None:
    if quantities.parse(amount) <= 0:
        problems.invalid(path, amount, "must be greater than zero")


def _shared(spec: Doc, path: Path, problems: Problems) -> None:
    """What claims and volumes both have."""
    for field in ("storageClassName", "volumeAttributesClassName"):
        if spec.get(field):
            wrong = names.subdomain_problems(spec[field])
            problems.all_invalid((path, field), spec[field], wrong)
    mode = spec.get("volumeMode", "Filesystem")
    if mode not in _VOLUME_MODES:
        problems.unsupported((path, "volumeMode"), mode, _VOLUME_MODES)


def claim_update(new: Doc, old: Doc, problems: Problems) -> None:
    """A claim may be bound, be given the default class and, once bound, grow."""
    after, before = {**new["spec"]}, {**old["spec"]}
    bound = old.get("status", {}).get("phase") == "Bound"
    for field in ("volumeName", "storageClassName"):
        if not before.get(field) and field not in before:
            after.pop(field, None)
    if bound:
        for spec in (after, before):
            spec["resources"] = {**spec.get("resources", {}), "requests": None}
            spec.pop("volumeAttributesClassName", None)
    if after != before:
        problems.forbidden(SPEC, _CLAIM_FROZEN)
    elif bound:
        _grown(new, old, problems)


def _grown(new: Doc, old: Doc, problems: Problems) -> None:
    """A size may be taken back as long as it is above what there is."""
    after, before = (_requested(doc) for doc in (new, old))
    there = old.get("status", {}).get("capacity", {}).get("storage")
    floor = quantities.parse(there) if there is not None else quantities.parse(before)
    if quantities.parse(after) < min(floor, quantities.parse(before)):
        path = (((SPEC, "resources"), "requests"), "storage")
        problems.forbidden(path, "field can not be less than status.capacity")


def _requested(doc: Doc) -> str:
    size: str = doc["spec"].get("resources", {}).get("requests", {}).get("storage", "0")
    return size


# ---- volumes


def volume(doc: Doc, problems: Problems) -> None:
    spec = doc["spec"]
    if not spec.get("accessModes"):
        problems.required((SPEC, "accessModes"))
    _access_modes(spec.get("accessModes", []), (SPEC, "accessModes"), problems)
    _capacity(spec.get("capacity", {}), (SPEC, "capacity"), problems)
    policy = spec.get("persistentVolumeReclaimPolicy", "Retain")
    if policy not in _RECLAIM:
        problems.unsupported((SPEC, "persistentVolumeReclaimPolicy"), policy, _RECLAIM)
    if "nodeAffinity" in spec:
        _node_affinity(spec["nodeAffinity"], (SPEC, "nodeAffinity"), problems)
    _source(spec, problems)
    _shared(spec, SPEC, problems)


def _capacity(capacity: Doc, path: Path, problems: Problems) -> None:
    if not capacity:
        problems.required(path)
    if "storage" not in capacity or len(capacity) > 1:
        problems.unsupported(path, capacity, ("storage",))
    for name, amount in capacity.items():
        _positive(amount, (path, f"[{name}]"), problems)


def _node_affinity(affinity: Doc, path: Path, problems: Problems) -> None:
    required = affinity.get("required")
    if required is None:
        problems.required((path, "required"), "must specify required node constraints")
    else:
        node_selector_terms(required, (path, "required"), problems)


def _source(spec: Doc, problems: Problems) -> None:
    given = [field for field in spec if field not in NOT_SOURCES]
    if not given:
        problems.required(SPEC, "must specify a volume type")
        return
    for extra in given[1:]:
        problems.forbidden((SPEC, extra), "may not specify more than 1 volume type")
    kind, path = given[0], (SPEC, given[0])
    for field in _REQUIRED.get(kind, ()):
        if not spec[kind].get(field):
            problems.required((path, field))
    if kind == "local" and "nodeAffinity" not in spec:
        problems.required((SPEC, "nodeAffinity"), "Local volume requires node affinity")
    if kind == "hostPath":
        _host_path(spec, problems)


def _host_path(spec: Doc, problems: Problems) -> None:
    host_path(spec["hostPath"], (SPEC, "hostPath"), problems)
    if (
        spec["hostPath"].get("path") == "/"
        and spec.get("persistentVolumeReclaimPolicy") == "Recycle"
    ):
        why = "may not be 'recycle' for a hostPath mount of '/'"
        problems.forbidden((SPEC, "persistentVolumeReclaimPolicy"), why)


def volume_update(new: Doc, old: Doc, problems: Problems) -> None:
    after, before = new["spec"], old["spec"]
    if _sources(after) != _sources(before):
        problems.forbidden((SPEC, "persistentvolumesource"), _SOURCE_FROZEN)
    problems.unchanged((SPEC, "volumeMode"), after.get("volumeMode"), before.get("volumeMode"))
    if "nodeAffinity" in before:
        path = (SPEC, "nodeAffinity")
        problems.unchanged(path, after.get("nodeAffinity"), before["nodeAffinity"])


def _sources(spec: Doc) -> Doc:
    return {field: value for field, value in spec.items() if field not in NOT_SOURCES}


RULES: dict[str, Rule] = {
    "io.k8s.api.core.v1.PersistentVolumeClaim": claim,
    "io.k8s.api.core.v1.PersistentVolume": volume,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    "io.k8s.api.core.v1.PersistentVolumeClaim": claim_update,
    "io.k8s.api.core.v1.PersistentVolume": volume_update,
}
