"""Play many behaviours at once: all pods of a topic are made together, and looked at when they are done.

A Case is a pod, what there must be before it, what is changed while it runs, and what it says. The words
are PyPI's kubernetes client: one connection, so that two hundred pods cost little beside themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kubernetes import client, config, watch
from kubernetes.client.exceptions import ApiException

from ..driver import Cluster

Doc: TypeAlias = dict[str, Any]
Until: TypeAlias = Callable[[Doc], bool]
IMAGE = "busybox:1.36"
PATIENCE_S = 120
# The parts of the client that have no types.
_connect: Any = config.new_client_from_config
_watch: Any = watch.Watch
# The collections of what cases are made of.
_PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "Pod": "/api/v1/namespaces/{}/pods",
    "RuntimeClass": "/apis/node.k8s.io/v1/runtimeclasses",
}


@dataclass(frozen=True)
class Change:
    """One write: create (of body), patch (with body) or delete; subresource as in "ephemeralcontainers"."""

    verb: str
    kind: str
    name: str
    body: Doc = field(default_factory=dict)
    subresource: str = ""


def ended(pod: Doc) -> bool:
    """All its containers have ended, and it says so."""
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def ready(pod: Doc) -> bool:
    """It is ready."""
    conditions = pod["status"].get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def running(pod: Doc) -> bool:
    """It runs."""
    return bool(pod["status"].get("phase") == "Running")


@dataclass(frozen=True)
class Case:
    """A behaviour. says: the whole log of each container that is looked at, by its name; a text alone is
    that of the container `main`. changes are made as soon as the pod satisfies `changed_when`."""

    name: str
    spec: Doc
    says: str | Mapping[str, str] | None = None
    phase: str = "Succeeded"
    before: Sequence[Doc] = ()
    changes: Sequence[Change] = ()
    changed_when: Until = running
    until: Until = ended
    metadata: Doc = field(default_factory=dict)

    @property
    def logs(self) -> Mapping[str, str]:
        if self.says is None:
            return {}
        return {"main": self.says} if isinstance(self.says, str) else self.says


def container(script: str, name: str = "main", **more: Any) -> Doc:
    """A container that runs a line of shell."""
    return {"name": name, "image": IMAGE, "command": ["/bin/sh", "-c", script], **more}


def pod(*containers: Doc, **more: Any) -> Doc:
    """The spec of a pod that is not started again and waits for nobody."""
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": list(containers),
        **more,
    }


def with_volumes(script: str, *volumes: Doc, **more: Any) -> Doc:
    """The spec of a pod that runs a line of shell; the volumes are at /v, /v2, /v3..."""
    places = [f"/v{number + 1 if number else ''}" for number in range(len(volumes))]
    mounts = [{"name": f"v{number}", "mountPath": place} for number, place in enumerate(places)]
    named = [{"name": f"v{number}", **volume} for number, volume in enumerate(volumes)]
    return pod(container(script, volumeMounts=mounts), volumes=named, **more)


def config_map(name: str, data: Mapping[str, str], **more: Any) -> Doc:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": dict(data),
        **more,
    }


def secret(name: str, data: Mapping[str, str], **more: Any) -> Doc:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": dict(data),
        **more,
    }


class Api:
    """One namespace of a cluster, through the client."""

    def __init__(self, connection: Any, namespace: str) -> None:
        self._connection = connection
        self.core = client.CoreV1Api(connection)
        self.namespace = namespace

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request; the answer's document. Raises ApiException."""
        said = {"Accept": "application/json", "Content-Type": "application/json", **headers}
        url = f"{self._connection.configuration.host}{path}"
        answer = self._connection.call_api(method, url, said, body)
        data = json.loads(answer.read() or b"null")
        if not 200 <= answer.status <= 299:
            raise ApiException(status=answer.status, reason=data["message"])
        return data

    def create(self, doc: Doc) -> Any:
        return self.call("POST", self.path(doc["kind"]), doc)

    def path(self, kind: str, *below: str) -> str:
        return "/".join((_PATHS[kind].format(self.namespace), *below))

    def change(self, change: Change) -> None:
        """Raises ApiException."""
        if change.verb == "create":
            self.create(change.body)
            return
        path = self.path(change.kind, change.name, *filter(None, [change.subresource]))
        if change.verb == "delete":
            self.call("DELETE", path)
        else:
            merge = {"Content-Type": "application/strategic-merge-patch+json"}
            self.call("PATCH", path, change.body, **merge)

    def events(self, **since: str) -> Iterator[Doc]:
        """Every pod of the namespace (as ADDED), or with a resource_version none of them; and what
        happens to them then. For at most PATIENCE_S."""

        def listed(**words: Any) -> Any:
            return self.core.list_namespaced_pod(self.namespace, **words)

        yield from _watch().stream(listed, timeout_seconds=PATIENCE_S, **since)

    def pods(self) -> Iterator[Doc]:
        """The pods of events(), but for those that are gone."""
        for event in self.events():
            if event["type"] != "DELETED":
                yield event["raw_object"]

    def delete(self, names: set[str], query: str = "") -> None:
        """Delete pods, one by one or as a query says, and wait until they are gone."""
        since = self.call("GET", self.path("Pod"))["metadata"]["resourceVersion"]
        left = set(names)
        for path in (
            [f"{self.path('Pod')}?{query}"] if query else [self.path("Pod", n) for n in names]
        ):
            self.call("DELETE", path)
        for event in self.events(resource_version=since):
            if event["type"] == "DELETED":
                left.discard(event["raw_object"]["metadata"]["name"])
            if not left:
                return
        raise AssertionError(f"still there: {left}")

    def log(self, name: str, container: str, **words: Any) -> str:
        raw: Any = self.core.read_namespaced_pod_log(
            name, self.namespace, container=container, _preload_content=False, **words
        )
        return str(raw.data.decode())


@dataclass(frozen=True)
class Played:
    """What is seen after all cases of a topic were played: by name, all that the pods ever were."""

    api: Api
    history: Mapping[str, Sequence[Doc]]

    def pod(self, name: str) -> Doc:
        """As it was last."""
        return self.history[name][-1]

    def check(self, case: Case) -> None:
        """Fail unless the case's pod is as it should be and said what it should have said."""
        seen = self.pod(case.name)
        assert case.until(seen), f"never so far: {seen['status']}"
        said = {name: self.api.log(case.name, name) for name in case.logs}
        assert said == dict(case.logs), said
        assert seen["status"]["phase"] == case.phase, seen["status"]


@contextmanager
def namespace(cluster: Cluster, name: str) -> Iterator[Api]:
    """A new namespace, deleted at the end."""
    with _connect(cluster.kubeconfig) as connection:
        api = Api(connection, name)
        api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        _account_of(api)
        yield api
        api.call("DELETE", f"/api/v1/namespaces/{name}")


def _account_of(api: Api) -> None:
    """Wait for the service account, without which a namespace takes no pods."""

    def listed(**words: Any) -> Any:
        return api.core.list_namespaced_service_account(api.namespace, **words)

    for event in _watch().stream(listed, timeout_seconds=PATIENCE_S):
        if event["raw_object"]["metadata"]["name"] == "default":
            return


def play(api: Api, cases: Sequence[Case]) -> Played:
    """Make everything of the cases, change what they change, and wait for all of them."""
    for doc in _once(doc for case in cases for doc in case.before):
        api.create(doc)
    for case in cases:
        metadata = {**case.metadata, "name": case.name}
        api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": case.spec})
    return Played(api, _watched(api, cases))


def _once(docs: Iterator[Doc]) -> list[Doc]:
    """Cases may name the same document; it is made once."""
    return list({(doc["kind"], doc["metadata"]["name"]): doc for doc in docs}.values())


def _watched(api: Api, cases: Sequence[Case]) -> dict[str, list[Doc]]:
    """The pods as they are until the last of them has come as far as its case wants."""
    open_cases = {case.name: case for case in cases}
    to_change = {case.name: case for case in cases if case.changes}
    seen: dict[str, list[Doc]] = {}
    for doc in api.pods():
        name = doc["metadata"]["name"]
        seen.setdefault(name, []).append(doc)
        if name in to_change and to_change[name].changed_when(doc):
            for change in to_change.pop(name).changes:
                api.change(change)
        elif name in open_cases and name not in to_change and open_cases[name].until(doc):
            del open_cases[name]
        if not open_cases:
            break
    return seen
