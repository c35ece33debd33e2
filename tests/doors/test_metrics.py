"""/metrics: for masters, in Prometheus' text format, under upstream's names."""

from __future__ import annotations

from longshore.base.metrics import Counter, Histogram
from longshore.base.users import User
from tests.doors.rig import Kube, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
LIST = (
    'verb="LIST",group="",version="v1",resource="configmaps",subresource="",scope="namespace",'
    'dry_run="",component="apiserver"'
)


async def lines(ask: Kube) -> list[str]:
    answer = await ask("GET", "/metrics")
    assert answer.status == 200 and answer.content_type == "text/plain"
    return answer.body.decode().splitlines()


async def test_requests_are_counted_by_what_they_were_about_and_how_they_ended() -> None:
    async with kube() as ask:
        for _ in range(2):
            assert (await ask("GET", MAPS)).status == 200
        assert (await ask("GET", f"{MAPS}/none")).status == 404
        watch = await ask.watch(f"{MAPS}?watch=true")
        await watch.close()
        told = await lines(ask)
        assert f'apiserver_request_total{{{LIST},code="200"}} 2' in told
        assert f"apiserver_request_duration_seconds_count{{{LIST}}} 2" in told
        got = LIST.replace("LIST", "GET").replace('"namespace"', '"resource"')
        assert f'apiserver_request_total{{{got},code="404"}} 1' in told
        watched = LIST.replace("LIST", "WATCH")
        assert f'apiserver_request_total{{{watched},code="200"}} 1' in told
        assert f"apiserver_request_duration_seconds_count{{{watched}}} 1" not in told


async def test_what_is_stored_and_what_is_under_way() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("one"))
        told = await lines(ask)
        assert 'apiserver_storage_objects{resource="configmaps"} 1' in told
        assert 'apiserver_current_inflight_requests{request_kind="readOnly"} 1' in told
        assert 'apiserver_current_inflight_requests{request_kind="mutating"} 0' in told


async def test_unknown_subresources_make_no_labels() -> None:
    async with kube() as ask:
        before = len(await lines(ask))
        for number in range(50):
            await ask("GET", f"{MAPS}/one/part{number}")
        assert len(await lines(ask)) < before + 100


async def test_others_may_not_read_them() -> None:
    async with kube() as ask:
        ask.user = User("jane", ("system:authenticated",))
        assert (await ask("GET", "/metrics")).status == 403


def test_histograms_add_up() -> None:
    histogram = Histogram("h", "Help.", ("a",), (0.1, 1))
    for value in (0.05, 0.1, 0.5, 7):
        histogram.put(histogram.cell(('x"y',)), value)
    assert list(histogram.lines()) == [
        "# HELP h Help.", "# TYPE h histogram",
        'h_bucket{a="x\\"y",le="0.1"} 2', 'h_bucket{a="x\\"y",le="1"} 3',
        'h_bucket{a="x\\"y",le="+Inf"} 4', 'h_sum{a="x\\"y"} 7.65', 'h_count{a="x\\"y"} 4',
    ]  # fmt: skip


def test_counters_without_labels() -> None:
    counter = Counter("c", "Help.", ())
    counter.add(())
    counter.add((), 2)
    assert list(counter.lines())[-1] == "c 3"
