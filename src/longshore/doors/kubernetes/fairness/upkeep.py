"""Puts the mandatory flow schemas and priority levels back when somebody deletes them
(apiserver/pkg/util/flowcontrol: ensurer of mandatory configuration). Changing them is refused by
the rules of their kinds."""

from __future__ import annotations

import contextlib

import orjson

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
from longshore.core.registry.registry import Registry

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


async def restore_mandatory(registry: Registry) -> None:
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
            for frame in await feed.next_batch():
                if frame.type == "DELETED" and frame.stored.key in _MANDATORY:
                    await _restore(registry, frame.stored.key)
    finally:
        feed.close()


async def _restore(registry: Registry, key: str) -> None:
    kind, doc = _MANDATORY[key]
    fresh: Doc = orjson.loads(orjson.dumps(doc))
    with contextlib.suppress(AlreadyExists):
        await registry.create(_KEEPER, kind, fresh)
