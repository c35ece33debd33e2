"""usage.longshore.io/v1 projectusages: what projects used over time.

Whoever may list the pods of a namespace may read what it used, so no role has to say more. A namespace
that was made again under the name of one that is gone goes on with its history; what was before is for
those alone who may list the pods of all namespaces.
"""

from __future__ import annotations

from collections.abc import Mapping

from longshore.base.clock import Clock, parse_rfc3339
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import BadRequest, MethodNotAllowed, NotFound
from longshore.core.objects.kinds import PROJECT_USAGE, Doc
from longshore.core.objects.usage import records
from longshore.core.objects.usage.reckoning import WINDOW_S, WindowError, project_usage, window
from longshore.core.registry.registry import Registry
from longshore.core.registry.wishes import Wish
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes import translate
from longshore.doors.kubernetes.listing import view_of
from longshore.doors.kubernetes.metrics import shown
from longshore.doors.kubernetes.requested import wish_of
from longshore.doors.kubernetes.translate import Target, flag

_ALL_PODS = Wish("list", "", "pods")


class ProjectUsages:
    """Answers from the UsageRecords in the cache, which every server has."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._cache = registry.cache
        self._permission = registry.permission
        self._clock = clock

    async def answer(self, request: Request, target: Target, who: User) -> Reply:
        """GET of one project, or of all, with sinceSeconds and stepSeconds."""
        self._permission.check(who, wish_of(request, target), PROJECT_USAGE)
        _check_form(request, target)
        now = self._clock.now()
        since_s = _number(request, "sinceSeconds") or WINDOW_S
        everything = self._permission.allowed(who, _ALL_PODS)
        found: list[Doc] = []
        for project in self._projects(target):
            age = since_s if everything else max(int(now - self._begun(project)), 1)
            found.append(self._usage(request, target, project, min(since_s, age)))
            await self._clock.sleep(0)  # a long history takes milliseconds to read
        view = view_of(request, self._clock)
        return Reply(200, shown(view, target, found), view.media)

    def _usage(self, request: Request, target: Target, project: str, since_s: int) -> Doc:
        try:
            span = window(self._clock.now(), since_s, _number(request, "stepSeconds"))
        except WindowError as error:
            raise BadRequest(str(error)) from None
        found = (self._cache.get(kinds.USAGE_RECORD, "", one) for one in records.names(project))
        history = records.history([one for one in found if one is not None])
        return project_usage(project, history, span, whole=bool(target.name))

    def _projects(self, target: Target) -> list[str]:
        """Those that have a history."""
        if target.namespace:
            if target.name not in ("", target.namespace):
                return []
            names = records.names(target.namespace)
            there = any(self._cache.get(kinds.USAGE_RECORD, "", one) for one in names)
            return [target.namespace] if there else []
        held = self._cache.shelf(kinds.USAGE_RECORD).held()
        return sorted({records.project_of(one.name) for one in held})

    def _begun(self, project: str) -> float:
        """When the namespace that there is now was made."""
        namespace = self._cache.get(kinds.NAMESPACE, "", project)
        if namespace is None:
            raise NotFound.of(kinds.NAMESPACE, project)
        return parse_rfc3339(namespace["metadata"]["creationTimestamp"])


def _check_form(request: Request, target: Target) -> None:
    watching = flag(request.query, "watch")
    if watching or request.method not in ("GET", "HEAD"):
        verb = "watch" if watching else request.method
        raise MethodNotAllowed(
            f"the server does not allow {verb} on {PROJECT_USAGE.resource}", kind=PROJECT_USAGE
        )
    if target.subresource:
        raise NotFound("the server could not find the requested resource")
    for selector in ("labelSelector", "fieldSelector"):
        if request.param(selector):
            raise BadRequest(f"{selector}: projectusages are chosen by namespace alone")


def _number(request: Request, name: str) -> int:
    """0 if it is not said."""
    query: Mapping[str, list[str]] = request.query
    return translate.number(query, name) or 0
