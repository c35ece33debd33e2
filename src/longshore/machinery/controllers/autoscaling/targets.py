"""What an autoscaler scales: anything that has a scale subresource, found by its apiVersion and kind."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.core.objects import selectors
from longshore.core.objects.errors import BadRequest, NotFound
from longshore.core.objects.kinds import Doc, Kind, Kinds
from longshore.core.objects.meta import scale_of
from longshore.core.objects.selectors import Selector
from longshore.core.watch.cache import Cache


class Unscalable(Exception):
    """There is no scale to be had; upstream's words."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is scaled, with its autoscaling/v1 Scale."""

    kind: Kind
    scale: Doc

    @property
    def replicas(self) -> int:
        """As many as it should have."""
        return int(self.scale["spec"]["replicas"])

    @property
    def running(self) -> int:
        """As many as it says it has."""
        return int(self.scale["status"]["replicas"])

    @property
    def selector(self) -> str:
        """Of its pods, in query-string form; may be empty."""
        return str(self.scale["status"].get("selector") or "")

    def parsed(self) -> Selector | None:
        """None for one that is empty, or that nobody can read."""
        try:
            return selectors.parse_labels(self.selector) if self.selector else None
        except BadRequest:
            return None

    def with_replicas(self, replicas: int) -> Doc:
        """The Scale to be written. Whoever changed the target meanwhile is overruled, as upstream tries
        again until that is so; but never another object of that name."""
        metadata = {
            key: value for key, value in self.scale["metadata"].items() if key != "resourceVersion"
        }
        return {**self.scale, "metadata": metadata, "spec": {"replicas": replicas}}


def find(cache: Cache, known: Kinds, namespace: str, reference: Doc) -> Target:
    """What spec.scaleTargetRef means. Raises Unscalable."""
    kind = _kind(known, reference.get("apiVersion") or "", reference["kind"])
    if "scale" not in kind.subresources:
        raise Unscalable("the server could not find the requested resource")
    name = reference["name"]
    found = cache.get(kind.kept_as, namespace, name)
    if found is None:
        raise Unscalable(NotFound.of(kind, name).message)
    return Target(kind, scale_of(found))


def _kind(known: Kinds, api_version: str, name: str) -> Kind:
    """Upstream looks for the kind in its group, whatever the version."""
    group, slash, _ = api_version.rpartition("/")
    if api_version.count("/") > 1:
        raise Unscalable(f"unexpected GroupVersion string: {api_version}")
    for kind in known:
        if kind.name == name and kind.group == (group if slash else ""):
            return kind
    raise Unscalable(f'no matches for kind "{name}" in group "{group if slash else ""}"')
