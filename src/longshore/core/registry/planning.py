"""Plans of writes: from the newest state of an object to what is to be stored, or a refusal.

A plan runs in the turn of the loop in which its outcome is queued; it never waits.
"""

from __future__ import annotations

from collections.abc import Callable

import orjson

from longshore.base.chance import Chance
from longshore.base.clock import Clock, rfc3339
from longshore.base.limits import OBJECT_MAX_BYTES
from longshore.core.objects import kinds, meta, offers
from longshore.core.objects.apply.ownership import Entries, Writer, same_but_time
from longshore.core.objects.defaults import default
from longshore.core.objects.dynamic_ports import given_to
from longshore.core.objects.errors import (
    AlreadyExists,
    BadRequest,
    Cause,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
)
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.core.objects.owners import with_distinct_owners
from longshore.core.objects.patches import own_fields
from longshore.core.objects.rules import validate_create, validate_update
from longshore.core.objects.signing import asked_by, with_times
from longshore.core.registry import ownership
from longshore.core.registry.admission import topology
from longshore.core.registry.admission.attributes import Attributes, note, noting
from longshore.core.registry.admission.chain import Admission
from longshore.core.registry.admission.namespaces import SYSTEM_NAMESPACES, check_alive
from longshore.core.registry.admission.unserved import check_served
from longshore.core.registry.alike import Alike, Key, Made
from longshore.core.registry.binding import TopologyLabels, bound
from longshore.core.registry.books import Books
from longshore.core.registry.capacity.book import Entry, taken_by
from longshore.core.registry.client import Bind, DeleteOptions
from longshore.core.registry.commits import Intent
from longshore.core.registry.deletion import check_preconditions, is_finished, plan_delete
from longshore.core.registry.pod_specs import PodSpec, PodSpecs
from longshore.core.registry.sent import (
    WriteOptions,
    checked,
    checked_scale,
    expect_type,
    metadata_of,
)
from longshore.core.registry.services import ServiceAddresses
from longshore.core.registry.versions import as_version
from longshore.core.watch.cache import Cache
from longshore.core.watch.stored import Stored

# Of these, a change can use more of a quota, or of a node; of all others, only that they are there.
RECHARGED = (kinds.POD, kinds.SERVICE, kinds.PVC, kinds.OFFER)


Plan = Callable[[Stored | None], Intent | Stored]
"""From what is there to what shall be; a Stored is the answer itself: nothing is to be written."""


def is_system(stored: Stored) -> bool:
    return stored.name in SYSTEM_NAMESPACES


class Planner:
    """Makes plans; holds what they need to know besides the object itself."""

    def __init__(
        self,
        cache: Cache,
        clock: Clock,
        chance: Chance,
        services: ServiceAddresses,
        admission: Admission,
        books: Books,
    ) -> None:
        self.cache = cache
        self._clock = clock
        self._chance = chance
        self._services = services
        self._admission = admission
        self._quotas = books.quotas if admission.has("ResourceQuota") else None
        self._ledger = books.ledger
        self._pod_specs = PodSpecs()
        self._alike = Alike(admission)
        self._labels_pods = admission.has(topology.NAME)
        self._topology = TopologyLabels()
        self._needs_namespace = admission.has("NamespaceLifecycle")
        # Whether what the store has under a key is to be written anew, though it stays the same.
        self.outdated: Callable[[str], bool] = lambda key: False

    # --- new objects ---

    def new(
        self, kind: Kind, doc: Doc, namespace: str, options: WriteOptions, *, owned: bool = True
    ) -> tuple[Doc, list[str]]:
        """A complete, valid new object from what a client sent (all but its name, if that is to be
        generated), as its kind is kept, and warnings. doc is used up, unless it is not owned."""
        if kind is not kinds.POD:
            return self._complete(kind, doc if owned else copied(doc), namespace, options)
        key = self._alike.key(doc, namespace, options)
        second = int(self._clock.now())
        like = self._alike.of(key, self.cache, second) if key else None
        if like is None:
            return self._first(key, doc if owned else copied(doc), namespace, options)
        if like.notes:
            note(like.notes)
        return like.named(doc["metadata"].get("name")), list(like.warnings)

    def _first(
        self, key: Key | None, doc: Doc, namespace: str, options: WriteOptions
    ) -> tuple[Doc, list[str]]:
        """A new pod, of which others may be made."""
        second, revision = int(self._clock.now()), self._alike.revision(self.cache)
        with noting() as notes:
            made, warnings = self._complete(kinds.POD, doc, namespace, options)
        if key is not None:
            metadata = {k: v for k, v in made["metadata"].items() if k != "name"}
            first = {**made, "metadata": metadata}
            self._alike.keep(key, Made(first, tuple(warnings), notes, revision, second))
        return made, warnings

    def _complete(
        self, kind: Kind, doc: Doc, namespace: str, options: WriteOptions
    ) -> tuple[Doc, list[str]]:
        expect_type(kind, doc)
        metadata = metadata_of(kind, doc, namespace)
        if metadata.get("resourceVersion"):
            raise BadRequest("resourceVersion should not be set on objects to be created")
        check_served(kind, doc)
        doc, warnings = checked(kind, doc, options)
        if kind.dormant:
            warnings.append(f"{kind.resource}: kept, but nothing in this cluster acts on them yet")
        by = self._writer(kind, "", options)
        kind = kind.kept_as
        doc = meta.prepare_create(kind, with_distinct_owners(doc, warnings))
        doc = default(kind, doc)
        ownership.record_new(kind, doc, by)  # what admission adds is nobody's, as upstream
        if kind is kinds.CSR:
            asked_by(doc, options.who)
        request = Attributes(
            "create", kind, namespace, doc, None, options.who, self.cache,
            dry_run=options.dry_run, warnings=warnings,
        )  # fmt: skip
        self._admission.steps("create", kind).admit(request)
        if kind is kinds.POD:
            self._pod_specs.share(doc)
        return doc, warnings

    def name(self, kind: Kind, doc: Doc) -> bool:
        """Complete metadata.name from generateName, in place; whether the client had named it."""
        metadata = doc["metadata"]
        if metadata.get("name"):
            return not metadata.get("generateName")
        if not metadata.get("generateName"):
            cause = Cause(
                "FieldValueRequired",
                "Required value: name or generateName is required",
                "metadata.name",
            )
            raise Invalid.of(kind, "", [cause])
        metadata["name"] = metadata["generateName"] + self._chance.suffix()
        if kind is kinds.NAMESPACE:
            default(kind, doc)  # it bears its name as a label
        return False

    def creation(self, asked: Kind, doc: Doc, options: WriteOptions) -> Plan:
        """doc as asked's hub keeps it."""
        kind, judged_at = asked.kept_as, self.cache.revision

        def plan(there: Stored | None) -> Intent | Stored:
            metadata = doc["metadata"]
            if there is not None:
                going = "deletionTimestamp" in there.doc["metadata"]
                raise AlreadyExists.of(kind, metadata["name"], going=going)
            if self.cache.revision != judged_at and self._needs_namespace:
                check_alive(self.cache, kind, doc)  # it may have begun to end meanwhile
            metadata["uid"] = self._chance.uuid()
            metadata["creationTimestamp"] = rfc3339(self._clock.now())
            made = meta.identified(kind, doc)
            self._validate_new(asked, made)
            if kind is kinds.SERVICE:
                made = dict(made)
                self._services.complete(made)
            outcome = self._outcome(kind, made, None, options)
            self._charge(kind, made, None, options)
            return outcome

        return plan

    def _validate_new(self, asked: Kind, doc: Doc) -> None:
        shared = self._pod_specs.of(doc)
        known = shared is not None and shared.is_sound
        causes = validate_create(asked, doc, sound_spec=known)
        _refuse(asked.kept_as, doc["metadata"]["name"], causes)
        if shared is not None:
            shared.is_sound = True

    def _charge(self, kind: Kind, doc: Doc, there: Stored | None, options: WriteOptions) -> None:
        if kind is kinds.OFFER:
            self._ledger.hold(kind.key_of(doc), doc, dry_run=options.dry_run)
        if self._quotas is None:
            return
        old = None if there is None else there.doc
        try:
            self._quotas.charge(kind, doc, old, self._clock.now(), dry_run=options.dry_run)
        except Forbidden:
            if kind is kinds.SERVICE:
                self._services.restore(doc, there)
            raise

    # --- changed objects ---

    def replacement(
        self, ref: Ref, doc: Doc, options: WriteOptions, known: Doc | None = None
    ) -> tuple[Doc, list[str]]:
        """What a client sent to replace an object with, checked as far as it can be alone. Fields
        that are those of known, which passed before, are good."""
        if ref.subresource == "scale":
            return checked_scale(doc, options)
        expect_type(ref.kind, doc)
        metadata = metadata_of(ref.kind, doc, ref.namespace)
        if metadata.get("name", ref.name) != ref.name:
            raise BadRequest(
                f"the name of the object ({metadata['name']}) does not match "
                f"the name on the URL ({ref.name})"
            )
        metadata["name"] = ref.name
        return checked(ref.kind, doc, options, known or {})

    def update(
        self,
        ref: Ref,
        changed: Callable[[Stored], Doc],
        options: WriteOptions,
        warnings: list[str] | None = None,
    ) -> Plan:
        """changed gives the new document, as its kind is kept; it is the plan's own. What admission
        warns of is added to warnings when the plan runs."""
        kind = ref.kind.kept_as

        def plan(there: Stored | None) -> Intent | Stored:
            if there is None:
                raise NotFound.of(kind, ref.name)
            old = there.doc
            new = changed(there)
            if ref.subresource == "scale":
                new = _with_scale(ref, there, new)
            _check_identity(ref, new, old)
            new = with_distinct_owners(new, [] if warnings is None else warnings)
            start = ownership.started(ref, new["metadata"].get("managedFields"), old)
            new = self._prepared(ref, new, old, options, warnings)
            same = new == old and start is ownership.stored_entries(old)
            if same and not self.outdated(there.key):
                return there
            by = self._writer(ref.kind, ref.subresource, options)
            entries = ownership.updated(kind, new, old, start, by)
            return self._changed(kind, new, there, entries, options)

        return plan

    def restated(self, ref: Ref, doc: Doc, options: WriteOptions) -> Plan:
        """An update of the status by a loop. Of doc nothing but metadata and status counts, so the
        rest, which is mostly the cache's own, is neither copied nor looked at again."""
        said = {"metadata": {**doc["metadata"]}}
        if "status" in doc:
            said["status"] = copied(doc["status"])

        def changed(old: Stored) -> Doc:
            there = as_version(ref.kind, old).doc
            new = {name: part for name, part in there.items() if name != "status"} | said
            return self.replacement(ref, new, options, known=there)[0]

        return self.update(ref, changed, options)

    def application(
        self, ref: Ref, config: Doc, options: WriteOptions, warnings: list[str]
    ) -> Plan:
        """Server-side apply: config is a checked configuration, which the plan only reads; warnings
        as of update()."""
        kind = ref.kind.kept_as

        def plan(there: Stored | None) -> Intent | Stored:
            if there is None:
                return self._applied_new(ref, config, options, warnings)
            old = there.doc
            by = self._writer(ref.kind, ref.subresource, options)
            applied = ownership.applied(ref, old, config, by, force=options.forced)
            new: Doc = orjson.loads(orjson.dumps(applied.doc))
            _check_identity(ref, new, old)
            new = self._prepared(ref, new, old, options, warnings)
            return self._changed(kind, new, there, applied.entries, options)

        return plan

    def _applied_new(
        self, ref: Ref, config: Doc, options: WriteOptions, warnings: list[str]
    ) -> Intent | Stored:
        if ref.subresource:
            raise NotFound.of(ref.kind, ref.name)
        uid = config["metadata"].get("uid")
        if uid:
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise Conflict.of(ref.kind, ref.name, why)
        kind = ref.kind.kept_as
        by = self._writer(ref.kind, "", options)
        applied = ownership.applied(ref, {}, config, by, force=True)
        doc, told = self.new(kind, orjson.loads(orjson.dumps(config)), ref.namespace, options)
        warnings[:] = told
        ownership.set_entries(doc, applied.entries)
        return self.creation(ref.kind, doc, options)(None)

    def _writer(self, kind: Kind, subresource: str, options: WriteOptions) -> Writer:
        return ownership.writer(kind, subresource, options.manager, self._clock.now())

    def _changed(
        self, kind: Kind, new: Doc, there: Stored, entries: Entries, options: WriteOptions
    ) -> Intent | Stored:
        """The outcome of a changed document, unless nothing but times of entries changed."""
        old = there.doc
        same = new == old and same_but_time(entries, ownership.stored_entries(old))
        if same and not self.outdated(there.key):
            return there
        ownership.set_entries(new, entries)
        if _is_now_finished(kind, new, old):
            return self._outcome(kind, None, there, options)
        outcome = self._outcome(kind, new, there, options)
        if kind in RECHARGED and new.get("spec") != old.get("spec"):
            self._charge(kind, new, there, options)
        return outcome

    def _prepared(
        self, ref: Ref, new: Doc, old: Doc, options: WriteOptions, warnings: list[str] | None
    ) -> Doc:
        kind, part = ref.kind.kept_as, "" if ref.subresource == "scale" else ref.subresource
        # Labels and annotations are patched far more often than specs: what is as it was is complete.
        relabelled = not part and _same_content(new, old)
        if part in ("", "ephemeralcontainers", "resize") and not relabelled:
            new = default(kind, new)
        steps = self._admission.steps("update", kind, part)
        request: Attributes | None = None
        if steps.changes or steps.checks:
            request = Attributes(
                "update", kind, ref.namespace, new, old, options.who, self.cache, part,
                options.dry_run, [] if warnings is None else warnings,
            )  # fmt: skip
            steps.change(request)
        new = meta.prepare_update(kind, new, old, part)
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if request is not None:
            request.doc = new
            steps.check(request)
        if kind is kinds.CSR and part:
            new["status"] = with_times(new["status"], old, rfc3339(self._clock.now()))
        _refuse(kind, new["metadata"]["name"], validate_update(ref.kind, new, old, part))
        if kind is kinds.SERVICE and not part:
            self._services.complete(new)
        if relabelled and "spec" in old and new["spec"] == old["spec"]:
            new["spec"] = old["spec"]  # one for both, whose bytes may be known
        return new

    def binding(self, operation: Bind, *, dry_run: bool = False) -> Plan:
        def plan(there: Stored | None) -> Intent | Stored:
            if there is None:
                raise NotFound.of(kinds.POD, operation.name)
            node = self.cache.shelf(kinds.NODE).get(kinds.NODE.key("", operation.node))
            labels = self._topology.of(node) if self._labels_pods else {}
            pod = bound(there.doc, operation, labels, rfc3339(self._clock.now()))
            shared = self._pod_specs.like(there.doc)
            taken = self._taken(there, operation, shared)
            self._ledger.charge(there.key, taken, operation.node, dry_run=dry_run)
            known = {} if shared is None else {"spec": shared.encoded_on(operation.node)}
            return Intent.of(kinds.POD, pod, there, known)

        return plan

    def _taken(self, there: Stored, operation: Bind, shared: PodSpec | None) -> Entry:
        pod, offer = there.doc, (operation.annotations or {}).get(offers.ANNOTATION, "")
        if offer:
            now = self._clock.now()
            self._ledger.accept(there.key, offer, pod, operation.node, now)
        amounts = taken_by(pod["spec"]) if shared is None else shared.taken
        if operation.annotations and (ports := given_to(pod, operation.annotations)):
            amounts = {**amounts, **ports}
        return Entry(amounts, pod["metadata"].get("generation", 0), offer)

    def deletion(self, ref: Ref, options: DeleteOptions, dry_run: bool) -> Plan:
        def plan(there: Stored | None) -> Intent | Stored:
            if there is None:
                raise NotFound.of(ref.kind, ref.name)
            check_preconditions(ref.kind, there.doc, options)
            left = plan_delete(ref.kind, own_fields(there.doc), options, self._clock.now())
            if dry_run or left == there.doc:
                return there
            return self._storing(there.kind, left, there)

        return plan

    def _storing(self, kind: Kind, doc: Doc | None, there: Stored | None) -> Intent:
        """The intent, made of a spec's bytes where they are known."""
        shared = None if doc is None else self._pod_specs.of(doc)
        return Intent.of(kind, doc, there, {} if shared is None else {"spec": shared.encoded})

    def _outcome(
        self, kind: Kind, doc: Doc | None, there: Stored | None, options: WriteOptions
    ) -> Intent | Stored:
        intent = self._storing(kind, doc, there)
        if len(intent.value or b"") > OBJECT_MAX_BYTES:
            raise TooLarge(f"{kind.name} is larger than {OBJECT_MAX_BYTES} bytes", kind=kind)
        if not options.dry_run:
            return intent
        if doc is None:
            assert there is not None
            return there
        if kind is kinds.SERVICE:
            self._services.restore(doc, there)
        revision = there.revision if there is not None else 0
        return Stored.of(kind, kind.key_of(doc), doc, revision)


def _with_scale(ref: Ref, there: Stored, scale: Doc) -> Doc:
    _check_identity(ref, {"metadata": scale.get("metadata") or {}}, there.doc)
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    return meta.with_replicas(there.fresh(), replicas)


def _check_identity(ref: Ref, new: Doc, old: Doc) -> None:
    sent = new["metadata"].get("resourceVersion")
    if sent and sent != old["metadata"]["resourceVersion"]:
        raise Conflict.of(ref.kind, ref.name)
    uid, known = new["metadata"].get("uid"), old["metadata"]["uid"]
    if uid and uid != known:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {known}"
        raise Conflict.of(ref.kind, ref.name, why)


def _same_content(new: Doc, old: Doc) -> bool:
    """Whether nothing but metadata differs."""
    return new.keys() == old.keys() and all(
        value == old[part] for part, value in new.items() if part != "metadata"
    )


def _is_now_finished(kind: Kind, new: Doc, old: Doc) -> bool:
    """The last thing that held a terminating object is gone."""
    if "deletionTimestamp" not in new["metadata"]:
        return False
    return is_finished(kind, new) and not is_finished(kind, old)


def copied(doc: Doc) -> Doc:
    """What loops build often shares parts with the cache. It costs 4 us."""
    copied: Doc = orjson.loads(orjson.dumps(doc))
    return copied


def _refuse(kind: Kind, name: str, causes: list[Cause]) -> None:
    if causes:
        raise Invalid.of(kind, name, causes)
