"""What the users of a simulation do: each deed is one request, or a few that belong together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import orjson

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.churn import ASKS as OF_CHURN
from longshore.testing.simulator.cluster import SimulatedCluster
from longshore.testing.simulator.record import Asked
from longshore.testing.simulator.script import LIMIT, Args
from longshore.testing.simulator.server import Unreachable
from longshore.testing.simulator.sets import ASKS as OF_SETS
from longshore.testing.simulator.sharing import ASKS as OF_SHARING
from longshore.testing.simulator.sharing import ROOTS, accept
from longshore.testing.simulator.urgency import ASKS as OF_URGENCY

TOKEN = "simulated/token"
ASKS = {**OF_SETS, **OF_URGENCY, **OF_SHARING, **OF_CHURN}
_MERGE = "application/merge-patch+json"
_CORE, _APPS, _BATCH = "/api/v1", "/apis/apps/v1", "/apis/batch/v1"
_POLICY, _SCHEDULING = "/apis/policy/v1", "/apis/scheduling.k8s.io/v1"
_LISTED = (
    (_CORE, "configmaps"), (_CORE, "pods"), (_CORE, "services"), (_CORE, "nodes"),
    (_CORE, "namespaces"), (_APPS, "deployments"), (_APPS, "replicasets"),
    (_APPS, "statefulsets"), (_APPS, "daemonsets"),
    (_BATCH, "jobs"),
)  # fmt: skip
_PREFIXES = {
    _CORE: "/core/", _APPS: "/apps/", _BATCH: "/batch/", _POLICY: "/policy/",
    _SCHEDULING: "/scheduling.k8s.io/", **ROOTS,
}  # fmt: skip


class Users:
    """Does deeds and keeps what was asked and answered."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.asked: list[Asked] = []
        self._cluster = cluster

    async def do(self, what: str, args: Args) -> None:
        if what == "accept an offer":
            await accept(self._cluster, args)
        elif what in ASKS:
            await self.send(*ASKS[what](args))
        else:
            await _DEEDS[what](self, args)

    async def look_around(self) -> None:
        """List all that users make: what was lost without anybody's noticing shows."""
        for root, plural in _LISTED:
            await self.send("GET", root, f"/{plural}")

    async def send(
        self,
        method: str,
        root: str,
        path: str,
        body: Doc | None = None,
        content_type: str = "application/json",
    ) -> Asked:
        """One request for the object at path below root, whose last word is its name."""
        clock, token = self._cluster.clock, f"t{len(self.asked)}"
        one = Asked(token, method, _key(root, path, body), clock.monotonic())
        self.asked.append(one)
        if body is not None and method in ("POST", "PUT", "PATCH"):
            body = _marked(body, token)
        if method != "GET" and self._cluster.outside.doubles():
            one.twice = True
            self._cluster.ask_again(method, root + path, body, content_type)
        try:
            reply = await self._cluster.ask(method, root + path, body, content_type)
        except Unreachable:
            one.ended = clock.monotonic()
            return one
        one.ended, one.status = clock.monotonic(), reply.status
        one.doc = orjson.loads(reply.body)
        return one


def _marked(body: Doc, token: str) -> Doc:
    metadata = body.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), TOKEN: token}
    return {**body, "metadata": {**metadata, "annotations": annotations}}


def _key(root: str, path: str, body: Doc | None) -> str:
    """The store's key of what a path names: /namespaces/NS/PLURAL/NAME or /PLURAL/NAME."""
    words = path.strip("/").partition("?")[0].split("/")
    namespace = words.pop(1) if words[0] == "namespaces" and len(words) > 2 else ""
    if namespace:
        words.pop(0)
    plural, name = words[0], words[1] if len(words) > 1 else _name(body)
    return _PREFIXES[root] + "/".join(filter(None, (plural, namespace, name)))


def _name(body: Doc | None) -> str:
    return str(body["metadata"]["name"]) if body and "metadata" in body else ""


async def _apply_deployment(users: Users, args: Args) -> None:
    name, labels = args["name"], {"app": args["name"]}
    container = {
        "name": "web", "image": "web:0",
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }  # fmt: skip
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": args["replicas"], "selector": {"matchLabels": labels}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
    await users.send("POST", _APPS, "/namespaces/default/deployments", body)


async def _scale(users: Users, args: Args) -> None:
    patch = {"spec": {"replicas": args["replicas"]}}
    await users.send(
        "PATCH", _APPS, f"/namespaces/default/deployments/{args['name']}", patch, _MERGE
    )


async def _set_image(users: Users, args: Args) -> None:
    container = {
        "name": "web", "image": args["image"],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }  # fmt: skip
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    await users.send(
        "PATCH", _APPS, f"/namespaces/default/deployments/{args['name']}", patch, _MERGE
    )


async def _delete_deployment(users: Users, args: Args) -> None:
    options = {"propagationPolicy": args["propagation"]}
    await users.send("DELETE", _APPS, f"/namespaces/default/deployments/{args['name']}", options)


async def _create_job(users: Users, args: Args) -> None:
    container = {
        "name": "work", "image": "work:0",
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
    }  # fmt: skip
    template = {
        "metadata": {"annotations": {"longshore.io/hollow-exit": f"0 after {args['takes_s']}"}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    spec = {
        "completions": args["completions"], "parallelism": args["parallelism"],
        "completionMode": args["mode"], "backoffLimit": 1000, "template": template,
    }  # fmt: skip
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": args["name"]}}
    await users.send("POST", _BATCH, "/namespaces/default/jobs", {**body, "spec": spec})


async def _suspend_job(users: Users, args: Args) -> None:
    patch = {"spec": {"suspend": args["suspend"]}}
    await users.send("PATCH", _BATCH, f"/namespaces/default/jobs/{args['name']}", patch, _MERGE)


async def _resize_job(users: Users, args: Args) -> None:
    patch = {"spec": {"parallelism": args["parallelism"]}}
    await users.send("PATCH", _BATCH, f"/namespaces/default/jobs/{args['name']}", patch, _MERGE)


async def _delete_job(users: Users, args: Args) -> None:
    options = {"propagationPolicy": args["propagation"]}
    await users.send("DELETE", _BATCH, f"/namespaces/default/jobs/{args['name']}", options)


def _map_path(args: Args) -> str:
    return f"/namespaces/{args['namespace']}/configmaps/{args['name']}"


async def _create_map(users: Users, args: Args) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": args["name"]}}
    await users.send("POST", _CORE, f"/namespaces/{args['namespace']}/configmaps", body)


async def _write_map(users: Users, args: Args) -> None:
    """Read, then replace what was read: lost updates would show."""
    read = await users.send("GET", _CORE, _map_path(args))
    if read.status == 200:
        data = read.doc.get("data") or {}
        count = str(int(data.get("count", "0")) + 1)
        await users.send("PUT", _CORE, _map_path(args), {**read.doc, "data": {"count": count}})


async def _read_map(users: Users, args: Args) -> None:
    await users.send("GET", _CORE, _map_path(args))


async def _delete_map(users: Users, args: Args) -> None:
    await users.send("DELETE", _CORE, _map_path(args))


async def _list_maps(users: Users, args: Args) -> None:
    await users.send("GET", _CORE, f"/namespaces/{args['namespace']}/configmaps")


async def _create_pod(users: Users, args: Args) -> None:
    requests = {"cpu": args["cpu"], "memory": "128Mi"}
    container = {"name": "main", "image": "main:1", "resources": {"requests": requests}}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 2}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": args["name"]}, "spec": spec}
    await users.send("POST", _CORE, f"/namespaces/{args['namespace']}/pods", body)


async def _rush(users: Users, args: Args) -> None:
    """Several pods at the same moment: for the last of a quota, or of a node."""
    async with asyncio.TaskGroup() as crowd:
        for number in range(args["count"]):
            one = {**args, "name": f"rush-{number}"}
            crowd.create_task(_create_pod(users, one))


async def _read_pod(users: Users, args: Args) -> None:
    await users.send("GET", _CORE, f"/namespaces/{args['namespace']}/pods/{args['name']}")


async def _delete_pod(users: Users, args: Args) -> None:
    await users.send("DELETE", _CORE, f"/namespaces/{args['namespace']}/pods/{args['name']}")


async def _create_service(users: Users, args: Args) -> None:
    spec = {"selector": {"app": "app-0"}, "ports": [{"port": 80}], "type": "NodePort"}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": args["name"]}, "spec": spec}
    await users.send("POST", _CORE, "/namespaces/default/services", body)


async def _delete_service(users: Users, args: Args) -> None:
    await users.send("DELETE", _CORE, f"/namespaces/default/services/{args['name']}")


async def _create_namespace(users: Users, args: Args) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": args["name"]}}
    await users.send("POST", _CORE, "/namespaces", body)


async def _delete_namespace(users: Users, args: Args) -> None:
    await users.send("DELETE", _CORE, f"/namespaces/{args['name']}")


async def _limit(users: Users, args: Args) -> None:
    """A namespace with a quota."""
    await _create_namespace(users, {"name": args["namespace"]})
    body = {
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "limit"},
        "spec": {"hard": LIMIT},
    }  # fmt: skip
    await users.send("POST", _CORE, f"/namespaces/{args['namespace']}/resourcequotas", body)


async def _schedulable(users: Users, args: Args, closed: bool) -> None:
    patch = {"spec": {"unschedulable": closed or None}}
    await users.send("PATCH", _CORE, f"/nodes/{args['node']}", patch, _MERGE)


async def _cordon(users: Users, args: Args) -> None:
    await _schedulable(users, args, True)


async def _uncordon(users: Users, args: Args) -> None:
    await _schedulable(users, args, False)


_DEEDS: Mapping[str, Callable[[Users, Args], Awaitable[None]]] = {
    "apply deployment": _apply_deployment,
    "scale": _scale,
    "set image": _set_image,
    "delete deployment": _delete_deployment,
    "create job": _create_job,
    "suspend job": _suspend_job,
    "resize job": _resize_job,
    "delete job": _delete_job,
    "create map": _create_map,
    "write map": _write_map,
    "read map": _read_map,
    "delete map": _delete_map,
    "list maps": _list_maps,
    "create pod": _create_pod,
    "rush": _rush,
    "read pod": _read_pod,
    "delete pod": _delete_pod,
    "delete shared pod": _delete_pod,
    "create service": _create_service,
    "delete service": _delete_service,
    "create namespace": _create_namespace,
    "delete namespace": _delete_namespace,
    "limit": _limit,
    "cordon": _cordon,
    "uncordon": _uncordon,
}
__all__ = ["TOKEN", "Users"]
