"""The Kubernetes door: who asks, which part of the API is meant, and errors as metav1.Status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import orjson

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.base.limits import SEATS_TOTAL
from longshore.base.metrics import MEDIA as METRICS_MEDIA
from longshore.base.users import User
from longshore.base.version import GIT_VERSION, KUBERNETES_VERSION
from longshore.core.objects.errors import (
    ApiError,
    InternalError,
    Unauthorized,
)
from longshore.core.objects.kinds import KINDS, MEASURED, PROJECT_USAGE, Doc, Kinds
from longshore.core.registry.identity.tokens import AnyTokens, NoTokens
from longshore.core.registry.questions import Undecided, decided, settled
from longshore.core.registry.registry import Registry
from longshore.core.registry.wishes import Verdict
from longshore.core.streams.protocols import Streams
from longshore.core.streams.samples import Samples
from longshore.core.streams.series import Exposed
from longshore.doors.kit.http import (
    AnyReply,
    Pieces,
    Reply,
    Request,
    SlicedReply,
    StreamReply,
    Takeover,
)
from longshore.doors.kubernetes import translate
from longshore.doors.kubernetes.audit.auditor import Auditor, Entry
from longshore.doors.kubernetes.callers import acting, authenticated
from longshore.doors.kubernetes.custom_metrics import VERSIONS, CustomMetrics
from longshore.doors.kubernetes.documents import HEALTH, Documents, only_get
from longshore.doors.kubernetes.fairness.admission import MUST_WAIT, Fairness
from longshore.doors.kubernetes.fairness.upkeep import keep_up
from longshore.doors.kubernetes.measuring import Measured
from longshore.doors.kubernetes.metrics import Metrics
from longshore.doors.kubernetes.requested import wish_of, wish_of_unknown
from longshore.doors.kubernetes.routes import Api
from longshore.doors.kubernetes.translate import Target
from longshore.doors.kubernetes.usage import ProjectUsages
from longshore.doors.kubernetes.watchpaths import modern

log = logging.getLogger(__name__)

SNAPSHOT_PATH = "/longshore/snapshot"
"""Where a backup is read: the administrator's, since no role but cluster-admin grants it."""
_JSON_LINES = "application/x-ndjson"
_REFUSALS = {400: "BadRequest", 405: "MethodNotAllowed", 413: "RequestEntityTooLarge"}


@dataclass(frozen=True, slots=True)
class Version:
    """What /version says besides."""

    git_version: str = GIT_VERSION
    git_commit: str = ""
    build_date: str = "1970-01-01T00:00:00Z"
    platform: str = "linux/amd64"

    def doc(self) -> Doc:
        major, minor, _ = KUBERNETES_VERSION[1:].split(".", 2)
        return {
            "major": major, "minor": minor, "gitVersion": self.git_version,
            "gitCommit": self.git_commit, "gitTreeState": "clean", "buildDate": self.build_date,
            "goVersion": "none", "compiler": "python", "platform": self.platform,
        }  # fmt: skip


_VERSION = Version()
_NO_TOKENS = NoTokens()


def _no_more() -> Iterator[str]:
    yield from ()


@dataclass(frozen=True, slots=True)
class DoorConfig:
    """What a door has besides a registry. checks are what readyz looks at, by name; address is
    what /api tells clients; without streams, logs are refused; without samples there is no group
    metrics.k8s.io, without exposed none of custom and external metrics; tokens says whose bearer
    tokens are; seats is how much may be at work at the same time, divided by priority and fairness
    (0: no limit); auditor hears of every request; snapshot gives all that a backup needs of the
    store, in pieces of JSON lines; metrics what else /metrics has to tell, line by line; configuration
    what /configz tells of the loops here, by the API group of each (component-base/configz)."""

    streams: Streams | None = None
    samples: Samples | None = None
    exposed: Exposed | None = None
    tokens: AnyTokens = _NO_TOKENS
    kinds: Kinds = KINDS
    checks: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    version: Version = _VERSION
    address: str = ""
    seats: int = SEATS_TOTAL
    auditor: Auditor | None = None
    snapshot: Callable[[], Pieces] | None = None
    metrics: Callable[[], Iterator[str]] = _no_more
    configuration: Callable[[], Mapping[str, Doc]] = dict


@dataclass(slots=True)
class _Course:
    """What becomes known of a request on its way: what it is about, and what its answer's headers
    say even if it is an error."""

    audit_id: str
    target: Target | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    entry: Entry | None = None


class KubernetesDoor:
    """Give handle and refusal to a Server, and let run() run beside it."""

    def __init__(
        self, registry: Registry, clock: Clock, chance: Chance, config: DoorConfig | None = None
    ) -> None:
        config = config or DoorConfig()
        self._api = Api(registry, clock, chance, config.streams, config.tokens)
        self._kinds = config.kinds
        self._usages = ProjectUsages(registry, clock)
        self._metrics: Metrics | None = None
        if config.samples is not None:
            self._metrics = Metrics(registry, config.samples, clock)
            self._kinds = Kinds((*config.kinds, *MEASURED))
        self._custom: CustomMetrics | None = None
        if config.exposed is not None:
            self._custom = CustomMetrics(registry, config.exposed, self._kinds)
        self._tokens = config.tokens
        self._permission = registry.permission
        self._auditor = config.auditor
        self._snapshot = config.snapshot
        self._more_metrics = config.metrics
        self._configuration = config.configuration
        self._fairness = Fairness(registry, clock, config.seats)
        self._measured = Measured(registry, config.kinds, clock, self._api.watches)
        self._documents = Documents(
            self._kinds, config.tokens, clock, config.address, config.version.doc(), config.checks
        )
        if self._custom is not None:
            self._documents.listed = {
                (group, version): partial(self._custom.resources, group)
                for group, version in VERSIONS.items()
            }
        # Audit-ID: unique by a random part for this door and a count.
        self._audit = chance.uuid()[:24]
        self._asked = 0

    async def run(self) -> None:
        """Mind the time of open watches, and what must always be there, until cancelled."""
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._api.watches.run(), name="watch times")
            crew.create_task(keep_up(self._api.registry), name="flow schemas")
            crew.create_task(self._fairness.run(), name="waiting requests")

    async def handle(self, request: Request) -> AnyReply:
        request = modern(self._kinds, request)
        course, began = _Course(self._audit_id(request)), self._measured.begin(request)
        try:
            reply = await self._handled(request, course)
            self._measured.answered(request, course.target, reply, began)
        finally:
            self._measured.left(request)
        return reply

    async def _handled(self, request: Request, course: _Course) -> AnyReply:
        try:
            reply = await self._answer(request, course)
        except Unauthorized as error:
            reply = self._failure(error)
            if self._auditor is not None and course.entry is None:
                course.entry = self._auditor.unknown(request, course.target, course.audit_id)
        except ApiError as error:
            reply = self._failure(error)
        except Exception:  # the door's rim: a fault of ours is a 500 to one client
            log.exception("%s %s", request.method, request.path)
            if course.entry is not None:
                course.entry.panicked()
                course.entry = None
            reply = self._failure(InternalError("internal error; the server's log says more"))
        if not isinstance(reply, Takeover):
            self._stamp(reply, course)
        return reply if course.entry is None else course.entry.answered(reply)

    def _acting(self, asker: User, request: Request, course: _Course) -> User:
        """As whom somebody asks. What is told of it begins here."""
        if self._auditor is None:
            return acting(asker, request, self._permission)
        try:
            who = acting(asker, request, self._permission)
        except Undecided:
            raise
        except ApiError:
            course.entry = self._auditor.begin(
                request, asker, asker, course.target, course.audit_id
            )
            raise
        course.entry = self._auditor.begin(request, asker, who, course.target, course.audit_id)
        return who

    def refusal(self, status: int, message: str) -> Reply:
        """How the server under this door refuses what is no request."""
        reason = _REFUSALS.get(status, "")
        refused = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": status,
        }  # fmt: skip
        return Reply(status, orjson.dumps(refused))

    def _audit_id(self, request: Request) -> str:
        self._asked += 1
        given = request.headers.get("audit-id")
        if given and len(given) <= 64 and given.isascii() and given.isprintable():
            return given
        return f"{self._audit}{self._asked:012x}"

    @staticmethod
    def _stamp(reply: Reply | SlicedReply | StreamReply, course: _Course) -> None:
        reply.headers.update(course.headers)
        reply.headers["Audit-ID"] = course.audit_id
        reply.headers.setdefault("Cache-Control", "no-cache, private")

    @staticmethod
    def _failure(error: ApiError) -> Reply:
        headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
        return Reply(error.code, orjson.dumps(translate.failure(error)), headers=headers)

    async def _answer(self, request: Request, course: _Course) -> AnyReply:
        path = request.path
        first = path.split("/", 2)[1] if path.count("/") else ""
        if path[1:] in HEALTH:
            return self._documents.health(request)
        target = translate.parse_target(self._kinds, path) if first in ("api", "apis") else None
        course.target = target
        asker = authenticated(request, self._tokens)
        try:
            who = self._acting(asker, request, course)
        except Undecided:
            who = await decided(partial(self._acting, asker, request, course))
        lane = self._fairness.lane(who, request, target)
        course.headers = lane.headers
        seats = self._fairness.enter(lane, request, target)
        if seats == MUST_WAIT:
            seats = await self._fairness.wait(lane, request, target)
        reply: AnyReply | None = None
        try:
            try:
                reply = await self._let_in(request, first, course, who)
            except Undecided as question:
                again = partial(self._let_in, request, first, course, who)
                reply = await settled(question, again)
            return reply
        finally:
            if seats:
                self._fairness.leave(lane, seats, reply)

    async def _let_in(self, request: Request, first: str, course: _Course, who: User) -> AnyReply:
        """first is the first part of the path."""
        target = course.target
        if course.entry is not None:
            course.entry.judged(self._judged(request, target, who))
        if target is not None and self._metrics and target.kind in MEASURED:
            return await self._metrics.answer(request, target, who)
        if target is not None and target.kind is PROJECT_USAGE:
            return await self._usages.answer(request, target, who)
        if target is not None:
            return await self._api.answer(request, target, who)
        self._check_path(request, who)
        if self._custom is not None and (metrics := await self._custom.answer(request)) is not None:
            return metrics
        return self._document(request, first)

    def _document(self, request: Request, first: str) -> Reply | StreamReply:
        """What is no object."""
        if request.path == "/metrics":
            only_get(request)
            told = self._measured.text(chain(self._fairness.lines(), self._more_metrics()))
            return Reply(200, told, METRICS_MEDIA)
        if request.path == "/configz":
            only_get(request)
            return Reply(200, orjson.dumps(self._configuration()))
        if request.path == SNAPSHOT_PATH and self._snapshot is not None:
            only_get(request)
            return StreamReply(self._snapshot(), content_type=_JSON_LINES)
        return self._documents.answer(request, first)

    def _judged(self, request: Request, target: Target | None, who: User) -> Verdict:
        """Whether the request is allowed, and why: for those who are told of it."""
        wish = wish_of_unknown(request) if target is None else wish_of(request, target)
        if wish is None:
            return self._permission.judge_path(who, request.method.lower(), request.path)
        return self._permission.verdict(who, wish)

    def _check_path(self, request: Request, who: User) -> None:
        """Raises Forbidden. Who may not have a kind of resources does not hear if it is served."""
        wish = wish_of_unknown(request)
        if wish is None:
            self._permission.authorize_path(who, request.method.lower(), request.path)
        else:
            self._permission.check(who, wish)
