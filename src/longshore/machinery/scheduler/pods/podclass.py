"""What placement looks at in a pod, read once for all pods that are alike.

Ten thousand pods of one ReplicaSet are one PodClass: the rest of the scheduler counts in classes.
Pure. What cannot be honoured is said in refusal: the pod waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from longshore.core.objects import constraints, dynamic_ports
from longshore.core.objects.dynamic_ports import Wanted
from longshore.core.objects.kinds import Doc
from longshore.core.objects.resizing import accounted
from longshore.machinery.scheduler.pods.affinity import PodAffinity, affinity_of
from longshore.machinery.scheduler.pods.constraints import Constraints, read_constraints
from longshore.machinery.scheduler.pods.demand import Demand, read_demand
from longshore.machinery.scheduler.pods.devices import DeviceClaims, read_devices
from longshore.machinery.scheduler.pods.images import image_names, read_images
from longshore.machinery.scheduler.pods.kin import OWN_LABELS, Kin, Labels, Queries, Query
from longshore.machinery.scheduler.pods.ports import (
    ANY_ADDRESS,
    Port,
    host_ports,
    ports_chosen,
    ports_to_choose,
)
from longshore.machinery.scheduler.pods.requests import pod_requests, scored_requests
from longshore.machinery.scheduler.pods.spread import Spread, spread_of
from longshore.machinery.scheduler.pods.volumes import Claimed, read_claims

# Distinct classes that are remembered; beyond that the memory begins anew.
CLASSES_MAX = 65_536
# Specs that are remembered as they are.
_SPECS_MAX = 512

_Who = tuple[str, Labels, str, bool]
"""A Kin's fields."""


@dataclass(frozen=True, slots=True, eq=False)
class PodClass:
    """requests: amounts by resource (cpu in millis, the rest in whole units), without "pods".
    scored: cpu millis and memory bytes as scores count them. load: equal for classes that take the
    same. peers: the pods of the same controller, which are spread by default; siblings are those
    too, with those that are being deleted, if constraints keep them apart. dynamic: ports of the
    host that are still to be chosen."""

    demand: Demand
    requests: Mapping[str, int]
    scored: tuple[int, int]
    load: tuple[Any, ...]
    ports: tuple[Port, ...]
    kin: Kin
    peers: Query | None
    affinity: PodAffinity | None
    spread: Spread | None
    refusal: str
    ignored: str = ""
    claims: tuple[Claimed, ...] = ()
    images: tuple[str, ...] = ()
    constraints: Constraints | None = None
    siblings: Query | None = None
    dynamic: tuple[Wanted, ...] = ()
    devices: DeviceClaims | None = None

    @property
    def singly(self) -> bool:
        """Whether a decision about one such pod changes what the next can have, beyond room: they
        are placed one at a time, each in the view that the last has left."""
        return bool(self.claims or self.devices)

    def with_ports(self, chosen: Mapping[str, int]) -> PodClass:
        """The class of such a pod to which these ports of the host are given, by name."""
        ports = [(protocol, ANY_ADDRESS, chosen[name]) for name, protocol in self.dynamic]
        return replace(self, ports=(*self.ports, *ports), dynamic=())

    @property
    def group(self) -> str:
        """The uid of the controller, if there is one."""
        return self.kin.owner


class _Own(NamedTuple):
    """What placement reads in a pod besides its spec."""

    claims: tuple[Claimed, ...]
    constraints: str
    dynamic: str
    given: str
    devices: DeviceClaims | None

    @classmethod
    def of(cls, pod: Doc, *, claims: bool) -> _Own:
        """claims: whether its spec names any."""
        told = pod["metadata"].get("annotations") or {}
        return cls(
            read_claims(pod) if claims else (),
            told.get(constraints.ANNOTATION, ""),
            told.get(dynamic_ports.ASKED, ""),
            told.get(dynamic_ports.GIVEN, ""),
            read_devices(pod),
        )


class _Spec(NamedTuple):
    """What is known of a spec: key is equal for specs that placement cannot tell apart; claims says
    whether there are volumes that need one."""

    spec: Doc
    key: bytes
    claims: bool

    @classmethod
    def of(cls, spec: Doc) -> _Spec:
        volumes = spec.get("volumes") or ()
        claims = any("persistentVolumeClaim" in one or "ephemeral" in one for one in volumes)
        return cls(spec, orjson.dumps((_asked(spec), _taken(spec))), claims)


class PodClasses:
    """Finds the class of a pod; pods alike get the very same object, and so do their demands.

    told: labels of single pods that selectors have asked for, which classes then keep. stale turns
    true with the first selector that asks for another: all pods are to be read again."""

    def __init__(self, told: Iterable[str] = ()) -> None:
        self._known: dict[tuple[bytes, bytes, _Own], PodClass] = {}
        self._specs: dict[int, _Spec] = {}
        self._demands: dict[bytes, Demand] = {}
        self._kins: dict[bytes, Kin] = {}
        self._queries = Queries()
        self._left_out = OWN_LABELS.difference(told)

    @property
    def stale(self) -> bool:
        return not self._left_out.isdisjoint(self._queries.keys)

    def heed(self, labels: Iterable[str]) -> None:
        """Somebody else's selector asks for labels of these keys."""
        self._queries.keys.update(OWN_LABELS.intersection(labels))

    def renewed(self) -> PodClasses:
        """Nothing known yet, but for the labels that selectors ask for."""
        return PodClasses(OWN_LABELS & (self._queries.keys | (OWN_LABELS - self._left_out)))

    def of(self, pod: Doc) -> PodClass:
        spec, who = accounted(pod), self._who(pod["metadata"])
        known = self._spec(spec)
        own = _Own.of(pod, claims=known.claims)
        key = known.key, orjson.dumps(who), own
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= CLASSES_MAX:
                self._forget()
            found = self._known[key] = self._read(spec, self._kin(who), own)
        return found

    def _spec(self, spec: Doc) -> _Spec:
        """Pods of a workload share their spec (registry/pod_specs.py): it is read once. Who holds it
        here keeps it from being taken for another."""
        known = self._specs.get(id(spec))
        if known is None or known.spec is not spec:
            if len(self._specs) >= _SPECS_MAX:
                self._specs.clear()
            known = self._specs[id(spec)] = _Spec.of(spec)
        return known

    def _who(self, metadata: Doc) -> _Who:
        labels = metadata.get("labels") or {}
        if not self._left_out.isdisjoint(labels):
            labels = {key: labels[key] for key in labels if key not in self._left_out}
        leaving = "deletionTimestamp" in metadata
        return metadata.get("namespace", ""), labels, _controller(metadata), leaving

    def _kin(self, who: _Who) -> Kin:
        key = orjson.dumps(who)
        found = self._kins.get(key)
        if found is None:
            found = self._kins[key] = Kin(*who)
        return found

    def _read(self, spec: Doc, kin: Kin, own: _Own) -> PodClass:
        asked = read_constraints(own.constraints)
        dynamic, mistake = ports_to_choose(spec, own.dynamic, own.given)
        requests = pod_requests(spec)
        scored = scored_requests(spec, requests)
        return PodClass(
            demand=self._demand(spec),
            requests=requests,
            scored=scored,
            load=(scored, *sorted(requests.items())),
            ports=(*host_ports(spec, own.dynamic), *ports_chosen(spec, own.given)),
            kin=kin,
            peers=self._queries.of_peers(kin),
            affinity=affinity_of(spec, kin.namespace, kin.labels, self._queries),
            spread=spread_of(spec, kin, self._queries),
            refusal="; ".join(_refused(spec, asked, mistake)),
            claims=own.claims,
            images=read_images(spec),
            constraints=asked,
            siblings=self._queries.of_siblings(kin) if asked and asked.apart else None,
            dynamic=dynamic,
            devices=own.devices,
        )

    def _demand(self, spec: Doc) -> Demand:
        key = orjson.dumps(_asked(spec))
        found = self._demands.get(key)
        if found is None:
            found = self._demands[key] = read_demand(spec)
        return found

    def _forget(self) -> None:
        for known in (self._known, self._demands, self._kins):
            known.clear()
        self._queries.clear()


def _controller(metadata: Doc) -> str:
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return ""


def _asked(spec: Doc) -> tuple[Any, ...]:
    """The parts of a spec that a demand is read from."""
    return spec.get("nodeSelector"), spec.get("affinity"), spec.get("tolerations")


def _taken(spec: Doc) -> tuple[Any, ...]:
    """The other parts of a spec that placement depends on, in a fixed order."""
    return (
        [(c.get("resources"), _with_host_port(c)) for c in spec["containers"]],
        [
            (c.get("resources"), c.get("restartPolicy"), _with_host_port(c))
            for c in spec.get("initContainers") or ()
        ],
        tuple(image_names(spec)),
        spec.get("topologySpreadConstraints"),
        spec.get("overhead"),
        spec.get("resources"),
        _grouped_claims(spec),
    )


def _grouped_claims(spec: Doc) -> bool:
    return bool(spec.get("resourceClaims") and spec.get("schedulingGroup"))


def _with_host_port(container: Doc) -> list[Doc]:
    return [port for port in container.get("ports") or () if port.get("hostPort")]


def _refused(spec: Doc, asked: Constraints | None, mistake: str) -> Iterator[str]:
    """Demands that this scheduler cannot meet, by name. mistake: of the ports that it asks for."""
    if asked is not None and asked.mistake:
        yield asked.mistake
    if mistake:
        yield mistake
    if _grouped_claims(spec):
        yield "spec.resourceClaims of the pods of a pod group is not supported yet"
