"""What the CRI is told of a sandbox and of a container. Pure: specifications in, messages out, and back.

Facts: k8s.io/cri-api pkg/apis/runtime/v1/api.proto, and what upstream's kubelet sends
(pkg/kubelet/kuberuntime/kuberuntime_sandbox_linux.go, kuberuntime_container_linux.go).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.about import About
from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    Image,
    Mount,
    Pids,
    Propagation,
    Resources,
    Sandbox,
    SandboxSpec,
    Security,
    StartFailed,
    State,
)

# Several nodes may share a runtime: each sees what has its own name.
NODE_LABEL = "longshore.io/node"
_FRAME = "longshore.io/frame"
_IMAGE, _IMAGE_ID = "longshore.io/image", "longshore.io/image-id"
_STOP_SIGNAL = "longshore.io/stop-signal"

CPU_PERIOD_US = 100_000
_QUOTA_MIN_US = 1_000
# Paths of /proc that containers neither read nor write (pkg/securitycontext/util.go).
_MASKED = (
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
    "/sys/devices/virtual/powercap",
)  # fmt: skip
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_PID_MODES = {Pids.CONTAINER: rpc.CONTAINER, Pids.POD: rpc.POD, Pids.NODE: rpc.NODE}
_PROPAGATIONS = {
    Propagation.PRIVATE: rpc.PRIVATE,
    Propagation.FROM_HOST: rpc.HOST_TO_CONTAINER,
    Propagation.BOTH_WAYS: rpc.BIDIRECTIONAL,
}
_STATES = {
    rpc.CONTAINER_CREATED: State.CREATED,
    rpc.CONTAINER_RUNNING: State.RUNNING,
    rpc.CONTAINER_EXITED: State.EXITED,
    rpc.CONTAINER_UNKNOWN: State.EXITED,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """What a sandbox is made of, beyond its names. The runtime keeps it as an annotation, since every container
    is made with it and it must be there after this process. group is the pod's control group."""

    hostname: str
    netns: str
    ips: Sequence[str]
    log_directory: str
    group: str
    pids: str
    host_ipc: bool
    sysctls: Mapping[str, str]
    handler: str
    privileged: bool = False


def frame_of(spec: SandboxSpec, group: str) -> Frame:
    """group is the control group of the pod."""
    return Frame(
        hostname=spec.hostname,
        netns=spec.netns,
        ips=spec.ips,
        log_directory=spec.log_directory,
        group=group,
        pids=spec.pids.value,
        host_ipc=spec.host_ipc,
        sysctls=dict(spec.sysctls),
        handler=spec.handler,
        privileged=spec.privileged,
    )


def sandbox_config(
    sandbox: Sandbox, frame: Frame, node: str, attempt: int = 0
) -> rpc.SandboxConfig:
    """attempt: how many the pod has had before."""
    return rpc.SandboxConfig(
        metadata=rpc.SandboxMetadata(
            uid=sandbox.id, namespace=sandbox.namespace, name=sandbox.name, attempt=attempt
        ),
        hostname=frame.hostname,
        log_directory=frame.log_directory,
        labels={**sandbox.labels, NODE_LABEL: node},
        annotations={_FRAME: orjson.dumps(frame).decode()},
        linux=rpc.LinuxSandbox(
            cgroup_parent=frame.group,
            security_context=rpc.SandboxSecurity(
                namespace_options=_namespaces(frame), privileged=frame.privileged
            ),
            sysctls=frame.sysctls,
        ),
    )


def read_sandbox(found: rpc.Sandbox) -> tuple[Sandbox, Frame] | None:
    """A sandbox as it was asked for; None if no driver like this one made it."""
    try:
        frame = Frame(**orjson.loads(found.annotations.get(_FRAME, "")))
    except (orjson.JSONDecodeError, TypeError):
        return None
    metadata = found.metadata
    labels = _without_node(found.labels)
    return Sandbox(metadata.uid, metadata.namespace, metadata.name, frame.netns, labels), frame


def _without_node(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key != NODE_LABEL}


def _namespaces(frame: Frame, target: str = "") -> rpc.NamespaceOption:
    """The network is always the pod's: the node's own is handed over as any other."""
    ipc = rpc.NODE if frame.host_ipc else rpc.POD
    if target:
        return rpc.NamespaceOption(ipc=ipc, pid=rpc.TARGET, target_id=target)
    return rpc.NamespaceOption(ipc=ipc, pid=_PID_MODES[Pids(frame.pids)])


def container_config(
    spec: ContainerSpec, frame: Frame, image: Image, node: str, target: str = ""
) -> rpc.ContainerConfig:
    """What a container is made of. target is the id of the container whose processes it sees. Raises
    StartFailed."""
    notes = {_IMAGE: spec.image, _IMAGE_ID: image.id, _STOP_SIGNAL: spec.stop_signal}
    config = rpc.ContainerConfig(
        metadata=rpc.ContainerMetadata(name=spec.name, attempt=spec.attempt),
        image=rpc.ImageSpec(image=f"sha256:{image.id}", user_specified_image=spec.image),
        command=spec.command,
        args=spec.args,
        working_dir=spec.working_dir,
        envs=[rpc.KeyValue(key=key, value=_bytes(value)) for key, value in spec.env],
        mounts=[_mount(mount) for mount in spec.mounts],
        devices=[
            rpc.Device(container_path=one.target, host_path=one.source, permissions=one.permissions)
            for one in spec.devices
        ],
        labels={**spec.labels, NODE_LABEL: node},
        annotations={**spec.annotations, **notes},
        log_path=_beneath(frame.log_directory, spec.log_path),
        stdin=spec.stdin,
        stdin_once=spec.stdin_once,
        tty=spec.tty,
    )
    config.linux.resources.CopyFrom(resources(spec.resources))
    config.linux.security_context.CopyFrom(
        security(spec.security, image, _namespaces(frame, target))
    )
    return config


def _bytes(value: str) -> bytes:
    return value.encode(errors="surrogateescape")


def _beneath(directory: str, path: str) -> str:
    """The CRI names logs by where they are below the sandbox's directory."""
    relative = posixpath.relpath(path, directory or "/")
    if relative.startswith("../"):
        raise StartFailed(f"the log {path} is not below {directory}, the log directory of its pod")
    return relative


def _mount(mount: Mount) -> rpc.Mount:
    made = rpc.Mount(
        container_path=mount.target,
        readonly=mount.read_only or bool(mount.image),
        recursive_read_only=mount.recursive and mount.read_only,
        propagation=_PROPAGATIONS[mount.propagation],
    )
    if mount.image:
        made.image.image = mount.image
        made.image_sub_path = mount.source.strip("/")
    else:
        made.host_path = mount.source
    return made


def check(spec: ContainerSpec, about: About, handler: str) -> None:
    """Raise StartFailed for what the runtime would leave out without a word."""
    recursive = any(one.recursive and one.read_only for one in spec.mounts)
    faults = (
        (spec.hooks, "hooks of devices are not run through the CRI"),
        (
            spec.security.strict_groups and not about.strict_groups,
            f"supplementalGroupsPolicy Strict is not supported by {about.name}",
        ),
        (
            recursive and not about.mounts_recursively(handler),
            f"recursive read-only mounts are not supported by {about.name}",
        ),
        (
            any(one.image for one in spec.mounts) and not about.image_mounts,
            f"image volumes are not supported by {about.name}",
        ),
    )
    for wrong, why in faults:
        if wrong:
            raise StartFailed(why)


def security(
    asked: Security, image: Image, namespaces: rpc.NamespaceOption
) -> rpc.ContainerSecurity:
    """What a container may do."""
    made = rpc.ContainerSecurity(
        privileged=asked.privileged,
        namespace_options=namespaces,
        readonly_rootfs=asked.read_only_root,
        supplemental_groups=asked.groups,
        supplemental_groups_policy=rpc.STRICT if asked.strict_groups else rpc.MERGE,
        no_new_privs=asked.no_new_privileges,
        capabilities=rpc.Capability(
            add_capabilities=asked.add_capabilities, drop_capabilities=asked.drop_capabilities
        ),
        seccomp=_profile(
            asked.seccomp_profile, unconfined=asked.seccomp_unconfined or asked.privileged
        ),
    )
    if not (asked.unmasked_proc or asked.privileged):
        made.masked_paths.extend(_MASKED)
        made.readonly_paths.extend(_READ_ONLY)
    if asked.apparmor_profile:
        made.apparmor.CopyFrom(_profile(asked.apparmor_profile, unconfined=False))
    _set_user(made, asked.user, image)
    return made


def _profile(name: str, *, unconfined: bool) -> rpc.SecurityProfile:
    if unconfined:
        return rpc.SecurityProfile(profile_type=rpc.SecurityProfile.UNCONFINED)
    if name:
        return rpc.SecurityProfile(profile_type=rpc.SecurityProfile.LOCALHOST, localhost_ref=name)
    return rpc.SecurityProfile(profile_type=rpc.SecurityProfile.RUNTIME_DEFAULT)


def _set_user(made: rpc.ContainerSecurity, asked: str, image: Image) -> None:
    """USER or USER:GROUP, numbers or names; empty leaves both to the image. A group is heeded with a user
    alone."""
    user, _, group = asked.partition(":")
    user = user or (image.user.partition(":")[0] or "0" if group else "")
    if user.isdecimal():
        made.run_as_user.value = int(user)
    elif user:
        made.run_as_username = user
    if group.isdecimal():
        made.run_as_group.value = int(group)
    elif group:
        raise StartFailed(f'the group "{group}" is not a number, as the CRI wants it')


def resources(limits: Resources, *, whole: bool = False) -> rpc.Resources:
    """Limits; with whole, those that are not set are taken away from what runs."""
    unset = -1 if whole else 0
    quota = max(_QUOTA_MIN_US, limits.cpu_limit_millis * CPU_PERIOD_US // 1000)
    return rpc.Resources(
        cpu_shares=limits.cpu_shares,
        cpu_period=CPU_PERIOD_US if limits.cpu_limit_millis else 0,
        cpu_quota=quota if limits.cpu_limit_millis else unset,
        memory_limit_in_bytes=limits.memory_limit_bytes or unset,
        oom_score_adj=limits.oom_score_adj,
        cpuset_cpus=limits.cpuset,
    )


def read_container(found: rpc.ContainerStatus, sandbox: str) -> Container:
    """A container of the sandbox of that id (ours) as the runtime tells of it."""
    state = _STATES[found.state]
    ended = state is State.EXITED
    return Container(
        id=found.id,
        sandbox=sandbox,
        name=found.metadata.name,
        attempt=found.metadata.attempt,
        image=found.annotations.get(_IMAGE, ""),
        image_id=found.annotations.get(_IMAGE_ID, ""),
        state=state,
        started_at=found.started_at / 1e9,
        finished_at=found.finished_at / 1e9 if ended else 0.0,
        exit_code=found.exit_code if ended else 0,
        reason=_reason(found) if ended else "",
        log_path=found.log_path,
        labels=_without_node(found.labels),
    )


def _reason(found: rpc.ContainerStatus) -> str:
    return found.reason or ("Completed" if found.exit_code == 0 else "Error")


def stop_signal(found: rpc.ContainerStatus) -> str:
    """The one that its specification named, if it did."""
    return str(found.annotations.get(_STOP_SIGNAL, ""))
