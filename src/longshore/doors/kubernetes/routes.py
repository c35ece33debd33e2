"""The Kubernetes API as a table: method and shape of the path to what is done.

Everything here asks the registry; what requests mean is in translate.py, how answers look in
rendering.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects import kinds, meta
from longshore.core.objects.errors import (
    ApiError,
    BadRequest,
    MethodNotAllowed,
    NotFound,
    Unavailable,
)
from longshore.core.registry.identity.tokens import AnyTokens
from longshore.core.registry.registry import Registry
from longshore.core.registry.reviews import REVIEWS
from longshore.core.streams.protocols import Streams
from longshore.core.watch.stored import Stored
from longshore.doors.kit.http import AnyReply, Reply, Request, StreamReply, continued
from longshore.doors.kit.websocket import is_websocket
from longshore.doors.kubernetes import deleting, logs, proxying, streaming, translate
from longshore.doors.kubernetes.asking import Asking
from longshore.doors.kubernetes.deadlines import timeout_of, within
from longshore.doors.kubernetes.listing import Listing, view_of
from longshore.doors.kubernetes.managers import APPLY_PATCH
from longshore.doors.kubernetes.rendering import View
from longshore.doors.kubernetes.requested import VERBS, verb_of, wish_of
from longshore.doors.kubernetes.translate import Target, flag

Action: TypeAlias = Callable[["Api", Request, Target, User], Awaitable[AnyReply]]

_PASSED_ON = frozenset(("attach", "exec", "log", "portforward", "proxy"))
_WRITES = frozenset(("POST", "PUT", "PATCH", "DELETE"))


class Api:
    """The resources under /api and /apis."""

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        chance: Chance,
        streams: Streams | None,
        tokens: AnyTokens,
    ) -> None:
        self.registry = registry
        self.asking = Asking(registry, clock, tokens)
        self._listing = Listing(registry, clock, chance)
        self.watches = self._listing.watches
        self._clock = clock
        self._chance = chance
        self._streams = streams

    async def answer(self, request: Request, target: Target, who: User) -> AnyReply:
        # What is passed on to a container or a backend has a query and a body of its own.
        own = target.subresource not in _PASSED_ON
        try:
            action = _action(request, target)
        except ApiError:
            self._check_first(request, target, who)
            raise
        if own and request.method in _WRITES:
            self._check_first(request, target, who)
        seconds = timeout_of(request) if own and "timeout" in request.query else None
        if seconds is None or (not target.name and flag(request.query, "watch")):
            return await action(self, request, target, who)
        return await within(self._clock, seconds, action(self, request, target, who))

    def _check_first(self, request: Request, target: Target, who: User) -> None:
        """Nobody has a body read, or hears what is served, who may not ask for it. Raises Forbidden,
        as the registry does, which asks once more: not all that it is told comes through a door."""
        kind, name, permission = target.kind, target.name, self.registry.permission
        if not name and request.method != "POST":
            permission.check(who, wish_of(request, target), kind)
            return
        verb = verb_of(request, target)
        permission.authorize(who, verb, kind, target.namespace, name, target.subresource)

    def _view(self, request: Request) -> View:
        return view_of(request, self._clock)

    def _shown(
        self, view: View, stored: Stored, target: Target, warnings: list[str] | None = None
    ) -> Reply:
        headers = translate.warning_header(warnings) if warnings else {}
        if target.subresource == "scale":
            shown = view.document(kinds.SCALE, meta.scale_of(stored.doc))
            return Reply(200, shown, view.media, headers)
        return Reply(200, view.object(stored), view.media, headers)

    # --- reads ---

    async def get(self, request: Request, target: Target, who: User) -> AnyReply:
        view, revision = self._view(request), request.param("resourceVersion")
        if revision or self.registry.is_shared:
            check = partial(self.registry.check_get, who, target.ref)
            await self.registry.come_to(revision, check)
        return self._shown(view, self.registry.get(who, target.ref), target)

    async def list(self, request: Request, target: Target, who: User) -> AnyReply:
        return await self._listing.list(request, target, who)

    async def log(self, request: Request, target: Target, who: User) -> AnyReply:
        await self.registry.come_to("", partial(self.registry.check_get, who, target.ref))
        pod = self.registry.get(who, target.ref).doc
        if self._streams is None:
            raise Unavailable("this server reaches no nodes: logs cannot be read here")
        node = pod["spec"].get("nodeName", "")
        options = logs.log_options(request, target.name, self._clock.now())
        container = logs.container_of(pod, request.param("container"))
        if not node:
            raise BadRequest(f"pod {target.name} does not have a host assigned")
        pieces = self._streams.logs(node, target.namespace, target.name, container, options)
        # The first piece decides between a Status and a stream.
        first = await anext(pieces, b"")
        if is_websocket(request.headers):
            return streaming.log_takeover(request, continued(first, pieces))
        return StreamReply(continued(first, pieces), content_type="text/plain")

    # --- live talk ---

    async def connect(self, request: Request, target: Target, who: User) -> AnyReply:
        """exec, attach and port-forward: whatever the method, the verb is create."""
        kind, namespace, name = target.kind, target.namespace, target.name
        permission = self.registry.permission
        permission.authorize(who, "create", kind, namespace, name, target.subresource)
        await self.registry.confirm()
        pod = self.registry.cache.get(kind, namespace, name)
        if pod is None:
            raise NotFound.of(kind, name)
        talk = streaming.forward if target.subresource == "portforward" else streaming.connect
        return await talk(self._reachable(), request, target, pod)

    async def proxy(self, request: Request, target: Target, who: User) -> AnyReply:
        permission, verb = self.registry.permission, verb_of(request, target)
        # A role that names a backend names its scheme and port too, as upstream.
        permission.authorize(who, verb, target.kind, target.namespace, target.name, "proxy")
        await self.registry.confirm()
        place = proxying.place_of(self.registry.cache, self._chance, target)
        return await proxying.proxy(self._reachable(), request, target, place)

    def _reachable(self) -> Streams:
        if self._streams is None:
            raise Unavailable("this server reaches no nodes: nothing can be relayed from here")
        return self._streams

    # --- writes ---

    async def create(self, request: Request, target: Target, who: User) -> AnyReply:
        if target.kind in REVIEWS:
            return await self.asking.review(request, target, who)
        if target.kind is kinds.BINDING:
            return await self.asking.bind(request, target, who)
        view = self._view(request)
        options = translate.write_options(request, "CreateOptions")
        doc, doubled = translate.read_object(request, target, options)
        _check_place(target, "created")
        stored, warnings = await self.registry.create(
            who, target.kind, doc, namespace=target.namespace, options=options
        )
        headers = translate.warning_header([*doubled, *warnings])
        return Reply(201, view.object(stored), view.media, headers)

    async def update(self, request: Request, target: Target, who: User) -> AnyReply:
        view = self._view(request)
        options = translate.write_options(request, "UpdateOptions")
        expected = kinds.SCALE if target.subresource == "scale" else target.kind
        doc, doubled = translate.read_object(request, target, options, expected)
        stored, created, warnings = await self.registry.put(who, target.ref, doc, options)
        reply = self._shown(view, stored, target, [*doubled, *warnings])
        reply.status = 201 if created else 200
        return reply

    async def patch(self, request: Request, target: Target, who: User) -> AnyReply:
        view = self._view(request)
        options = translate.write_options(request, "PatchOptions")
        kind = translate.patch_type(request)
        if kind == APPLY_PATCH:
            doc, doubled = translate.read_configuration(request, options)
            applied = await self.registry.apply(who, target.ref, doc, options)
            stored, created, warnings = applied
            reply = self._shown(view, stored, target, [*doubled, *warnings])
            reply.status = 201 if created else 200
            return reply
        stored, warnings = await self.registry.patch(who, target.ref, kind, request.body, options)
        return self._shown(view, stored, target, warnings)

    async def delete(self, request: Request, target: Target, who: User) -> AnyReply:
        return await deleting.delete(self.registry, request, target, who, self._view(request))

    async def delete_collection(self, request: Request, target: Target, who: User) -> AnyReply:
        _check_place(target, "deleted")
        view = self._view(request)
        return await deleting.delete_collection(self.registry, request, target, who, view)

    async def bind(self, request: Request, target: Target, who: User) -> AnyReply:
        return await self.asking.bind(request, target, who)

    async def evict(self, request: Request, target: Target, who: User) -> AnyReply:
        return await self.asking.evict(request, target, who)

    async def token(self, request: Request, target: Target, who: User) -> AnyReply:
        return await self.asking.token(request, target, who)


_ASKING, _TALKS = ("GET", "POST"), ("exec", "attach", "portforward")
_PROXIED = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

ROUTES: dict[tuple[str, str, str], Action] = {
    ("GET", "collection", ""): Api.list,
    ("POST", "collection", ""): Api.create,
    ("DELETE", "collection", ""): Api.delete_collection,
    ("GET", "object", ""): Api.get,
    ("PUT", "object", ""): Api.update,
    ("PATCH", "object", ""): Api.patch,
    ("DELETE", "object", ""): Api.delete,
    ("GET", "object", "status"): Api.get,
    ("PUT", "object", "status"): Api.update,
    ("PATCH", "object", "status"): Api.patch,
    ("GET", "object", "approval"): Api.get,
    ("PUT", "object", "approval"): Api.update,
    ("PATCH", "object", "approval"): Api.patch,
    ("GET", "object", "ephemeralcontainers"): Api.get,
    ("PUT", "object", "ephemeralcontainers"): Api.update,
    ("PATCH", "object", "ephemeralcontainers"): Api.patch,
    ("GET", "object", "resize"): Api.get,
    ("PUT", "object", "resize"): Api.update,
    ("PATCH", "object", "resize"): Api.patch,
    ("GET", "object", "scale"): Api.get,
    ("PUT", "object", "scale"): Api.update,
    ("PATCH", "object", "scale"): Api.patch,
    ("GET", "object", "log"): Api.log,
    **{(method, "object", below): Api.connect for method in _ASKING for below in _TALKS},
    **{(method, "object", "proxy"): Api.proxy for method in _PROXIED},
    ("POST", "object", "binding"): Api.bind,
    ("POST", "object", "eviction"): Api.evict,
    ("POST", "object", "token"): Api.token,
    ("PUT", "object", "finalize"): Api.update,
}


def _action(request: Request, target: Target) -> Action:
    """Raises NotFound or MethodNotAllowed."""
    method, below = "GET" if request.method == "HEAD" else request.method, target.subresource
    if below and below not in target.kind.subresources:
        raise NotFound("the server could not find the requested resource")
    action = ROUTES.get((method, target.shape, below))
    # Kinds that are only asked, or only read, have fewer verbs than others.
    if action is None or (not below and VERBS[method, target.shape] not in target.kind.verbs):
        raise MethodNotAllowed(
            f"the server does not allow {request.method} on {_called(target)}",
            kind=target.kind, name=target.name,
        )  # fmt: skip
    return action


def _check_place(target: Target, done: str) -> None:
    """All namespaces together can only be read (apiserver/pkg/endpoints/installer.go)."""
    if target.kind.namespaced and not target.namespace:
        raise MethodNotAllowed(f"{target.kind.plural} are {done} in a namespace")


def _called(target: Target) -> str:
    return f"{target.kind.resource}/{target.subresource}".rstrip("/")
