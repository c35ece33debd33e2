"""`python -m tests.proof [--short] [CASE ...]`: what Longshore says of durability, tried for real and counted.

The exit code is 1 if anything that was acknowledged was lost, or any answer contradicts another.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import uvloop

from longshore.base.clock import SystemClock
from tests.proof import backups, kills, members, nodes, power
from tests.proof.judged import Verdict
from tests.proof.nodes import NodeVerdict

Told: TypeAlias = Verdict | NodeVerdict | list[Verdict]


@dataclass(frozen=True)
class Case:
    """number is how often, short how often in a few seconds."""

    prove: Callable[[Path, int], Awaitable[Told]]
    number: int
    short: int
    needs: tuple[str, ...] = ()
    root: bool = False

    @property
    def lacks(self) -> str:
        """What there would have to be to try it here."""
        if self.root and os.geteuid() != 0:
            return "root, for network namespaces"
        return ", ".join(name for name in self.needs if shutil.which(name) is None)


CASES = {
    "power": Case(power.prove, 1000, 200),
    "backups": Case(backups.prove, 10, 1, ("etcd",)),
    "members": Case(members.prove, 50, 4, ("etcd", "ip"), root=True),
    "kills-on-etcd": Case(kills.prove_on_etcd, 50, 3, ("etcd",)),
    "kills": Case(kills.prove, 200, 5),
    "nodes": Case(nodes.prove, 50, 6, ("conmon", "kubectl"), root=True),
}


async def main(names: list[str], short: bool) -> bool:
    clock, lost = SystemClock(), False
    for name in names:
        case, begun = CASES[name], clock.monotonic()
        if case.lacks:
            print(f"{name}: left out, it needs {case.lacks}")
            continue
        print(f"{name} …", flush=True)
        with TemporaryDirectory(prefix="lp-") as directory:
            told = await case.prove(Path(directory) / name, case.short if short else case.number)
        for verdict in told if isinstance(told, list) else [told]:
            print(verdict, flush=True)
            lost = lost or bool(verdict.wrong)
        print(f"  in {clock.monotonic() - begun:.0f} s", flush=True)
    return lost


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--short", action="store_true", help="each in a few seconds")
    parser.add_argument("case", nargs="*", choices=[[], *CASES], default=[])
    asked = parser.parse_args()
    sys.exit(uvloop.run(main(asked.case or list(CASES), asked.short)))
