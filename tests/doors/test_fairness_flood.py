"""A real server on loopback under a flood: one user's requests must not be everybody's."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

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
LIGHT = f"{MAPS}/map-1"
OBJECTS, CONNECTIONS = 200, 200
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
async def served(seats: int) -> AsyncIterator[tuple[Kube, int, Counter[str]]]:
    """A door with the default levels and all users but one in global-default; its port; and how many requests
    of which user it has answered."""
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

        answered: Counter[str] = Counter()

        async def handle(request: Request) -> AnyReply:
            request.user = USERS[request.headers["x-user"]]
            reply = await ask.door.handle(request)
            answered[request.user.name] += 1
            return reply

        async with serving(handle) as (_, port):
            yield ask, port, answered


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


async def let_by(port: int, user: User, count: int, answered: Counter[str]) -> list[int]:
    """How many of the flooder's requests were answered while each of so many was under way, one after the
    other; fewest first."""
    client, flooders = await Raw.to(port), []
    for _ in range(count):
        began = answered[FLOODER.name]
        client.send(f"GET {LIGHT} HTTP/1.1\r\nHost: x\r\nX-User: {user.name}\r\n\r\n".encode())
        status, _, _ = await client.reply()
        flooders.append(answered[FLOODER.name] - began)
        assert status == 200
    await client.close()
    return sorted(flooders)


@pytest.mark.parametrize(
    ("who", "seats", "count"),
    [(OTHER, SEATS_TOTAL, 200), (EXEMPT, SEATS_TOTAL, 200), (OTHER, 0, 2)],
    ids=["other", "exempt", "without limits"],
)
async def test_a_flood_of_one_user_leaves_others_served(who: User, seats: int, count: int) -> None:
    """Without limits a request that comes while each connection of the flood has one under way
    waits for all of these, once to be read and once to be answered. With them a turn of the loop
    does one, and it takes a few turns to be read, let in and answered. So half of the flood's
    connections tell the two apart, however fast the machine is."""
    async with served(seats) as (_, port, answered):
        async with flood(port):
            await let_by(port, who, 1, answered)
            flooders = await let_by(port, who, count, answered)
        if seats:
            assert flooders[-1] < CONNECTIONS / 2
        else:
            assert flooders[0] > CONNECTIONS / 2


async def test_a_flood_beyond_its_queues_is_told_to_come_again_and_nobody_else_is() -> None:
    # A hand of 6 queues of 50: 400 connections are more than that.
    async with served(SEATS_TOTAL) as (ask, port, answered):
        async with flood(port, connections=400) as statuses:
            # Each of these is asserted to be answered with 200.
            await let_by(port, OTHER, 10, answered)
        assert set(statuses) == {"200", "429"}
        told = (await ask("GET", "/metrics")).body.decode()
    refused = 'apiserver_flowcontrol_rejected_requests_total{priority_level="global-default",flow_schema="users",reason="queue-full"} '
    assert int(told.partition(refused)[2].split()[0]) >= statuses["429"]
