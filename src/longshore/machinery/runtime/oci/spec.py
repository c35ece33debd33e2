"""The OCI runtime configuration of one container. Pure.

Source of the defaults (capabilities, masked paths, mounts): Docker's documented defaults; of the
form: opencontainers/runtime-spec 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longshore.machinery.runtime.oci.seccomp import profile
from longshore.machinery.runtime.oci.users import ProcessUser
from longshore.machinery.runtime.protocol import (
    ContainerSpec,
    Hook,
    Image,
    Mount,
    Propagation,
    Resources,
    Security,
)

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_CAPABILITIES = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
# In the order of their numbers (include/uapi/linux/capability.h).
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
    "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
    "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
    "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
    "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)  # fmt: skip
_MASKED = [
    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
]  # fmt: skip
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
CPU_PERIOD_US = 100_000


# What nobody executes, owns by set-uid bits or opens as a device: image volumes (KEP-4639).
_INERT = ("noexec", "nosuid", "nodev")


@dataclass(frozen=True, slots=True)
class Node:
    """A device node at path in the container; kind is "c" or "b", permissions of "rwm"."""

    path: str
    kind: str
    major: int
    minor: int
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class Frame:
    """What the machine and the sandbox contribute. namespaces are the sandbox's, by their type; pid is the namespace of processes that the container
    joins: "" for one of its own, None for the node's. oom_floor: no oom_score_adj below it can be set.
    seccomp: the profile that the container names, None where it names none. unified: what its control group is to say
    besides, by file, where version 2 is alone; None elsewhere."""

    hostname: str
    namespaces: Mapping[str, str]
    shm: str
    cgroup: str
    rootfs: str
    bounding: frozenset[str] = frozenset(CAPABILITIES)
    devices: Sequence[Node] = ()
    pid: str | None = ""
    oom_floor: int = -1000
    seccomp: Mapping[str, Any] | None = None
    unified: Mapping[str, str] | None = None


def configuration(
    spec: ContainerSpec, image: Image, user: ProcessUser, frame: Frame
) -> dict[str, Any]:
    """config.json. Raises ValueError with one sentence if the container cannot be described."""
    allowed = capabilities(spec.security, frame.bounding)
    privileged = spec.security.privileged
    open_proc = privileged or spec.security.unmasked_proc
    linux: dict[str, Any] = {
        "namespaces": _namespaces(frame, privileged),
        "cgroupsPath": frame.cgroup,
        "resources": _resources(spec.resources, privileged, frame),
        "maskedPaths": [] if open_proc else _MASKED,
        "readonlyPaths": [] if open_proc else _READ_ONLY,
        "devices": [_device(node) for node in frame.devices],
    }
    if widest := _widest_propagation(spec.mounts):
        linux["rootfsPropagation"] = widest
    if not (privileged or spec.security.seccomp_unconfined):
        linux["seccomp"] = frame.seccomp or profile(frozenset(allowed))
    return {
        "ociVersion": "1.0.2",
        "process": _process(spec, image, user, frame) | {"capabilities": _sets(allowed)},
        "root": {"path": frame.rootfs, "readonly": spec.security.read_only_root},
        "mounts": [*_system_mounts(frame, privileged), *(_bind(mount) for mount in spec.mounts)],
        "linux": linux,
        "annotations": dict(spec.annotations),
        "hooks": _hooks(spec.hooks),
    }


def _hooks(hooks: Sequence[Hook]) -> dict[str, list[dict[str, Any]]]:
    """By their stage, each with what it says."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for hook in hooks:
        said = {"args": list(hook.args), "env": list(hook.env), "timeout": hook.timeout_s}
        entry = {"path": hook.path, **{key: value for key, value in said.items() if value}}
        stages.setdefault(hook.stage, []).append(entry)
    return stages


def arguments(spec: ContainerSpec, image: Image) -> list[str]:
    """What is executed. A command of the pod's replaces the image's entrypoint and its command."""
    if spec.command:
        return [*spec.command, *spec.args]
    return [*image.entrypoint, *(spec.args or image.command)]


def environment(spec: ContainerSpec, image: Image, home: str, hostname: str) -> list[str]:
    """KEY=value each; the pod's over the image's over the defaults."""
    values = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname, "HOME": home}
    if spec.tty:
        values["TERM"] = "xterm"
    values |= dict(entry.split("=", 1) for entry in image.env if "=" in entry)
    values |= dict(spec.env)
    return [f"{key}={value}" for key, value in values.items()]


def capabilities(security: Security, bounding: frozenset[str]) -> list[str]:
    """Those the container has, sorted. bounding are those this machine can give. Raises ValueError
    for one that does not exist or is not to be had."""
    if security.privileged:
        return sorted(bounding)
    add = {name.upper().removeprefix("CAP_") for name in security.add_capabilities}
    drop = {name.upper().removeprefix("CAP_") for name in security.drop_capabilities}
    for name in sorted((add | drop) - set(CAPABILITIES) - {"ALL"}):
        raise ValueError(f'there is no capability "{name}"')
    for name in sorted(add - {"ALL"} - bounding):
        raise ValueError(f"the capability {name} is not this machine's to give")
    base = set() if "ALL" in drop else set(DEFAULT_CAPABILITIES)
    if "ALL" in add:
        base = set(bounding)
    return sorted(((base - drop) | (add - {"ALL"})) & bounding)


def groups(security: Security, user: ProcessUser) -> list[int]:
    """The supplementary groups: those asked for, and unless that is refused, the image's (KEP-3619)."""
    return sorted({*security.groups, *(() if security.strict_groups else user.groups)})


def _process(spec: ContainerSpec, image: Image, user: ProcessUser, frame: Frame) -> dict[str, Any]:
    args = arguments(spec, image)
    if not args:
        raise ValueError("no command specified: neither the container nor its image has one")
    process: dict[str, Any] = {
        "terminal": spec.tty,
        "user": {
            "uid": user.uid,
            "gid": user.gid,
            "additionalGids": groups(spec.security, user),
        },
        "args": args,
        "env": environment(spec, image, user.home, frame.hostname),
        "cwd": spec.working_dir or image.working_dir or "/",
        "noNewPrivileges": spec.security.no_new_privileges,
        "oomScoreAdj": max(frame.oom_floor, spec.resources.oom_score_adj),
    }
    if spec.security.apparmor_profile:
        process["apparmorProfile"] = spec.security.apparmor_profile
    return process


def _sets(allowed: Sequence[str]) -> dict[str, list[str]]:
    # The kernel empties the effective set of a user other than root when it executes a program.
    names = [f"CAP_{name}" for name in allowed]
    return {"bounding": names, "effective": names, "permitted": names}


def _namespaces(frame: Frame, privileged: bool) -> list[dict[str, str]]:
    """On version 2 a container sees its own control group as the root, as runtimes behind the CRI have it;
    a privileged one sees the node's."""
    own = [{"type": "mount"}]
    if frame.unified is not None and not privileged:
        own.append({"type": "cgroup"})
    if frame.pid is not None:
        own.append({"type": "pid", "path": frame.pid} if frame.pid else {"type": "pid"})
    return own + [{"type": kind, "path": path} for kind, path in frame.namespaces.items()]


def _system_mounts(frame: Frame, privileged: bool) -> list[dict[str, Any]]:
    access = "rw" if privileged else "ro"
    quiet = ["nosuid", "noexec", "nodev"]
    return [
        _mount("/proc", "proc", "proc", quiet),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts", "devpts", "devpts",
            ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        _mount("/sys", "sysfs", "sysfs", [*quiet, access]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*quiet, "relatime", access]),
        _mount("/dev/mqueue", "mqueue", "mqueue", quiet),
        _mount("/dev/shm", "bind", frame.shm, ["rbind", *quiet]),
    ]  # fmt: skip


def _mount(target: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": options}


def _bind(mount: Mount) -> dict[str, Any]:
    access = "rw"
    if mount.read_only or mount.image:
        access = "rro" if mount.recursive else "ro"
    inert = _INERT if mount.image else mount.flags
    return _mount(
        mount.target, "bind", mount.source, ["rbind", mount.propagation.value, access, *inert]
    )


def _widest_propagation(mounts: Sequence[Mount]) -> str:
    """What all mounts of the container's namespace begin as where a bind goes beyond it: none can follow
    more of the node than that. Said always, since runtimes begin differently: runc with rslave, crun with rprivate."""
    wanted = {mount.propagation for mount in mounts}
    widest_first = (Propagation.BOTH_WAYS, Propagation.FROM_HOST)
    return next((each.value for each in widest_first if each in wanted), "")


def _resources(limits: Resources, privileged: bool, frame: Frame) -> dict[str, Any]:
    devices: list[dict[str, Any]] = [{"allow": privileged, "access": "rwm"}]
    if not privileged:
        devices += [
            {
                "allow": True,
                "type": node.kind,
                "major": node.major,
                "minor": node.minor,
                "access": node.permissions,
            }
            for node in frame.devices
        ]
    resources: dict[str, Any] = {"devices": devices}
    if frame.unified:
        resources["unified"] = dict(frame.unified)
    cpu: dict[str, Any] = {}
    if limits.cpu_shares:
        cpu["shares"] = max(2, limits.cpu_shares)
    if limits.cpu_limit_millis:
        cpu["period"] = CPU_PERIOD_US
        cpu["quota"] = cpu_quota(limits.cpu_limit_millis)
    if limits.cpuset:
        cpu["cpus"] = limits.cpuset
    if cpu:
        resources["cpu"] = cpu
    if limits.memory_limit_bytes:
        resources["memory"] = {"limit": limits.memory_limit_bytes}
    if limits.pids_limit:
        resources["pids"] = {"limit": limits.pids_limit}
    return resources


def cpu_quota(millis: int) -> int:
    """Microseconds of every CPU_PERIOD_US; the kernel takes no less than a thousand."""
    return max(1000, millis * CPU_PERIOD_US // 1000)


def _device(node: Node) -> dict[str, Any]:
    return {
        "path": node.path,
        "type": node.kind,
        "major": node.major,
        "minor": node.minor,
        "fileMode": 0o660,
        "uid": 0,
        "gid": 0,
    }
