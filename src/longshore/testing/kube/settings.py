"""What a test may choose of its cluster, as the mark `kube` says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longshore.base.version import KUBERNETES_VERSION

SCHEDULER = "scheduler"
ACCOUNTS = "namespace-defaults"


@dataclass(frozen=True, slots=True)
class Settings:
    """nodes: how many hollow nodes there are from the start. controllers: the names of those that
    run, the scheduler's among them (None: all)."""

    nodes: int = 1
    controllers: frozenset[str] | None = None

    def runs(self, controller: str) -> bool:
        return self.controllers is None or controller in self.controllers

    @classmethod
    def of(cls, args: Sequence[Any], options: Mapping[str, Any]) -> Settings:
        """From a mark's arguments. Raises ValueError, TypeError."""
        if args:
            raise TypeError("the mark kube takes its arguments by name: kube(nodes=2)")
        unknown = options.keys() - {"nodes", "controllers", "version"}
        if unknown:
            raise TypeError(
                f"the mark kube has no argument {', '.join(sorted(unknown))}: "
                "there are nodes, controllers and version"
            )
        _check_version(options.get("version"))
        nodes = options.get("nodes", 1)
        if not isinstance(nodes, int) or not 0 <= nodes <= 1000:
            raise ValueError(f"nodes={nodes!r}: a number from 0 to 1000 was expected")
        return cls(nodes, _chosen(options.get("controllers")))


def check_names(chosen: frozenset[str] | None, known: Sequence[str]) -> None:
    """Raises ValueError for a controller that there is not."""
    names = sorted({*known, SCHEDULER})
    unknown = sorted((chosen or frozenset()) - {*names})
    if unknown:
        raise ValueError(
            f"no controller is named {', '.join(unknown)}: there are {', '.join(names)}"
        )


def _chosen(controllers: Any) -> frozenset[str] | None:
    if controllers is None or controllers == "all":
        return None
    if controllers == "none":
        return frozenset()
    return frozenset([controllers] if isinstance(controllers, str) else controllers)


def _check_version(version: Any) -> None:
    served = KUBERNETES_VERSION[1:]
    if version is not None and not f"{served}.".startswith(f"{version}."):
        raise ValueError(f"version={version!r}: this Longshore serves Kubernetes {served} alone")
