"""Ephemeral containers, which are only ever added to a pod
(pkg/apis/core/validation: ValidatePodEphemeralContainersUpdate, validateEphemeralContainers)."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.containers import container
from longshore.core.objects.rules.problems import SPEC, Path, Problems

FIELD = "ephemeralContainers"
_PATH: Path = (SPEC, FIELD)
_NEVER = (
    "ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources",
    "resizePolicy", "restartPolicy", "restartPolicyRules",
)  # fmt: skip


def ephemeral_update(new: Doc, old: Doc, problems: Problems) -> None:
    """The containers that are there stay as they are; those that are new must be fit to be added."""
    after, before = new["spec"].get(FIELD) or [], old["spec"].get(FIELD) or []
    by_name = {one.get("name"): one for one in after}
    for one in before:
        name = one["name"]
        if name not in by_name:
            problems.forbidden(_PATH, f'existing ephemeral containers "{name}" may not be removed')
        elif by_name[name] != one:
            problems.forbidden(_PATH, f'existing ephemeral containers "{name}" may not be changed')
    _added(new["spec"], after, before, problems)


def _added(spec: Doc, after: list[Doc], before: list[Doc], problems: Problems) -> None:
    targets = {c["name"] for f in ("containers", "initContainers") for c in spec.get(f) or ()}
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    seen = set(targets)
    for index, one in enumerate(after):
        at = (_PATH, index)
        if one.get("name") in seen:
            problems.duplicate((at, "name"), one.get("name"))
        seen.add(one.get("name", ""))
        if one not in before:
            _fit(one, at, targets, volumes, problems)


def _fit(one: Doc, at: Path, targets: set[str], volumes: set[str], problems: Problems) -> None:
    container(one, at, volumes, problems)
    for field in _NEVER:
        if one.get(field):
            problems.forbidden((at, field), "cannot be set for an Ephemeral Container")
    for index, mount in enumerate(one.get("volumeMounts") or ()):
        if mount.get("subPath") or mount.get("subPathExpr"):
            where = (((at, "volumeMounts"), index), "subPath")
            problems.forbidden(where, "cannot be set for an Ephemeral Container")
    target = one.get("targetContainerName")
    if target and target not in targets:
        problems.not_found((at, "targetContainerName"), target)
