"""Decide what a pod's volumes hold and where they are mounted. Pure.

Sources: pkg/volume/{configmap,secret,downwardapi,projected,emptydir}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.core.objects.volumes import NOT_SOURCES, claim_name, is_of
from longshore.machinery.kubelet.config import at_home
from longshore.machinery.kubelet.containers.environment import Sources, contents, expand_known
from longshore.machinery.kubelet.containers.facts import (
    ConfigMissing,
    Facts,
    field_value,
    resource_value,
)
from longshore.machinery.kubelet.credentials import key_of
from longshore.machinery.kubelet.lifecycle.model import init_containers, main_containers

DEFAULT_MODE = 0o644
Medium: TypeAlias = Literal["disk", "memory"]


@dataclass(frozen=True, slots=True)
class File:
    """One file of a volume; mode in Unix bits."""

    content: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Payload:
    """A volume whose files the agent writes, by path within the volume. secret ones are kept
    in memory only; gid owns the files when the pod has an fsGroup."""

    name: str
    files: Mapping[str, File] = field(default_factory=dict)
    secret: bool = False
    gid: int | None = None


@dataclass(frozen=True, slots=True)
class EmptyDir:
    """A directory that lives as long as the pod. size_bytes bounds it (memory only); 0: as much
    as Linux lets a tmpfs have, half of the machine's memory."""

    name: str
    medium: Medium = "disk"
    size_bytes: int = 0
    gid: int | None = None


@dataclass(frozen=True, slots=True)
class HostPath:
    """A path of the node itself; type as in HostPathVolumeSource. gid: the group that is to have
    all that is there; lazily: unless the path itself has it already."""

    name: str
    path: str
    type: str = ""
    read_only: bool = False
    gid: int | None = None
    lazily: bool = False


@dataclass(frozen=True, slots=True)
class ImageVolume:
    """The files of an image (KEP-4639), which the runtime mounts where a container wants them."""

    name: str
    reference: str


Volume: TypeAlias = Payload | EmptyDir | HostPath | ImageVolume


def plan_volumes(facts: Facts, sources: Sources) -> tuple[Volume, ...]:
    """Every volume of the pod. Raises ConfigMissing for what is not there and not optional."""
    spec = facts.pod["spec"]
    gid = (spec.get("securityContext") or {}).get("fsGroup")
    return tuple(_volume(v, facts, sources, gid) for v in spec.get("volumes") or [])


def _volume(volume: Doc, facts: Facts, sources: Sources, gid: int | None) -> Volume:
    name = volume["name"]
    if "hostPath" in volume:
        source = volume["hostPath"]
        return HostPath(name, at_home(source["path"], facts.home), source.get("type") or "")
    if "emptyDir" in volume:
        return _empty_dir(name, volume["emptyDir"] or {}, facts, gid)
    if claimed := claim_name(facts.pod, volume):
        return _claimed(name, claimed, volume, facts, sources)
    try:
        if (payload := _payload(volume, facts, sources, gid)) is not None:
            return payload
    except ConfigMissing as error:
        raise ConfigMissing(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error
    if "image" in volume:
        return ImageVolume(name, volume["image"].get("reference") or "")
    # support.refused() has turned away everything else; a volume with no source is an emptyDir.
    return EmptyDir(name, gid=gid)


def _payload(volume: Doc, facts: Facts, sources: Sources, gid: int | None) -> Payload | None:
    name = volume["name"]
    if "projected" in volume:
        return _projected(name, volume["projected"], facts, sources, gid)
    for kind in ("configMap", "secret", "downwardAPI"):
        if kind in volume:
            files = _source(kind, volume[kind] or {}, facts, sources)
            return Payload(name, _masked(files, gid), kind == "secret", gid)
    return None


def _claimed(name: str, claimed: str, volume: Doc, facts: Facts, sources: Sources) -> HostPath:
    """What the claim has been given, where it is a directory or file of this node."""
    claim, given = sources.claims.get(claimed), sources.persistent.get(claimed)
    if claim is None:
        raise ConfigMissing(f'persistentvolumeclaim "{claimed}" not found')
    if given is None or not is_of(given, claim):
        where = f"{claim['metadata']['namespace']}/{claimed}"
        raise ConfigMissing(f"error processing PVC {where}: PVC is not bound")
    spec = given["spec"]
    if spec.get("volumeMode") == "Block":
        raise ConfigMissing(f"volume {name} has volumeMode Block, but is specified in volumeMounts")
    read_only = bool((volume.get("persistentVolumeClaim") or {}).get("readOnly"))
    if "local" in spec:
        security = facts.pod["spec"].get("securityContext") or {}
        lazily = security.get("fsGroupChangePolicy") == "OnRootMismatch"
        path, gid = spec["local"]["path"], security.get("fsGroup")
        return HostPath(name, path, "Directory", read_only, gid, lazily)
    if "hostPath" in spec:
        source = spec["hostPath"]
        return HostPath(name, source["path"], source.get("type") or "", read_only)
    raise ConfigMissing(f"not supported by this node: {_kind_of(given)}")


def _kind_of(volume: Doc) -> str:
    """A PersistentVolume by its name and what keeps it."""
    sources = [field for field in volume["spec"] if field not in NOT_SOURCES]
    return f'persistentvolume "{volume["metadata"]["name"]}" of type {", ".join(sources)}'


def _empty_dir(name: str, source: Doc, facts: Facts, gid: int | None) -> EmptyDir:
    """One in memory has its limit, but never more than the pod or the node may have
    (pkg/volume/emptydir: calculateEmptyDirMemorySize)."""
    if source.get("medium") != "Memory":
        return EmptyDir(name, "disk", 0, gid)
    limit = quantities.whole(source.get("sizeLimit") or 0)
    node = quantities.whole(facts.allocatable.get("memory", 0))
    bounds = [size for size in (limit, _memory_limit(facts.pod["spec"]), node) if size > 0]
    return EmptyDir(name, "memory", min(bounds, default=0), gid)


def _memory_limit(spec: Doc) -> int:
    """What the pod's containers may have together, in bytes; 0 if one of them has no limit."""
    resources = [c.get("resources") or {} for c in init_containers(spec) + main_containers(spec)]
    limits = [quantities.whole((r.get("limits") or {}).get("memory") or 0) for r in resources]
    return sum(limits) if all(limits) else 0


def _projected(name: str, source: Doc, facts: Facts, sources: Sources, gid: int | None) -> Payload:
    mode, files, secret = source.get("defaultMode"), dict[str, File](), False
    for part in source.get("sources") or []:
        kind = next(iter(part))
        secret = secret or kind in ("secret", "serviceAccountToken")
        shared = {"defaultMode": mode, **(part[kind] or {})}
        files |= _source(kind, shared, facts, sources)
    return Payload(name, _masked(files, gid), secret, gid)


def _source(kind: str, source: Doc, facts: Facts, sources: Sources) -> dict[str, File]:
    mode = source.get("defaultMode")
    mode = DEFAULT_MODE if mode is None else mode
    if kind == "serviceAccountToken":
        token = sources.tokens[key_of(source)]
        # Of a pod with an fsGroup, the group alone reads it (pkg/volume/projected).
        shared = (facts.pod["spec"].get("securityContext") or {}).get("fsGroup") is None
        return {source["path"]: File(token.encode(), mode if shared else 0o600)}
    if kind == "downwardAPI":
        return {item["path"]: _downward(item, mode, facts) for item in source.get("items") or []}
    known = sources.secrets if kind == "secret" else sources.config_maps
    name = source.get("secretName") or source.get("name") or ""
    doc = known.get(name)
    if doc is None:
        if source.get("optional"):
            return {}
        raise ConfigMissing(f'{kind.lower()} "{name}" not found')
    return _chosen(contents(doc), source, name, mode)


def _chosen(data: Mapping[str, bytes], source: Doc, name: str, mode: int) -> dict[str, File]:
    """The keys that items choose, or all of them."""
    items = source.get("items")
    if not items:
        return {key: File(value, mode) for key, value in data.items()}
    files: dict[str, File] = {}
    for item in items:
        if item["key"] in data:
            own = item.get("mode")
            files[item["path"]] = File(data[item["key"]], mode if own is None else own)
        elif not source.get("optional"):
            raise ConfigMissing(f"references non-existent config key: {item['key']} ({name})")
    return files


def _downward(item: Doc, mode: int, facts: Facts) -> File:
    own = item.get("mode")
    if "fieldRef" in item:
        text = field_value(facts, item["fieldRef"]["fieldPath"])
    else:
        text = resource_value(facts, item["resourceFieldRef"], "")
    return File(text.encode(), mode if own is None else own)


def _masked(files: dict[str, File], gid: int | None) -> dict[str, File]:
    """With an fsGroup the group may read (volume.SetVolumeOwnership: mode |= 0440)."""
    if gid is None:
        return files
    return {path: File(file.content, file.mode | 0o440) for path, file in files.items()}


def stale(old: tuple[Volume, ...], new: tuple[Volume, ...]) -> tuple[Payload, ...]:
    """The payloads whose files changed since they were written."""
    before = {volume.name: volume for volume in old}
    return tuple(v for v in new if isinstance(v, Payload) and before.get(v.name) != v)


def sub_path(mount: Doc, env: Mapping[str, str]) -> str:
    """The part of its volume that a volumeMount shows; "" is all of it. Raises ConfigMissing where its
    variables make it a path that could lead out of the volume (pkg/kubelet: makeMounts)."""
    path: str = mount.get("subPath") or expand_known(mount.get("subPathExpr") or "", env)
    if path.startswith("/"):
        raise ConfigMissing(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise ConfigMissing(f"unable to provision SubPath `{path}`: must not contain '..'")
    return path


def safe_path(path: str) -> bool:
    """Whether a path stays within its volume (the API validates this too; we write as root)."""
    parts = path.split("/")
    return bool(path) and not path.startswith("/") and ".." not in parts and parts[0] != "..data"
