"""Turn the security contexts of a pod and of its container into what the runtime enforces. Pure.

Source: pkg/kubelet/kuberuntime (security_context.go), pkg/securitycontext.
"""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.containers.facts import ConfigMissing
from longshore.machinery.runtime.protocol import Image, Security


def security_of(container: Doc, pod: Doc, image: Image, seccomp_dir: str) -> Security:
    """The container's securityContext over the pod's. seccomp_dir: below it are the profiles that pods
    name. Raises ConfigMissing when it must not run as root and would."""
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
        seccomp_unconfined=privileged or _type(merged, "seccompProfile") == "Unconfined",
        seccomp_profile=_seccomp(merged, seccomp_dir),
        apparmor_profile=_local(merged, "appArmorProfile"),
        strict_groups=shared.get("supplementalGroupsPolicy") == "Strict",
        unmasked_proc=own.get("procMount") == "Unmasked",
    )


def _type(merged: Doc, profile: str) -> str:
    return str((merged.get(profile) or {}).get("type", ""))


def _local(merged: Doc, profile: str) -> str:
    """The name of a profile that the node has; "" if none is named."""
    named = merged.get(profile) or {}
    return str(named.get("localhostProfile", "")) if named.get("type") == "Localhost" else ""


def _seccomp(merged: Doc, seccomp_dir: str) -> str:
    name = _local(merged, "seccompProfile")
    return f"{seccomp_dir}/{name}" if name else ""


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
