"""What may change of a pod that is there (pkg/apis/core/validation: ValidatePodUpdate)."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.containers import image
from longshore.core.objects.rules.placement import tolerations
from longshore.core.objects.rules.pods import pod_metadata_update
from longshore.core.objects.rules.problems import SPEC, Problems, UpdateRule

_ALLOWED = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)
_FREE = ("activeDeadlineSeconds", "tolerations", "schedulingGates", "terminationGracePeriodSeconds")
_DIFFERENCES_MAX = 5


def pod_update(new: Doc, old: Doc, problems: Problems) -> None:
    if "annotations" in new["metadata"] or "annotations" in old["metadata"]:
        pod_metadata_update(new, old, problems)
    after, before = new["spec"], old["spec"]
    if after == before:
        return
    for field in ("containers", "initContainers"):
        if len(after.get(field, ())) != len(before.get(field, ())):
            problems.forbidden((SPEC, field), "pod updates may not add or remove containers")
            return
        for index, one in enumerate(after.get(field, ())):
            image(one.get("image", ""), (((SPEC, field), index), "image"), problems)
    tolerations(after.get("tolerations", []), (SPEC, "tolerations"), problems)
    _deadline(after, before, problems)
    _tolerations(after.get("tolerations", []), before.get("tolerations", []), problems)
    _gates(after.get("schedulingGates", []), before.get("schedulingGates", []), problems)
    _grace(after, before, problems)
    changed = list(_differences(_fixed(after), _fixed(before), "spec"))
    if changed:
        listed = ", ".join(changed[:_DIFFERENCES_MAX])
        problems.forbidden(SPEC, f"{_ALLOWED}; changed: {listed}")


def _deadline(after: Doc, before: Doc, problems: Problems) -> None:
    path = (SPEC, "activeDeadlineSeconds")
    new, old = after.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if old is None or new == old:
        return
    if new is None:
        problems.invalid(path, None, "must not update from a positive integer to nil value")
    elif new > old:
        problems.invalid(path, new, "must be less than or equal to previous value")


def _tolerations(after: list[Doc], before: list[Doc], problems: Problems) -> None:
    kept = {_without_seconds(one) for one in after}
    if any(_without_seconds(one) not in kept for one in before):
        problems.forbidden(
            (SPEC, "tolerations"),
            "existing toleration can not be modified except its tolerationSeconds",
        )


def _without_seconds(toleration: Doc) -> frozenset[tuple[str, str]]:
    return frozenset(one for one in toleration.items() if one[0] != "tolerationSeconds")


def _gates(after: list[Doc], before: list[Doc], problems: Problems) -> None:
    known = {gate.get("name") for gate in before}
    for index, gate in enumerate(after):
        if gate.get("name") not in known:
            problems.forbidden(
                (((SPEC, "schedulingGates"), index), "name"),
                f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'",
            )


def _grace(after: Doc, before: Doc, problems: Problems) -> None:
    new, old = (s.get("terminationGracePeriodSeconds", 30) for s in (after, before))
    if new != old and not (old < 0 and new == 1):
        problems.forbidden(SPEC, f"{_ALLOWED}; changed: spec.terminationGracePeriodSeconds")


def _fixed(spec: Doc) -> Doc:
    """The spec without what may change."""
    fixed = {key: value for key, value in spec.items() if key not in _FREE}
    for field in ("containers", "initContainers"):
        if field in fixed:
            fixed[field] = [{k: v for k, v in one.items() if k != "image"} for one in fixed[field]]
    return fixed


def _differences(new: Any, old: Any, path: str) -> list[str]:
    """The paths at which two values differ, as deep as both have them."""
    if new == old:
        return []
    if isinstance(new, dict) and isinstance(old, dict):
        keys = sorted(new.keys() | old.keys())
        return [d for k in keys for d in _differences(new.get(k), old.get(k), f"{path}.{k}")]
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        pairs = enumerate(zip(new, old, strict=True))
        return [d for i, (a, b) in pairs for d in _differences(a, b, f"{path}[{i}]")]
    return [path]


UPDATE_RULES: dict[str, UpdateRule] = {
    "io.k8s.api.core.v1.Pod": pod_update,
}
