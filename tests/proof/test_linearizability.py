"""The judge of histories: what it passes, and what it must not."""

from __future__ import annotations

from math import inf

import pytest

from longshore.base.chance import Chance
from longshore.testing.linearizability import ABSENT, Operation, Outcome, Verb, violations

DONE, UNKNOWN, MISSING = Outcome.DONE, Outcome.UNKNOWN, Outcome.MISSING


def create(token: str, began: float, ended: float, outcome: Outcome = DONE) -> Operation:
    return Operation(Verb.CREATE, "k", began, ended, outcome, token)


def update(base: str, token: str, began: float, ended: float, outcome: Outcome = DONE) -> Operation:
    return Operation(Verb.UPDATE, "k", began, ended, outcome, token, base)


def delete(began: float, ended: float, outcome: Outcome = DONE) -> Operation:
    return Operation(Verb.DELETE, "k", began, ended, outcome)


def read(token: str, began: float, ended: float) -> Operation:
    return Operation(Verb.READ, "k", began, ended, DONE if token else MISSING, token)


FINE = {
    "one after another": [create("a", 0, 1), update("a", "b", 2, 3), read("b", 4, 5)],
    "a read beside an update sees either": [
        create("a", 0, 1), update("a", "b", 2, 9), read("a", 3, 4), read("b", 5, 6), read("b", 5, 7),
    ],
    "a create that was asked first is made second": [
        create("a", 0, 9), create("b", 1, 2), delete(3, 4), read("a", 5, 6),
    ],
    "no answer, and made": [create("a", 0, 1, UNKNOWN), read("a", 2, 3)],
    "no answer, and not made": [create("a", 0, 1, UNKNOWN), read("", 2, 3), create("b", 4, 5)],
    "no answer, made late": [
        create("a", 0, 1), update("a", "b", 2, 3, UNKNOWN), read("a", 4, 5), read("b", 6, 7),
    ],
    "no answer to a delete explains a second create": [
        create("a", 0, 1), delete(2, 3, UNKNOWN), create("b", 4, 5), read("b", 6, 7),
    ],
    "refusals that are true": [
        create("a", 0, 1), create("b", 2, 3, Outcome.EXISTS), update("b", "c", 4, 5, Outcome.CONFLICT),
        delete(6, 7), delete(8, 9, MISSING), update("a", "d", 10, 11, MISSING),
    ],
}  # fmt: skip
WRONG = {
    "lost": [create("a", 0, 1), read("", 2, 3)],
    "lost an update": [create("a", 0, 1), update("a", "b", 2, 3), read("a", 4, 5)],
    "a lost update, overwritten": [
        create("a", 0, 1), update("a", "b", 2, 3), update("a", "c", 4, 5),
    ],
    "back from the dead": [create("a", 0, 1), delete(2, 3), read("a", 4, 5)],
    "a read goes back": [
        create("a", 0, 1), update("a", "b", 2, 9), read("b", 3, 4), read("a", 5, 6),
    ],
    "both creates": [create("a", 0, 5), create("b", 1, 6)],
    "no answer, made and gone": [
        create("a", 0, 1, UNKNOWN), read("a", 2, 3), read("", 4, 5),
    ],
    "no answer, and made after one that was asked later": [
        create("a", 0, 1), update("a", "b", 2, 3, UNKNOWN), update("a", "c", 4, 5), read("b", 6, 7),
    ],
    "settled and made all the same": [
        create("a", 0, 1), delete(2, 3, UNKNOWN), read("a", 4, 5),
        Operation(Verb.CREATE, "other", 4, 5, DONE, "x"), read("a", 6, 7), read("", 8, 9),
    ],
    "refused for nothing": [create("a", 0, 1), delete(2, 3, MISSING)],
    "a conflict with itself": [create("a", 0, 1), update("a", "b", 2, 3, Outcome.CONFLICT)],
    "never written": [read("ghost", 0, 1)],
}  # fmt: skip


@pytest.mark.parametrize("history", FINE.values(), ids=FINE)
def test_what_could_have_been_is_passed(history: list[Operation]) -> None:
    assert [*violations(history)] == []
    assert [*violations(history[::-1])] == []


@pytest.mark.parametrize("history", WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_found(history: list[Operation]) -> None:
    assert len([*violations(history)]) == 1


def test_revisions_go_up_over_all_objects() -> None:
    first = Operation(Verb.CREATE, "a", 0, 1, DONE, "a", revision=7)
    beside = Operation(Verb.CREATE, "b", 0.5, 2, DONE, "b", revision=6)
    later = Operation(Verb.CREATE, "c", 3, 4, DONE, "c", revision=7)
    assert [*violations([first, beside])] == []
    (sentence,) = violations([first, beside, later])
    assert sentence == (
        "create c c: done at revision 7, 3.0000 to 4.0000 s; revision 7 had been told before"
    )


def test_a_state_has_one_revision() -> None:
    made = Operation(Verb.CREATE, "k", 0, 1, DONE, "a", revision=3)
    seen = Operation(Verb.READ, "k", 2, 3, DONE, "a", revision=4)
    assert [*violations([made, seen])] == [f"{seen}; the same was told to be at revision 3"]


class Register:
    """An object with many clients, some of which get no answer."""

    def __init__(self, chance: Chance) -> None:
        self.chance, self.state = chance, ABSENT
        self.history: list[Operation] = []

    def ask(self, number: int) -> None:
        """An operation that takes effect in the middle of its time; some are not answered."""
        began = number - self.chance.uniform(0, 3)
        ended = number + self.chance.uniform(0, 3)
        verb = self.chance.choice([*Verb])
        one = Operation(verb, "k", began, ended, DONE, f"t{number}", self.state)
        if verb is Verb.READ:
            one.token, one.base = self.state, ABSENT
        elif (left := one.after(self.state)) is None:
            one.outcome = Outcome.EXISTS if verb is Verb.CREATE else MISSING
        else:
            self.state = left
            if self.chance.below(10) == 0:
                one.outcome = UNKNOWN
        self.history.append(one)


@pytest.mark.parametrize("seed", range(20))
def test_random_histories_are_passed_until_an_acknowledged_write_is_forgotten(seed: int) -> None:
    register = Register(Chance.seeded(seed))
    for number in range(300):
        register.ask(number)
    assert [*violations(register.history)] == []
    last = Operation(Verb.UPDATE, "k", 400, 401, DONE, "last", register.state)
    if register.state == ABSENT:
        last = Operation(Verb.CREATE, "k", 400, 401, DONE, "last")
    forgotten = read(register.state, 402, inf)
    assert [*violations([*register.history, last, forgotten])]
