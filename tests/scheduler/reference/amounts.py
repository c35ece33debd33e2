"""What pods ask for and nodes offer: cpu in thousandths, all else in whole units.

kubernetes.io/docs/concepts/workloads/pods/init-containers (sharing within containers),
sidecar-containers, pod-overhead, and KEP-2837 for requests of the whole pod.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from longshore.base import quantities
from longshore.core.objects.kinds import Doc

Amounts = Mapping[str, int]

# What a container that names no request is taken to use when nodes are scored.
UNNAMED: Amounts = {"cpu": 100, "memory": 200 * 1024 * 1024}
# What a whole pod may name besides resources that begin with hugepages-.
POD_LEVEL = ("cpu", "memory")


def requests(pod: Doc, unnamed: Amounts | None = None) -> Counter[str]:
    """unnamed: what to take for a container that does not name a resource."""
    spec = pod["spec"]
    running: Counter[str] = Counter()
    for container in spec["containers"]:
        running.update(_of(container, unnamed))
    sidecars: Counter[str] = Counter()
    peak: Counter[str] = Counter()
    for container in spec.get("initContainers") or ():
        own = _of(container, unnamed)
        if container.get("restartPolicy") == "Always":
            sidecars.update(own)
            peak |= sidecars
        else:
            peak |= sidecars + own
    running.update(sidecars)
    total = running | peak
    for name, text in ((spec.get("resources") or {}).get("requests") or {}).items():
        if name in POD_LEVEL or name.startswith("hugepages-"):
            total[name] = amount(name, text)
    total.update(parsed(spec.get("overhead")))
    return total


def _of(container: Doc, unnamed: Amounts | None) -> Counter[str]:
    named = parsed((container.get("resources") or {}).get("requests"))
    return Counter({**(unnamed or {}), **named})


def parsed(amounts: Doc | None) -> Counter[str]:
    return Counter({name: amount(name, text) for name, text in (amounts or {}).items()})


def amount(name: str, text: str | int | float) -> int:
    return quantities.millis(text) if name == "cpu" else quantities.whole(text)


def scored(pod: Doc) -> Counter[str]:
    """As requests, with something for containers that name no cpu or memory."""
    return requests(pod, UNNAMED)


def offered(node: Doc) -> Counter[str]:
    return parsed(node["status"]["allocatable"])


def is_scalar(name: str) -> bool:
    """Extended and other prefixed resources, and huge pages: weighed only if the pod asks."""
    return "/" in name or name.startswith(("hugepages-", "attachable-volumes-"))
