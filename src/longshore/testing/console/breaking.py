"""crash, start, cut, heal, disk and clock: what goes wrong, and is mended."""

from __future__ import annotations

from longshore.testing.console.session import Caller
from longshore.testing.console.words import Words
from longshore.testing.kube.naming import seconds


async def crash(caller: Caller, words: Words) -> None:
    """crash server, or crash NODE: as when the power goes."""
    what, cluster = words.next("server or a node"), caller.session.cluster
    if what == "server":
        await cluster.crash_server()
    else:
        await cluster.crash_node(what)


async def start(caller: Caller, words: Words) -> None:
    """start server, or start NODE"""
    what, cluster = words.next("server or a node"), caller.session.cluster
    if what == "server":
        await cluster.start_server()
    else:
        cluster.start_node(what)


async def cut(caller: Caller, words: Words) -> None:
    """cut NODE: nothing comes through between it and the server."""
    caller.session.cluster.nodes[words.next("the node")].weather.cut = True


async def heal(caller: Caller, words: Words) -> None:
    """heal NODE"""
    caller.session.cluster.nodes[words.next("the node")].weather.cut = False


async def disk(caller: Caller, words: Words) -> None:
    """disk full, or disk free"""
    caller.session.cluster.medium.full = words.next("full or free") == "full"


async def clock(caller: Caller, words: Words) -> None:
    """clock DURATION: the wall's time jumps ahead, or back with "-" before the duration."""
    word = words.next("how far")
    sign = -1 if word.startswith("-") else 1
    caller.session.clock.jump(sign * seconds(word.lstrip("-")))
