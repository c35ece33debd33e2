"""What a person sees while a cluster starts: one line a phase with its time, then where it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from longshore.base.clock import SystemClock
from longshore.cluster.local.starting import UpResult

_CLEAR = "\r\033[K"


class Report:
    """Prints phases as they pass; on a terminal the running one is shown too."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._live = sys.stdout.isatty()
        self._clock = SystemClock()

    @contextmanager
    def phase(self, what: str) -> Iterator[None]:
        start = self._clock.monotonic()
        if self._live and not self._quiet:
            print(f"  … {what}", end="", flush=True)
        yield
        taken = self._clock.monotonic() - start
        if not self._quiet:
            print(
                f"{_CLEAR if self._live else ''}  {'✓' if self._live else '-'} {what:<44}{_ms(taken):>9}",
                flush=True,
            )

    def warn(self, sentence: str) -> None:
        print(f"longshore: {sentence}", file=sys.stderr)

    def done(self, result: UpResult, as_json: bool) -> None:
        if as_json:
            print(orjson.dumps(result.as_dict()).decode())
            return
        print(
            f"\n{result.name}: {result.server} with {result.nodes} nodes in {result.seconds['total']:.2f} s"
        )
        print(f"kubectl --context {result.context} get nodes")


def clusters_as_text(clusters: Sequence[dict[str, Any]]) -> str:
    if not clusters:
        return "no clusters; longshore up starts one"
    rows = [("NAME", "STATE", "NODES", "RUNTIME", "SERVER")]
    rows += [(c["name"], c["state"], str(c["nodes"]), c["runtime"], c["server"]) for c in clusters]
    return table(rows)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns side by side; the first row has their titles."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
