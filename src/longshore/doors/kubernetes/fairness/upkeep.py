"""Keeps flow schemas and priority levels as they must be: the mandatory ones are put back when
somebody deletes them (changing them is refused by the rules of their kinds), and every schema says
whether the level that it names is there (apiserver/pkg/util/flowcontrol/apf_controller.go)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import orjson

from longshore.base.clock import rfc3339
from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, Expired
from longshore.core.objects.flow_defaults import (
    FLOW_SCHEMAS,
    MANDATORY_FLOW_SCHEMAS,
    MANDATORY_PRIORITY_LEVELS,
    PRIORITY_LEVELS,
)
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Update
from longshore.core.registry.registry import Registry
from longshore.core.watch.frames import Frame
from longshore.doors.kubernetes.fairness.plan import dangling

_KEEPER = loop_user("fairness")
_MANDATORY = {
    kinds.FLOW_SCHEMA.key_of(doc): (kinds.FLOW_SCHEMA, doc)
    for doc in FLOW_SCHEMAS
    if doc["metadata"]["name"] in MANDATORY_FLOW_SCHEMAS
} | {
    kinds.PRIORITY_LEVEL.key_of(doc): (kinds.PRIORITY_LEVEL, doc)
    for doc in PRIORITY_LEVELS
    if doc["metadata"]["name"] in MANDATORY_PRIORITY_LEVELS
}


async def keep_up(registry: Registry) -> None:
    """Until cancelled."""
    while True:
        try:
            await _follow(registry)
        except Expired:  # too much happened to be told one by one: look at what is left
            for key, (kind, _) in _MANDATORY.items():
                if registry.cache.shelf(kind).get(key) is None:
                    await _restore(registry, key)


async def _follow(registry: Registry) -> None:
    feed = registry.cache.subscribe(kinds.FLOW_SCHEMA, kinds.PRIORITY_LEVEL)
    try:
        while True:
            frames = await feed.next_batch()
            for frame in frames:
                if frame.type == "DELETED" and frame.stored.key in _MANDATORY:
                    await _restore(registry, frame.stored.key)
            await _tell(registry, frames)
    finally:
        feed.close()


async def _restore(registry: Registry, key: str) -> None:
    kind, doc = _MANDATORY[key]
    fresh: Doc = orjson.loads(orjson.dumps(doc))
    with contextlib.suppress(AlreadyExists):
        await registry.create(_KEEPER, kind, fresh)


async def _tell(registry: Registry, frames: Iterable[Frame]) -> None:
    """Write the conditions of schemas that these changes concern. Where somebody else's write came
    before, a next change is on its way, and the condition is looked at again."""
    cache, now = registry.cache, rfc3339(registry.clock.now())
    updates = []
    for schema in cache.all(kinds.FLOW_SCHEMA):
        level = schema["spec"]["priorityLevelConfiguration"]["name"]
        if not any(_concerns(frame, schema, level) for frame in frames):
            continue
        found = cache.get(kinds.PRIORITY_LEVEL, "", level) is not None
        told = dangling(schema, found=found, now=now)
        if told is not None:
            updates.append(Update(kinds.FLOW_SCHEMA, told, "status"))
    if updates:
        await registry.submit(_KEEPER, updates)


def _concerns(frame: Frame, schema: Doc, level: str) -> bool:
    concerned: str = schema["metadata"]["name"] if frame.kind is kinds.FLOW_SCHEMA else level
    return frame.stored.name == concerned
