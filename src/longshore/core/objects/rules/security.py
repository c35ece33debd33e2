"""What pods and containers may say of who they run as, what confines them and how they are ended
(pkg/apis/core/validation: ValidateSecurityContext, validatePodSpecSecurityContext, validateStopSignal)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.paths import relative_path
from longshore.core.objects.rules.problems import Path, Problems

_SYSCTL = re.compile(r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_KINDS_OF_PROFILES = (("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor"))
_PROC_MOUNTS = ("Default", "Unmasked")
_GROUPS_POLICIES = ("Merge", "Strict")
_FS_GROUP_POLICIES = ("Always", "OnRootMismatch")
_NAMED_SIGNALS = """
    SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL
    SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP
    SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ SIGRTMIN SIGRTMAX
"""
_SIGNALS = {
    "linux": sorted([
        *_NAMED_SIGNALS.split(),
        *(f"SIGRTMIN+{offset}" for offset in range(1, 16)),
        *(f"SIGRTMAX-{offset}" for offset in range(1, 15)),
    ]),
    "windows": ["SIGKILL", "SIGTERM"],
}  # fmt: skip


def pod_security(context: Doc, path: Path, problems: Problems) -> None:
    """The securityContext of a pod."""
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        if field in context:
            user_id(context[field], (path, field), problems)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        user_id(group, ((path, "supplementalGroups"), index), problems)
    for field, known in (
        ("supplementalGroupsPolicy", _GROUPS_POLICIES),
        ("fsGroupChangePolicy", _FS_GROUP_POLICIES),
    ):
        if context.get(field, known[0]) not in known:
            problems.unsupported((path, field), context[field], known)
    _sysctls(context.get("sysctls") or (), (path, "sysctls"), problems)
    _profiles(context, path, problems)


def container_security(context: Doc, path: Path, problems: Problems) -> None:
    """The securityContext of a container."""
    for field in ("runAsUser", "runAsGroup"):
        user_id(context.get(field), (path, field), problems)
    if context.get("procMount", "Default") not in _PROC_MOUNTS:
        problems.unsupported((path, "procMount"), context["procMount"], _PROC_MOUNTS)
    _profiles(context, path, problems)
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            problems.invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and "
                                            "`privileged` to true")  # fmt: skip
        if "CAP_SYS_ADMIN" in (context.get("capabilities") or {}).get("add", ()):
            problems.invalid(path, context, "cannot set `allowPrivilegeEscalation` to false and "
                                            "`capabilities.Add` CAP_SYS_ADMIN")  # fmt: skip


def user_id(value: int | None, path: Path, problems: Problems) -> None:
    if value is not None and not 0 <= value <= 2**31 - 1:
        problems.invalid(path, value, "must be between 0 and 2147483647, inclusive")


def together(spec: Doc, path: Path, problems: Problems) -> None:
    """What a pod and its containers may say only beside something else that they say."""
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        shared = ((path, "securityContext"), "shareProcessNamespace")
        problems.invalid(shared, True, "ShareProcessNamespace and HostPID cannot both be enabled")
    system = (spec.get("os") or {}).get("name")
    for one, at in _all_containers(spec, path):
        context = one.get("securityContext")
        if (
            context
            and context.get("procMount") == "Unmasked"
            and spec.get("hostUsers") is not False
        ):
            where = ((at, "securityContext"), "procMount")
            problems.invalid(where, "Unmasked", "`hostUsers` must be false to use `Unmasked`")
        signal = (one.get("lifecycle") or {}).get("stopSignal")
        if signal is not None:
            _stop_signal(signal, system, ((at, "lifecycle"), "stopSignal"), problems)


def _all_containers(spec: Doc, path: Path) -> Iterator[tuple[Doc, Path]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, one in enumerate(spec.get(field) or ()):
            yield one, ((path, field), index)


def _stop_signal(signal: str, system: str | None, path: Path, problems: Problems) -> None:
    if not system:
        problems.forbidden(path, "may not be set for containers with empty `spec.os.name`")
    elif signal not in _SIGNALS.get(system, ()):
        problems.unsupported(path, signal, _SIGNALS.get(system, ()))


def _sysctls(sysctls: list[Doc] | tuple[()], path: Path, problems: Problems) -> None:
    seen = set()
    for index, one in enumerate(sysctls):
        name, at = one.get("name", ""), ((path, index), "name")
        if not name:
            problems.required(at)
        elif len(name) > 253 or not _SYSCTL.fullmatch(name):
            why = f"must have at most 253 characters and match regex ^{_SYSCTL.pattern}$"
            problems.invalid(at, name, why)
        elif name in seen:
            problems.duplicate(at, name)
        seen.add(name)


def _profiles(context: Doc, path: Path, problems: Problems) -> None:
    for field, kind in _KINDS_OF_PROFILES:
        if field in context:
            _profile(context[field] or {}, kind, (path, field), problems)


def _profile(profile: Doc, kind: str, path: Path, problems: Problems) -> None:
    named, at = profile.get("localhostProfile"), (path, "localhostProfile")
    problems.one_of((path, "type"), profile.get("type", ""), _PROFILES)
    if profile.get("type") != "Localhost":
        if named is not None:
            problems.invalid(at, named, f"can only be set when {kind} type is Localhost")
    elif not named:
        problems.required(at, f"must be set when {kind} type is Localhost")
    elif kind == "seccomp":
        relative_path(named, at, problems)
    elif named.strip() != named:
        problems.invalid(at, named, "must not be padded with whitespace")
