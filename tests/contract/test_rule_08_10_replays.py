"""Rules 6 to 10 together, against a model: whatever is written, a watch that begins anywhere,
with any selector, tells exactly the changes it must, each once, in order, with its revision; what it
tells adds up to what is listed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from tests.doors.rig import Kube, Watcher, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
# The label "on" and a value of the data; None where there is no object.
State: TypeAlias = tuple[str, str] | None
Event: TypeAlias = tuple[str, str, int, State]

_SELECTORS: dict[str, Callable[[str, State], bool]] = {
    "": lambda name, state: True,
    "labelSelector=on=yes": lambda name, state: state is not None and state[0] == "yes",
    "labelSelector=on!=yes": lambda name, state: state is not None and state[0] != "yes",
    "fieldSelector=metadata.name!=b": lambda name, state: name != "b",
    "fieldSelector=metadata.name!=b&labelSelector=on in (yes,no)": lambda name, state: (
        name != "b" and state is not None and state[0] in ("yes", "no")
    ),
}


@dataclass(frozen=True)
class Change:
    revision: int
    name: str
    before: State
    after: State


@dataclass(frozen=True)
class Plan:
    """A watch: opened before which write, from how many writes earlier on (None: from what is
    there), with which selector."""

    at: int
    back: int | None
    selector: str


_writes = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.one_of(st.none(), st.tuples(st.sampled_from(["yes", "no", ""]), st.sampled_from("xy"))),
    ),
    min_size=1, max_size=25,
)  # fmt: skip
_plans = st.lists(
    st.builds(
        Plan, st.integers(0, 25), st.one_of(st.none(), st.integers(0, 25)),
        st.sampled_from(sorted(_SELECTORS)),
    ),
    min_size=1, max_size=5,
)  # fmt: skip


class World:
    """A door, and beside it what must be true of it."""

    def __init__(self, ask: Kube) -> None:
        self.ask = ask
        self.now: dict[str, State] = {}
        self.changes: list[Change] = []
        # The revision before each write.
        self.revisions: list[int] = []

    async def write(self, name: str, state: State) -> None:
        self.revisions.append(self.ask.registry.cache.revision)
        before = self.now.get(name)
        if state is None:
            answer = await self.ask("DELETE", f"{MAPS}/{name}")
            assert answer.status == (404 if before is None else 200)
        elif before is None:
            assert (await self.ask("POST", MAPS, body(name, state))).status == 201
        else:
            assert (await self.ask("PUT", f"{MAPS}/{name}", body(name, state))).status == 200
        self.now[name] = state
        if state != before:
            newest = self.ask.registry.cache.revision
            self.changes.append(Change(newest, name, before, state))

    def told(self, since: int, selector: str) -> list[Event]:
        """What a watch from a revision must tell, by the words of the rules."""
        matches = _SELECTORS[selector]
        events: list[Event] = []
        for change in self.changes:
            if change.revision <= since:
                continue
            was = change.before is not None and matches(change.name, change.before)
            is_ = change.after is not None and matches(change.name, change.after)
            if is_:
                kind = "MODIFIED" if was else "ADDED"
                events.append((kind, change.name, change.revision, change.after))
            elif was:
                events.append(("DELETED", change.name, change.revision, change.before))
        return events

    def there(self, selector: str) -> list[Event]:
        """What a watch from now must begin with."""
        last = {change.name: change.revision for change in self.changes}
        return [
            ("ADDED", name, last[name], state)
            for name, state in sorted(self.now.items())
            if state is not None and _SELECTORS[selector](name, state)
        ]


def body(name: str, state: State) -> Doc:
    assert state is not None
    labels = {"on": state[0]} if state[0] else {}
    return config_map(name, value=state[1]) | {"metadata": {"name": name, "labels": labels}}


def state_of(doc: Doc) -> State:
    return doc["metadata"].get("labels", {}).get("on", ""), doc["data"]["value"]


async def heard(watch: Watcher) -> list[Event]:
    """All that a watch told until its time was over."""
    events: list[Event] = []
    for line in (await watch.rest()).splitlines():
        event = orjson.loads(line)
        metadata = event["object"]["metadata"]
        revision = int(metadata["resourceVersion"])
        events.append((event["type"], metadata["name"], revision, state_of(event["object"])))
    await watch.close()
    return events


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(_writes, _plans)
def test_a_watch_tells_what_the_model_says(
    writes: list[tuple[str, State]], plans: list[Plan]
) -> None:
    asyncio.run(_compared(writes, plans))


async def _compared(writes: list[tuple[str, State]], plans: list[Plan]) -> None:
    async with asyncio.timeout(60), kube() as ask:
        world, opened = World(ask), []
        for at, (name, state) in enumerate(writes):
            opened += [(plan, *await _open(world, plan)) for plan in plans if plan.at == at]
            await world.write(name, state)
        opened += [(plan, *await _open(world, plan)) for plan in plans if plan.at >= len(writes)]
        for selector in _SELECTORS:
            whole = Plan(len(writes), 0, selector)
            opened.append((whole, *await _open(world, whole)))
        await ask.clock.advance(2)
        for plan, watch, since, begins in opened:
            told = await heard(watch)
            assert told == begins + world.told(since, plan.selector), plan
            if plan.back is None or since == world.revisions[0]:
                assert replayed(told) == await _listed(ask, plan.selector)


async def _open(world: World, plan: Plan) -> tuple[Watcher, int, list[Event]]:
    """A watch, the revision after which it tells of every change, and what it begins with."""
    now = world.ask.registry.cache.revision
    query = f"{MAPS}?watch=1&timeoutSeconds=1&{plan.selector}"
    if plan.back is None:
        return await world.ask.watch(query), now, world.there(plan.selector)
    since = now if plan.back >= len(world.revisions) else world.revisions[plan.back]
    return await world.ask.watch(f"{query}&resourceVersion={since}"), since, []


def replayed(events: list[Event]) -> dict[str, tuple[int, State]]:
    """What is there after all of them."""
    there: dict[str, tuple[int, State]] = {}
    for kind, name, revision, state in events:
        assert (name in there) == (kind != "ADDED")
        if kind == "DELETED":
            del there[name]
        else:
            there[name] = (revision, state)
    return there


async def _listed(ask: Kube, selector: str) -> dict[str, tuple[int, State]]:
    docs = (await ask("GET", f"{MAPS}?{selector}")).doc["items"]
    found = [(doc["metadata"], state_of(doc)) for doc in docs]
    return {one["name"]: (int(one["resourceVersion"]), state) for one, state in found}
