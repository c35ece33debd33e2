"""The restricted level: hardened as is known to be good (k8s.io/pod-security-admission/policy)."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.podsecurity import baseline
from longshore.core.objects.podsecurity.walks import (
    Check,
    Finding,
    containers,
    context,
    named,
    plural,
    quoted,
    setters,
    these,
)

_VOLUMES = frozenset((
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
    "projected", "secret",
))  # fmt: skip


def unless_windows(check: Check) -> Check:
    """What Windows does not have cannot be asked of its pods."""

    def relaxed(metadata: Doc, spec: Doc) -> Finding | None:
        windows = (spec.get("os") or {}).get("name") == "windows"
        return None if windows else check(metadata, spec)

    return relaxed


def allow_privilege_escalation(_: Doc, spec: Doc) -> Finding | None:
    bad = named(spec, lambda c: context(c).get("allowPrivilegeEscalation") is not False)
    if not bad:
        return None
    what = "must set securityContext.allowPrivilegeEscalation=false"
    return Finding("allowPrivilegeEscalation != false", f"{these(bad)} {what}")


def capabilities(_: Doc, spec: Doc) -> Finding | None:
    def own(container: Doc) -> Doc:
        found: Doc = context(container).get("capabilities") or {}
        return found

    def added(container: Doc) -> list[str]:
        return [name for name in own(container).get("add") or () if name != "NET_BIND_SERVICE"]

    keeping = named(spec, lambda c: "ALL" not in (own(c).get("drop") or ()))
    adding = named(spec, added)
    said = []
    if keeping:
        said.append(f'{these(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        names = sorted({name for container in containers(spec) for name in added(container)})
        where = "in securityContext.capabilities.add"
        said.append(f"{these(adding)} must not include {quoted(names)} {where}")
    return Finding("unrestricted capabilities", "; ".join(said)) if said else None


def volumes(_: Doc, spec: Doc) -> Finding | None:
    bad: list[str] = []
    kinds: set[str] = set()
    for volume in spec.get("volumes") or ():
        source = next((key for key in volume if key != "name"), "unknown")
        if source not in _VOLUMES:
            bad.append(volume.get("name", ""))
            kinds.add(source)
    if not bad:
        return None
    uses = plural("uses", bad, "use")
    what = f"{plural('restricted volume type', kinds)} {quoted(sorted(kinds))}"
    return Finding("restricted volume types", f"{these(bad, 'volume')} {uses} {what}")


def run_as_non_root(_: Doc, spec: Doc) -> Finding | None:
    whole = context(spec).get("runAsNonRoot")
    who = setters(whole is False, named(spec, lambda c: context(c).get("runAsNonRoot") is False))
    if who:
        what = "must not set securityContext.runAsNonRoot=false"
        return Finding("runAsNonRoot != true", f"{who} {what}")
    silent = [] if whole else named(spec, lambda c: context(c).get("runAsNonRoot") is None)
    if not silent:
        return None
    what = "must set securityContext.runAsNonRoot=true"
    return Finding("runAsNonRoot != true", f"pod or {these(silent)} {what}")


def run_as_user(_: Doc, spec: Doc) -> Finding | None:
    def is_root(holder: Doc) -> bool:
        return context(holder).get("runAsUser") == 0

    who = setters(is_root(spec), named(spec, is_root))
    return Finding("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def seccomp(metadata: Doc, spec: Doc) -> Finding | None:
    """As the baseline has it, and there has to be a profile."""
    wrong = baseline.seccomp(metadata, spec)
    if wrong is not None or context(spec).get("seccompProfile"):
        return wrong
    silent = named(spec, lambda c: not context(c).get("seccompProfile"))
    if not silent:
        return None
    what = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Finding("seccompProfile", f"pod or {these(silent)} {what}")
