"""Seccomp profiles that clusters bring along, as a container's configuration has them. Pure.

Two forms are in use: that of the OCI runtime specification, which is what the configuration has, and
Docker's, whose rules may depend on capabilities, architecture and kernel (github.com/moby/profiles,
seccomp/seccomp.go: Seccomp, Filter).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from longshore.machinery.runtime.oci.seccomp import ARCHITECTURES

_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
_KEPT = ("defaultAction", "defaultErrnoRet", "flags", "listenerPath", "listenerMetadata")
_RULE_KEPT = ("action", "errnoRet", "args")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What Docker's rules may depend on: the container's capabilities (without CAP_), uname's machine
    and release."""

    capabilities: frozenset[str]
    machine: str
    release: str


def from_file(document: Any, here: Circumstances) -> dict[str, Any]:
    """linux.seccomp of an OCI configuration, from either form. Raises ValueError with one sentence."""
    if not isinstance(document, dict) or "defaultAction" not in document:
        raise ValueError("it has no defaultAction")
    found = {key: document[key] for key in _KEPT if document.get(key) is not None}
    if architectures := _architectures(document, here):
        found["architectures"] = architectures
    rules = [_rule(one) for one in document.get("syscalls") or () if _applies(one, here)]
    return found | {"syscalls": [rule for rule in rules if rule["names"]]}


def _architectures(document: Mapping[str, Any], here: Circumstances) -> list[str]:
    own = ARCHITECTURES[here.machine]
    for entry in document.get("archMap") or ():
        if entry.get("architecture") == own:
            return [own, *(entry.get("subArchitectures") or ())]
    return list(document.get("architectures") or ())


def _rule(given: Mapping[str, Any]) -> dict[str, Any]:
    if "action" not in given:
        raise ValueError("a rule has no action")
    names = list(given.get("names") or ([given["name"]] if "name" in given else ()))
    return {"names": names} | {key: given[key] for key in _RULE_KEPT if given.get(key) is not None}


def _applies(rule: Any, here: Circumstances) -> bool:
    if not isinstance(rule, dict):
        raise ValueError("a rule is not an object")
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    wanted, unwanted = _capabilities(includes), _capabilities(excludes)
    machine = _GO_NAMES[here.machine]
    return (
        wanted <= here.capabilities
        and not unwanted & here.capabilities
        and machine in (includes.get("arches") or [machine])
        and machine not in (excludes.get("arches") or ())
        and _version(here.release) >= _version(includes.get("minKernel") or "0")
        and not ("minKernel" in excludes and _version(here.release) >= _version(excludes["minKernel"]))
    )  # fmt: skip


def _capabilities(condition: Mapping[str, Any]) -> set[str]:
    return {name.removeprefix("CAP_") for name in condition.get("caps") or ()}


def _version(release: str) -> tuple[int, int]:
    """Of "6.1.0-18-amd64", (6, 1)."""
    numbers = [int(part) for part in re.findall(r"\d+", release)[:2]]
    return (numbers[0], numbers[1] if len(numbers) > 1 else 0) if numbers else (0, 0)
