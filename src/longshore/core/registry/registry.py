"""The registry: the one way to read and to write.

The road of a write: who may? -> schema -> defaults -> admission -> rules -> commit queue ->
one durable transaction -> cache -> everyone who watches. A write of an object is planned on its
newest state, in the same turn of the loop in which it is queued, so nothing comes between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects import kinds, meta
from longshore.core.objects.errors import AlreadyExists, ApiError, NotFound
from longshore.core.objects.kinds import KINDS, Doc, Kind, Kinds, Ref
from longshore.core.objects.patches import detached, json_merge_patch, own_fields
from longshore.core.objects.validation import Undecodable
from longshore.core.registry import planning
from longshore.core.registry.admission import admin_access, device_taints, escalation, services
from longshore.core.registry.admission.attributes import Attributes
from longshore.core.registry.admission.chain import Admission
from longshore.core.registry.admission.surroundings import AdmissionConfig, Surroundings
from longshore.core.registry.books import Books
from longshore.core.registry.claims import ClaimRules
from longshore.core.registry.client import (
    Answers,
    Bind,
    Create,
    Delete,
    DeleteOptions,
    Operation,
    Patch,
    Update,
)
from longshore.core.registry.commits import CommitQueue, Intent, Pending
from longshore.core.registry.configuration import configuration
from longshore.core.registry.fencing import Fence
from longshore.core.registry.loading import Loaded
from longshore.core.registry.patching import apply_patch, invalid_patch, judged, read_patch
from longshore.core.registry.permission.union import Stage, UnionAuthorizer
from longshore.core.registry.planning import Plan
from longshore.core.registry.reads import Filter, ListOptions
from longshore.core.registry.sent import PLAIN, WriteOptions, of_loop
from longshore.core.registry.services import ServiceAddresses, ServiceRanges
from longshore.core.registry.sharing import Sharing
from longshore.core.registry.versions import as_version
from longshore.core.registry.writing import Writing
from longshore.core.store.protocol import SharedStore, Store
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored

# How often a generated name is tried again when it is taken (upstream tries 8 times).
GENERATE_NAME_TRIES = 8
# Kinds whose strategies say so (pkg/registry/*/strategy.go AllowCreateOnUpdate).
_MADE_BY_UPDATE = frozenset((
    kinds.CLUSTER_ROLE, kinds.CLUSTER_ROLE_BINDING, kinds.ENDPOINTS, kinds.EVENT, kinds.LEASE,
    kinds.LIMIT_RANGE, kinds.ROLE, kinds.ROLE_BINDING, kinds.RUNTIME_CLASS, kinds.SERVICE,
))  # fmt: skip
# How often bindings for which other servers were faster are planned again together, before each is
# on its own.
STALE_TOGETHER = 5
_WARNING = WriteOptions(field_validation="Warn")


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    ranges: ServiceRanges = field(default_factory=ServiceRanges)
    admission: AdmissionConfig = field(default_factory=AdmissionConfig)
    # Who is asked for permission, in that order, where it is not the server alone.
    authorizers: Sequence[Stage] = ()
    # Which keys are written anew even if nothing of their objects changed.
    outdated: Callable[[str], bool] | None = None


class Registry(Writing):
    """Reads from the cache (see Reader) and writes through the commit queue.

    run() must be running for writes to get anywhere. Documents given to create and update become
    the registry's own: the caller must not use them again.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chance: Chance,
        config: RegistryConfig | None = None,
        kinds_served: Kinds = KINDS,
    ) -> None:
        config = config or RegistryConfig()
        cache, order = Cache(kinds_served), config.authorizers
        super().__init__(cache, UnionAuthorizer(cache, order) if order else None)
        self.clock = clock
        self._chance = chance
        self._store = store
        self._kinds = kinds_served
        self._services = ServiceAddresses(config.ranges, chance)
        self._admission = Admission(
            Surroundings(clock, self.permission.allowed, config.admission),
            [
                escalation.hooks(self.permission),
                services.of_tenants(self.permission),
                admin_access.HOOKS,
                device_taints.hooks(clock),
            ],
        )
        self._books = Books(self.cache)
        self._shared: Sharing | None = None
        if isinstance(store, SharedStore):
            self._shared = Sharing(store, clock, kinds_served, ClaimRules(self._books.quotas))
            self._shared.following.on_applied = self._applied
            self._shared.following.on_replaced = self._replaced
        self._queue = self._shared.queue if self._shared else CommitQueue(store, cache, clock)
        self._queue.on_applied = self._applied
        self._queue.on_failed = self._failed
        self._planner = planning.Planner(
            self.cache, clock, chance, self._services, self._admission, self._books
        )
        if config.outdated is not None:
            self._planner.outdated = config.outdated

    async def open(self) -> None:
        """Read the store into the cache."""
        loaded = Loaded(self._kinds)
        self.cache = Cache(self._kinds, await self._store.open(loaded.take))
        self._planner.cache = self._queue.cache = self.cache
        self._books.read_from(self.cache)
        if self._shared is not None:
            self._shared.following.cache = self.cache
        self.permission.reload(self.cache)
        for kind, objects in loaded.found.items():
            self.cache.load(kind, objects)
        self._services.reload(self.cache)

    async def run(self) -> None:
        """Commit what is queued, and hear what others have, until cancelled."""
        if self._shared is None:
            await self._queue.run()
        else:
            await self._shared.run()

    async def close(self) -> None:
        await self._store.close()

    # --- writes ---

    async def create(
        self,
        who: User,
        kind: Kind,
        doc: Doc,
        *,
        namespace: str = "",
        options: WriteOptions = PLAIN,
        fence: Fence | None = None,
    ) -> tuple[Stored, list[str]]:
        """Store a new object; also its warnings. Raises AlreadyExists, Invalid, ..."""
        self.permission.authorize(who, "create", kind, namespace, "")
        if self._shared is None:
            doc, warnings = self._planner.new(kind, doc, namespace, options.by(who))
        else:
            doc, warnings = await self._newly(kind, doc, namespace, options.by(who))
        asked, kind = kind, kind.kept_as
        for attempt in range(GENERATE_NAME_TRIES):
            name = self._planner.name(kind, doc)
            try:
                ref = Ref(kind, namespace, doc["metadata"]["name"])
                plan = self._planner.creation(asked, doc, options)
                return as_version(asked, await self._write(ref, plan, fence)), warnings
            except AlreadyExists:
                if name or attempt == GENERATE_NAME_TRIES - 1:
                    raise
                doc["metadata"]["name"] = ""
        raise AssertionError("unreachable")

    async def update(
        self, who: User, ref: Ref, doc: Doc, options: WriteOptions = PLAIN
    ) -> tuple[Stored, list[str]]:
        """Replace an object, or one subresource of it; also the warnings. Raises Conflict if doc's
        resourceVersion is stale, NotFound, Invalid, ..."""
        self._authorize(who, "update", ref)
        doc, warnings = self._planner.replacement(ref, doc, options)
        plan = self._planner.update(ref, lambda _: doc, options.by(who), warnings)
        stored = await self._write(ref, plan)
        return as_version(ref.kind, stored), warnings

    async def put(
        self, who: User, ref: Ref, doc: Doc, options: WriteOptions = PLAIN
    ) -> tuple[Stored, bool, list[str]]:
        """update(), which for some kinds makes what is not there; the bool says that it did."""
        try:
            stored, warnings = await self.update(who, ref, doc, options)
        except NotFound:
            if ref.subresource or ref.kind.kept_as not in _MADE_BY_UPDATE:
                raise
        else:
            return stored, False, warnings
        stored, warnings = await self.create(
            who, ref.kind, doc, namespace=ref.namespace, options=options
        )
        return stored, True, warnings

    async def patch(
        self,
        who: User,
        ref: Ref,
        patch_type: str,
        patch: bytes,
        options: WriteOptions = PLAIN,
    ) -> tuple[Stored, list[str]]:
        """Patch the newest state; patch_type is the patch's media type. A resourceVersion in the
        patch is a precondition. Raises UnsupportedMediaType, Conflict, Invalid, ..."""
        self._authorize(who, "patch", ref)
        read, warnings = read_patch(patch_type, patch), list[str]()

        def changed(old: Stored) -> Doc:
            there = as_version(ref.kind, old).doc
            shown = meta.scale_of(there) if ref.subresource == "scale" else there
            patched = apply_patch(kinds.SCALE if shown is not there else ref.kind, shown, read)
            try:
                new, unknown = self._planner.replacement(ref, patched, _WARNING, known=shown)
            except Undecodable as error:
                raise invalid_patch(ref.kind, read, error.why) from None
            warnings[:] = judged(ref.kind, read, unknown, options.field_validation)
            return _own(ref, new, shown)

        plan = self._planner.update(ref, changed, options.by(who), warnings)
        stored = await self._write(ref, plan)
        return as_version(ref.kind, stored), warnings

    async def change(self, who: User, ref: Ref, changed: Callable[[Stored], Doc]) -> Stored:
        """Rewrite the newest state of an object, or of its status; changed gives a new document,
        or raises what speaks against it. For writes that depend on what is there."""
        self._authorize(who, "update", ref)
        return await self._write(ref, self._planner.update(ref, changed, of_loop(who)))

    async def apply(
        self, who: User, ref: Ref, config: Doc, options: WriteOptions
    ) -> tuple[Stored, bool, list[str]]:
        """Server-side apply: the object after it, whether it is new, and warnings. options.manager is who
        applies. Raises Conflict with a cause for each field that others own, BadRequest, ..."""
        self._authorize(who, "patch", ref)
        checked = configuration(ref, config)
        warnings: list[str] = []
        plan = self._planner.application(ref, checked, options.by(who), warnings)
        created = False

        def planned(there: Stored | None) -> Intent | Stored:
            nonlocal created
            created = there is None
            if created:
                self._authorize(who, "create", ref)
            return plan(there)

        stored = await self._write(ref, planned)
        return as_version(ref.kind, stored), created, warnings

    async def delete(
        self, who: User, ref: Ref, options: DeleteOptions, *, dry_run: bool = False
    ) -> tuple[Stored, bool]:
        """Delete, or mark for deletion; the object as it is or was, and whether it is gone."""
        self._authorize(who, "delete", ref)
        stored = await self._write(ref, self._deletion(who, ref, options, dry_run))
        stored = as_version(ref.kind, stored)
        return stored, self.cache.shelf(ref.kind).get(ref.key) is None

    async def delete_collection(
        self,
        who: User,
        kind: Kind,
        namespace: str,
        options: DeleteOptions,
        chosen: ListOptions,
        *,
        dry_run: bool = False,
    ) -> list[Stored]:
        """Delete all that match; what they were. Raises what the first one was refused for, with the
        others deleted all the same."""
        those = Filter(kind, namespace, chosen)
        exact = those.fields.exact
        self.permission.authorize_many(who, "deletecollection", kind, namespace, exact)
        await self.confirm()
        found = self._page(those, chosen).items
        doomed = [s for s in found if not (kind is kinds.NAMESPACE and planning.is_system(s))]
        if dry_run:
            return doomed
        refs = [Ref(kind, stored.namespace, stored.name) for stored in doomed]
        plans = [(ref, self._deletion(who, ref, options, False)) for ref in refs]
        for error in await self._write_all(plans):
            if not isinstance(error, NotFound):
                raise error
        return doomed

    async def bind(
        self, who: User, operation: Bind, *, dry_run: bool = False, collected: bool = False
    ) -> Stored:
        """Give a pod its node. Raises Conflict if it has one. collected: by a Binding posted to the
        collection of bindings, which is another right than that to the pod's own."""
        ref = Ref(kinds.POD, operation.namespace, operation.name, "binding")
        asked = Ref(kinds.BINDING, operation.namespace, "") if collected else ref
        self._authorize(who, "create", asked)
        plan = self._planner.binding(operation, dry_run=dry_run)
        return await self._write(ref, plan_only(plan) if dry_run else plan)

    # --- many at once ---

    async def submit(
        self,
        who: User,
        operations: Sequence[Operation],
        fence: Fence | None = None,
        together: int = STALE_TOGETHER,
    ) -> Answers:
        """Plan all of them in one go, so that they share a transaction; answers in order. together: how
        often bindings are planned again in one go for which other servers were faster."""
        # In one turn of the loop: with others let in between slices of it, bursts took twice as long.
        options = of_loop(who)
        begun = [self._begin(who, operation, options, fence) for operation in operations]
        answers: Answers = []
        stale: dict[int, Operation] = {}
        for operation, answer in zip(operations, begun, strict=True):
            if answer is None:
                answers.append(await self._alone(who, operation, fence))
            elif not isinstance(answer, Pending):
                answers.append(answer)
            elif answer.stored is not None:
                answers.append(answer.stored.doc)
            elif (outcome := await _outcome(answer)) is not None:
                answers.append(outcome)
            elif together and isinstance(operation, Bind):
                # There are many where another server binds too, and each is about a pod of its own.
                stale[len(answers)] = operation
                answers.append({})
            else:
                answers.append(await self._alone(who, operation, fence))
        if stale:
            again = await self.submit(who, list(stale.values()), fence, together - 1)
            for number, one in zip(stale, again, strict=True):
                answers[number] = one
        return answers

    async def perform(self, who: User, operation: Operation, fence: Fence | None = None) -> Doc:
        """One operation; raises its ApiError."""
        if isinstance(operation, Create):
            kind, doc, options = operation.kind, planning.copied(operation.doc), of_loop(who)
            namespace = doc["metadata"].get("namespace", "")
            stored, _ = await self.create(
                who, kind, doc, namespace=namespace, options=options, fence=fence
            )
            return stored.doc
        ref, plan = self._planned(who, operation, of_loop(who))
        return (await self._write(ref, plan, fence)).doc

    def _planned(self, who: User, operation: Operation, options: WriteOptions) -> tuple[Ref, Plan]:
        """Authorise an operation and plan it, all but running the plan."""
        match operation:
            case Create(kind, doc):
                namespace = doc["metadata"].get("namespace", "")
                self.permission.authorize(who, "create", kind, namespace, "")
                doc, _ = self._planner.new(kind, doc, namespace, options, owned=False)
                self._planner.name(kind, doc)
                ref = Ref(kind, namespace, doc["metadata"]["name"])
                return ref, self._planner.creation(kind, doc, options)
            case Bind(namespace, name):
                ref = Ref(kinds.POD, namespace, name, "binding")
                self._authorize(who, "create", ref)
                return ref, self._planner.binding(operation)
            case Update(kind, doc, subresource):
                metadata = doc["metadata"]
                ref = Ref(kind, metadata.get("namespace", ""), metadata["name"], subresource)
                self._authorize(who, "update", ref)
                if subresource == "status":
                    return ref, self._planner.restated(ref, doc, options)
                new, _ = self._planner.replacement(ref, doc, options)
                return ref, self._planner.update(ref, lambda _: new, options)
            case Patch(kind, namespace, name, patch, subresource):
                ref = Ref(kind, namespace, name, subresource)
                self._authorize(who, "patch", ref)
                return ref, self._merge(ref, patch, options)
            case Delete(kind, namespace, name, delete_options):
                ref = Ref(kind, namespace, name)
                self._authorize(who, "delete", ref)
                return ref, self._deletion(who, ref, delete_options, False)

    def _begin(
        self, who: User, operation: Operation, options: WriteOptions, fence: Fence | None
    ) -> Doc | ApiError | Pending | None:
        """Queue an operation at once. None if it has to wait: for another write of its object, or
        for what other servers have written."""
        try:
            return self._queued(*self._planned(who, operation, options), fence)
        except ApiError as error:
            final = self._is_final(error) and not _may_be_renamed(operation, error)
            return error if final else None

    async def _alone(self, who: User, operation: Operation, fence: Fence | None) -> Doc | ApiError:
        try:
            return await self.perform(who, operation, fence)
        except ApiError as error:
            return error

    # --- the core of it ---

    async def _newly(
        self, kind: Kind, doc: Doc, namespace: str, options: WriteOptions
    ) -> tuple[Doc, list[str]]:
        """Planner.new() where other servers write too: a refusal counts by what is newest."""
        try:
            return self._planner.new(kind, doc, namespace, options, owned=False)
        except ApiError as error:
            if self._is_final(error):
                raise
            await self.confirm()
            return self._planner.new(kind, doc, namespace, options, owned=False)

    def _deletion(self, who: User, ref: Ref, options: DeleteOptions, dry_run: bool) -> Plan:
        plan = self._planner.deletion(ref, options, dry_run)

        def admitted(there: Stored | None) -> Intent | Stored:
            # In the turn of the plan: under the same name there may be another object by now.
            self.admit("delete", who, ref)
            return plan(there)

        return admitted

    def admit(self, verb: str, who: User, ref: Ref) -> None:
        """Let admission judge what is done to an object without an object of its own: a delete, an
        eviction. Raises ApiError."""
        steps = self._admission.steps(verb, ref.kind, ref.subresource)
        if steps.changes or steps.checks:
            doc: Doc = {"metadata": {"name": ref.name}}
            steps.admit(
                Attributes(
                    verb, ref.kind, ref.namespace, doc, None, who, self.cache, ref.subresource
                )
            )

    def _merge(self, ref: Ref, patch: Doc, options: WriteOptions) -> Plan:
        def changed(old: Stored) -> Doc:
            return _own(ref, json_merge_patch(old.doc, patch), old.doc)

        return self._planner.update(ref, changed, options)

    def _failed(self, batch: Sequence[Pending]) -> None:
        """Nothing came of these writes: give back what they reserved."""
        for pending in batch:
            if pending.kind is kinds.SERVICE and pending.intent.doc is not None:
                there = self.cache.shelf(kinds.SERVICE).get(pending.key)
                self._services.restore(pending.intent.doc, there)
            self._books.settle(pending)

    def _replaced(self) -> None:
        """The cache was read anew."""
        self.permission.reload(self.cache)
        self._services.reload(self.cache)
        self._books.reload()

    def _applied(self, frame: Frame) -> None:
        self._books.applied(frame)
        self.permission.applied(frame)
        if frame.kind is kinds.SERVICE:
            self._services.applied(frame)


def _may_be_renamed(operation: Operation, error: ApiError) -> bool:
    """Whether a name was taken that the server had made up."""
    made_up = isinstance(operation, Create) and not operation.doc["metadata"].get("name")
    return made_up and isinstance(error, AlreadyExists)


def _own(ref: Ref, patched: Doc, doc: Doc) -> Doc:
    """A patched document that a plan may complete. Of a status, it completes nothing in place."""
    return own_fields(patched) if ref.subresource == "status" else detached(patched, doc)


async def _outcome(pending: Pending) -> Doc | ApiError | None:
    """What came of a write; None if another server was faster."""
    try:
        stored = await pending.wait()
    except ApiError as error:
        return error
    return None if stored is None else stored.doc


def plan_only(plan: Plan) -> Plan:
    """The plan with all its refusals, and nothing to be written."""

    def planned(there: Stored | None) -> Stored:
        outcome = plan(there)
        found = outcome if isinstance(outcome, Stored) else there
        assert found is not None
        return found

    return planned
