"""The baseline level: no known way to more privileges (k8s.io/pod-security-admission/policy)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc
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

_HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
_CAPABILITIES = frozenset((
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
))  # fmt: skip
_APP_ARMOR_NOTE = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_NOTE = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_NOTES = "container.seccomp.security.alpha.kubernetes.io/"
_PROFILES = ("RuntimeDefault", "Localhost")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")

SYSCTLS = frozenset((
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start",
))  # fmt: skip
SYSCTLS_27 = SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
SYSCTLS_29 = SYSCTLS_27 | {
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}  # fmt: skip
SYSCTLS_32 = SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
SYSCTLS_37 = SYSCTLS_32 | {"net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_notsent_lowat"}
SELINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t"))
SELINUX_TYPES_31 = SELINUX_TYPES | {"container_engine_t"}


def host_namespaces(_: Doc, spec: Doc) -> Finding | None:
    shared = [f"{field}=true" for field in _HOST_NAMESPACES if spec.get(field)]
    return Finding("host namespaces", ", ".join(shared)) if shared else None


def privileged(_: Doc, spec: Doc) -> Finding | None:
    bad = named(spec, lambda c: context(c).get("privileged"))
    if not bad:
        return None
    return Finding("privileged", f"{these(bad)} must not set securityContext.privileged=true")


def capabilities(_: Doc, spec: Doc) -> Finding | None:
    def beyond(container: Doc) -> list[str]:
        added = (context(container).get("capabilities") or {}).get("add") or ()
        return [name for name in added if name not in _CAPABILITIES]

    bad = named(spec, beyond)
    if not bad:
        return None
    names = sorted({name for container in containers(spec) for name in beyond(container)})
    where = "in securityContext.capabilities.add"
    return Finding(
        "non-default capabilities", f"{these(bad)} must not include {quoted(names)} {where}"
    )


def host_path_volumes(_: Doc, spec: Doc) -> Finding | None:
    bad = [volume.get("name", "") for volume in spec.get("volumes") or () if "hostPath" in volume]
    return Finding("hostPath volumes", these(bad, "volume")) if bad else None


def host_ports(_: Doc, spec: Doc) -> Finding | None:
    def taken(container: Doc) -> list[str]:
        ports = (port.get("hostPort") for port in container.get("ports") or ())
        return [str(port) for port in ports if port]

    bad = named(spec, taken)
    if not bad:
        return None
    ports = sorted({port for container in containers(spec) for port in taken(container)})
    use = f"{plural('uses', bad, 'use')} {plural('hostPort', ports)} {', '.join(ports)}"
    return Finding("hostPort", f"{these(bad)} {use}")


def app_armor(metadata: Doc, spec: Doc) -> Finding | None:
    def wrong(holder: Doc) -> str:
        profile = context(holder).get("appArmorProfile")
        return _bad_profile(profile)

    bad = named(spec, wrong)
    values = sorted({value for holder in (spec, *containers(spec)) if (value := wrong(holder))})
    notes = sorted(_bad_notes(metadata))
    who = [setters(bool(wrong(spec)), bad)] if values else []
    if notes:
        values += notes
        who.append(plural("annotation", notes))
    if not who:
        return None
    detail = f"{' and '.join(who)} must not set AppArmor profile type to {quoted(values)}"
    return Finding(plural("forbidden AppArmor profile", values), detail)


def _bad_profile(profile: Doc | None) -> str:
    kind = str((profile or {}).get("type") or "")
    return kind if profile is not None and kind not in _PROFILES else ""


def _bad_notes(metadata: Doc) -> Iterator[str]:
    for key, value in (metadata.get("annotations") or {}).items():
        allowed = value in ("", "runtime/default") or value.startswith("localhost/")
        if key.startswith(_APP_ARMOR_NOTE) and not allowed:
            yield f'{key}="{value}"'


def selinux(types: frozenset[str]) -> Check:
    """The check that allows these types, and no user or role."""

    def check(_: Doc, spec: Doc) -> Finding | None:
        def options(holder: Doc) -> Doc:
            found: Doc = context(holder).get("seLinuxOptions") or {}
            return found

        def wrong(holder: Doc) -> bool:
            own = options(holder)
            custom = own.get("user") or own.get("role")
            return bool(custom) or own.get("type", "") not in types

        bad, pod = named(spec, wrong), wrong(spec)
        if not bad and not pod:
            return None
        holders = [options(holder) for holder in (spec, *containers(spec))]
        kinds = sorted({one.get("type", "") for one in holders} - types)
        said = [f"{plural('type', kinds)} {quoted(kinds)}"] if kinds else []
        said += [f"{part} may not be set" for part in ("user", "role")
                 if any(one.get(part) for one in holders)]  # fmt: skip
        what = "set forbidden securityContext.seLinuxOptions"
        return Finding("seLinuxOptions", f"{setters(pod, bad)} {what}: {'; '.join(said)}")

    return check


def proc_mount(_: Doc, spec: Doc) -> Finding | None:
    def mount(container: Doc) -> str:
        kind = context(container).get("procMount")
        return kind if kind not in (None, "Default") else ""

    bad = named(spec, mount)
    if not bad:
        return None
    kinds = sorted({kind for container in containers(spec) if (kind := mount(container))})
    return Finding(
        "procMount", f"{these(bad)} must not set securityContext.procMount to {quoted(kinds)}"
    )


def in_user_namespace(spec: Doc) -> bool:
    return spec.get("hostUsers") is False


def unless_in_user_namespace(check: Check) -> Check:
    """Root of a user namespace is nobody outside it (KEP-127)."""

    def relaxed(metadata: Doc, spec: Doc) -> Finding | None:
        return None if in_user_namespace(spec) else check(metadata, spec)

    return relaxed


def seccomp_notes(metadata: Doc, spec: Doc) -> Finding | None:
    """Before there was a field for it."""
    annotations = metadata.get("annotations") or {}
    keys = [_SECCOMP_NOTE, *(f"{_SECCOMP_NOTES}{c.get('name', '')}" for c in containers(spec))]
    bad = sorted(
        f'{key}="{annotations[key]}"'
        for key in set(keys)
        if key in annotations and not _is_profile(annotations[key])
    )
    if not bad:
        return None
    return Finding("seccompProfile", f"forbidden {plural('annotation', bad)} {', '.join(bad)}")


def _is_profile(value: str) -> bool:
    return value in ("runtime/default", "docker/default") or value.startswith("localhost/")


def seccomp(_: Doc, spec: Doc) -> Finding | None:
    def wrong(holder: Doc) -> str:
        return _bad_profile(context(holder).get("seccompProfile"))

    bad = named(spec, wrong)
    values = sorted({value for holder in (spec, *containers(spec)) if (value := wrong(holder))})
    if not values:
        return None
    who = setters(bool(wrong(spec)), bad)
    what = f"must not set securityContext.seccompProfile.type to {quoted(values)}"
    return Finding("seccompProfile", f"{who} {what}")


def sysctls(allowed: frozenset[str]) -> Check:
    def check(_: Doc, spec: Doc) -> Finding | None:
        given = (one.get("name", "") for one in context(spec).get("sysctls") or ())
        bad = [name for name in given if name not in allowed]
        return Finding("forbidden sysctls", ", ".join(bad)) if bad else None

    return check


def windows_host_process(_: Doc, spec: Doc) -> Finding | None:
    def on_host(holder: Doc) -> object:
        return (context(holder).get("windowsOptions") or {}).get("hostProcess")

    who = setters(bool(on_host(spec)), named(spec, on_host))
    if not who:
        return None
    what = "must not set securityContext.windowsOptions.hostProcess=true"
    return Finding("hostProcess", f"{who} {what}")


def host_probes(_: Doc, spec: Doc) -> Finding | None:
    """A probe that is sent elsewhere is sent by the node, from where it is."""
    bad = sorted({c.get("name", "") for c in containers(spec) if any(_hosts(c))})
    if not bad:
        return None
    hosts = sorted({host for container in containers(spec) for host in _hosts(container)})
    what = "probe or lifecycle host"
    uses = f"{plural('uses', bad, 'use')} {plural(what, hosts)} {quoted(hosts)}"
    return Finding(what, f"{these(bad)} {uses}")


def _hosts(container: Doc) -> Iterator[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [container.get(name) or {} for name in _PROBES]
    handlers += [lifecycle.get(name) or {} for name in _HOOKS]
    for handler in handlers:
        for action in ("httpGet", "tcpSocket"):
            if host := (handler.get(action) or {}).get("host"):
                yield host
