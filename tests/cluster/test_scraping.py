"""What pods say in Prometheus' format: read within bounds, kept for a while, rates of what counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.cluster.readings.exposition import SERIES_MAX, parse, shown_name
from longshore.cluster.readings.scraping import ByAddress, ByAnnotation, Scraper
from longshore.core.objects import kinds
from longshore.core.objects.exposure import Exposure, exposure_of
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Patch, Update
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.core.streams.protocols import Answering, Ask, LogOptions
from longshore.testing.clock import VirtualClock, settle

TEXT = """# HELP http_requests_total How many came.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{code="400", method="post",} 3

queue_depth 1.5e1
odd{text="a \\"b\\" \\\\ {c} \\n, d=e"} 2
# TYPE waits histogram
waits_bucket{le="0.5"} 7
waits_sum 8
waits_count 9
"""


# ---- the format


def test_names_labels_and_values_are_read() -> None:
    found = {name_labels: (one.value, one.grows) for name_labels, one in parse(TEXT).items()}
    assert found == {
        ("http_requests_total", (("code", "200"), ("method", "post"))): (1027.0, True),
        ("http_requests_total", (("code", "400"), ("method", "post"))): (3.0, True),
        ("queue_depth", ()): (15.0, False),
        ("odd", (("text", 'a "b" \\ {c} \n, d=e'),)): (2.0, False),
        ("waits_sum", ()): (8.0, True),
        ("waits_count", ()): (9.0, True),
    }


@pytest.mark.parametrize(
    "line", ["", "x", "1x 2", 'x{a="b" 1', "x{a=b} 1", "x NaN", "x +Inf", "x y"]
)
def test_what_nobody_understands_is_left_out(line: str) -> None:
    assert list(parse(f"{line}\ngood 1\n")) == [("good", ())]


def test_what_grows_is_said_by_its_type_or_its_name() -> None:
    openmetrics = (
        "# TYPE jobs counter\njobs_total 1\n# TYPE free_total gauge\nfree_total 2\nold_total 3\n"
    )
    grows = {name: one.grows for (name, _), one in parse(openmetrics).items()}
    assert grows == {"jobs_total": True, "free_total": False, "old_total": True}
    assert shown_name("jobs_total", grows=True) == "jobs"
    assert shown_name("free_total", grows=False) == "free_total"


def test_series_are_bounded() -> None:
    many = "\n".join(f'x{{n="{number}"}} 1' for number in range(SERIES_MAX + 50))
    assert len(parse(many)) == SERIES_MAX


@given(st.text(st.sampled_from('ab_{}="\\,# 1.\n'), max_size=80))
def test_no_text_is_too_odd(text: str) -> None:
    parse(text)


# ---- where a pod is asked


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, None),
        ({"prometheus.io/scrape": "false"}, None),
        ({"prometheus.io/scrape": "true"}, Exposure("10.0.0.1", 8080, "/metrics")),
        (
            {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "99",
                "prometheus.io/path": "/m",
            },
            Exposure("10.0.0.1", 99, "/m"),
        ),
        ({"prometheus.io/scrape": "true", "prometheus.io/port": "65536"}, None),
        ({"prometheus.io/scrape": "true", "prometheus.io/port": "9" * 5000}, None),
        ({"prometheus.io/scrape": "true", "prometheus.io/path": "/ HTTP/1.1\r\nHost: x"}, None),
    ],
)
def test_annotations_say_where(annotations: dict[str, str], expected: Exposure | None) -> None:
    containers = [{"name": "a"}, {"name": "b", "ports": [{"containerPort": 8080}]}]
    doc = {
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {"containers": containers},
        "status": {"podIP": "10.0.0.1"},
    }
    assert exposure_of(doc) == expected
    assert exposure_of({**doc, "status": {}}) is None


# ---- the reader


class Speaking:
    """Pods that say what they are told to; counts how often they are asked."""

    def __init__(self) -> None:
        self.says: dict[str, str] = {}
        self.silent: set[str] = set()
        self.asked: list[str] = []

    async def text(self, pod: Doc) -> str:
        name = pod["metadata"]["name"]
        self.asked.append(name)
        if name in self.silent:
            await asyncio.Event().wait()
        if name not in self.says:
            raise ConnectionRefusedError(name)
        return self.says[name]


class Place:
    """A registry with running pods, and a reader of what they say."""

    def __init__(self, registry: Registry, clock: VirtualClock) -> None:
        self.client = InProcess(registry, loop_user("test"))
        self.clock = clock
        self.pods = Speaking()
        self.registry = registry
        self.scraper = Scraper(registry, self.pods, clock)

    async def pod(self, name: str, namespace: str = "default", **annotations: str) -> Doc:
        shown = {"prometheus.io/scrape": "true", **annotations}
        metadata = {"name": name, "namespace": namespace, "annotations": shown}
        spec = {"containers": [{"name": "c", "image": "one", "ports": [{"containerPort": 80}]}]}
        made = await self.client.write(Create(kinds.POD, {"metadata": metadata, "spec": spec}))
        status = {**made["status"], "phase": "Running", "podIP": "10.0.0.1"}
        return await self.client.write(Update(kinds.POD, {**made, "status": status}, "status"))

    async def values(self, metric: str, namespace: str = "default") -> dict[str, float]:
        found = await self.scraper.of_namespace(namespace, metric)
        return {one.pod: one.value for one in found}


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    clock = VirtualClock()
    registry = Registry(MemoryStore(), clock, Chance.seeded(1))
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        here = Place(registry, clock)
        for name in ("default", "other"):
            doc = {"metadata": {"name": name}}
            await here.client.write(Create(kinds.NAMESPACE, doc))
        yield here
        running.cancel()


async def test_gauges_are_what_they_are_and_counters_what_they_grow_a_second() -> None:
    async with place() as here:
        await here.pod("a")
        here.pods.says["a"] = "depth 5\nserved_total 100\n"
        assert await here.values("depth") == {"a": 5.0}
        assert await here.values("served") == {}, "nobody knows yet how fast it grows"
        await here.clock.advance(15)
        here.pods.says["a"] = "depth 7\nserved_total 130\n"
        (served,) = await here.scraper.of_pods("default", ["a"], "served")
        assert (served.value, served.window_s) == (2.0, 15.0)
        await here.clock.advance(15)
        here.pods.says["a"] = "depth 7\nserved_total 30\n"
        assert await here.values("served") == {"a": 2.0}, "it began anew"
        assert list(here.scraper.known()) == ["depth", "served"]


async def test_pods_are_asked_at_most_every_ten_seconds_whoever_wants_to_know() -> None:
    async with place() as here:
        await here.pod("a")
        here.pods.says["a"] = "depth 5\n"
        for metric in ("depth", "other", "depth"):
            await here.values(metric)
        assert here.pods.asked == ["a"]
        await here.clock.advance(10)
        await here.values("depth")
        assert here.pods.asked == ["a", "a"]


async def test_only_pods_that_let_themselves_be_asked_in_their_own_namespace() -> None:
    async with place() as here:
        await here.pod("a")
        await here.pod("b", **{"prometheus.io/scrape": "no"})
        await here.pod("c", "other")
        here.pods.says |= dict.fromkeys("abc", "depth 1\n")
        assert await here.values("depth") == {"a": 1.0}
        assert await here.values("depth", "other") == {"c": 1.0}
        now = {"metadata": {"annotations": {"prometheus.io/scrape": "true"}}}
        await here.client.write(Patch(kinds.POD, "default", "b", now))
        await here.clock.advance(10)
        assert await here.values("depth") == {"a": 1.0, "b": 1.0}


async def test_who_is_silent_or_refuses_is_left_out() -> None:
    async with place() as here:
        for name in "abc":
            await here.pod(name)
        here.pods.says["a"] = "depth 1\n"
        here.pods.silent.add("b")
        async with asyncio.TaskGroup() as crew:
            asked = crew.create_task(here.values("depth"))
            await here.clock.advance(2.9)
            await settle()
            assert not asked.done()
            await here.clock.advance(0.2)
        assert asked.result() == {"a": 1.0}
        here.pods.says = {}
        await here.clock.advance(10)
        async with asyncio.TaskGroup() as crew:
            asked = crew.create_task(here.values("depth"))
            await here.clock.advance(4)
        assert asked.result() == {}, "what was true once is not told for ever"


async def test_whoever_nobody_asks_about_is_forgotten() -> None:
    async with place() as here:
        await here.pod("a")
        await here.pod("c", "other")
        here.pods.says |= {"a": "depth 1\n", "c": "height 1\n"}
        await here.values("depth")
        await here.clock.advance(300)
        await here.values("height", "other")
        assert list(here.scraper.known()) == ["height"]


async def test_hollow_pods_say_what_their_annotation_says() -> None:
    async with place() as here:
        said = 'depth{queue="a"} 5\n'
        await here.pod("a", **{"prometheus.io/scrape": "", "longshore.io/hollow-metrics": said})
        hollow = Scraper(here.registry, ByAnnotation(), here.clock)
        (one,) = await hollow.of_namespace("default", "depth")
        assert (one.pod, one.labels, one.value, one.milli) == ("a", {"queue": "a"}, 5.0, 5000)


class Answer:
    """Of so many pieces."""

    switched = False

    def __init__(self, status: int, *pieces: bytes) -> None:
        self.status = status
        self.headers: list[tuple[str, str]] = []
        self.closed = False
        self._pieces = [*pieces, b""]

    async def read(self) -> bytes:
        return self._pieces.pop(0)

    async def write(self, data: bytes) -> None:
        raise AssertionError("nothing is said to it")

    def close(self) -> None:
        self.closed = True


class Lan:
    """A cluster's network on which every address gives the same answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, int, Ask]] = []

    async def ask_node(self, node: str, ask: Ask) -> Answering:
        raise AssertionError("nodes are not asked")

    async def ask_address(self, scheme: str, host: str, port: int, ask: Ask) -> Answering:
        self.asked.append((scheme, host, port, ask))
        return self.answer

    async def logs(
        self, node: str, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        for _ in ():
            yield b""


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(200, b"depth ", b"5\n"), "depth 5\n"),
        (Answer(404, b"depth 5\n"), ""),
        (Answer(200, b"x" * 600_000), ""),
    ],
)
async def test_a_real_pod_is_asked_at_its_own_address(answer: Answer, text: str) -> None:
    lan = Lan(answer)
    async with place() as here:
        pod = await here.pod("a", **{"prometheus.io/path": "/stats"})
    assert await ByAddress(lan).text(pod) == text
    ((scheme, host, port, ask),) = lan.asked
    assert (scheme, host, port, ask.method, ask.target) == ("http", "10.0.0.1", 80, "GET", "/stats")
    assert answer.closed
