"""Whatever becomes of a write, the scheduler goes on, and ends where it would have without trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from longshore.core.objects import kinds
from longshore.core.registry.client import Client, Delete, Operation, Patch
from longshore.core.registry.offering import Offers, Wish

from .failing import TROUBLES, FailingClient, Trouble
from .placing import node
from .test_tenants import make, queue, queued, usage
from .test_worker import Site, site


def ends_offer(operation: Operation) -> bool:
    return isinstance(operation, Delete) and operation.kind is kinds.OFFER


def begins_offer(operation: Operation) -> bool:
    return isinstance(operation, Patch) and "status" in operation.patch


def gives_offer(operation: Operation) -> bool:
    return isinstance(operation, Patch) and "nodeName" in operation.patch.get("spec", {})


def reports_queue(operation: Operation) -> bool:
    return isinstance(operation, Patch) and operation.kind is kinds.CLUSTER_QUEUE


@asynccontextmanager
async def troubled(
    name: str, matters: Callable[[Operation], bool] = lambda operation: True, first: int = 0
) -> AsyncIterator[Site]:
    def through(client: Client) -> Client:
        return FailingClient(client, Trouble(name, first, 2, matters))

    async with site(through) as there:
        yield there


@pytest.mark.parametrize("name", TROUBLES)
@pytest.mark.parametrize("matters", [gives_offer, begins_offer, ends_offer])
async def test_an_offer_is_made_begins_and_ends(
    name: str, matters: Callable[[Operation], bool]
) -> None:
    async with troubled(name, matters) as there:
        await there.node(node("a"))
        await Offers(there.client, "mesos").ask(Wish(lease_s=20))
        await there.quiet()
        (made,) = there.cache.all(kinds.OFFER)
        assert made["spec"]["nodeName"] == "a"
        assert "expireTime" in made["status"]
        await there.clock.advance(20)
        await there.quiet()
        assert list(there.cache.all(kinds.OFFER)) == []


@pytest.mark.parametrize("name", TROUBLES)
async def test_the_status_of_queues_is_told_in_the_end(name: str) -> None:
    async with troubled(name, reports_queue) as there:
        await there.node(node("a"))
        await queue(there, "red", "2")
        await make(there, queued("p", "red"))
        await there.quiet()
        assert usage(there, "red") == (0, 1, "1", "0")
