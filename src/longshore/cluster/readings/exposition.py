"""Prometheus' text format, read within bounds. Pure.

Source: prometheus/docs, content/docs/instrumenting/exposition_formats.md (version 0.0.4) and the OpenMetrics
text format where it only adds to that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

SERIES_MAX = 1000
"""Of one pod; what comes behind them is left out."""
_SAMPLE = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*"
    r'(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?'
    r"\s*([^\s#]+)"
)
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPED = re.compile(r"\\(.)")
_TYPED = 4  # "# TYPE name type"
# A histogram's and a summary's own numbers only grow.
_GROWING = ("_count", "_sum")
_BUCKET = "_bucket{"

Labels: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One line. grows: it is a counter, of which the rate is of interest."""

    value: float
    grows: bool


Samples: TypeAlias = Mapping[tuple[str, Labels], Sample]
"""By name and labels."""


def parse(text: str) -> Samples:
    """What a pod says. Lines that nobody understands are left out, and so are values that are no
    numbers, and the buckets of histograms, which no autoscaler can go by."""
    types: dict[str, str] = {}
    found: dict[tuple[str, Labels], Sample] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            words = line.split(None, _TYPED)
            if len(words) == _TYPED and words[1] == "TYPE":
                types[words[2]] = words[3]
            continue
        if len(found) == SERIES_MAX:
            break
        one = None if _BUCKET in line else _sample(line.strip(), types)
        if one is not None:
            found[one[0]] = one[1]
    return found


def _sample(line: str, types: Mapping[str, str]) -> tuple[tuple[str, Labels], Sample] | None:
    match = _SAMPLE.match(line)
    if match is None:
        return None
    labels, value = _labels(match[2] or ""), _value(match[3])
    if labels is None or value is None:
        return None
    return (match[1], labels), Sample(value, _grows(match[1], types))


def _grows(name: str, types: Mapping[str, str]) -> bool:
    """As it is declared, else by its name; OpenMetrics declares http_requests and counts
    http_requests_total."""
    family = name.removesuffix("_total")
    declared = types.get(name) or types.get(family)
    if declared is None:
        for suffix in _GROWING:
            if types.get(name.removesuffix(suffix)) in ("histogram", "summary"):
                return True
    return declared == "counter" or (declared is None and family != name)


def _labels(text: str) -> Labels | None:
    """Sorted by name; None if they are none."""
    found, at = dict[str, str](), 0
    text = text.strip()
    while at < len(text):
        match = _LABEL.match(text, at)
        if match is None:
            return None
        found[match[1]] = _ESCAPED.sub(_plain, match[2])
        at = match.end()
    return tuple(sorted(found.items()))


def _plain(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] == "n" else escaped[1]


def _value(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def shown_name(name: str, *, grows: bool) -> str:
    """Under which name it is asked for: that of a counter's rate is without _total, as
    prometheus-adapter names it (docs/config-walkthrough.md)."""
    return name.removesuffix("_total") if grows else name
