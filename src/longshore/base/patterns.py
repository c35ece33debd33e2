"""Regular expressions from people we need not trust: matching takes time in proportion to the text.

Python's own engine backtracks, so that a short pattern can take hours. Here all ways through the
pattern are followed at once (Thompson's construction), which rules out back-references and nothing
else that is in use. The syntax is RE2's: literals, ., classes, \\d \\w \\s and their opposites, ^ $,
groups, |, * + ? {m,n}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# Steps of a compiled pattern, so that {1000}{1000} is refused and not made.
STEPS_MAX = 2000
# Groups within groups: each is a few calls deep.
DEPTH_MAX = 50
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_SPECIAL = frozenset(".^$|()[]{}*+?\\")
Test = Callable[[str], bool]


class BadPattern(ValueError):
    """The text is not a pattern that is understood; the message says why."""


@dataclass(slots=True, eq=False)
class _State:
    """One place in a pattern. test: what the next character must be (None: none is taken); edge:
    "start" or "end" where the text must begin or end."""

    test: Test | None = None
    edge: str = ""
    next: list[_State] = field(default_factory=list)


_Part = tuple[_State, _State]
"""The first and the last state of a part of a pattern."""


class Pattern:
    """A compiled pattern. Raises BadPattern."""

    def __init__(self, text: str) -> None:
        reader = _Reader(text)
        self._first, self._last = reader.whole()

    def found_in(self, text: str) -> bool:
        """Whether it matches anywhere in the text, as regexp.MatchString does."""
        here: set[_State] = set()
        for at in range(len(text) + 1):
            _enter(self._first, here, at == 0, at == len(text))
            if self._last in here:
                return True
            if at < len(text):
                char, ahead = text[at], set[_State]()
                for state in here:
                    if state.test is not None and state.test(char):
                        for after in state.next:
                            _enter(after, ahead, False, at + 1 == len(text))
                here = ahead
        return False


def _enter(state: _State, here: set[_State], at_start: bool, at_end: bool) -> None:
    """Be in a state, and in all that can be had from there without a character."""
    waiting = [state]
    while waiting:
        one = waiting.pop()
        if one in here or (one.edge and not (at_start if one.edge == "start" else at_end)):
            continue
        here.add(one)
        if one.test is None:
            waiting.extend(one.next)


class _Reader:
    """Recursive descent over the text; every part is made of states as it is read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._steps = 0
        self._depth = 0

    def whole(self) -> _Part:
        part = self._either()
        if self._at < len(self._text):
            raise BadPattern("unexpected )")
        return part

    def _state(self, test: Test | None = None, edge: str = "") -> _State:
        self._steps += 1
        if self._steps > STEPS_MAX:
            raise BadPattern("expression too large")
        return _State(test, edge)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise BadPattern("unexpected end")
        self._at += 1
        return char

    def _either(self) -> _Part:
        first, last = self._state(), self._state()
        while True:
            begin, end = self._sequence()
            first.next.append(begin)
            end.next.append(last)
            if self._peek() != "|":
                return first, last
            self._at += 1

    def _sequence(self) -> _Part:
        first = last = self._state()
        while self._peek() not in ("", "|", ")"):
            begin, end = self._repeated()
            last.next.append(begin)
            last = end
        return first, last

    def _repeated(self) -> _Part:
        start = self._at
        part = self._one()
        least, most = self._count()
        if (least, most) == (1, 1):
            return part
        end = self._at
        part = self._copies(start, least, most)
        self._at = end
        return part

    def _copies(self, start: int, least: int, most: int | None) -> _Part:
        """The part that begins at start so many times, read anew for each; most None: no end."""
        first = last = self._state()
        for number in range(max(least, 1) if most is None else most):
            self._at = start
            begin, end = self._one()
            after = self._state()
            last.next.append(begin)
            if number >= least:
                last.next.append(after)
            end.next.append(after)
            if most is None and number + 1 == max(least, 1):
                end.next.append(begin)
            last = after
        return first, last

    def _count(self) -> tuple[int, int | None]:
        counts: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        char = self._peek()
        if char in counts:
            self._at += 1
            found = counts[char]
        elif char == "{":
            found = self._braces()
        else:
            return 1, 1
        if self._peek() == "?":
            self._at += 1  # Lazy: which way is taken first makes no difference to whether.
        if self._peek() and self._peek() in "*+?{":
            raise BadPattern("invalid nested repetition operator")
        return found

    def _braces(self) -> tuple[int, int | None]:
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : max(end, 0)].partition(",")
        if end < 0 or not low.isdecimal() or (high and not high.isdecimal()):
            raise BadPattern("invalid repeat count")
        self._at = end + 1
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if least > STEPS_MAX or (most is not None and (most < least or most > STEPS_MAX)):
            raise BadPattern("invalid repeat count")
        return least, most

    def _one(self) -> _Part:
        char = self._take()
        if char == "(":
            return self._group()
        if char in "*+?{":
            raise BadPattern(f"missing argument to repetition operator: {char}")
        if char in "^$":
            state = self._state(edge="start" if char == "^" else "end")
            return state, state
        return self._character(self._class() if char == "[" else self._plain(char))

    def _character(self, test: Test) -> _Part:
        state, after = self._state(test), self._state()
        state.next.append(after)
        return state, after

    def _group(self) -> _Part:
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._peek() == "?":
            raise BadPattern("invalid or unsupported syntax: (?")
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise BadPattern("expression nests too deeply")
        part = self._either()
        if self._take() != ")":
            raise BadPattern("missing )")
        self._depth -= 1
        return part

    def _plain(self, char: str) -> Test:
        if char == ".":
            return lambda one: one != "\n"
        return self._escape() if char == "\\" else char.__eq__

    def _escape(self) -> Test:
        char = self._take()
        named = _CLASSES.get(char)
        if named is not None:
            return named
        if char in _ESCAPED:
            return _ESCAPED[char].__eq__
        if char in _SPECIAL or not char.isalnum():
            return char.__eq__
        raise BadPattern(f"invalid escape sequence: \\{char}")

    def _class(self) -> Test:
        opposite = self._peek() == "^"
        self._at += opposite
        tests: list[Test] = []
        while self._peek() != "]" or not tests:
            tests.append(self._member())
        self._at += 1
        return _none_of(tests) if opposite else _any_of(tests)

    def _member(self) -> Test:
        low = self._take()
        if low == "\\":
            return self._escape()
        if self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return low.__eq__
        self._at += 1
        high = self._take()
        if high < low:
            raise BadPattern(f"invalid character class range: {low}-{high}")
        return lambda one: low <= one <= high


def _any_of(tests: Iterable[Test]) -> Test:
    given = tuple(tests)
    return lambda one: any(test(one) for test in given)


def _none_of(tests: Iterable[Test]) -> Test:
    given = tuple(tests)
    return lambda one: not any(test(one) for test in given)


def _is_word(one: str) -> bool:
    return one == "_" or (one.isascii() and one.isalnum())


def _is_digit(one: str) -> bool:
    return one in "0123456789"


def _is_space(one: str) -> bool:
    return one in " \t\n\f\r"


_CLASSES: dict[str, Test] = {
    "d": _is_digit, "D": _none_of((_is_digit,)),
    "w": _is_word, "W": _none_of((_is_word,)),
    "s": _is_space, "S": _none_of((_is_space,)),
}  # fmt: skip
