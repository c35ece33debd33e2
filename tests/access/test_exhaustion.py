"""What would use a server up: small requests that cost hours, and many that each leave something
behind. Each is answered at once, and the memory stays as it was."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import parse_labels
from longshore.doors.kit.reader import RequestReader
from tests.doors.rig import Kube, config_map, deployment, kube, pod
from tests.permission.rig import JANE

MAPS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
LARGEST = 10**64
MEGABYTE = 1_000_000


def resident_bytes() -> int:
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


async def grown_by(times: int, ask: Callable[[int], Awaitable[None]]) -> int:
    """Bytes that the process is larger afterwards, apart from what the first few need."""
    for number in range(3):
        await ask(number)
    before = resident_bytes()
    for number in range(3, times):
        await ask(number)
    return resident_bytes() - before


# --- amounts ---


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1e999999999", LARGEST), ("-1e999999999", -LARGEST), ("9" * 4000 + "Ei", LARGEST),
        ("1E99999999999999999999", LARGEST), ("0e999999999", 0), ("1000E", 10**21),
    ],
)  # fmt: skip
def test_no_amount_takes_long_or_is_larger_than_the_largest(written: str, meant: int) -> None:
    assert quantities.parse(written) == meant
    assert len(quantities.text(quantities.parse(written))) < 80


@pytest.mark.parametrize("written", ["1e-999999999", "0.0000000001", "0." + "0" * 4000 + "1"])
def test_who_wants_something_wants_a_billionth(written: str) -> None:
    assert quantities.parse(written) * 10**9 == 1
    assert quantities.text(quantities.parse(written)) == "1n"


@pytest.mark.parametrize(
    "amount", ["1e999999999", "1e-999999999", "1" + "0" * 4200, "1e" + "9" * 5000]
)
async def test_amounts_in_objects(amount: str) -> None:
    async with kube() as ask:
        hard = {"spec": {"hard": {"requests.cpu": amount}}, "metadata": {"name": "q"}}
        quota = await ask("POST", "/api/v1/namespaces/default/resourcequotas", hard)
        doc = pod("p")
        doc["spec"]["containers"][0]["resources"] = {"requests": {"cpu": amount}}
        answer = await ask("POST", PODS, doc)
        assert (quota.status, answer.status) in ((201, 201), (400, 400)), answer.doc


# --- what is looked at once is not kept ---


async def _refused_labels(ask: Kube, number: int) -> None:
    doc = config_map("c")
    doc["metadata"]["labels"] = {"a": f"{number}" + "x" * MEGABYTE}
    assert (await ask("POST", MAPS, doc)).status == 422


async def _refused_keys(ask: Kube, number: int) -> None:
    doc = config_map("c", **{f"{number}" + "x" * MEGABYTE: "v"})
    assert (await ask("POST", MAPS, doc)).status == 422


async def _refused_schedules(ask: Kube, number: int) -> None:
    template: Doc = {"spec": {"template": {"spec": pod("p")["spec"] | {"restartPolicy": "Never"}}}}
    spec = {"schedule": f"{number}" + ",1" * (MEGABYTE // 2) + " * * * *", "jobTemplate": template}
    path = "/apis/batch/v1/namespaces/default/cronjobs?dryRun=All"
    answer = await ask("POST", path, {"metadata": {"name": "c"}, "spec": spec})
    assert answer.status == 422 and "must be no more than 1024 bytes" in answer.doc["message"]


async def _long_selectors(ask: Kube, number: int) -> None:
    selector = ",".join(f"a{number}x{one}" for one in range(6000))
    for query in (f"labelSelector={selector}", f"fieldSelector=metadata.name={selector[:60_000]}"):
        await ask("GET", f"{MAPS}?{query}")


async def _long_headers(ask: Kube, number: int) -> None:
    long = f"{number}" + "x" * 60_000
    for name in ("accept", "user_agent", "content_type", "audit_id", "authorization"):
        await ask("POST", MAPS, {}, **{name: long})


async def _long_paths(ask: Kube, number: int) -> None:
    for path in (f"{MAPS}/{number}", f"/apis/{number}", f"/{number}", f"{PODS}/p/{number}"):
        await ask("GET", path + "x" * 60_000)


ATTEMPTS = (
    _refused_labels, _refused_keys, _refused_schedules, _long_selectors, _long_headers, _long_paths,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda one: str(one.__name__).strip("_"))
async def test_nothing_is_left_behind(attempt: Callable[[Kube, int], Awaitable[None]]) -> None:
    """Kept, each of these would be more than the bound."""
    async with kube() as ask:
        assert await grown_by(40, lambda number: attempt(ask, number)) < 20 * MEGABYTE


async def test_nothing_is_left_behind_of_queries() -> None:
    """They are read before anybody knows who asks."""

    async def read(number: int) -> None:
        reader = RequestReader(64 * 1024, MEGABYTE)
        reader.feed(b"GET /a?x%d=%b HTTP/1.1\r\n\r\n" % (number, b"y" * 60_000))
        assert reader.next().request.path == "/a"

    assert await grown_by(500, read) < 20 * MEGABYTE


def strangers() -> Iterator[str]:
    yield from (f"{number}.{'x' * 8000}.y" for number in range(2000))


async def test_nothing_is_left_behind_of_tokens() -> None:
    async with kube() as ask:
        tokens = strangers()

        async def knock(_: int) -> None:
            ask.user = None
            answer = await ask("GET", MAPS, None, authorization=f"Bearer {next(tokens)}")
            assert answer.status == 401

        assert await grown_by(1000, knock) < 5 * MEGABYTE


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("POST", MAPS, "create"), ("PUT", f"{MAPS}/a", "update"), ("PATCH", f"{MAPS}/a", "patch"),
        ("POST", f"{PODS}/p/eviction", "create"), ("PUT", f"{PODS}/p/status", "update"),
        ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", "create"),
    ],
)  # fmt: skip
async def test_nothing_large_is_read_for_who_may_not_send_it(
    method: str, path: str, verb: str
) -> None:
    """This would take its reader a second, and be refused for what it is."""
    body = b"a: [" + b"a," * 90_000 + b"a]"
    async with kube(roles=True) as ask:
        yaml = {"content_type": "application/yaml"}
        ask.user = JANE
        answer = await ask(method, path, body, **yaml)
        assert answer.status == 403
        assert f'User "jane" cannot {verb} resource' in answer.doc["message"]


# --- what is long costs as much as it is long ---

JSON_PATCH = {"content_type": "application/json-patch+json"}
LONG = 1500


class Tick:
    """Counts the turns of the interpreter, which load on the machine does not change."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, frame: object, event: str, argument: object) -> None:
        self.calls += 1

    def __enter__(self) -> Tick:
        sys.setprofile(self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)


def long_labels(count: int) -> Doc:
    doc = deployment("d")
    doc["spec"]["selector"]["matchLabels"] = {f"k{number}": "v" for number in range(count)}
    doc["spec"]["template"]["metadata"]["labels"] = doc["spec"]["selector"]["matchLabels"]
    return doc


def long_environment(count: int) -> Doc:
    doc = pod("p")
    doc["spec"]["containers"][0]["env"] = [{"name": f"E{n}", "value": "v"} for n in range(count)]
    return doc


DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
LONG_DOCS: dict[str, tuple[str, Callable[[int], Doc]]] = {
    "labels": (DEPLOYMENTS, long_labels),
    "environment": (PODS, long_environment),
}  # fmt: skip


@pytest.mark.parametrize("what", LONG_DOCS)
async def test_twice_as_long_costs_twice_as_much(what: str) -> None:
    path, made = LONG_DOCS[what]
    async with kube() as ask:
        calls = []
        for count in (10, LONG, 2 * LONG):
            with Tick() as tick:
                answer = await ask("POST", f"{path}?dryRun=All", made(count))
            assert answer.status == 201, answer.doc
            calls.append(tick.calls)
        assert calls[2] < 2.5 * calls[1]


@pytest.mark.parametrize("term", ["k{}=v", "k{}", "k{}!=v", "k{} in (a,b)", "!k{}"])
def test_a_selector_twice_as_long_costs_twice_as_much(term: str) -> None:
    calls = []
    for count in (10, LONG, 2 * LONG):
        with Tick() as tick:
            parse_labels(",".join(term.format(number) for number in range(count)))
        calls.append(tick.calls)
    assert calls[2] < 2.5 * calls[1]


@pytest.mark.timeout(60)
async def test_many_owners_are_told_apart_at_once() -> None:
    """Each compared with each other, these would take minutes."""
    owner = {"apiVersion": "v1", "kind": "X", "name": "o"}
    owners = [{**owner, "uid": f"{number}"} for number in range(14_000)]
    async with kube() as ask:
        answer = await ask(
            "POST", f"{PODS}?dryRun=All", pod("p", ownerReferences=[*owners, owners[0]])
        )
        assert len(answer.doc["metadata"]["ownerReferences"]) == 14_000


def many_exit_codes() -> tuple[str, Doc]:
    codes = {"operator": "In", "values": [1] * 200_000}
    spec: Doc = {
        "template": {"spec": {**pod("p")["spec"], "restartPolicy": "Never"}},
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onExitCodes": codes}]},
    }
    return "/apis/batch/v1/namespaces/default/jobs", {"metadata": {"name": "j"}, "spec": spec}


def many_usages() -> tuple[str, Doc]:
    usages = ["client auth", "signing"] * 50_000
    spec = {"request": "eA==", "signerName": "example.com/x", "usages": usages}
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    return path, {"metadata": {"name": "c"}, "spec": spec}


def many_topologies() -> tuple[str, Doc]:
    terms = [{"matchLabelExpressions": [{"key": "a", "values": [f"{n}"]}]} for n in range(14_000)]
    doc = {"provisioner": "example.com/x", "allowedTopologies": terms, "metadata": {"name": "s"}}
    return "/apis/storage.k8s.io/v1/storageclasses", doc


@pytest.mark.timeout(60)
@pytest.mark.parametrize("many", [many_exit_codes, many_usages, many_topologies])
async def test_what_may_not_be_said_twice_is_found_at_once(
    many: Callable[[], tuple[str, Doc]],
) -> None:
    path, doc = many()
    async with kube() as ask:
        assert (await ask("POST", f"{path}?dryRun=All", doc)).status in (201, 422)


@pytest.mark.timeout(60)
async def test_many_tolerations_are_compared_at_once() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        merge = {"content_type": "application/merge-patch+json"}
        for count in (20_000, 20_001):
            given = [{"key": f"k{number}", "operator": "Exists"} for number in range(count)]
            patch = {"spec": {"tolerations": given}}
            assert (await ask("PATCH", f"{PODS}/p", patch, **merge)).status == 200


async def test_a_patch_that_doubles_what_is_there_again_and_again() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a", k="v" * 1000))
        doubling: list[Doc] = [{"op": "copy", "from": "/data", "path": "/metadata/x"}]
        doubling += [
            {"op": "copy", "from": "/metadata", "path": f"/metadata/x{number}"}
            for number in range(64)
        ]
        answer = await ask("PATCH", f"{MAPS}/a", doubling, **JSON_PATCH)
        assert answer.status == 422
        assert "the accumulated size increase of copy is" in answer.doc["message"]
        copies = [{"op": "copy", "from": "/data/k", "path": f"/data/k{n}"} for n in range(100)]
        answer = await ask("PATCH", f"{MAPS}/a", copies, **JSON_PATCH)
        assert answer.status == 200 and len(answer.doc["data"]) == 101
