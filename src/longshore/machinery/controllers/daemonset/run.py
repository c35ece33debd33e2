"""Bring DaemonSets about: hear of nodes and pods, keep each set's roster, plan, and apply the plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from longshore.base.clock import Clock
from longshore.base.limits import LOOP_SLICE
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Create, Delete, DeleteOptions, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common.answers import first_error, namespace_ends
from longshore.machinery.controllers.common.claiming import Claimer
from longshore.machinery.controllers.common.watching import Claims
from longshore.machinery.controllers.daemonset import plan as planning
from longshore.machinery.controllers.daemonset.line import Removal
from longshore.machinery.controllers.daemonset.pods import PodMaker, node_of
from longshore.machinery.controllers.daemonset.roster import Roster
from longshore.machinery.controllers.history.plan import HASH_LABEL, hash_in
from longshore.machinery.controllers.history.run import History
from longshore.machinery.loop.answers import DONE, Answer, sooner
from longshore.machinery.loop.recorder import EventType, Recorder

Key = tuple[str, str]


class DaemonSets:
    """The reconciler; its keys are (namespace, name)."""

    name = "daemonset"
    watches: tuple[Kind, ...] = (
        kinds.DAEMON_SET, kinds.POD, kinds.NODE, kinds.CONTROLLER_REVISION,
    )  # fmt: skip

    def __init__(self, cache: Cache, client: Client, clock: Clock, recorder: Recorder) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder.named("daemonset-controller")
        self._claims = Claims(kinds.DAEMON_SET)
        self._claimer = Claimer(cache, client, kinds.DAEMON_SET, kinds.POD)
        self._history = History(cache, client, kinds.DAEMON_SET, HASH_LABEL)
        self._rosters: dict[Key, Roster] = {}
        # Sets that have pods to take in or let go, or that were refused some: drawn anew.
        self._stale: set[Key] = set()
        # Sets whose last turn was refused pods: they try with one first.
        self._refused: set[Key] = set()

    # ---- hearing of changes

    def keys(self, event: Frame) -> Iterable[Key]:
        if event.kind is kinds.POD:
            return self._of_pod(event)
        if event.kind is kinds.NODE:
            return self._of_node(event)
        if event.kind is kinds.CONTROLLER_REVISION:
            return self._history.of_revision(event)
        self._history.of_owner(event)
        return (self._claims.of_owner(event),)

    def _of_node(self, event: Frame) -> Iterable[Key]:
        """All sets, if the node is another than before to them: what is there is not what counts."""
        if event.type == "MODIFIED" and event.old is not None and _is_alike(event.old, event.doc):
            return ()
        for roster in self._rosters.values():
            roster.renew(event.stored.name)
        return tuple(self._rosters)

    def _of_pod(self, event: Frame) -> Iterable[Key]:
        if self._claims.are_others(event):
            return ()
        keys = self._claims.of_owned(event)
        if owners.controller(event.doc) is None:
            keys += self._claims.former(event)
            self._stale.update(keys)
            return keys
        for key in keys:
            if not self._claims.selects(key, event.doc):
                self._stale.add(key)
            elif (roster := self._rosters.get(key)) is not None:
                roster.note(event.doc)
        return keys

    # ---- bringing about

    async def reconcile(self, key: Key) -> Answer:
        daemon_set = self._cache.get(kinds.DAEMON_SET, *key)
        if daemon_set is None:
            self._forget(key)
            return DONE
        if owners.is_deleting(daemon_set):
            return DONE  # history and pods go in no order, so nothing true could be said
        try:
            return await self._turn(key, daemon_set)
        except ApiError as error:
            if namespace_ends(error):
                return DONE
            raise

    def _forget(self, key: Key) -> None:
        self._rosters.pop(key, None)
        self._stale.discard(key)
        self._refused.discard(key)

    async def _turn(self, key: Key, daemon_set: Doc) -> Answer:
        history = await self._history.revisions(daemon_set)
        newest, collisions = await self._history.newest(daemon_set, history)
        roster = await self._roster(key, daemon_set, hash_in(newest))
        await self._settle(key, daemon_set, roster)
        plan = planning.plan(daemon_set, roster, collisions)
        failure = await self._create(key, daemon_set, roster, plan.create)
        failure = await self._remove(daemon_set, roster, plan.remove) or failure
        if plan.status != (daemon_set.get("status") or {}):
            changed = {**daemon_set, "status": plan.status}
            await self._client.write(Update(kinds.DAEMON_SET, changed, "status"))
        if failure is not None:
            raise failure
        await self._truncate(daemon_set, roster, history, newest)
        wake = roster.wake_after_s(self._clock.now())
        return sooner(wake, 0.0 if plan.unfinished else None)

    async def _roster(self, key: Key, daemon_set: Doc, mark: str) -> Roster:
        """The set's, drawn anew if it is another than it was for."""
        metadata = daemon_set["metadata"]
        of = (metadata["uid"], int(metadata.get("generation", 0)), mark)
        roster = self._rosters.get(key)
        if roster is not None and roster.of == of and key not in self._stale:
            return roster
        self._stale.discard(key)
        pods = await self._claimer.claimed(daemon_set, self._claims.orphans(key))
        # From here to its place among the others nothing waits: no news is missed.
        roster = Roster(of, planning.rules_of(daemon_set, mark))
        for node in self._cache.all(kinds.NODE):
            roster.touch(node["metadata"]["name"])
        for pod in pods:
            roster.note(pod)
        self._rosters[key] = roster
        return roster

    async def _settle(self, key: Key, daemon_set: Doc, roster: Roster) -> None:
        uid = daemon_set["metadata"]["uid"]

        def pod(name: str) -> Doc | None:
            found = self._cache.get(kinds.POD, key[0], name)
            owner = owners.controller(found) if found is not None else None
            return found if owner is not None and owner["uid"] == uid else None

        def node(name: str) -> Doc | None:
            return self._cache.get(kinds.NODE, "", name)

        while roster.settle(node, pod, self._clock.now(), LOOP_SLICE):
            await self._clock.sleep(0)

    async def _create(
        self, key: Key, daemon_set: Doc, roster: Roster, nodes: Sequence[str]
    ) -> ApiError | None:
        if not nodes:
            return None
        # One first when the last turn failed: a quota or a policy would refuse all of them alike.
        chosen = nodes[:1] if key in self._refused else nodes
        maker = PodMaker(daemon_set, roster.of[2])
        work = [Create(kinds.POD, maker.pod_for(node)) for node in chosen]
        answers = await self._client.submit(work)
        for answer in answers:
            if not isinstance(answer, ApiError):
                roster.note(answer)
                self._tell(daemon_set, "SuccessfulCreate", f"Created pod: {_name(answer)}")
        failure = first_error(answers)
        if failure is None:
            self._refused.discard(key)
            return None
        self._refused.add(key)
        self._stale.add(key)  # nobody knows what became of a write without an answer
        if not namespace_ends(failure):
            message = f"Error creating: {failure.message}"
            self._tell(daemon_set, "FailedCreate", message, "Warning")
        return failure

    async def _remove(
        self, daemon_set: Doc, roster: Roster, removals: Sequence[Removal]
    ) -> ApiError | None:
        if not removals:
            return None
        for one in removals:
            self._tell_why(daemon_set, one)
        work = [_deletion(one.pod) for one in removals]
        answers = [None if isinstance(a, NotFound) else a for a in await self._client.submit(work)]
        for one, answer in zip(removals, answers, strict=True):
            node = node_of(one.pod)
            roster.touch(node)
            if isinstance(answer, ApiError):
                continue
            self._tell(daemon_set, "SuccessfulDelete", f"Deleted pod: {_name(one.pod)}")
            if one.why == "failed":
                roster.replaced(node, self._clock.now())
        return first_error(answers)

    async def _truncate(
        self, daemon_set: Doc, roster: Roster, history: Sequence[Doc], newest: Doc
    ) -> None:
        """Keep to revisionHistoryLimit, which counts all but the newest; what there are pods of
        stays."""
        limit = int(daemon_set["spec"].get("revisionHistoryLimit", 10))
        old = [one for one in history if one["metadata"]["uid"] != newest["metadata"]["uid"]]
        if len(old) > limit:
            marks = set(roster.live_marks())
            live = {_name(one) for one in old if hash_in(one) in marks}
            await self._history.forget(old, live, len(old) - limit)

    # ---- telling

    def _tell_why(self, daemon_set: Doc, removal: Removal) -> None:
        metadata = removal.pod["metadata"]
        where = f"{metadata['namespace']}/{metadata['name']} on node {node_of(removal.pod)}"
        if removal.why == "failed":
            message = f"Found failed daemon pod {where}, will try to kill it"
            self._tell(daemon_set, "FailedDaemonPod", message, "Warning")
        elif removal.why == "succeeded":
            message = f"Found succeeded daemon pod {where}, will try to delete it"
            self._tell(daemon_set, "SucceededDaemonPod", message)

    def _tell(
        self, daemon_set: Doc, reason: str, message: str, type_: EventType = "Normal"
    ) -> None:
        self._recorder.event(daemon_set, type_, reason, message)


def _is_alike(old: Doc, new: Doc) -> bool:
    """Whether a DaemonSet would think of both versions of a node alike: labels and taints."""
    same_labels: bool = old["metadata"].get("labels") == new["metadata"].get("labels")
    return same_labels and bool(old["spec"].get("taints") == new["spec"].get("taints"))


def _deletion(pod: Doc) -> Delete:
    metadata = pod["metadata"]
    options = DeleteOptions(uid=metadata["uid"])
    return Delete(kinds.POD, metadata["namespace"], metadata["name"], options)


def _name(doc: Doc) -> str:
    return str(doc["metadata"]["name"])
