"""The fixture itself: what a test may say to its cluster."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from longshore.base.clock import rfc3339
from longshore.core.objects.kinds import Doc, Kind, Ref
from longshore.testing.kube import manifests, naming, reports
from longshore.testing.kube.aio import Aio
from longshore.testing.kube.backend import JSON, Answer, Backend
from longshore.testing.kube.conditions import Wanted, condition_of
from longshore.testing.kube.documents import Document
from longshore.testing.kube.errors import KubeWarning, Refused, Unmet
from longshore.testing.kube.faults import Failure
from longshore.testing.kube.kopf import kopf_operator
from longshore.testing.kube.manifests import Source
from longshore.testing.kube.requests import Asked
from longshore.testing.kube.running import Controller, Running, run_in_thread, stop_all

Documents: TypeAlias = list[Document]
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_MANAGER = "pytest"


class Clock:
    """The cluster's time, which flows like everybody's and can be made to jump."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def advance(self, duration: str | float) -> None:
        """Let that much time pass ("10m", or seconds) in the cluster: everything happens that
        would. Clients from outside have their own time, which stays."""
        __tracebackhide__ = True
        self._backend.advance(naming.seconds(duration))

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._backend.now()

    def __str__(self) -> str:
        return rfc3339(self.now())


class Kube:
    """A cluster of a test's own. Objects are named as kubectl does ("deploy/web", "pods"); durations
    are "5s", "1m30s" or seconds; a namespace that is not said is self.namespace.

    All methods block until they are done; kube.aio has the same ones as coroutines.
    """

    Refused: ClassVar[type[Refused]] = Refused
    Unmet: ClassVar[type[Unmet]] = Unmet

    def __init__(self, backend: Backend, base: Path) -> None:
        """base is where relative paths of files begin."""
        self._backend = backend
        self._base = base
        self._running: list[Running] = []
        self.clock = Clock(backend)
        self.aio = Aio(self, backend)

    # -- the cluster -------------------------------------------------------------------------

    @property
    def namespace(self) -> str:
        """Where objects are whose namespace nobody says."""
        return self._backend.namespace

    @property
    def kubeconfig(self) -> Path:
        """The administrator's; $KUBECONFIG names it during the test."""
        return self._backend.kubeconfig

    def node(self, name: str, labels: Mapping[str, str] | None = None, **capacity: str) -> Document:
        """One more node, with pods that run nothing: kube.node("big", cpu="64", memory="256Gi")."""
        __tracebackhide__ = True
        self._backend.add_node(name, capacity, labels or {})
        return self.wait(f"node/{name}", "Ready")

    def snapshot(self) -> Any:
        """All that the cluster holds, for restore()."""
        __tracebackhide__ = True
        return self._backend.snapshot()

    def restore(self, snapshot: Any) -> None:
        """Have the cluster hold what it held then. Who watches has to list again (410 Gone), since
        revisions never go back."""
        __tracebackhide__ = True
        self._backend.restore(snapshot)

    # -- objects -----------------------------------------------------------------------------

    def apply(self, *sources: Source, namespace: str = "") -> Documents:
        """Apply objects (server-side, as manager "pytest", by force): files, directories, YAML text,
        dictionaries or lists of them. What has only a generateName is created. Raises Refused,
        ValueError."""
        __tracebackhide__ = True
        docs = manifests.read(sources, self._base)
        applied = []
        for is_namespace, some in groupby(docs, lambda doc: doc["kind"] == "Namespace"):
            made = [self._applied(doc, namespace) for doc in some]
            for one in made if is_namespace else ():
                self._backend.settle(one.metadata.name)
            applied += made
        return applied

    def create(self, *sources: Source, namespace: str = "") -> Documents:
        """Create objects, which must not be there. Raises Refused, ValueError."""
        __tracebackhide__ = True
        docs = manifests.read(sources, self._base)
        return [self._created(doc, namespace) for doc in docs]

    def get(self, name: str, *, namespace: str = "") -> Document:
        """An object: kube.get("deploy/web"). Raises Refused (404) if it is not there."""
        __tracebackhide__ = True
        return Document(self._ask("GET", self._path(name, namespace)).doc)

    def list(
        self, kind: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Documents:
        """All objects of a kind in a namespace ("*": in all) that meet the selectors."""
        __tracebackhide__ = True
        found = naming.kind_of(kind)
        where = "" if namespace == "*" else namespace or self.namespace
        query = {"labelSelector": labels, "fieldSelector": fields}
        chosen = {name: value for name, value in query.items() if value}
        listed = self._ask("GET", naming.path_of(found, where), **chosen).doc
        named = {"apiVersion": found.api_version, "kind": found.name}
        return [Document({**named, **item}) for item in listed.get("items") or ()]

    def patch(
        self, name: str, patch: Doc, *, namespace: str = "", subresource: str = ""
    ) -> Document:
        """Merge a patch (RFC 7396) into an object, or into its subresource "status" or "scale"."""
        __tracebackhide__ = True
        path = self._path(name, namespace) + (f"/{subresource}" if subresource else "")
        return Document(self._ask("PATCH", path, patch, _MERGE).doc)

    def delete(self, name: str, *, namespace: str = "") -> None:
        """Ask for an object's deletion; gone() waits for it. Raises Refused (404)."""
        __tracebackhide__ = True
        self._ask("DELETE", self._path(name, namespace))

    def events(self, name: str, *, namespace: str = "") -> Documents:
        """The Events about an object, and about what was made for it and is named after it."""
        __tracebackhide__ = True
        ref = naming.ref_of(name, namespace or self.namespace)
        doc = self._backend.ask("GET", naming.path_of(ref.kind, ref.namespace, ref.name)).doc
        return [Document(event) for event in self._events(ref, doc)]

    # -- waiting -----------------------------------------------------------------------------

    def wait(
        self,
        name: str,
        wanted: Wanted = "exists",
        timeout: str | float = "30s",
        namespace: str = "",
    ) -> Document:
        """Wait until an object is as wanted, and return it as it is then.

        wanted is the type of a condition ("Available", "Ready=False"), a path with or without a
        value ("status.phase=Running", "status.loadBalancer.ingress[0].ip"), "exists", or a function
        of the object. The timeout is of the cluster's time, which jumps while nothing happens; where
        clients from outside take part, they have as much real time. Raises Unmet.
        """
        __tracebackhide__ = True
        condition = condition_of(wanted)
        doc = self._awaited(name, condition.words, condition.holds, timeout, namespace)
        assert doc is not None, "only gone() is content with nothing"
        return Document(doc)

    def gone(self, name: str, timeout: str | float = "30s", namespace: str = "") -> bool:
        """Wait until an object is gone. True; or raises Unmet."""
        __tracebackhide__ = True
        self._awaited(name, "go away", lambda doc: doc is None, timeout, namespace)
        return True

    # -- clients from outside ----------------------------------------------------------------

    @property
    def requests(self) -> Sequence[Asked]:
        """What clients from outside have asked, the oldest first; kube's own calls are not there."""
        __tracebackhide__ = True
        return self._backend.requests()

    def forget_requests(self) -> None:
        """Begin requests anew."""
        self._backend.forget_requests()

    def fail_next(self, pattern: str, failure: Failure, times: int = 1) -> None:
        """Refuse the next requests from outside that match ("PATCH pods/*", "watch pods",
        "* leases/*", "GET /version"), with a status (409, 500, ...) or, "drop", by breaking the
        connection. Raises ValueError."""
        __tracebackhide__ = True
        self._backend.fail_next(pattern, failure, times)

    def run(self, controller: Controller) -> Running:
        """Run an asynchronous function, or a plain one, beside the test until its end. Of the
        arguments kube and stop it is given those that it has: stop is a threading.Event that a plain
        function looks at. What it raises fails the test."""
        __tracebackhide__ = True
        return self._started(run_in_thread(controller, self, self._backend))

    def kopf(self, *paths: str | Path, **options: Any) -> Running:
        """Run an operator written with kopf until the end of a with statement, or of the test; options
        are arguments of kopf.operator(). Returns when its startup handlers are through."""
        __tracebackhide__ = True
        files = [self._base / path for path in paths]
        wide = not self._backend.is_real
        return self._started(kopf_operator(files, options, self._backend, cluster_wide=wide))

    # -- within ------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise what has failed beside the test, if something has."""
        __tracebackhide__ = True
        for running in self._running:
            running.check()
        self._backend.broken()

    def asked(self) -> str:
        """What clients asked last, a line each, where that is known."""
        return "" if self._backend.is_real else reports.asked(self._backend.requests())

    def close(self) -> None:
        """Stop all that was run."""
        stop_all(self._running, self._backend)

    def _started(self, running: Running) -> Running:
        __tracebackhide__ = True
        self._running.append(running)
        running.wait_until_ready()
        return running

    def _path(self, name: str, namespace: str) -> str:
        __tracebackhide__ = True
        ref = naming.ref_of(name, namespace or self.namespace)
        return naming.path_of(ref.kind, ref.namespace, ref.name)

    def _applied(self, doc: Doc, namespace: str) -> Document:
        __tracebackhide__ = True
        if not doc.get("metadata", {}).get("name"):
            return self._created(doc, namespace)
        path = self._collection(doc, namespace) + f"/{doc['metadata']['name']}"
        query = {"fieldManager": _MANAGER, "force": "true", "fieldValidation": "Strict"}
        return Document(self._ask("PATCH", path, doc, _APPLY, **query).doc)

    def _created(self, doc: Doc, namespace: str) -> Document:
        __tracebackhide__ = True
        query = {"fieldManager": _MANAGER, "fieldValidation": "Strict"}
        return Document(self._ask("POST", self._collection(doc, namespace), doc, **query).doc)

    def _collection(self, doc: Doc, namespace: str) -> str:
        __tracebackhide__ = True
        kind = _kind_of_doc(doc)
        own = (doc.get("metadata") or {}).get("namespace", "")
        return naming.path_of(kind, own or namespace or self.namespace)

    def _ask(
        self, method: str, path: str, body: Any = None, media: str = JSON, **query: str
    ) -> Answer:
        __tracebackhide__ = True
        answer = self._backend.ask(method, path, body, media, **query)
        if answer.status >= 400:
            raise Refused(answer.doc, answer.status)
        for text in answer.warnings:
            warnings.warn(text, KubeWarning, stacklevel=4)
        return answer

    def _awaited(
        self,
        name: str,
        words: str,
        holds: Callable[[Doc | None], bool],
        timeout: str | float,
        namespace: str,
    ) -> Doc | None:
        __tracebackhide__ = True
        ref = naming.ref_of(name, namespace or self.namespace)
        seconds = naming.seconds(timeout)
        if not ref.kind.kept_as.is_stored:
            raise ValueError(f"{ref.kind.resource} are kept nowhere: there is nothing to wait for")

        def over(doc: Doc | None) -> bool:
            return holds(doc) or any(one.failed for one in self._running)

        met, doc = self._backend.until(ref, over, seconds)
        for running in self._running:
            running.check()
        if not met:
            events = self._events(ref, doc)
            raise Unmet(reports.unmet(ref, words, seconds, doc, events))
        return doc

    def _events(self, ref: Ref, doc: Doc | None) -> Sequence[Doc]:
        where = naming.path_of(naming.kind_of("events"), ref.namespace)
        found = self._backend.ask("GET", where).doc.get("items") or []
        return reports.concerning(doc, ref, found)


def _kind_of_doc(doc: Doc) -> Kind:
    kind = naming.kind_named(str(doc["apiVersion"]), str(doc["kind"]))
    if kind is None:
        raise ValueError(
            f'no matches for kind "{doc["kind"]}" in version "{doc["apiVersion"]}": '
            "it is none of the kinds that this Longshore serves"
        )
    return kind
