"""`longshore sim`: a whole cluster from a seed, and what did not hold in it.

Runs in a process whose hashes are not random, so that the same seed is the same cluster."""

from __future__ import annotations

import gc
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from longshore.base.clock import SystemClock
from longshore.testing.simulator.play import CALM_S
from longshore.testing.simulator.record import Record
from longshore.testing.simulator.saved import load, save
from longshore.testing.simulator.script import FAULTS
from longshore.testing.simulator.simulate import (
    NODES,
    PACE_S,
    Setting,
    Verdict,
    replay,
    shrunk,
    simulate,
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The command's options."""

    seeds: str
    ticks: int
    hours: float
    faults: str
    nodes: int
    servers: int
    pace: float
    calm: float
    minutes: float
    trace: bool
    shrink: bool
    tries: int
    quiet: bool
    directory: Path | None
    file: Path | None
    as_json: bool

    @property
    def setting(self) -> Setting:
        faults = _chosen(self.faults)
        ticks = round(self.hours * 3600) or self.ticks
        long = bool(self.hours)
        return Setting(ticks, faults, self.nodes, self.pace, self.calm, self.servers, long)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seed", "seeds", default="0", show_default=True, metavar="N|N:M",
              help="The seed, or all seeds from N up to but not including M.")  # fmt: skip
@click.option(
    "--ticks", default=600, show_default=True, help="Simulated seconds of work and faults."
)
@click.option("--hours", default=0.0, help="As --ticks, in hours, with more kinds of deeds.")
@click.option("--faults", default="all", show_default=True, metavar="all|none|LIST",
              help=f"What may go wrong, separated by commas: {', '.join(FAULTS)}.")  # fmt: skip
@click.option("--nodes", default=NODES, show_default=True, help="How many nodes.")
@click.option("--servers", default=1, show_default=True,
              help="How many servers: of several, one leads by its Lease.")  # fmt: skip
@click.option("--pace", default=PACE_S, show_default=True,
              help="Simulated seconds from one deed of users to the next.")  # fmt: skip
@click.option("--calm", default=CALM_S, show_default=True,
              help="Simulated seconds at most for all to come to rest in the end.")  # fmt: skip
@click.option("--minutes", default=0.0, help="Go on with further seeds for so long.")
@click.option("--trace", is_flag=True, help="Print every step and every durable write.")
@click.option(
    "--shrink/--no-shrink", default=True, help="Look for a shorter script that fails too."
)
@click.option("--tries", default=120, show_default=True, help="How often to try a shorter one.")
@click.option("--quiet", is_flag=True, help="Say nothing of seeds that hold.")
@click.option("--save", "directory", type=click.Path(path_type=Path, file_okay=False),
              help="Keep what failed as a file in this directory.")  # fmt: skip
@click.option("--replay", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Play a kept file instead.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each seed.")
def main(**options: Any) -> None:
    """Simulate a whole cluster under load and faults, and say what did not hold. Ends with 1 if
    anything did not."""
    logging.disable(logging.CRITICAL)
    gc.set_threshold(100_000, 50, 100)
    asked = _Asked(**options)
    tried = failed = 0
    for verdict in _verdicts(asked):
        tried += 1
        failed += bool(verdict.violations)
        if verdict.violations and asked.shrink and asked.file is None:
            verdict = shrunk(verdict, asked.setting, asked.tries)
        if verdict.violations and asked.directory is not None:
            _keep(asked.directory, verdict, asked.setting)
        if verdict.violations or not asked.quiet:
            _tell(verdict, asked.trace, asked.as_json)
    if tried > 1 and not asked.as_json and not asked.quiet:
        click.echo(f"{tried - failed} of {tried} seeds held")
    sys.exit(1 if failed else 0)


def _chosen(faults: str) -> Sequence[str]:
    if faults in ("all", "none"):
        return tuple(FAULTS) if faults == "all" else ()
    chosen = tuple(name.strip() for name in faults.split(","))
    for name in chosen:
        if name not in FAULTS:
            raise click.BadParameter(f"{name!r} is no fault; there are {', '.join(FAULTS)}")
    return chosen


def _verdicts(asked: _Asked) -> Iterator[Verdict]:
    if asked.file is not None:
        seed, nodes, servers, steps = load(asked.file)
        yield replay(seed, steps, Setting(nodes=nodes, servers=servers))
        return
    first, _, end = asked.seeds.partition(":")
    clock, setting = SystemClock(), asked.setting
    deadline = clock.monotonic() + 60 * asked.minutes
    seed, last = int(first), int(end or int(first) + 1)
    while seed < last or clock.monotonic() < deadline:
        yield simulate(seed, setting)
        seed += 1


def _keep(directory: Path, verdict: Verdict, setting: Setting) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    broken = verdict.violations[0]
    path = directory / f"{broken.rule}-{verdict.seed}.jsonl"
    save(path, verdict.seed, setting.nodes, setting.servers, broken.sentence, verdict.script)


def _tell(verdict: Verdict, trace: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(verdict.as_dict()))
        return
    writes, requests = len(verdict.record.log), len(verdict.record.asked)
    word = "FAILED" if verdict.violations else "held"
    click.echo(f"seed {verdict.seed}: {word} ({requests} requests, {writes} durable writes)")
    if trace:
        _tell_all(verdict)
    for violation in verdict.violations:
        click.echo(f"  {violation.rule}: {violation.sentence}")
    if verdict.violations:
        click.echo("  what led to it:")
        for step in verdict.script:
            click.echo(f"    {step}")
        for key, doc in verdict.objects.items():
            metadata = {k: v for k, v in doc["metadata"].items() if k != "managedFields"}
            click.echo(f"  {key}: {json.dumps({**doc, 'metadata': metadata})}")


def _tell_all(verdict: Verdict) -> None:
    for line in sorted((*_steps(verdict), *_writes(verdict.record))):
        click.echo(f"  {line[0]:9.3f} s  {line[1]}")


def _steps(verdict: Verdict) -> Iterator[tuple[float, str]]:
    for one in verdict.record.asked:
        answer = one.status or "no answer"
        yield one.began, f"{one.method} {one.key}: {answer} at {one.ended:.3f}"


def _writes(record: Record) -> Iterator[tuple[float, str]]:
    for entry in record.log:
        what = "deleted" if entry.value is None else f"{len(entry.value)} bytes"
        yield entry.at, f"[{entry.revision}] {entry.key} {what}"


if __name__ == "__main__":
    main(prog_name="longshore sim")
