"""Lists and watches: what their options may be together, and how they are begun."""

from __future__ import annotations

from dataclasses import replace

import orjson

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects.errors import Cause, Expired, Invalid, NotAcceptable
from longshore.core.objects.kinds import Kind
from longshore.core.registry.reads import ListOptions, begun_at, inconsistent_continue
from longshore.core.registry.registry import Registry
from longshore.doors.kit.compress import accepts_gzip, mark_gzip
from longshore.doors.kit.http import (
    AnyReply,
    Reply,
    Request,
    SlicedReply,
    StreamReply,
    Takeover,
    sliced,
)
from longshore.doors.kit.websocket import is_websocket
from longshore.doors.kubernetes import translate
from longshore.doors.kubernetes.media import JSON, negotiate
from longshore.doors.kubernetes.packing import Packing
from longshore.doors.kubernetes.pages import packed_slices, page_slices
from longshore.doors.kubernetes.rendering import View
from longshore.doors.kubernetes.translate import Target, flag, number
from longshore.doors.kubernetes.watching import Watch, Watches
from longshore.doors.kubernetes.watchsocket import handshake, watch_takeover

# A watch without timeoutSeconds ends after this long, spread so that not all return together.
_WATCH_MIN_S, _WATCH_MAX_S = 1800.0, 3600.0
_OPTIONS = Kind("meta.k8s.io", "v1", "ListOptions", "listoptions", "")


class Listing:
    """The reading of collections; each method takes a request, where it points, and who asks."""

    def __init__(self, registry: Registry, clock: Clock, chance: Chance) -> None:
        self.watches = Watches(clock)
        self._registry = registry
        self._clock = clock
        self._chance = chance
        self._packing = Packing()

    async def list(self, request: Request, target: Target, who: User) -> AnyReply:
        """GET of a collection; with ?watch, a watch of it."""
        options = translate.list_options(request)
        if flag(request.query, "watch"):
            return await self._watch(request, target, who, options)
        check_list(request)
        view = view_of(request, self._clock)
        await self._reached("list", target, who, options, newest=not options.continue_)
        try:
            page = self._registry.list(who, target.kind, target.namespace, options)
        except Expired as error:
            return _expired_page(error, options)
        if accepts_gzip(request.headers.get("accept-encoding", "")):
            packed = packed_slices(self._packing, view, target.kind, page)
            if packed is not None:
                reply = SlicedReply(packed, 200, view.media)
                mark_gzip(reply)
                return reply
        return sliced(page_slices(view, target.kind, page), 200, view.media)

    async def _watch(
        self, request: Request, target: Target, who: User, options: ListOptions
    ) -> StreamReply | Takeover:
        view = view_of(request, self._clock)
        if view.media != JSON:
            raise NotAcceptable(f"only the following media types are accepted: {JSON};stream=watch")
        check_watch(request)
        accepted = handshake(request.headers) if is_websocket(request.headers) else None
        cache = self._registry.cache
        begins_empty = "sendInitialEvents" in request.query
        initial = flag(request.query, "sendInitialEvents")
        await self._reached("watch", target, who, options, newest=initial)
        if begins_empty and not initial and options.revision in ("", "0"):
            options = replace(options, revision=str(cache.revision))
        feed = self._registry.watch(
            who, target.kind, target.namespace, options, initial=initial, pace=self.watches.pace
        )
        watch = Watch(self.watches, target.kind, feed, view, lambda: cache.revision)
        bookmarks = flag(request.query, "allowWatchBookmarks")
        watch.begin(self._seconds(request), bookmarks=bookmarks, initial=initial)
        if accepted is not None:
            return watch_takeover(accepted, watch)
        return StreamReply(watch, content_type=view.media, pushed=watch.pushed)

    async def _reached(
        self, verb: str, target: Target, who: User, options: ListOptions, *, newest: bool
    ) -> None:
        """newest: without a revision, what is newest is asked for. A list that goes on may have been
        begun by another server, which is further."""

        def check() -> None:
            self._registry.check_many(who, verb, target.kind, target.namespace, options)

        revision = options.revision or ("" if newest else "0")
        if options.continue_ and self._registry.is_shared:
            revision = begun_at(options.continue_)
        await self._registry.come_to(revision, check)

    def _seconds(self, request: Request) -> float:
        timeout = number(request.query, "timeoutSeconds")
        return float(timeout) if timeout else self._chance.uniform(_WATCH_MIN_S, _WATCH_MAX_S)


def view_of(request: Request, clock: Clock) -> View:
    """How a request wants objects to be shown. Raises NotAcceptable."""
    media, form = negotiate(request.headers.get("accept", ""))
    if not request.query:
        return View(media, form, "Metadata", clock.now)
    include = request.param("includeObject") or "Metadata"
    return View(media, form, include, clock.now, pretty=flag(request.query, "pretty"))


def check_list(request: Request) -> None:
    """Raises Invalid for options that do not go together (apimachinery ValidateListOptions)."""
    match = request.param("resourceVersionMatch")
    causes = []
    if match:
        causes = _list_match_causes(request, match)
    if "sendInitialEvents" in request.query:
        causes.append(_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if causes:
        raise Invalid.of(_OPTIONS, "", causes)


def _list_match_causes(request: Request, match: str) -> list[Cause]:
    causes, revision = [], request.param("resourceVersion")
    if not revision:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append(_forbidden("resourceVersionMatch", why))
    if request.param("continue"):
        causes.append(_forbidden("resourceVersionMatch", _NOT_ON_CONTINUE))
    if match not in ("Exact", "NotOlderThan"):
        causes.append(_unsupported(match, '"", "Exact", "NotOlderThan"'))
    if match == "Exact" and revision == "0":
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        causes.append(_forbidden("resourceVersionMatch", why))
    return causes


def check_watch(request: Request) -> None:
    """Raises Invalid for options that do not go together (apimachinery validateWatchOptions)."""
    match, causes = request.param("resourceVersionMatch"), []
    asked = "sendInitialEvents" in request.query
    if asked and match != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append(_forbidden("resourceVersionMatch", why))
    if match and not asked:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append(_forbidden("resourceVersionMatch", why))
    if match and match != "NotOlderThan":
        causes.append(_unsupported(match, '"NotOlderThan"'))
    if match and request.param("continue"):
        causes.append(_forbidden("resourceVersionMatch", _NOT_ON_CONTINUE))
    if causes:
        raise Invalid.of(_OPTIONS, "", causes)


_NOT_ON_CONTINUE = "resourceVersionMatch is forbidden when continue is provided"


def _forbidden(field: str, why: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {why}", field)


def _unsupported(match: str, supported: str) -> Cause:
    message = f'Unsupported value: "{match}": supported values: {supported}'
    return Cause("FieldValueNotSupported", message, "resourceVersionMatch")


# apiserver/pkg/storage/etcd3/errors.go.
_PAGE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start "
    "a new list without the continue parameter, or use the continue token in this response to "
    "retrieve the remainder of the results."
)
_LIST_EXPIRED = "The resourceVersion for the provided list is too old."


def _expired_page(error: Expired, options: ListOptions) -> Reply:
    """Expired, with a token by which the client may go on in the present all the same."""
    status = translate.failure(error) | {"message": _LIST_EXPIRED}
    if options.continue_:
        status["message"] = _PAGE_EXPIRED
        status["metadata"]["continue"] = inconsistent_continue(options.continue_)
    return Reply(410, orjson.dumps(status))
