"""A real server on loopback under a flood: one user's requests must not be everybody's."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from longshore.base.clock import SystemClock
from longshore.base.limits import SEATS_TOTAL
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.flow_defaults import PRIORITY_LEVELS
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create
from longshore.doors.kit.http import AnyReply, Request
from longshore.doors.kubernetes.door import DoorConfig
from tests.doors.rig import ADMIN, Kube, Raw, config_map, kube, serving

MASTERS = ("system:masters", "system:authenticated")
FLOODER, OTHER, EXEMPT = (User(name, MASTERS) for name in ("flooder", "other", "exempt"))
USERS = {user.name: user for user in (FLOODER, OTHER, EXEMPT)}
MAPS = "/api/v1/namespaces/default/configmaps"
# Every object is matched, none is sent: all of the work is the server's.
HEAVY = f"{MAPS}?labelSelector=app%3Dnone"
OBJECTS, CONNECTIONS = 200, 200
CLOCK = SystemClock()
ROOT = Path(__file__).parents[2]


def flow_schema(name: str, level: str, precedence: int, user: str) -> Doc:
    rule: Doc = {
        "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"],
        "clusterScope": True,
    }  # fmt: skip
    subjects = [{"kind": "User", "user": {"name": user}}]
    return {
        "metadata": {"name": name},
        "spec": {
            "priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence,
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{"subjects": subjects, "resourceRules": [rule]}],
        },
    }  # fmt: skip


@contextlib.asynccontextmanager
async def served(seats: int) -> AsyncIterator[tuple[Kube, int]]:
    """A door with the default levels and all users but one in global-default; and its port."""
    async with kube(DoorConfig(seats=seats)) as ask:
        levels = [
            Create(kinds.PRIORITY_LEVEL, orjson.loads(orjson.dumps(d))) for d in PRIORITY_LEVELS
        ]
        flows = [
            flow_schema("free", "exempt", 10, EXEMPT.name),
            flow_schema("users", "global-default", 20, "*"),
        ]
        await ask.registry.submit(ADMIN, [*levels, *(Create(kinds.FLOW_SCHEMA, f) for f in flows)])
        for number in range(OBJECTS):
            await ask("POST", MAPS, config_map(f"map-{number}", text="x" * 1000))

        async def handle(request: Request) -> AnyReply:
            request.user = USERS[request.headers["x-user"]]
            return await ask.door.handle(request)

        async with serving(handle) as (_, port):
            yield ask, port


@contextlib.asynccontextmanager
async def flood(port: int, connections: int = CONNECTIONS) -> AsyncIterator[dict[str, int]]:
    """How often the flood was answered by which status is known when it is over."""
    arguments = ("-m", "tests.doors.flooding", str(port), str(connections), HEAVY, FLOODER.name)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=pipe, stdout=pipe, cwd=ROOT
    )
    assert process.stdin is not None and process.stdout is not None
    statuses: dict[str, int] = {}
    try:
        assert await process.stdout.readline() == b"flooding\n"
        yield statuses
        process.stdin.close()
        statuses |= orjson.loads(await process.stdout.readline())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def seconds_of(port: int, user: User, target: str, count: int) -> list[float]:
    """How long each of so many requests took, one after the other, shortest first."""
    client, taken = await Raw.to(port), []
    for _ in range(count):
        began = CLOCK.monotonic()
        client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\nX-User: {user.name}\r\n\r\n".encode())
        status, _, _ = await client.reply()
        taken.append(CLOCK.monotonic() - began)
        assert status == 200
    await client.close()
    return sorted(taken)


@pytest.mark.parametrize(
    ("who", "seats", "count"),
    [(OTHER, SEATS_TOTAL, 200), (EXEMPT, SEATS_TOTAL, 200), (OTHER, 0, 2)],
    ids=["other", "exempt", "without limits"],
)
async def test_a_flood_of_one_user_leaves_others_served(who: User, seats: int, count: int) -> None:
    """Without limits a request that comes while each connection of the flood has one under way
    waits for all of these, once to be read and once to be answered. With them a turn of the loop
    does one, and it takes a few turns to be read, let in and answered, more if the machine is
    busy. So the time of half of the flood's requests tells the two apart, on any machine."""
    async with served(seats) as (_, port):
        alone = await seconds_of(port, FLOODER, HEAVY, 40)
        bound = alone[20] * CONNECTIONS / 2
        async with flood(port):
            await seconds_of(port, who, f"{MAPS}/map-1", 1)
            taken = await seconds_of(port, who, f"{MAPS}/map-1", count)
        if seats:
            assert taken[count * 99 // 100 - 1] < bound
        else:
            assert taken[0] > bound


async def test_a_flood_beyond_its_queues_is_told_to_come_again_and_nobody_else_is() -> None:
    # A hand of 6 queues of 50: 400 connections are more than that.
    async with served(SEATS_TOTAL) as (ask, port):
        async with flood(port, connections=400) as statuses:
            # Each of these is asserted to be answered with 200.
            await seconds_of(port, OTHER, f"{MAPS}/map-1", 10)
        assert set(statuses) == {"200", "429"}
        told = (await ask("GET", "/metrics")).body.decode()
    refused = 'apiserver_flowcontrol_rejected_requests_total{priority_level="global-default",flow_schema="users",reason="queue-full"} '
    assert int(told.partition(refused)[2].split()[0]) >= statuses["429"]
