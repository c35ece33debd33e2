"""What it costs to ask whether somebody may: processor time of one question, with many roles."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import product

from bench.table import Figure
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import User, loop_user
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rbac.defaults import default_objects
from longshore.core.objects.rbac.form import binding, rule
from longshore.core.registry.client import Create
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.permission.authorizer import Authorizer
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes.door import KubernetesDoor

ROLES, BINDINGS, USERS = 1000, 10_000, 500
ROUNDS, BATCH = 7, 1000
_AUTHENTICATED = "system:authenticated"
_CONTAINER = {"name": "main", "image": "nginx"}
_ROWS = (("get list watch", "core", "pods services"), ("get patch", "apps", "deployments"))


async def figures() -> list[Figure]:
    registry = Registry(MemoryStore(), SystemClock(), Chance())
    await registry.open()
    running = asyncio.ensure_future(registry.run())
    await _fill(InProcess(registry, loop_user("bench")))
    door = KubernetesDoor(registry, SystemClock(), Chance())
    found = [*_measured(registry.permission), *await _through(door)]
    running.cancel()
    return found


async def _fill(client: InProcess) -> None:
    await client.write(Create(kinds.NAMESPACE, {"metadata": {"name": "default"}}))
    creates = [Create(kind, doc) for kind, doc in default_objects() if not kind.namespaced]
    creates.append(Create(kinds.DEPLOYMENT, _deployment()))
    creates += [Create(kinds.CLUSTER_ROLE, _role(number)) for number in range(ROLES)]
    bound = product(range(USERS), range(BINDINGS // USERS))
    creates += [Create(kinds.CLUSTER_ROLE_BINDING, _binding(*pair)) for pair in bound]
    for start in range(0, len(creates), BATCH):
        for answer in await client.submit(creates[start : start + BATCH]):
            assert isinstance(answer, dict), answer


async def _through(door: KubernetesDoor) -> list[Figure]:
    """A GET of one object by a master and by a user, in turns, so that both meet the same weather."""
    users = [User(f"user-{number}", ("team", _AUTHENTICATED)) for number in range(USERS)]
    masters = [User("admin", ("system:masters", _AUTHENTICATED))] * USERS
    taken: dict[str, list[float]] = {"a master": [], "a user": []}
    for _ in range(ROUNDS):
        for who, callers in (("a master", masters), ("a user", users)):
            taken[who].append(await _asked(door, callers))
    master, user = min(taken["a master"]), min(taken["a user"])
    ratio = f"{user / master:.2f} times a master's {master:.0f} us"
    return [
        Figure("a user's GET through the door", user, "us", note=ratio),
        Figure("what permission adds to it", user - master, "us", 30),
    ]


async def _asked(door: KubernetesDoor, callers: list[User]) -> float:
    """Microseconds for each."""
    path, before = "/apis/apps/v1/namespaces/default/deployments/web", time.process_time()
    for who in callers:
        reply = await door.handle(Request("GET", path, {}, {}, b"", who, path))
        assert isinstance(reply, Reply) and reply.status == 200
    return (time.process_time() - before) / len(callers) * 1e6


def _deployment() -> Doc:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [_CONTAINER]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


def _role(number: int) -> Doc:
    rules = [rule(row) for row in _ROWS]
    rules[0]["resourceNames"] = [f"only-{number}"]
    return {"metadata": {"name": f"role-{number}"}, "rules": rules}


def _binding(user: int, number: int) -> Doc:
    of = f"role-{(user * 7 + number) % ROLES}"
    subjects = [f"user:user-{user}"]
    return binding(kinds.CLUSTER_ROLE_BINDING, f"b-{user}-{number}", subjects, role_name=of)


def _measured(permission: Authorizer) -> Iterator[Figure]:
    users = [User(f"user-{number}", ("team", _AUTHENTICATED)) for number in range(USERS)]
    node = User("system:node:n1", ("system:nodes", _AUTHENTICATED))
    note = f"{ROLES:,} roles, {BINDINGS:,} bindings; processor, least of {ROUNDS}"

    def anew(who: User) -> None:
        permission.reload(permission.cache)
        ask(who)

    def ask(who: User) -> None:
        permission.authorize(who, "get", kinds.DEPLOYMENT, "default", "web")

    def ask_node(who: User) -> None:
        permission.authorize(who, "patch", kinds.POD, "default", "web", "status")

    masters = [User("admin", ("system:masters", _AUTHENTICATED))]
    yield Figure("authorise a master", _each(ask, masters * USERS), "us", 1, note=note)
    yield Figure("authorise a node", _each(ask_node, [node] * USERS), "us", 5, note=note)
    yield Figure("authorise a user", _each(ask, users), "us", 15, note=note)
    first = _once(lambda: anew(users[0]))
    yield Figure("first question after a start", first / 1000, "ms", note=note)
    per_change = _each(lambda who: _changed(permission, who), users)
    yield Figure("a user's first after a change", per_change, "us", 200, note=note)


def _changed(permission: Authorizer, who: User) -> None:
    permission._holdings.clear()
    permission.authorize(who, "get", kinds.DEPLOYMENT, "default", "web")


def _each(ask: Callable[[User], None], users: list[User]) -> float:
    """Microseconds for each, the least of several rounds."""

    def all_of_them() -> None:
        for who in users:
            ask(who)

    return min(_once(all_of_them) for _ in range(ROUNDS)) / len(users)


def _once(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return (time.process_time() - before) * 1e6
