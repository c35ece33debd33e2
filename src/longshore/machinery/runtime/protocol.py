"""The one runtime protocol: what the kubelet may ask of a container runtime.

Three drivers pass one suite (testing/runtime_suite.py): oci (conmon with crun or runc), cri (containerd, CRI-O) and
hollow (none).
The runtime knows no pods and no addresses: the kubelet hands it a network namespace's path.
Containers belong to a sandbox; a sandbox is one pod's shared namespaces and cgroup.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

from longshore.core.streams.protocols import ExecOptions, Session


class RuntimeFailure(Exception):
    """The runtime could not do it.

    RuntimeFailure
    ├── ImageMissing      not on this node, and it was not to be pulled
    ├── ImagePullFailed   a pull was tried and failed
    └── StartFailed       the container could not be created or started
    """


class ImageMissing(RuntimeFailure): ...


class ImagePullFailed(RuntimeFailure): ...


class StartFailed(RuntimeFailure): ...


@dataclass(frozen=True, slots=True)
class Image:
    """One unpacked image. names are the references that lead to it; size in bytes. pinned: the runtime
    itself needs it, whether or not a container is made of it."""

    id: str
    names: tuple[str, ...]
    size: int
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    stop_signal: str = "SIGTERM"
    pinned: bool = False


class Propagation(Enum):
    """Which mounts made later are seen on the other side of a bind (mount_namespaces(7))."""

    PRIVATE = "rprivate"
    FROM_HOST = "rslave"
    BOTH_WAYS = "rshared"


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind of a host path into the container. With image, source is a path within the unpacked files
    of that image instead, and nothing is ever written there. recursive: read_only holds for all mounts
    below it too. flags: of nosuid, nodev and noexec, for a runtime that can be told so (the CRI has no
    word for them)."""

    source: str
    target: str
    read_only: bool = False
    recursive: bool = False
    propagation: Propagation = Propagation.PRIVATE
    image: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """A device node of the host that the container gets; permissions of "rwm" (read, write, mknod)."""

    source: str
    target: str
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class Hook:
    """A program of the node's that is run when a container gets to a stage of its life (OCI runtime-spec,
    "POSIX-platform Hooks"): createRuntime, createContainer, startContainer or prestart. timeout_s 0: no bound."""

    stage: str
    path: str
    args: Sequence[str] = ()
    env: Sequence[str] = ()
    timeout_s: int = 0


@dataclass(frozen=True, slots=True)
class Resources:
    """cgroup limits; 0 leaves one unlimited. cpu_shares as Docker has them (1024 a core); cpuset is a list
    as "0-2,7", empty for all. oom_score_adj is of a container's processes (proc(5)): best effort, since
    some machines forbid what is below 0."""

    cpu_shares: int = 0
    cpu_limit_millis: int = 0
    memory_limit_bytes: int = 0
    pids_limit: int = 0
    cpuset: str = ""
    oom_score_adj: int = 0


class Pids(Enum):
    """Whose processes a pod's containers see."""

    CONTAINER = "container"
    POD = "pod"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """One pod's frame. id is the pod's uid; netns the path of its network namespace (the node's own for
    host_network), ips its addresses. log_directory: below it are the log_path of all its containers.
    qos is the pod's QoS class, which decides where its control group is; resources are the bounds
    of the pod as a whole. handler: of its RuntimeClass, empty for the default. privileged: a container of
    it is."""

    id: str
    namespace: str
    name: str
    hostname: str
    netns: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ips: tuple[str, ...] = ()
    host_network: bool = False
    host_ipc: bool = False
    pids: Pids = Pids.CONTAINER
    sysctls: Mapping[str, str] = field(default_factory=dict)
    log_directory: str = ""
    qos: str = "BestEffort"
    resources: Resources = Resources()
    handler: str = ""
    privileged: bool = False


@dataclass(frozen=True, slots=True)
class Security:
    """What a container may do. Empty user means the image's; capabilities without CAP_. seccomp_profile is
    the path of a profile (the default one if it is empty), apparmor_profile the name of a loaded one. strict_groups: none
    but groups, whatever the image's /etc/group says (KEP-3619). unmasked_proc: all of /proc."""

    user: str = ""
    groups: tuple[int, ...] = ()
    privileged: bool = False
    read_only_root: bool = False
    no_new_privileges: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    seccomp_unconfined: bool = False
    seccomp_profile: str = ""
    apparmor_profile: str = ""
    strict_groups: bool = False
    unmasked_proc: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container. log_path is where the CRI log goes; args replace the image's command,
    command its entrypoint (both already expanded). stdin_once: the first session that ends its
    input ends the container's. hooks: a runtime that cannot run them raises StartFailed. annotations are for
    the runtime, and programs that read its configuration. pid_of: the running container of the sandbox whose processes this one
    sees, and with which it shares the PID namespace; empty for the sandbox's way. stop_signal: a name such as
    "SIGUSR1", empty for the image's."""

    name: str
    image: str
    log_path: str
    attempt: int = 0
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Sequence[tuple[str, str]] = ()
    working_dir: str = ""
    mounts: Sequence[Mount] = ()
    devices: Sequence[Device] = ()
    hooks: Sequence[Hook] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()
    security: Security = Security()
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    pid_of: str = ""
    stop_signal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Login:
    """What a registry is shown for a pull: a name with a password, or a token of an identity."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


class State(Enum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Container:
    """What the runtime knows of a container. Times are seconds since the epoch, 0 if not yet. stop_signal is
    the one that it gets, and user whom its first process is: (uid, gid, supplementary groups...); both are
    empty where a runtime does not tell."""

    id: str
    sandbox: str
    name: str
    attempt: int
    image: str
    image_id: str
    state: State
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    log_path: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""
    user: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sandbox:
    id: str
    namespace: str
    name: str
    netns: str
    labels: Mapping[str, str] = field(default_factory=dict)


class Runtime(Protocol):
    """A container runtime on one node. Every call may raise RuntimeFailure."""

    async def open(self) -> None:
        """Find what is already there (an agent that starts again re-adopts its containers)."""

    async def close(self) -> None:
        """Let go; containers keep running."""

    async def images(self) -> list[Image]: ...

    async def image(self, reference: str) -> Image | None:
        """The image of that reference, if it is on this node."""

    async def pull(self, reference: str, login: Login | None = None) -> Image:
        """Fetch and unpack. Raises ImagePullFailed with the registry's own words."""

    async def remove_image(self, image_id: str) -> None:
        """Forget all its names and free its files. Idempotent. Raises RuntimeFailure while a container,
        running or exited, is made of it."""

    async def run_sandbox(self, spec: SandboxSpec) -> Sandbox: ...

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Remove it and every container in it, which must have been stopped. Idempotent."""

    async def sandboxes(self) -> list[Sandbox]: ...

    async def start_container(self, sandbox_id: str, spec: ContainerSpec) -> Container:
        """Create and start. Raises ImageMissing or StartFailed; returns when its process runs. After another
        RuntimeFailure it may run, or not: who asks for the same attempt again is told what became of it."""

    async def stop_container(self, container_id: str, grace_s: float) -> None:
        """Its stop signal, then SIGKILL after the grace. Returns when it is gone. Idempotent."""

    async def remove_container(self, container_id: str) -> None:
        """Forget an exited container and free what it held. Idempotent."""

    async def containers(self) -> list[Container]:
        """All of this node, running and exited, from memory: cheap."""

    async def changed(self) -> set[str]:
        """Wait until containers changed state by themselves; the ids of their sandboxes."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A way to run pods, by which a RuntimeClass asks for it; the default's name is empty."""

    name: str
    recursive_read_only: bool = False
    user_namespaces: bool = False


@runtime_checkable
class HasHandlers(Protocol):
    """What a Runtime may be able to do beyond the rest: run pods in several ways. run_sandbox raises
    RuntimeFailure for a handler that is none of them."""

    def handlers(self) -> Sequence[Handler]:
        """All of them, the default too, from memory."""


@runtime_checkable
class HasVersion(Protocol):
    """What a Runtime may be able to do beyond the rest: say whose it is."""

    def version(self) -> str:
        """NAME://VERSION, as Nodes tell it (containerRuntimeVersion)."""


@runtime_checkable
class CanUpdate(Protocol):
    """What a Runtime may be able to do beyond the rest: change the limits of what runs (KEP-1287)."""

    async def update_container(self, container_id: str, resources: Resources) -> None:
        """Give a running container these limits, all of them. Raises RuntimeFailure, and then nothing changed."""

    async def update_sandbox(self, sandbox_id: str, resources: Resources) -> None:
        """Bound the pod as a whole anew. Raises RuntimeFailure."""


@runtime_checkable
class CanRotate(Protocol):
    """What a Runtime may be able to do beyond the rest: go on in another log file."""

    async def reopen_log(self, container_id: str) -> None:
        """Who rotates has renamed the file at log_path: from now on what the container prints goes into a new
        one there, and nothing is lost. Raises RuntimeFailure."""


@runtime_checkable
class CanExec(Protocol):
    """What a Runtime may be able to do beyond the rest: run a command in a container and wait for
    it. The kubelet refuses exec probes and hooks by name on runtimes that cannot."""

    async def exec_sync(
        self, container_id: str, command: list[str], timeout_s: float
    ) -> tuple[int, bytes]:
        """(exit code, both output streams together). Raises RuntimeFailure; at the timeout the
        command is killed."""


@runtime_checkable
class CanTalk(Protocol):
    """What a Runtime may be able to do beyond the rest: let somebody talk to a container. Both raise
    RuntimeFailure; who asked closes the session."""

    async def exec(self, container_id: str, options: ExecOptions) -> Session:
        """Start options.command in a running container."""

    async def attach(self, container_id: str, options: ExecOptions) -> Session:
        """Join the container's own main process. Raises for one that has ended."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a control group has used: CPU time in nanoseconds since it was made; memory in bytes
    (all, without file cache that can be dropped at once, anonymous); how often a page was not there,
    and not in memory either; processes and threads there are now."""

    cpu_ns: int
    memory_bytes: int
    working_set_bytes: int
    rss_bytes: int
    page_faults: int = 0
    major_page_faults: int = 0
    pids: int = 0


@runtime_checkable
class CanMeasure(Protocol):
    """What a Runtime may be able to do beyond the rest: say what its containers use."""

    async def usage(self) -> tuple[Usage | None, Mapping[str, Usage]]:
        """Of all that it runs together (None if nothing ran yet), and of each running container, by
        id. Reads the kernel's counters anew."""


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What files take of a disk."""

    bytes: int
    inodes: int


@runtime_checkable
class CanWeigh(Protocol):
    """What a Runtime may be able to do beyond the rest: say what containers have written to their own
    root file systems."""

    async def written(self, container_ids: Collection[str]) -> Mapping[str, DiskUse]:
        """Of each of these that there is, running or exited. Looks at every file: ask seldom."""
