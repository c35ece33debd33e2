"""All checks in one table, with the versions in which they began and changed, and the judgement of a
pod by them (k8s.io/pod-security-admission/policy/registry.go)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from longshore.core.objects.kinds import Doc
from longshore.core.objects.podsecurity import baseline as base
from longshore.core.objects.podsecurity import restricted as strict
from longshore.core.objects.podsecurity.policy import Standard
from longshore.core.objects.podsecurity.walks import Check, Finding


class _Row(NamedTuple):
    """A check by the minor version in which each form of it began, and the check of the baseline
    that it stands for at the restricted level."""

    name: str
    forms: dict[int, Check]
    instead_of: str = ""


_windows, _users = strict.unless_windows, base.unless_in_user_namespace

# Findings are listed in the order of names, the baseline's first.
_BASELINE = (
    _Row("appArmorProfile", {0: base.app_armor}),
    _Row("capabilities_baseline", {0: base.capabilities}),
    _Row("hostNamespaces", {0: base.host_namespaces}),
    _Row("hostPathVolumes", {0: base.host_path_volumes}),
    _Row("hostPorts", {0: base.host_ports}),
    _Row("hostProbesAndHostLifecycle", {34: base.host_probes}),
    _Row("privileged", {0: base.privileged}),
    _Row("procMount", {0: base.proc_mount, 35: _users(base.proc_mount)}),
    _Row("seLinuxOptions", {
        0: base.selinux(base.SELINUX_TYPES), 31: base.selinux(base.SELINUX_TYPES_31),
    }),
    _Row("seccompProfile_baseline", {0: base.seccomp_notes, 19: base.seccomp}),
    _Row("sysctls", {
        0: base.sysctls(base.SYSCTLS), 27: base.sysctls(base.SYSCTLS_27),
        29: base.sysctls(base.SYSCTLS_29), 32: base.sysctls(base.SYSCTLS_32),
        37: base.sysctls(base.SYSCTLS_37),
    }),
    _Row("windowsHostProcess", {0: base.windows_host_process}),
)  # fmt: skip
_RESTRICTED = (
    _Row("allowPrivilegeEscalation", {
        8: strict.allow_privilege_escalation, 25: _windows(strict.allow_privilege_escalation),
    }),
    _Row("capabilities_restricted", {
        22: strict.capabilities, 25: _windows(strict.capabilities),
    }, "capabilities_baseline"),
    _Row("procMount_restricted", {35: base.proc_mount}, "procMount"),
    _Row("restrictedVolumes", {0: strict.volumes}, "hostPathVolumes"),
    _Row("runAsNonRoot", {0: strict.run_as_non_root, 35: _users(strict.run_as_non_root)}),
    _Row("runAsUser", {23: strict.run_as_user, 35: _users(strict.run_as_user)}),
    _Row("seccompProfile_restricted", {
        19: strict.seccomp, 25: _windows(strict.seccomp),
    }, "seccompProfile_baseline"),
)  # fmt: skip
NEWEST = max(minor for row in (*_BASELINE, *_RESTRICTED) for minor in row.forms)


def findings(standard: Standard, metadata: Doc, spec: Doc) -> list[Finding]:
    """All that the standard has against a pod."""
    checks = _checks(standard.level, standard.minor)
    return [found for check in checks if (found := check(metadata, spec)) is not None]


def own_checks(level: str) -> dict[str, Check]:
    """The newest form of each check that a level (baseline, restricted) has of its own, by name."""
    rows = _BASELINE if level == "baseline" else _RESTRICTED
    return {row.name.partition("_")[0]: row.forms[max(row.forms)] for row in rows}


def in_full(found: list[Finding]) -> str:
    return ", ".join(f"{one.reason} ({one.detail})" for one in found)


def in_short(found: list[Finding]) -> str:
    return ", ".join(one.reason for one in found)


@lru_cache(maxsize=256)
def _checks(level: str, minor: int | None) -> tuple[Check, ...]:
    if level == "privileged":
        return ()
    version = NEWEST if minor is None else min(minor, NEWEST)
    weaker = {row.name: form for row in _BASELINE if (form := _form(row, version))}
    if level == "baseline":
        return tuple(weaker.values())
    stronger = [(row, form) for row in _RESTRICTED if (form := _form(row, version))]
    replaced = {row.instead_of for row, _ in stronger}
    kept = [form for name, form in weaker.items() if name not in replaced]
    return (*kept, *(form for _, form in stronger))


def _form(row: _Row, version: int) -> Check | None:
    """The newest form that the version knows."""
    begun = [minor for minor in row.forms if minor <= version]
    return row.forms[max(begun)] if begun else None
