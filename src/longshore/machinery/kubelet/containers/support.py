"""What this agent does not do, refused by name. Pure: pod in, one sentence out (or none).

A field that is not honoured is never ignored in silence: the pod stays Pending and says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import init_containers, main_containers
from longshore.machinery.network.services.published import CARRIED

VOLUMES = ("emptyDir", "configMap", "secret", "downwardAPI", "projected", "hostPath",
           "persistentVolumeClaim", "ephemeral", "image")  # fmt: skip
_PROJECTIONS = ("configMap", "secret", "downwardAPI", "serviceAccountToken")
_SECURITY = ("seLinuxOptions", "windowsOptions")
_EMPTY_DIR = ("", "Memory")


@dataclass(frozen=True, slots=True)
class Abilities:
    """What not every runtime and machine can do: commands within containers, AppArmor profiles, mounts
    that are read-only with all below them."""

    execs: bool = True
    apparmor: bool = False
    recursive_read_only: bool = True


def refused(spec: Doc, able: Abilities) -> str:
    """A sentence that names each field of the pod that cannot be honoured; "" if there is none."""
    found = [*_pod(spec, able), *_volumes(spec)]
    for container in init_containers(spec) + main_containers(spec):
        init = container in init_containers(spec)
        name = f"{'initContainers' if init else 'containers'}[{container['name']}]"
        found += [f"{name}.{what}" for what in _container(container, able)]
        if not spec.get("hostNetwork"):
            found += [f"{name}.ports.hostPort of {p['protocol']}" for p in container.get("ports") or []
                      if p.get("hostPort") and p.get("protocol", "TCP") not in CARRIED][:1]  # fmt: skip
    if not found:
        return ""
    return f"not supported by this node: {', '.join('spec.' + what for what in found)}"


def _pod(spec: Doc, able: Abilities) -> Iterator[str]:
    if spec.get("hostUsers") is False:
        yield "hostUsers=false"
    yield from _security(spec.get("securityContext") or {}, able)


def _security(security: Doc, able: Abilities) -> Iterator[str]:
    yield from (f"securityContext.{field}" for field in _SECURITY if security.get(field))
    if not able.apparmor and (security.get("appArmorProfile") or {}).get("type") == "Localhost":
        yield "securityContext.appArmorProfile.type=Localhost"


def _volumes(spec: Doc) -> Iterator[str]:
    for volume in spec.get("volumes") or []:
        kinds = [key for key in volume if key != "name"]
        where = f"volumes[{volume['name']}]"
        yield from (f"{where}.{kind}" for kind in kinds if kind not in VOLUMES)
        medium = (volume.get("emptyDir") or {}).get("medium", "")
        if medium not in _EMPTY_DIR:
            yield f"{where}.emptyDir.medium={medium}"
        for source in (volume.get("projected") or {}).get("sources") or []:
            yield from (f"{where}.projected.{k}" for k in source if k not in _PROJECTIONS)


def _container(container: Doc, able: Abilities) -> Iterator[str]:
    if container.get("volumeDevices"):
        yield "volumeDevices"
    for mount in container.get("volumeMounts") or []:
        asked = mount.get("recursiveReadOnly") or "Disabled"
        if asked != "Disabled" and not able.recursive_read_only:
            yield f"volumeMounts[{mount['mountPath']}].recursiveReadOnly={asked}"
    yield from _security(container.get("securityContext") or {}, able)
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        yield from _handler(probe, container.get(probe) or {}, able)
    for hook in ("postStart", "preStop"):
        yield from _handler(
            f"lifecycle.{hook}", (container.get("lifecycle") or {}).get(hook) or {}, able
        )


def _handler(where: str, handler: Doc, able: Abilities) -> Iterator[str]:
    if "exec" in handler and not able.execs:
        yield f"{where}.exec"
