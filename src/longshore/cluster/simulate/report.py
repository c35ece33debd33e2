"""A simulation's outcome as text, with a picture of how full each zone's nodes are. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from longshore.cluster.simulate.outcome import Landed, NodeLoad, Outcome, Zone

# A node without anything is a dot, a full one the whole block.
_EMPTY, _SHADES, _FULL = "·", "▁▂▃▄▅▆▇", "█"
_WIDTH, _ROWS_MAX = 60, 4
# Evicted pods that are told of by name.
_NAMED_MAX = 10


def as_text(outcome: Outcome) -> str:
    """Everything, for a terminal."""
    placed = sum(one.placed for one in outcome.workloads)
    lines = [
        f"{placed:,} pods on {len(outcome.nodes):,} nodes; {outcome.refused:,} find no place",
        "",
    ]
    for zone in outcome.zones():
        lines += _zone(zone, [node for node in outcome.nodes if node.zone == zone.name])
    lines += _workloads(outcome.workloads)
    if outcome.evicted:
        named = ", ".join(outcome.evicted[:_NAMED_MAX])
        more = len(outcome.evicted) - _NAMED_MAX
        lines.append(
            f"evicted for more important pods: {named}{f' and {more:,} more' if more > 0 else ''}"
        )
    return "\n".join(lines).rstrip()


def _zone(zone: Zone, nodes: Sequence[NodeLoad]) -> Iterator[str]:
    yield (
        f"zone {zone.name}: {zone.nodes:,} nodes, {zone.pods:,} pods, cpu {zone.cpu:.0%}, "
        f"memory {zone.memory:.0%}, fullest node {zone.fullest:.0%}"
    )
    yield from (f"  {row}" for row in heat_map([node.fullness for node in nodes]))
    yield ""


def heat_map(shares: Sequence[float]) -> list[str]:
    """Rows of blocks, the higher the fuller; where nodes are too many, a block is the mean of so
    many in a row."""
    per_block = -(-len(shares) // (_WIDTH * _ROWS_MAX))
    blocks = [shares[at : at + per_block] for at in range(0, len(shares), per_block)]
    drawn = "".join(_shade(sum(block) / len(block)) for block in blocks)
    return [drawn[at : at + _WIDTH] for at in range(0, len(drawn), _WIDTH)]


def _shade(share: float) -> str:
    if not 0.0 < share < 1.0:
        return _EMPTY if share <= 0.0 else _FULL
    return _SHADES[int(share * len(_SHADES))]


def _workloads(workloads: Sequence[Landed]) -> Iterator[str]:
    for one in workloads:
        zones = ", ".join(f"{zone} {count:,}" for zone, count in sorted(one.zones.items()))
        yield f"{one.namespace}/{one.title}: {one.placed:,} of {one.wanted:,} placed" + (
            f" ({zones})" if zones else ""
        )
        for reason, count in one.refused.items():
            yield f"  {count:,} not: {reason}"
