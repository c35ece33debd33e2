"""A scenario's file: comments, commands after "$ ", what each prints below it. Pure.

A command that ends with <<EOF has a document in the lines up to EOF. What a command prints ends at
an empty line, a comment or the next command. "# nodes: 3" says how many nodes there are, "# nodes: 2 (1 to 4)"
that an autoscaler keeps so many.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

NODES = 2
_PROMPT, _HERE = "$ ", "<<EOF"
_NODES = re.compile(r"# nodes: (\d+)(?: \((\d+) to (\d+)\))?")


@dataclass(slots=True)
class Command:
    """One command of the line with that number (from 1); words are without the prompt."""

    number: int
    words: str
    body: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Script:
    """parts are comments and empty lines as they stand, and commands. sizes: the fewest and the most
    nodes, if they come and go by themselves."""

    parts: Sequence[str | Command]
    nodes: int
    sizes: tuple[int, int] | None = None

    @property
    def commands(self) -> list[Command]:
        return [part for part in self.parts if isinstance(part, Command)]

    def text(self, printed: Sequence[Sequence[str]]) -> str:
        """The file, had its commands printed that."""
        outputs = iter(printed)
        lines: list[str] = []
        for part in self.parts:
            lines += [part] if isinstance(part, str) else _written(part, next(outputs))
        return "\n".join(lines) + "\n"


def parsed(text: str) -> Script:
    """Raises ValueError for a document without an end, and for lines that nothing prints."""
    parts: list[str | Command] = []
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if line.startswith(_PROMPT):
            parts.append(_command(number, line.removeprefix(_PROMPT), lines))
        elif not line or line.startswith("# "):
            parts.append(line)
        elif parts and isinstance(last := parts[-1], Command):
            last.printed.append(line)
        else:
            raise ValueError(f"line {number} is neither a command nor printed by one: {line}")
    return Script(parts, *_nodes(parts))


def _command(number: int, words: str, lines: Iterator[tuple[int, str]]) -> Command:
    command = Command(number, words)
    if not words.endswith(_HERE):
        return command
    for _, line in lines:
        if line == "EOF":
            return command
        command.body.append(line)
    raise ValueError(f"line {number}: the document after {_HERE} has no EOF")


def _nodes(parts: Sequence[str | Command]) -> tuple[int, tuple[int, int] | None]:
    found = (_NODES.fullmatch(part) for part in parts if isinstance(part, str))
    match = next(filter(None, found), None)
    if match is None:
        return NODES, None
    sizes = (int(match[2]), int(match[3])) if match[2] else None
    return int(match[1]), sizes


def _written(command: Command, printed: Sequence[str]) -> list[str]:
    end = ["EOF"] if command.words.endswith(_HERE) else []
    return [_PROMPT + command.words, *command.body, *end, *printed]
