"""How a pod lets itself be asked for metrics in Prometheus' format. Pure.

Source: the annotations that Prometheus' own example configuration of Kubernetes goes by
(prometheus/prometheus, documentation/examples/prometheus-kubernetes.yml): prometheus.io/scrape, port, path.
A hollow pod has nobody to ask: what it would say is an annotation, longshore.io/hollow-metrics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc

SCRAPE, PORT, PATH = "prometheus.io/scrape", "prometheus.io/port", "prometheus.io/path"
HOLLOW = "longshore.io/hollow-metrics"
_PORT_MAX = 65_535
_NUMBER = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Exposure:
    """Where a pod is asked, by HTTP."""

    host: str
    port: int
    path: str


def exposes(annotations: Mapping[str, str]) -> bool:
    """Whether a pod with these annotations lets itself be asked."""
    return annotations.get(SCRAPE) == "true" or HOLLOW in annotations


def exposure_of(pod: Doc) -> Exposure | None:
    """None for a pod that cannot be asked: not so meant, without an address or a port. Without an
    annotation the port is the first that its containers name."""
    annotations = pod["metadata"].get("annotations") or {}
    host = (pod.get("status") or {}).get("podIP")
    port = _port(pod, annotations.get(PORT))
    path = annotations.get(PATH) or "/metrics"
    if annotations.get(SCRAPE) != "true" or not host or port is None or not _is_path(path):
        return None
    return Exposure(str(host), port, path)


def _port(pod: Doc, text: str | None) -> int | None:
    if text is None:
        named = [port for one in pod["spec"]["containers"] for port in one.get("ports") or ()]
        return int(named[0]["containerPort"]) if named else None
    number = int(text) if _NUMBER.fullmatch(text) else 0
    return number if 1 <= number <= _PORT_MAX else None


def _is_path(text: str) -> bool:
    """Whether it can go on a request's first line as it is."""
    return text.startswith("/") and text.isascii() and text.isprintable() and " " not in text
