"""Turn a pod, and a container of it, into what the runtime makes. Pure: documents in, specs out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from longshore.base.quantities import whole
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.containers.environment import Sources, container_env, expand_all
from longshore.machinery.kubelet.containers.facts import Facts
from longshore.machinery.kubelet.containers.security import security_of
from longshore.machinery.kubelet.lifecycle.qos import (
    cgroup_resources,
    oom_score_adj,
    pod_resources,
    qos_class,
)
from longshore.machinery.runtime.protocol import (
    ContainerSpec,
    Image,
    Mount,
    Pids,
    Resources,
    SandboxSpec,
)

# Labels that every container and sandbox carries (pkg/kubelet/types/labels.go): by these an
# agent that starts again, and crictl-like tools, know whose they are.
LABEL_POD_NAME = "io.kubernetes.pod.name"
LABEL_POD_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_POD_UID = "io.kubernetes.pod.uid"
LABEL_CONTAINER_NAME = "io.kubernetes.container.name"
# Pods may say how a hollow container ends; the runtime sees it as a label.
HOLLOW_EXIT = "longshore.io/hollow-exit"
_INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one attempt of a container lives on this node."""

    attempt: int
    log_path: str
    mounts: Sequence[Mount] = ()
    seccomp_dir: str = ""
    """Below it are the profiles that pods bring along."""


def sandbox_spec(
    facts: Facts, hostname: str, netns: str, log_directory: str, pids_limit: int = 0
) -> SandboxSpec:
    """Everything the runtime must know to make the pod's frame; pids_limit as of pod_resources()."""
    metadata, spec = facts.pod["metadata"], facts.pod["spec"]
    return SandboxSpec(
        id=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        hostname=hostname,
        netns=netns,
        labels=pod_labels(facts.pod),
        ips=facts.ips,
        host_network=bool(spec.get("hostNetwork")),
        host_ipc=bool(spec.get("hostIPC")),
        pids=_pids(spec),
        sysctls=_sysctls(spec),
        log_directory=log_directory,
        qos=qos_class(spec),
        resources=pod_resources(spec, pids_limit),
        privileged=any(
            (one.get("securityContext") or {}).get("privileged")
            for one in (*(spec.get("initContainers") or ()), *spec["containers"])
        ),
    )


def _pids(spec: Doc) -> Pids:
    if spec.get("hostPID"):
        return Pids.NODE
    return Pids.POD if spec.get("shareProcessNamespace") else Pids.CONTAINER


def _sysctls(spec: Doc) -> dict[str, str]:
    asked = (spec.get("securityContext") or {}).get("sysctls") or ()
    return {one["name"]: one["value"] for one in asked}


def pod_labels(pod: Doc) -> dict[str, str]:
    metadata = pod["metadata"]
    labels = {
        LABEL_POD_NAME: metadata["name"],
        LABEL_POD_NAMESPACE: metadata["namespace"],
        LABEL_POD_UID: metadata["uid"],
    }
    if (ends := hollow_exit(pod)) is not None:
        labels[HOLLOW_EXIT] = ends
    return labels


def hollow_exit(pod: Doc) -> str | None:
    """How the pod's hollow containers end ("CODE" or "CODE after SECONDS"), if it says so. Of an
    indexed Job, "42 at 1,3; 0" tells the pods of some indexes from the others."""
    metadata = pod["metadata"]
    for where in ("annotations", "labels"):
        if (ends := (metadata.get(where) or {}).get(HOLLOW_EXIT)) is not None:
            return _at_index(str(ends), (metadata.get("annotations") or {}).get(_INDEX, ""))
    return None


def _at_index(said: str, index: str) -> str | None:
    """The first part that is for an index, or for all; None if there is none."""
    for part in said.split(";"):
        ending, at, indexes = part.strip().partition(" at ")
        if not at or index in indexes.split(","):
            return ending
    return None


def container_spec(
    container: Doc, facts: Facts, sources: Sources, image: Image, place: Place
) -> ContainerSpec:
    """Everything the runtime must know to start one attempt. Raises ConfigMissing."""
    env = container_env(container, facts, sources)
    return ContainerSpec(
        name=container["name"],
        image=container["image"],
        log_path=place.log_path,
        attempt=place.attempt,
        command=expand_all(container.get("command") or [], env),
        args=expand_all(container.get("args") or [], env),
        env=list(env.items()),
        working_dir=container.get("workingDir") or "",
        mounts=place.mounts,
        resources=_resources(container, facts),
        security=security_of(container, facts.pod, image, place.seccomp_dir),
        tty=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        pid_of=container.get("targetContainerName") or "",
        stdin_once=bool(container.get("stdinOnce")),
        stop_signal=(container.get("lifecycle") or {}).get("stopSignal") or "",
        labels={**pod_labels(facts.pod), LABEL_CONTAINER_NAME: container["name"]},
    )


def _resources(container: Doc, facts: Facts) -> Resources:
    memory = whole(facts.allocatable.get("memory", 0))
    return running_resources(container, facts.pod["spec"], memory)


def running_resources(container: Doc, spec: Doc, memory_bytes: int) -> Resources:
    """The limits of a container of a pod's spec, on a node with so much memory for pods."""
    adjusted = oom_score_adj(spec, container, memory_bytes)
    return replace(cgroup_resources(container), oom_score_adj=adjusted)


def pull_policy(container: Doc) -> str:
    """Always, IfNotPresent or Never; unset means Always for :latest, as the API defaults it."""
    return image_pull_policy(container["image"], container.get("imagePullPolicy"))


def image_pull_policy(reference: str, given: str | None) -> str:
    """The same for any image of a pod."""
    if given:
        return given
    last = reference.rpartition("/")[2]
    if "@" in last:
        return "IfNotPresent"
    return "Always" if last.rpartition(":")[1] == "" or last.endswith(":latest") else "IfNotPresent"
