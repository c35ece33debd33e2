"""Which ConfigMaps, Secrets and claims a pod refers to, by name. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from longshore.core.objects.kinds import Doc
from longshore.core.objects.volumes import claim_name

# Every namespace has the cluster's CA certificate in a ConfigMap of this name.
CA_NAME = "kube-root-ca.crt"


class Wanted(NamedTuple):
    """Names of the pod's namespace."""

    maps: frozenset[str]
    secrets: frozenset[str]

    def without_map(self, name: str) -> Wanted:
        return Wanted(self.maps - {name}, self.secrets)


def environment_sources(spec: Doc) -> Wanted:
    """What the environments of all containers are made of."""
    maps: set[str] = set()
    secrets: set[str] = set()
    for container in _containers(spec):
        for entry in container.get("envFrom") or ():
            _note(entry.get("configMapRef"), "name", maps)
            _note(entry.get("secretRef"), "name", secrets)
        for entry in container.get("env") or ():
            source = entry.get("valueFrom") or {}
            _note(source.get("configMapKeyRef"), "name", maps)
            _note(source.get("secretKeyRef"), "name", secrets)
    return Wanted(frozenset(maps), frozenset(secrets))


def volume_sources(spec: Doc) -> Wanted:
    """What its volumes are made of."""
    maps: set[str] = set()
    secrets: set[str] = set()
    for volume in spec.get("volumes") or ():
        _note(volume.get("configMap"), "name", maps)
        _note(volume.get("secret"), "secretName", secrets)
        for source in (volume.get("projected") or {}).get("sources") or ():
            _note(source.get("configMap"), "name", maps)
            _note(source.get("secret"), "name", secrets)
    return Wanted(frozenset(maps), frozenset(secrets))


def claims(pod: Doc) -> frozenset[str]:
    """The claims that its volumes are."""
    names = (claim_name(pod, volume) for volume in pod["spec"].get("volumes") or ())
    return frozenset(name for name in names if name)


def _containers(spec: Doc) -> Iterator[Doc]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def _note(reference: Doc | None, key: str, names: set[str]) -> None:
    if reference and reference.get(key):
        names.add(reference[key])
