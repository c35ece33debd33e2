"""An autoscaler of nodes that ends between any two steps, and another one that goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.errors import Conflict
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Answers, Client, Operation
from longshore.machinery.controllers.nodegroups import taints
from longshore.machinery.controllers.nodegroups.hands import Hands
from longshore.machinery.controllers.nodegroups.protocol import (
    Evict,
    NodeGroup,
    Provider,
    Tools,
)
from longshore.machinery.controllers.nodegroups.rules import ScalingRules

from ..passing import PassingClient
from .test_nodegroups import asking, running, scale
from .yard import Scaled, scaled

pytestmark = pytest.mark.slow
RULES = ScalingRules(unneeded_s=40.0, delay_after_add_s=40.0)


class Fuse:
    """After so many steps nothing goes on; or, if it refuses, the last of so many writes is refused."""

    def __init__(self, steps: int, *, refuses: bool = False) -> None:
        self._left, self._refuses = steps, refuses
        self.blown = asyncio.Event()
        self.refused = False

    def check(self) -> None:
        """Before a write."""
        if not self._refuses:
            return
        self._left -= 1
        if self._left == 0:
            self.refused = True
            raise Conflict("the object has been modified")

    async def burn(self) -> None:
        """After it."""
        if self._refuses:
            return
        self._left -= 1
        if self._left <= 0:
            self.blown.set()
            await asyncio.Future()


class FusedClient(PassingClient):
    """A Client that may not come back from a write that was done."""

    def __init__(self, client: Client, fuse: Fuse) -> None:
        super().__init__(client)
        self._fuse = fuse

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        self._fuse.check()
        answers = await self.client.submit(operations)
        await self._fuse.burn()
        return answers

    async def write(self, operation: Operation) -> Doc:
        self._fuse.check()
        written = await self.client.write(operation)
        await self._fuse.burn()
        return written


class FusedProvider:
    def __init__(self, inner: Provider, fuse: Fuse) -> None:
        self._inner, self._fuse = inner, fuse

    async def groups(self) -> Sequence[NodeGroup]:
        return await self._inner.groups()

    async def increase(self, group: str, count: int) -> None:
        await self._inner.increase(group, count)
        await self._fuse.burn()

    async def delete(self, nodes: Sequence[str]) -> None:
        await self._inner.delete(nodes)
        await self._fuse.burn()

    def template(self, group: str) -> Doc | None:
        return self._inner.template(group)


def fused(hands: Hands, fuse: Fuse) -> Hands:
    inner = hands.tools
    tools = Tools(FusedProvider(inner.provider, fuse), inner.look, fused_evict(inner.evict, fuse))
    return replace(hands, client=FusedClient(hands.client, fuse), tools=tools)


def fused_evict(inner: Evict, fuse: Fuse) -> Evict:
    async def evict(namespace: str, name: str, uid: str, grace_s: int) -> None:
        fuse.check()
        await inner(namespace, name, uid, grace_s)
        await fuse.burn()

    return evict


async def goes_on(one: Scaled, fuse: Fuse, seconds: float) -> None:
    """Let time pass; once the fuse has blown, with another autoscaler."""
    for _ in range(int(seconds / 10)):
        await one.after(10)
        if fuse.blown.is_set():
            fuse.blown.clear()
            await one.crash()
            one.start()


async def life(fuse: Fuse) -> bool:
    """A cluster that grows and shrinks; whether its autoscaler came to the end of the fuse."""
    async with scaled(rules=RULES) as one:
        await one.crash()
        one.start(fused(one.hands, fuse))
        await one.world.create(kinds.DEPLOYMENT, asking("3", replicas=4))
        await goes_on(one, fuse, 50)
        assert running(one) == 4 and len(one.names()) == 4
        await scale(one, 2)
        await one.world.create(kinds.DEPLOYMENT, asking("100m", "small", replicas=2))
        await goes_on(one, fuse, 260)
        at_rest(one)
        return one.started > 2 or fuse.refused


def at_rest(one: Scaled) -> None:
    """Two nodes are left, with all pods, and nothing is half done; no size was ever out of bounds."""
    assert running(one) == 4 and len(one.names()) == 2, (one.names(), one.placed())
    nodes = one.world.cache.all(kinds.NODE)
    assert not any(taints.has(node, taints.TO_BE_DELETED) for node in nodes)
    assert sorted(one.yard.machines()) == one.names()
    assert max(one.yard.history) == 4 and min(one.yard.history) >= 2


async def test_every_interruption_is_made_good() -> None:
    steps = 1
    while await life(Fuse(steps)):
        steps += 1
    assert steps > 8, "there are more steps than that"


async def test_every_refusal_is_made_good() -> None:
    steps = 1
    while await life(Fuse(steps, refuses=True)):
        steps += 1
    assert steps > 8, "there are more steps than that"
