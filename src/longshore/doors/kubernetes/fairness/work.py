"""How much work a request is, in plain reads of one object. Pure.

As in upstream's list_work_estimator.go what counts is how many objects a list looks through, or a
watch that begins with what is there, or the deletion of a collection; and here also what is done
with each. A plain read takes about 30 us of the one thread.

A write counts as one read: most of it is waiting for the disk. That upstream charges it for its
watchers too is left out, as an event is encoded once for all of them.
"""

from __future__ import annotations

import re
from math import inf

from longshore.core.objects.kinds import POD
from longshore.core.watch.cache import Cache, scope
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes.translate import Target, flag

# Objects that are as much work as a plain read: passed on as the bytes they are, matched by a
# selector, and shown in another form (a Table, metadata only, YAML).
_PASSED_ON, _MATCHED, _SHOWN_ANEW = 10.0, 3.0, 0.3

_WIDE_VERBS = frozenset(("list", "watch", "deletecollection"))
_COUNT = re.compile("[1-9][0-9]{0,9}")
_NODE = re.compile(r"(?:^|,)spec\.nodeName==?([^,=]+)")


def may_be_wide(verb: str, target: Target) -> bool:
    """Whether work_of() can be more than one."""
    return verb in _WIDE_VERBS and target.kind.kept_as.is_stored


def work_of(cache: Cache, verb: str, request: Request, target: Target) -> int:
    """At least one; for what may be wide."""
    if verb == "watch" and not _from_the_start(request):
        return 1
    there = _candidates(cache, request, target)
    matches = "labelSelector" in request.query or "fieldSelector" in request.query
    # What does not match is looked at too, and does not count towards the limit.
    looked_at = there if matches else min(there, _limit(request))
    return 1 + int(looked_at / _in_a_read(request, matches=matches))


def _candidates(cache: Cache, request: Request, target: Target) -> int:
    """Of how many objects it is asked; those of one node are found by an index."""
    shelf = cache.shelf(target.kind)
    node = _NODE.search(request.param("fieldSelector")) if target.kind is POD else None
    if node is not None:
        return sum(1 for _ in shelf.found(("node", node[1])))
    return shelf.count(scope(target.kind, target.namespace))


def _limit(request: Request) -> float:
    text = request.param("limit")
    return int(text) if _COUNT.fullmatch(text) else inf


def _in_a_read(request: Request, *, matches: bool) -> float:
    accept = request.headers.get("accept", "")
    if "as=" in accept or "yaml" in accept:
        return _SHOWN_ANEW
    return _MATCHED if matches else _PASSED_ON


def _from_the_start(request: Request) -> bool:
    """Whether a watch begins with everything that is there."""
    if "sendInitialEvents" in request.query:
        return flag(request.query, "sendInitialEvents")
    return request.param("resourceVersion") in ("", "0")
