"""What `longshore why` prints. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from longshore.cluster.why.table import Alike, Judged, folded
from longshore.core.objects.kinds import Doc

# Names of a line; of more nodes the number says enough.
_NAMES_MAX = 3
_LINES_MAX = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """A pod, and how all nodes are seen for it; the best first. notes are sentences of what else
    holds it: gates, its group, its queue."""

    pod: Doc
    nodes: Sequence[Judged]
    notes: Sequence[str] = ()

    @property
    def title(self) -> str:
        metadata = self.pod["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"

    @property
    def node(self) -> str:
        """Where it is; empty if it waits."""
        return str(self.pod["spec"].get("nodeName") or "")

    @property
    def fitting(self) -> int:
        return sum(not one.objections for one in self.nodes)

    def only(self, name: str) -> Answer:
        """Of one node alone. Raises KeyError."""
        found = [one for one in self.nodes if one.node == name]
        if not found:
            raise KeyError(name)
        return Answer(self.pod, found, self.notes)

    def as_dict(self) -> dict[str, Any]:
        return {
            "pod": self.pod["metadata"]["name"],
            "namespace": self.pod["metadata"]["namespace"],
            "node": self.node,
            "message": message_of(self.pod),
            "notes": list(self.notes),
            "nodes": [one.as_dict() for one in self.nodes],
        }


def as_text(answer: Answer) -> str:
    """All nodes, those that are alike in one line."""
    return "\n".join([*_heading(answer), *_scores(answer), *_objections(answer)]).rstrip()


def of_node(answer: Answer, name: str) -> str:
    """Everything about one node, a line for each rule. Raises KeyError."""
    (node,) = answer.only(name).nodes
    place = answer.nodes.index(node) + 1
    return "\n".join([*_heading(answer), *_of_node(node, place, answer.fitting)])


def message_of(pod: Doc) -> str:
    """What its PodScheduled condition says."""
    for one in (pod.get("status") or {}).get("conditions") or ():
        if one["type"] == "PodScheduled":
            return str(one.get("message") or "")
    return ""


def _heading(answer: Answer) -> Iterator[str]:
    if answer.node:
        yield f"pod {answer.title} is on {answer.node}; as if it were placed now:"
    else:
        yield f"pod {answer.title} waits for a node"
        if message := message_of(answer.pod):
            yield f"  the scheduler says: {message}"
    yield from (f"  {note}" for note in answer.notes)
    yield f"  {answer.fitting} of {len(answer.nodes)} nodes would take it"
    if nominated := (answer.pod.get("status") or {}).get("nominatedNodeName"):
        yield f"  room is being made for it on {nominated}"
    yield ""


def _scores(answer: Answer) -> Iterator[str]:
    fitting = folded(one for one in answer.nodes if not one.objections)
    if not fitting:
        return
    rules = [(one.rule, one.weight) for one in fitting[0].like.scores]
    rows = [("SCORES: NODES", "COUNT", *(f"{rule} x{weight:g}" for rule, weight in rules), "TOTAL")]
    for group in fitting[:_LINES_MAX]:
        scores = (f"{one.score:.1f}" for one in group.like.scores)
        rows.append((_names(group, answer.node), str(len(group.nodes)), *scores,
                     f"{group.like.total:.1f}"))  # fmt: skip
    yield from _columns(rows)
    if len(fitting) > _LINES_MAX:
        yield f"… and {len(fitting) - _LINES_MAX} more lines, see --json"
    yield ""


def _objections(answer: Answer) -> Iterator[str]:
    kept_off = folded(one for one in answer.nodes if one.objections)
    kept_off.sort(key=lambda group: -len(group.nodes))
    if not kept_off:
        return
    rows: list[tuple[str, ...]] = [("KEPT OFF: NODES", "COUNT", "BY")]
    for group in kept_off[:_LINES_MAX]:
        first, *others = (f"{one.rule}: {one.reason}" for one in group.like.objections)
        rows.append((_names(group, answer.node), str(len(group.nodes)), first))
        rows += [("", "", other) for other in others]
    yield from _columns(rows)
    if len(kept_off) > _LINES_MAX:
        yield f"… and {len(kept_off) - _LINES_MAX} more lines, see --json"


def _names(group: Alike, here: str) -> str:
    shown = list(group.nodes[:_NAMES_MAX])
    if here in group.nodes:
        shown = [f"{here} (here)", *(name for name in shown if name != here)][:_NAMES_MAX]
    return ", ".join(shown) + (", …" if len(group.nodes) > _NAMES_MAX else "")


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "   ".join(cells).rstrip()


def _of_node(node: Judged, place: int, fitting: int) -> Iterator[str]:
    if node.objections:
        yield f"{node.node} does not take it:"
        yield from (f"  {one.rule}: {one.reason}" for one in node.objections)
        return
    yield f"{node.node} takes it, place {place} of {fitting}:"
    for one in node.scores:
        weighed = one.weight * one.score
        yield f"  {one.rule:<32} {one.score:5.1f} x {one.weight:g} = {weighed:6.1f}"
    yield f"  {'total':<32} {node.total:18.1f}"
