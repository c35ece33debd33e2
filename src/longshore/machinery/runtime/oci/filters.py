"""System call filters that crun has compiled, remembered for the next container with the same rules.

Nothing that crun computes takes longer than compiling them. It leaves the result, a BPF program, with its state of
the container, and takes one in an annotation instead of compiling (crun(1), run.oci.seccomp_bpf_data); other runtimes
do not look at that. The rules stay in the configuration: commands that are executed later are filtered by them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

ANNOTATION = "run.oci.seccomp_bpf_data"
_FILE = "seccomp.bpf"
_MOST = 64


class Filters:
    """By their rules (linux.seccomp of an OCI configuration); those unused for longest are forgotten."""

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    def told(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration with the compiled filter, if it is known."""
        key = _rules(config)
        if (compiled := self._known.pop(key, None)) is None:
            return dict(config)
        self._known[key] = compiled
        return {**config, "annotations": {**config["annotations"], ANNOTATION: compiled}}

    def learn(self, bundle: Path, state: Path) -> None:
        """What was compiled for a container that was made: bundle has its configuration, state is what its
        maker keeps of it."""
        described = (bundle / "config.json").read_bytes()
        if ANNOTATION.encode() in described or not (state / _FILE).exists():
            return
        rules = _rules(orjson.loads(described))
        self._known[rules] = b64encode((state / _FILE).read_bytes()).decode()
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]


def _rules(config: Mapping[str, Any]) -> bytes:
    return orjson.dumps(config["linux"].get("seccomp"))
