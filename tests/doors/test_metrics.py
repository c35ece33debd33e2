"""/metrics: for masters, in Prometheus' text format, under upstream's names."""

from __future__ import annotations

from longshore.base.clock import SystemClock
from longshore.base.metrics import Counter, Histogram
from longshore.base.users import User
from tests.doors.rig import Kube, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
LIST = (
    'verb="LIST",group="",version="v1",resource="configmaps",subresource="",scope="namespace",'
    'dry_run="",component="apiserver"'
)

WATCH = LIST.replace("LIST", "WATCH")


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


async def test_what_goes_on_is_counted_as_long_as_it_does() -> None:
    async with kube() as ask:
        labels = WATCH.replace('dry_run="",', "")
        name = f"apiserver_longrunning_requests{{{labels}}}"
        watches = [await ask.watch(f"{MAPS}?watch=true") for _ in range(2)]
        assert f"{name} 2" in await lines(ask)
        await watches[0].close()
        await watches[0].close()
        assert f"{name} 1" in await lines(ask)
        await watches[1].close()
        assert f"{name} 0" in await lines(ask)


async def test_events_are_counted_for_every_watcher() -> None:
    async with kube() as ask:
        watches = [await ask.watch(f"{MAPS}?watch=true") for _ in range(2)]
        for watch in watches:
            await ask("POST", MAPS, config_map(str(len(await lines(ask)))))
            await watch.event()
        name = 'apiserver_watch_events_total{group="",version="v1",resource="configmaps"}'
        assert f"{name} 3" in await lines(ask)
        assert "# TYPE apiserver_watch_events_total counter" in await lines(ask)
        for watch in watches:
            await watch.close()


async def test_sizes_of_what_is_read() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("small"))
        await ask("POST", MAPS, config_map("large", text="x" * 20_000))
        size = sum([len((await ask("GET", f"{MAPS}/{name}")).body) for name in ("small", "large")])
        labels = LIST.replace("LIST", "GET").replace('"namespace"', '"resource"')
        labels = labels.replace('dry_run="",', "")
        told = await lines(ask)
        name = "apiserver_response_sizes"
        assert f'{name}_bucket{{{labels},le="1000"}} 1' in told
        assert f'{name}_bucket{{{labels},le="10000"}} 1' in told
        assert f'{name}_bucket{{{labels},le="100000"}} 2' in told
        assert f"{name}_sum{{{labels}}} {size}" in told
        assert not [line for line in told if line.startswith(f'{name}_count{{verb="POST"')]


async def test_what_the_process_uses() -> None:
    async with kube() as ask:
        told = await lines(ask)
        used = dict(line.split() for line in told if line.startswith("process_"))
        assert "# TYPE process_cpu_seconds_total counter" in told
        assert "# TYPE process_resident_memory_bytes gauge" in told
        assert float(used["process_cpu_seconds_total"]) > 0
        resident = float(used["process_resident_memory_bytes"])
        assert 10e6 < resident <= float(used["process_max_resident_memory_bytes"]) * 1.1
        assert resident < float(used["process_virtual_memory_bytes"])
        assert 3 <= float(used["process_open_fds"]) <= float(used["process_max_fds"])
        assert 1.6e9 < float(used["process_start_time_seconds"]) < SystemClock().now()


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
