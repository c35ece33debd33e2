"""Turn a container of a pod into what the runtime starts. Pure: documents in, ContainerSpec out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.environment import Sources, container_env, expand_all
from longshore.machinery.kubelet.facts import ConfigMissing, Facts
from longshore.machinery.kubelet.qos import cgroup_resources
from longshore.machinery.runtime.protocol import ContainerSpec, Image, Mount, Security

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
        resources=cgroup_resources(container),
        security=security_of(container, facts.pod, image),
        tty=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        pid_of=container.get("targetContainerName") or "",
        stdin_once=bool(container.get("stdinOnce")),
        labels={**pod_labels(facts.pod), LABEL_CONTAINER_NAME: container["name"]},
    )


def security_of(container: Doc, pod: Doc, image: Image) -> Security:
    """The container's securityContext over the pod's. Raises ConfigMissing when it must not
    run as root and would."""
    own = container.get("securityContext") or {}
    shared = pod["spec"].get("securityContext") or {}
    merged = {**shared, **{key: value for key, value in own.items() if value is not None}}
    user = _user(merged, image)
    _check_non_root(merged, user or image.user, container["name"])
    capabilities = own.get("capabilities") or {}
    privileged = bool(own.get("privileged"))
    return Security(
        user=user,
        groups=_groups(shared),
        privileged=privileged,
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        add_capabilities=_bare(capabilities.get("add")),
        drop_capabilities=_bare(capabilities.get("drop")),
        seccomp_unconfined=privileged
        or (merged.get("seccompProfile") or {}).get("type") == "Unconfined",
    )


def _user(merged: Doc, image: Image) -> str:
    """USER or USER:GROUP; empty leaves it to the image."""
    user, group = merged.get("runAsUser"), merged.get("runAsGroup")
    if group is None:
        return "" if user is None else str(user)
    return f"{image.user.partition(':')[0] or 0 if user is None else user}:{group}"


def _check_non_root(merged: Doc, user: str, name: str) -> None:
    if not merged.get("runAsNonRoot"):
        return
    uid = user.partition(":")[0]
    if uid in ("", "0", "root"):
        raise ConfigMissing(
            f'container has runAsNonRoot and image will run as root (container "{name}")'
        )
    if not uid.isdigit():
        raise ConfigMissing(
            f"container has runAsNonRoot and image has non-numeric user ({uid}), "
            f'cannot verify user is non-root (container "{name}")'
        )


def _groups(shared: Doc) -> tuple[int, ...]:
    groups = list(shared.get("supplementalGroups") or [])
    if shared.get("fsGroup") is not None:
        groups.append(shared["fsGroup"])
    return tuple(dict.fromkeys(groups))


def _bare(names: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(name.upper().removeprefix("CAP_") for name in names or ())


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
