"""Play a scenario: what each of its commands prints."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from longshore.base.chance import Chance
from longshore.core.pki.requests import new_key, pem_of
from longshore.testing.console.commands import COMMANDS
from longshore.testing.console.refusals import UNREACHABLE, Complaint, Refused, lines_of
from longshore.testing.console.script import Command, Script
from longshore.testing.console.session import Caller, Session
from longshore.testing.console.words import read, split
from longshore.testing.loop import LoopClock, SimulatedLoop
from longshore.testing.simulator.cluster import ADMIN, SimulatedCluster
from longshore.testing.simulator.machines import Sizes
from longshore.testing.simulator.server import Unreachable

# Until all nodes are there.
_BEGIN_S = 15.0


class BadScript(ValueError):
    """A command that cannot be understood."""


def play(script: Script) -> list[list[str]]:
    """The lines that each command prints. Raises BadScript, and what broke the cluster."""
    with contextlib.closing(SimulatedLoop()) as loop:
        clock = LoopClock(loop)
        sizes = script.sizes and Sizes(*script.sizes)
        cluster = SimulatedCluster(clock, Chance.seeded("scenario"), script.nodes, sizes=sizes)
        cluster.token_keys = [pem_of(new_key())]
        try:
            return loop.run_until_complete(_play(cluster, script.commands))
        except BaseExceptionGroup as group:
            raise _first(group) from None


def _first(error: BaseException) -> BaseException:
    """What is at the bottom of groups of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _play(cluster: SimulatedCluster, commands: Sequence[Command]) -> list[list[str]]:
    printed = []
    async with asyncio.TaskGroup() as crew:
        await cluster.start(crew)
        await cluster.clock.sleep(_BEGIN_S - 0.5)
        session = Session(cluster)
        session.begun_at = cluster.medium.log[-1].revision
        for command in commands:
            await _next_half(cluster.clock)
            printed.append(await _run(session, command))
        await cluster.stop()
    return printed


async def _next_half(clock: LoopClock) -> None:
    """Until half a second past the next whole one."""
    now = clock.monotonic()
    await clock.sleep(int(now + 0.5) + 0.5 - now)


async def _run(session: Session, command: Command) -> list[str]:
    """All commands of a line, at the same time; what they print, one after another."""
    words, body = split(command.words), "\n".join(command.body)
    async with asyncio.TaskGroup() as together:
        tasks = [together.create_task(_one(session, one, body, command.number)) for one in words]
    lines = [line for task in tasks for line in task.result()]
    return [session.names.shown(line).rstrip() for line in lines if line.strip()]


async def _one(session: Session, words: list[str], body: str, number: int) -> list[str]:
    caller = Caller(session)
    try:
        await _obey(caller, words, body)
    except Refused as refused:
        caller.printed += lines_of(refused.status)
    except Complaint as complaint:
        caller.printed.append(f"error: {complaint}")
    except Unreachable:
        caller.printed.append(UNREACHABLE)
    except (ValueError, KeyError) as error:
        raise BadScript(f"line {number}: {' '.join(words)}: {error}") from error
    return caller.printed


async def _obey(caller: Caller, words: list[str], body: str) -> None:
    if words[0] == "as":
        _become(caller, words[1])
        words = words[2:]
    given = read(words[1:], body)
    caller.namespace = given.options.pop("n", "default")
    if words[0] not in COMMANDS:
        raise ValueError("there is no such command")
    handler, options = COMMANDS[words[0]]
    given.check(options)
    await handler(caller, given)


def _become(caller: Caller, who: str) -> None:
    """token:ACCOUNT bears the token that was made last for it; anybody else is impersonated."""
    scheme, _, account = who.partition(":")
    if scheme == "token":
        caller.user = None
        caller.headers = {"authorization": f"Bearer {caller.session.tokens[account]}"}
    else:
        caller.user = ADMIN
        caller.headers = {"impersonate-user": who}
