"""wait, advance and quiet: time goes by."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc, Ref
from longshore.testing.console.changing import named
from longshore.testing.console.refusals import Complaint, Refused
from longshore.testing.console.session import Caller
from longshore.testing.console.words import Words
from longshore.testing.kube.conditions import condition_of
from longshore.testing.kube.naming import seconds
from longshore.testing.simulator.server import Unreachable

_LOOK_S = 0.25
_USUAL = "30s"
# What changes where nothing happens: signs of life.
_BEATS = ("/coordination.k8s.io/leases/", "/core/nodes/", "/core/events/", "/events.k8s.io/")


async def wait(caller: Caller, words: Words) -> None:
    """wait KIND/NAME CONDITION|PATH=VALUE|gone [TIMEOUT]"""
    ref, wanted = named(caller, words), words.next("what to wait for")
    limit_s = seconds(words.rest[0] if words.rest else _USUAL)
    holds = (lambda doc: doc is None) if wanted == "gone" else condition_of(wanted).holds
    clock = caller.session.clock
    began = clock.monotonic()
    while not holds(await _look(caller, ref)):
        if clock.monotonic() - began >= limit_s:
            raise Complaint(f"timed out waiting for the condition on {ref.kind.plural}/{ref.name}")
        await clock.sleep(_LOOK_S)
    took = clock.monotonic() - began
    caller.printed.append(caller.said(ref.kind, ref.name, f"{wanted} after {took:.0f}s"))


async def advance(caller: Caller, words: Words) -> None:
    """advance DURATION"""
    await caller.session.clock.sleep(seconds(words.next("how long")))


async def quiet(caller: Caller, words: Words) -> None:
    """quiet DURATION: let time pass, and tell which objects changed but for signs of life."""
    log = caller.session.cluster.medium.log
    before = len(log)
    await advance(caller, words)
    keys = {entry.key for entry in log[before:] if not entry.key.startswith(_BEATS)}
    shown = sorted(map(caller.session.names.shown, keys))
    caller.printed += [f"changed: {key}" for key in shown] or ["nothing changed"]


async def _look(caller: Caller, ref: Ref) -> Doc | None:
    """The object; None also while no server is up, as nobody could tell."""
    try:
        return await caller.get(ref)
    except Refused as refused:
        if refused.status["code"] != 404:
            raise
    except Unreachable:
        pass
    return None
