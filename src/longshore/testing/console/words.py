"""A command's words: what is named, options, and key=value. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_WITH_VALUE = ("-o", "-l", "-n", "-p")
_RANGE = re.compile(r"(.*)\{(\d+)\.\.(\d+)\}(.*)")


@dataclass(slots=True)
class Words:
    """rest are the words that are no options; options have no dashes, and are "" without a value."""

    rest: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    body: str = ""

    def next(self, what: str) -> str:
        """The next word. Raises ValueError if there is none."""
        if not self.rest:
            raise ValueError(f"{what} is missing")
        return self.rest.pop(0)

    def settings(self) -> dict[str, str]:
        """All words of the form key=value, taken out of the rest."""
        found = [word for word in self.rest if "=" in word]
        self.rest = [word for word in self.rest if "=" not in word]
        return dict(word.split("=", 1) for word in found)

    def check(self, allowed: str) -> None:
        """Raises ValueError for an option that is not among these."""
        for name in self.options:
            if name not in allowed.split():
                raise ValueError(f"there is no option {name}")


def split(line: str) -> list[list[str]]:
    """The words of each command of a line: commands between "&" go on at the same time. "<<EOF" is
    left out; pod-{1..3} is pod-1 pod-2 pod-3."""
    commands: list[list[str]] = [[]]
    for word in shlex.split(line):
        if word == "&":
            commands.append([])
        elif word != "<<EOF":
            commands[-1] += _expanded(word)
    return commands


def read(words: Sequence[str], body: str) -> Words:
    found, left = Words(body=body), iter(words)
    for word in left:
        if word in _WITH_VALUE:
            found.options[word[1:]] = next(left, "")
        elif word.startswith("--"):
            name, _, value = word[2:].partition("=")
            found.options[name] = value
        elif word.startswith("-") and word[1:2].isalpha():
            found.options[word[1:]] = ""
        else:
            found.rest.append(word)
    return found


def _expanded(word: str) -> Iterator[str]:
    match = _RANGE.fullmatch(word)
    if match is None:
        yield word
        return
    before, first, last, after = match.groups()
    for number in range(int(first), int(last) + 1):
        yield f"{before}{number}{after}"
