"""Rules for metadata, labels and label selectors (apimachinery/pkg/api/validation)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from longshore.base.limits import ANNOTATIONS_MAX_BYTES
from longshore.core.objects import kinds, names
from longshore.core.objects.hollow import ANNOTATION, node_behaviour, pod_behaviour
from longshore.core.objects.kinds import NAMESPACE, SERVICE, Doc, Kind
from longshore.core.objects.rules.mirrors import mirror_update
from longshore.core.objects.rules.problems import METADATA, Path, Problems

_NameRule: TypeAlias = Callable[[str], tuple[str, ...]]
_NAME_RULES: dict[str, _NameRule] = {
    NAMESPACE.schema: names.label_problems,
    SERVICE.schema: names.label_1035_problems,
    kinds.ROLE.schema: names.path_segment_problems,
    kinds.ROLE_BINDING.schema: names.path_segment_problems,
    kinds.CLUSTER_ROLE.schema: names.path_segment_problems,
    kinds.CLUSTER_ROLE_BINDING.schema: names.path_segment_problems,
    kinds.CSR.schema: names.path_segment_problems,
    # Also held to its version and group, see platform.py.
    kinds.API_SERVICE.schema: names.path_segment_problems,
    # Also held to its signer's prefix, see certificates.py.
    kinds.CLUSTER_TRUST_BUNDLE.schema: names.path_segment_problems,
    kinds.IP_ADDRESS.schema: names.canonical_address_problems,
}
_BEHAVIOURS: dict[str, Callable[[str], object]] = {
    kinds.POD.schema: pod_behaviour,
    kinds.NODE.schema: node_behaviour,
}
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
# What of metadata there are rules about.
_RULED = (
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
)
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def metadata(kind: Kind, meta: Doc, problems: Problems) -> None:
    """metadata of an object that is stored under its own name."""
    _name(kind, meta, problems)
    if not kind.namespaced and meta.get("namespace"):
        problems.forbidden((METADATA, "namespace"), "not allowed on this type")
    shared_metadata(meta, METADATA, problems)
    if "ownerReferences" in meta:
        _owners(meta["ownerReferences"], (METADATA, "ownerReferences"), problems)
    if ANNOTATION in meta.get("annotations", ()):
        _hollow(kind, meta["annotations"][ANNOTATION], problems)
    if "finalizers" in meta:
        finalizers(meta["finalizers"], (METADATA, "finalizers"), problems)


def _hollow(kind: Kind, said: str, problems: Problems) -> None:
    """What a hollow node, or one's pod, is told to do must be understood."""
    parse = _BEHAVIOURS.get(kind.schema)
    if parse is None:
        return
    try:
        parse(said)
    except ValueError as error:
        problems.invalid(((METADATA, "annotations"), f"[{ANNOTATION}]"), said, str(error))


def shared_metadata(meta: Doc, path: Path, problems: Problems) -> None:
    """What templates have too: labels and annotations."""
    if "labels" in meta:
        labels(meta["labels"], (path, "labels"), problems)
    if "annotations" in meta:
        _annotations(meta["annotations"], (path, "annotations"), problems)


def metadata_update(kind: Kind, new: Doc, old: Doc, problems: Problems) -> None:
    """metadata of a changed object: what may not change, and what it must be where it is not as it was.
    The system's own fields were carried over before."""
    if all(new.get(field) == old.get(field) for field in _RULED):
        return
    metadata(kind, new, problems)
    for field in ("name", "namespace"):
        problems.unchanged((METADATA, field), new.get(field), old.get(field))
    if kind is kinds.POD:
        mirror_update(new, old, problems)
    if "deletionTimestamp" in old:
        had = old.get("finalizers", ())
        added = [one for one in new.get("finalizers", ()) if one not in had]
        if added:
            listed = ", ".join(f'"{one}"' for one in added)
            problems.forbidden(
                (METADATA, "finalizers"),
                "no new finalizers can be added if the object is being deleted, found new "
                f"finalizers []string{{{listed}}}",
            )


def _name(kind: Kind, meta: Doc, problems: Problems) -> None:
    rule = _NAME_RULES.get(kind.schema, names.subdomain_problems)
    prefix = meta.get("generateName")
    if prefix:
        masked = prefix[:-1] + "a" if prefix.endswith("-") else prefix
        problems.all_invalid((METADATA, "generateName"), prefix, rule(masked))
    name = meta.get("name")
    if name:
        problems.all_invalid((METADATA, "name"), name, rule(name))
    else:
        problems.required((METADATA, "name"), "name or generateName is required")


def labels(given: Mapping[str, str], path: Path, problems: Problems) -> None:
    for key, value in given.items():
        wrong = names.qualified_name_problems(key)
        if wrong:
            problems.all_invalid(path, key, wrong)
        wrong = names.label_value_problems(value)
        if wrong:
            problems.all_invalid(path, value, wrong)


def _annotations(given: Mapping[str, str], path: Path, problems: Problems) -> None:
    size = 0
    for key, value in given.items():
        wrong = names.qualified_name_problems(key.lower())
        if wrong:
            problems.all_invalid(path, key, wrong)
        size += len(key) + len(value)
    if size * 4 <= ANNOTATIONS_MAX_BYTES:  # no character is longer than four bytes
        return
    size = sum(len(key.encode()) + len(value.encode()) for key, value in given.items())
    if size > ANNOTATIONS_MAX_BYTES:
        problems.too_long(path, ANNOTATIONS_MAX_BYTES)


_EPHEMERAL = ("v1", "Event")  # may not own anything (objectmeta.go BannedOwners)


def _owners(owners: list[Doc], path: Path, problems: Problems) -> None:
    controllers = []
    for index, owner in enumerate(owners):
        at = (path, index)
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                problems.required((at, field), "must not be empty")
        version = owner.get("apiVersion") or "v1"
        if version.count("/") > 1 or version.endswith("/"):
            why = "must be <group>/<version> or <version>"
            problems.invalid((at, "apiVersion"), version, why)
        if (owner.get("apiVersion"), owner.get("kind")) == _EPHEMERAL:
            problems.invalid(at, owner, "/v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller"):
            controllers.append(owner)
    if len(controllers) > 1:
        first, second = (f"{one.get('kind')}/{one.get('name')}" for one in controllers[:2])
        problems.invalid(
            path, owners,
            "Only one reference can have Controller set to true. Found \"true\" in references "
            f"for {first} and {second}",
        )  # fmt: skip


def finalizers(given: list[str], path: Path, problems: Problems) -> None:
    for index, one in enumerate(given):
        wrong = names.qualified_name_problems(one)
        if wrong:
            problems.all_invalid((path, index), one, wrong)
        elif "/" not in one and one not in _STANDARD_FINALIZERS:
            problems.invalid(
                (path, index), one,
                "name is neither a standard finalizer name nor is it fully qualified",
            )  # fmt: skip
    if "orphan" in given and "foregroundDeletion" in given:
        problems.invalid(path, given, "finalizer orphan and foregroundDeletion cannot be both set")


def label_selector(selector: Doc, path: Path, problems: Problems) -> None:
    """A metav1.LabelSelector document."""
    for key, value in selector.get("matchLabels", {}).items():
        at = (path, "matchLabels")
        problems.all_invalid(at, key, names.qualified_name_problems(key))
        problems.all_invalid(at, value, names.label_value_problems(value))
    for index, one in enumerate(selector.get("matchExpressions", ())):
        _expression(one, ((path, "matchExpressions"), index), problems)


def _expression(one: Doc, path: Path, problems: Problems) -> None:
    operator, values = one.get("operator", ""), one.get("values", [])
    if operator not in _OPERATORS:
        problems.invalid((path, "operator"), operator, "not a valid selector operator")
    elif operator in ("In", "NotIn"):
        if not values:
            problems.required(
                (path, "values"), "must be specified when `operator` is 'In' or 'NotIn'"
            )
    elif values:
        problems.forbidden(
            (path, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        )
    key = one.get("key", "")
    problems.all_invalid((path, "key"), key, names.qualified_name_problems(key))
    for index, value in enumerate(values):
        at = ((path, "values"), index)
        problems.all_invalid(at, value, names.label_value_problems(value))


def unique(items: list[Any], key: str, path: Path, problems: Problems) -> None:
    """No two items of a list may share a field's value; items without one are not compared."""
    seen = set()
    for index, item in enumerate(items):
        value = item.get(key)
        if value in seen:
            problems.duplicate(((path, index), key), value)
        if value:
            seen.add(value)
