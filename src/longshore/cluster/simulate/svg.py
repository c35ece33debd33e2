"""A simulation's outcome as a picture: one square a node, zone by zone, the darker the fuller. Pure.

Colours are of one scale from light to dark (like cividis, it reads the same to all kinds of colour
vision, and in grey); squares of one colour are one path, so that 10,000 nodes are a small file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from longshore.cluster.simulate.outcome import NodeLoad, Outcome, Zone

# Ten steps of fullness, and one for more than all.
_COLOURS = (
    "#fdea45", "#e8d652", "#d0c25e", "#b9ae68", "#a39c71", "#8e8a78", "#7a797b", "#66697b",
    "#4f5a7c", "#31446b", "#00224e",
)  # fmt: skip
_WIDTH, _MARGIN, _LINE = 900, 20, 22
# The side of a square with its gap, in pixels, by how many nodes the largest zone has.
_SIDES = ((200, 16), (1000, 10), (5000, 6), (10**9, 4))


def as_svg(outcome: Outcome) -> str:
    """One SVG document."""
    zones = outcome.zones()
    side = next(side for most, side in _SIDES if max(one.nodes for one in zones) <= most)
    body, top = [*_heading(outcome)], 4 * _LINE
    for zone in zones:
        nodes = [node for node in outcome.nodes if node.zone == zone.name]
        body += _panel(zone, nodes, side, top)
        top += _height(len(nodes), side) + 2 * _LINE
    return "\n".join([*_opening(top), *body, "</svg>"]) + "\n"


def _opening(height: int) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="14" fill="#222222">'
    )
    yield f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>'


def _heading(outcome: Outcome) -> Iterator[str]:
    placed = sum(one.placed for one in outcome.workloads)
    yield _text(
        _MARGIN, _LINE,
        f"{placed:,} pods on {len(outcome.nodes):,} nodes; {outcome.refused:,} find no place", 16,
    )  # fmt: skip
    yield _text(_MARGIN, 2 * _LINE, "How full each node is (the scarcest of cpu, memory and pods):")
    for step, colour in enumerate(_COLOURS):
        x = _MARGIN + 70 * step
        yield f'<rect x="{x}" y="{2 * _LINE + 8}" width="14" height="14" fill="{colour}"/>'
        words = f"{10 * step} %" if step < 10 else "100 %"
        yield _text(x + 18, 2 * _LINE + 20, words, 12)


def _panel(zone: Zone, nodes: Sequence[NodeLoad], side: int, top: int) -> Iterator[str]:
    yield _text(
        _MARGIN, top + 14,
        f"Zone {zone.name}: {zone.nodes:,} nodes, {zone.pods:,} pods, cpu {zone.cpu:.0%}, "
        f"memory {zone.memory:.0%}",
    )  # fmt: skip
    columns, squares = _columns(side), defaultdict[int, list[str]](list)
    for number, node in enumerate(nodes):
        x, y = _MARGIN + number % columns * side, top + _LINE + number // columns * side
        squares[_step(node.fullness)].append(f"M{x} {y}h{side - 1}v{side - 1}h-{side - 1}z")
    for step in sorted(squares):
        count = len(squares[step])
        title = f"{count:,} nodes of zone {zone.name} are {_range(step)} full"
        yield f'<path fill="{_COLOURS[step]}" d="{"".join(squares[step])}"><title>{escape(title)}</title></path>'


def _step(share: float) -> int:
    return min(10, int(share * 10))


def _range(step: int) -> str:
    return f"{10 * step} to {10 * step + 10} %" if step < 10 else "100 % or more"


def _columns(side: int) -> int:
    return (_WIDTH - 2 * _MARGIN) // side


def _height(nodes: int, side: int) -> int:
    return -(-nodes // _columns(side)) * side


def _text(x: int, y: int, words: str, size: int = 14) -> str:
    return f'<text x="{x}" y="{y}" font-size="{size}">{escape(words)}</text>'
