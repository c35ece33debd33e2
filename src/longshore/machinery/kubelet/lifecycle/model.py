"""What is known of one pod at one moment: the input of plan.py and status.py. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from longshore.core.objects.kinds import Doc
from longshore.core.objects.resizing import DEFERRED, INFEASIBLE
from longshore.machinery.kubelet.config import RUNTIME_NAME
from longshore.machinery.runtime.protocol import Container, State

_SOURCE = "kubernetes.io/config.source"
TERMINAL_PHASES = ("Succeeded", "Failed")
# Used for a container that status knew as running and the runtime no longer has.
LOST_EXIT_CODE = 137
# Used for a container that could not be started (pkg/kubelet/container: ErrRunContainer).
START_ERROR_EXIT_CODE = 128


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something cannot go on just now. Times are seconds since the epoch."""

    reason: str
    message: str
    since: float
    retry_at: float
    image: str = ""
    """The image that it is about, if any: a container mounts others besides its own."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a container waits after its next end; at is when that was decided."""

    delay_s: float
    at: float


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes say of a running container; failed is a sentence if it must be killed, and
    grace_s then the failed probe's own grace period, None for the pod's."""

    started: bool = True
    ready: bool = True
    failed: str = ""
    grace_s: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The node itself ends a pod: it becomes Failed with this reason and message, and is never restarted.
    grace_s bounds the pod's own grace, None leaves it; disrupts: the pod gets the condition
    DisruptionTarget with reason TerminationByKubelet (KEP-3329)."""

    reason: str
    message: str
    grace_s: float | None = None
    disrupts: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that was not granted. infeasible: it never can be, as things are."""

    message: str
    generation: int
    since: float
    infeasible: bool = False

    @property
    def reason(self) -> str:
        return INFEASIBLE if self.infeasible else DEFERRED


@dataclass(frozen=True, slots=True)
class Resizing:
    """How changes of a pod stand. generation is the one that is being carried out, None if none is;
    error: why that did not work, and retry_at when it is tried again."""

    pending: Pending | None = None
    generation: int | None = None
    error: str = ""
    retry_at: float = 0.0


SETTLED = Resizing()


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod, as the API server, the runtime and the agent's memory know it.

    containers has the newest attempt of each container, previous the one before; troubles and
    health are by container name, messages by (name, attempt). phase is the last one reported.
    """

    doc: Doc
    now: float
    containers: Mapping[str, Container] = field(default_factory=dict)
    previous: Mapping[str, Container] = field(default_factory=dict)
    sandbox: bool = False
    ips: tuple[str, ...] = ()
    host_ip: str = ""
    pod_trouble: Trouble | None = None
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    backoffs: Mapping[str, Backoff] = field(default_factory=dict)
    health: Mapping[str, Health] = field(default_factory=dict)
    messages: Mapping[tuple[str, int], str] = field(default_factory=dict)
    reported: Doc = field(default_factory=dict)
    """The status that was sent last; doc may still have an older one."""
    started_at: float = 0.0
    phase: str = "Pending"
    held: bool = False
    """Volumes and the network attachment are still there."""
    gone: bool = False
    """The API server no longer has the pod."""
    verdict: Verdict | None = None
    runtime: str = RUNTIME_NAME
    """Whose containers they are: statuses show it before their ids."""
    admitted: bool = True
    """The node has taken it. Until then nothing is done for it; with a verdict, nothing ever was."""
    actual: Mapping[str, Doc] = field(default_factory=dict)
    """resources by container, of those that run with others than doc gives them."""
    resizing: Resizing = SETTLED
    floors: Mapping[str, int] = field(default_factory=dict)
    """The first attempt of each container that counts, once all were told to start anew."""
    past: Mapping[str, Container] = field(default_factory=dict)
    """The newest attempts of containers that do not count any more, and have not started anew yet."""

    @property
    def spec(self) -> Doc:
        spec: Doc = self.doc["spec"]
        return spec

    @property
    def deleting(self) -> bool:
        return self.gone or "deletionTimestamp" in self.doc["metadata"]

    def running(self, name: str) -> bool:
        container = self.containers.get(name)
        return container is not None and container.state is not State.EXITED

    def healthy(self, name: str) -> Health:
        return self.health.get(name, Health())


def is_sidecar(container: Doc) -> bool:
    """An init container that keeps running beside the others (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def main_containers(spec: Doc) -> list[Doc]:
    containers: list[Doc] = spec["containers"]
    return containers


def init_containers(spec: Doc) -> list[Doc]:
    containers: list[Doc] = spec.get("initContainers") or []
    return containers


def ephemeral_containers(spec: Doc) -> list[Doc]:
    """Those that were added to look into a running pod (KEP-277): never restarted, and the pod's
    life does not depend on them."""
    containers: list[Doc] = spec.get("ephemeralContainers") or []
    return containers


def own_fields(pod: Doc) -> tuple[object, ...]:
    """What a pod may have of itself in its environment and volumes, and can change while it is on a node;
    its generation stands for its spec."""
    metadata = pod["metadata"]
    return tuple(metadata.get(field) for field in ("labels", "annotations", "generation"))


def is_static(pod: Doc) -> bool:
    """Whether the node has it from a file of its own."""
    annotations = pod["metadata"].get("annotations") or {}
    return bool(annotations.get(_SOURCE, "api") != "api")


def key_of(doc: Doc) -> str:
    """NAMESPACE/NAME, as messages show a pod."""
    return f"{doc['metadata']['namespace']}/{doc['metadata']['name']}"


def full_name(doc: Doc) -> str:
    """NAME_NAMESPACE(UID), as upstream's back-off messages show a pod."""
    metadata = doc["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
