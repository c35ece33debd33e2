"""The commands, and the options that each has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from longshore.testing.console import breaking, changing, looking, making, passing, removing
from longshore.testing.console.rollouts import rollout
from longshore.testing.console.session import Caller
from longshore.testing.console.words import Words

Handler: TypeAlias = Callable[[Caller, Words], Awaitable[None]]

COMMANDS: Mapping[str, tuple[Handler, str]] = {
    "apply": (making.apply, "field-manager force-conflicts"),
    "create": (making.create, ""),
    "get": (looking.get, "o l A"),
    "endpoints": (looking.endpoints, ""),
    "events": (looking.events, ""),
    "watch": (looking.watch, ""),
    "scale": (changing.scale, "replicas"),
    "set": (changing.set_image, ""),
    "patch": (changing.patch, "p type subresource"),
    "label": (changing.label, ""),
    "annotate": (changing.annotate, ""),
    "own": (changing.own, ""),
    "taint": (changing.taint, ""),
    "cordon": (changing.cordon, ""),
    "uncordon": (changing.uncordon, ""),
    "rollout": (rollout, "to-revision"),
    "delete": (removing.delete, "cascade grace-period l"),
    "evict": (removing.evict, "grace-period"),
    "drain": (removing.drain, "force"),
    "wait": (passing.wait, ""),
    "advance": (passing.advance, ""),
    "quiet": (passing.quiet, ""),
    "crash": (breaking.crash, ""),
    "start": (breaking.start, ""),
    "cut": (breaking.cut, ""),
    "heal": (breaking.heal, ""),
    "disk": (breaking.disk, ""),
    "clock": (breaking.clock, ""),
}
