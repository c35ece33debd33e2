"""Rules for a pod's claims of devices, and for containers that name them (pkg/apis/core/validation:
validatePodResourceClaims, validateResourceClaimNames)."""

from __future__ import annotations

from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.problems import Path, Problems

_SOURCES = ("resourceClaimName", "resourceClaimTemplateName")
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def pod_claims(spec: Doc, path: Path, problems: Problems) -> None:
    """The claims of a pod's spec, and those of its containers."""
    claims = spec.get("resourceClaims", ())
    known: set[str] = set()
    for index, one in enumerate(claims):
        _claim(one, known, ((path, "resourceClaims"), index), problems)
    for field in _CONTAINERS:
        for index, container in enumerate(spec.get(field, ())):
            used = container.get("resources", {}).get("claims")
            if used:
                at = ((((path, field), index), "resources"), "claims")
                _used(used, known, at, problems)


def _claim(one: Doc, known: set[str], path: Path, problems: Problems) -> None:
    name = one.get("name", "")
    if name in known:
        problems.duplicate((path, "name"), name)
    else:
        problems.label((path, "name"), name)
        known.add(name)
    given = [field for field in _SOURCES if field in one]
    if len(given) > 1:
        why = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
        problems.invalid(path, one, why)
    elif not given:
        why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
        problems.invalid(path, one, why)
    for field in given:
        problems.all_invalid((path, field), one[field], names.subdomain_problems(one[field]))


def _used(used: list[Doc], known: set[str], path: Path, problems: Problems) -> None:
    seen: set[tuple[str, str]] = set()
    for index, one in enumerate(used):
        name, request = one.get("name", ""), one.get("request", "")
        if not name:
            problems.required((path, index))
            continue
        if request:
            problems.all_invalid(((path, index), "request"), request, names.label_problems(request))
        whole = (name, "") in seen
        if whole or (name, request) in seen or (not request and any(n == name for n, _ in seen)):
            problems.duplicate((path, index), name if whole or not request else f"{name}/{request}")
        seen.add((name, request))
        if name not in known:
            listed = f": {', '.join(sorted(known))}" if known else " which is empty"
            why = f"must be one of the names in pod.spec.resourceClaims{listed}"
            problems.not_found((path, index), name, why)
