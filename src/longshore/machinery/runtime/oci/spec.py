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
from longshore.machinery.runtime.protocol import ContainerSpec, Image, Mount, Resources, Security

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
_CPU_PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Frame:
    """What the machine and the sandbox contribute. devices are the host's nodes for a privileged
    container: (path, "c" or "b", major, minor). pid is the namespace of another container, if it is
    shared."""

    hostname: str
    netns: str
    ipc: str
    uts: str
    shm: str
    cgroup: str
    rootfs: str
    bounding: frozenset[str] = frozenset(CAPABILITIES)
    devices: Sequence[tuple[str, str, int, int]] = ()
    pid: str = ""


def configuration(
    spec: ContainerSpec, image: Image, user: ProcessUser, frame: Frame
) -> dict[str, Any]:
    """config.json. Raises ValueError with one sentence if the container cannot be described."""
    allowed = capabilities(spec.security, frame.bounding)
    privileged = spec.security.privileged
    linux: dict[str, Any] = {
        "namespaces": _namespaces(frame),
        "cgroupsPath": frame.cgroup,
        "resources": _resources(spec.resources, privileged),
        "maskedPaths": [] if privileged else _MASKED,
        "readonlyPaths": [] if privileged else _READ_ONLY,
    }
    if privileged:
        linux["devices"] = [_device(*device) for device in frame.devices]
    if not (privileged or spec.security.seccomp_unconfined):
        linux["seccomp"] = profile(frozenset(allowed))
    return {
        "ociVersion": "1.0.2",
        "process": _process(spec, image, user, frame.hostname) | {"capabilities": _sets(allowed)},
        "root": {"path": frame.rootfs, "readonly": spec.security.read_only_root},
        "mounts": [*_system_mounts(frame, privileged), *(_bind(mount) for mount in spec.mounts)],
        "linux": linux,
    }


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


def _process(spec: ContainerSpec, image: Image, user: ProcessUser, hostname: str) -> dict[str, Any]:
    args = arguments(spec, image)
    if not args:
        raise ValueError("no command specified: neither the container nor its image has one")
    return {
        "terminal": spec.tty,
        "user": {
            "uid": user.uid,
            "gid": user.gid,
            "additionalGids": sorted({*user.groups, *spec.security.groups}),
        },
        "args": args,
        "env": environment(spec, image, user.home, hostname),
        "cwd": spec.working_dir or image.working_dir or "/",
        "noNewPrivileges": spec.security.no_new_privileges,
    }


def _sets(allowed: Sequence[str]) -> dict[str, list[str]]:
    # The kernel empties the effective set of a user other than root when it executes a program.
    names = [f"CAP_{name}" for name in allowed]
    return {"bounding": names, "effective": names, "permitted": names}


def _namespaces(frame: Frame) -> list[dict[str, str]]:
    shared: Mapping[str, str] = {"network": frame.netns, "ipc": frame.ipc, "uts": frame.uts}
    pid = {"type": "pid", "path": frame.pid} if frame.pid else {"type": "pid"}
    own = [pid, {"type": "mount"}]
    return own + [{"type": kind, "path": path} for kind, path in shared.items()]


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
    access = "ro" if mount.read_only else "rw"
    return _mount(mount.target, "bind", mount.source, ["rbind", "rprivate", access])


def _resources(limits: Resources, privileged: bool) -> dict[str, Any]:
    resources: dict[str, Any] = {"devices": [{"allow": privileged, "access": "rwm"}]}
    cpu: dict[str, int] = {}
    if limits.cpu_shares:
        cpu["shares"] = max(2, limits.cpu_shares)
    if limits.cpu_limit_millis:
        cpu["period"] = _CPU_PERIOD_US
        cpu["quota"] = max(1000, limits.cpu_limit_millis * _CPU_PERIOD_US // 1000)
    if cpu:
        resources["cpu"] = cpu
    if limits.memory_limit_bytes:
        resources["memory"] = {"limit": limits.memory_limit_bytes}
    if limits.pids_limit:
        resources["pids"] = {"limit": limits.pids_limit}
    return resources


def _device(path: str, kind: str, major: int, minor: int) -> dict[str, Any]:
    return {
        "path": path,
        "type": kind,
        "major": major,
        "minor": minor,
        "fileMode": 0o660,
        "uid": 0,
        "gid": 0,
    }
