"""How much work a request is: the seats that it asks for. Pure.

As in upstream's list_work_estimator.go a list is a seat for every 100 objects that it looks
through, and so are a watch that begins with what is there and the deletion of a collection.
Upstream cuts that off at 10 seats; here it is not, since a list takes all of the one thread for as
long as it lasts. A level runs what is wider than itself alone. A write is one seat: that upstream
charges it for its watchers too is left out, as an event is encoded once for all of them.
"""

from __future__ import annotations

import re
from math import inf

from longshore.core.watch.cache import Cache, scope
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes.translate import Target, flag

OBJECTS_PER_SEAT = 100
# A Table or another form is made of decoded objects, which takes that much longer than their bytes.
_OBJECTS_PER_SEAT_MADE_ANEW = 10
_COUNT = re.compile("[1-9][0-9]{0,9}")
_WIDE_VERBS = frozenset(("list", "watch", "deletecollection"))


def may_be_wide(verb: str, target: Target) -> bool:
    """Whether work_of() can be more than one."""
    return verb in _WIDE_VERBS and target.kind.kept_as.is_stored


def work_of(cache: Cache, verb: str, request: Request, target: Target) -> int:
    """In seats, at least one; for what may be wide."""
    if verb == "watch" and not _from_the_start(request):
        return 1
    objects = cache.shelf(target.kind).count(scope(target.kind, target.namespace))
    made_anew = "as=" in request.headers.get("accept", "")
    per_seat = _OBJECTS_PER_SEAT_MADE_ANEW if made_anew else OBJECTS_PER_SEAT
    return 1 + int(min(objects, _bound(request))) // per_seat


def _bound(request: Request) -> float:
    """How many objects are looked at, at most: with a selector, those that do not match too."""
    limit, query = request.param("limit"), request.query
    if "labelSelector" in query or "fieldSelector" in query or not _COUNT.fullmatch(limit):
        return inf
    return int(limit)


def _from_the_start(request: Request) -> bool:
    """Whether a watch begins with everything that is there."""
    if "sendInitialEvents" in request.query:
        return flag(request.query, "sendInitialEvents")
    return request.param("resourceVersion") in ("", "0")
