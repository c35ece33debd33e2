"""A whole agent: from a bound pod to its end, over the real registry and the hollow runtime."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.registry.client import Delete, DeleteOptions, Patch
from longshore.machinery.runtime.protocol import Container, ContainerSpec

from .docs import container, pod
from .world import NODE, Recording, World, declare_lost, until, world


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        made.start_agent()
        await until(lambda: made.registry.cache.get(kinds.NODE, "", NODE))
        yield made


async def running(w: World, doc: dict[str, object] | None = None, name: str = "web") -> None:
    await w.run_pod(doc or pod(name=name))
    await until(lambda: w.phase(name) == "Running")


async def told(w: World, reason: str) -> dict[str, int]:
    """How often which messages of that reason were told."""
    await w.clock.advance(0.2)
    events = (await w.client.list(kinds.EVENT)).items
    return {e["message"]: e["count"] for e in events if e["reason"] == reason}


async def test_a_node_registers_and_keeps_its_lease(w: World) -> None:
    await until(lambda: w.registry.cache.get(kinds.LEASE, "kube-node-lease", NODE))
    node = await w.client.get(kinds.NODE, "", NODE)
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == NODE
    assert node["status"]["capacity"]["memory"] == "8Gi"
    assert node["spec"]["podCIDRs"] == ["10.42.1.0/24"]
    assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"
    assert node["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.37.0+longshore")
    before = await w.client.get(kinds.LEASE, "kube-node-lease", NODE)
    assert before["spec"]["leaseDurationSeconds"] == 40
    await w.clock.advance(10)
    after = await w.client.get(kinds.LEASE, "kube-node-lease", NODE)
    assert after["spec"]["renewTime"] == "2026-01-01T00:00:10.000000Z"


async def test_a_node_that_vanished_or_was_declared_lost_comes_back(w: World) -> None:
    await w.client.write(Delete(kinds.NODE, "", NODE, DeleteOptions()))
    await w.clock.advance(20)
    node = await w.client.get(kinds.NODE, "", NODE)
    lost = [{**c, "status": "Unknown"} for c in node["status"]["conditions"]]
    await w.client.write(Patch(kinds.NODE, "", NODE, {"status": {"conditions": lost}}, "status"))
    await w.clock.advance(10)
    node = await w.client.get(kinds.NODE, "", NODE)
    assert {c["status"] for c in node["status"]["conditions"]} == {"True", "False"}


async def test_a_node_lives_on_while_its_runtime_does_not_answer(w: World) -> None:
    await running(w)
    await w.clock.advance(10)
    before = await w.client.get(kinds.NODE, "", NODE)
    w.runtime.silent = True
    await w.client.write(Delete(kinds.NODE, "", NODE, DeleteOptions()))
    await w.clock.advance(20)
    after = await w.client.get(kinds.NODE, "", NODE)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["status"]["images"] == before["status"]["images"] != []
    assert w.phase("web") == "Running"
    assert await readiness(w) == ("True", "kubelet is posting ready status")
    await w.clock.advance(40)
    assert await readiness(w) == ("False", "container runtime is down")
    w.runtime.silent = False
    await w.clock.advance(20)
    assert await readiness(w) == ("True", "kubelet is posting ready status")


async def readiness(w: World) -> tuple[str, str]:
    node = await w.client.get(kinds.NODE, "", NODE)
    (ready,) = (one for one in node["status"]["conditions"] if one["type"] == "Ready")
    return ready["status"], ready["message"]


async def test_a_node_shows_its_pod_range_also_if_somebody_else_made_it(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        by_hand = {"metadata": {"name": NODE, "labels": {"mine": "yes"}}}
        made = await w.create(kinds.NODE, by_hand)
        assert "podCIDR" not in made.get("spec", {})
        w.start_agent()
        await until(lambda: w.registry.cache.get(kinds.LEASE, "kube-node-lease", NODE))
        node = await w.client.get(kinds.NODE, "", NODE)
        assert (node["spec"]["podCIDR"], node["spec"]["podCIDRs"]) == (
            "10.42.1.0/24",
            ["10.42.1.0/24"],
        )
        assert node["metadata"]["labels"]["mine"] == "yes"


async def test_a_bound_pod_runs_is_deleted_and_leaves_nothing(w: World) -> None:
    await running(w)
    status = w.status()
    assert status["podIP"].startswith("10.42.1.")
    assert w.ready()
    assert len(list((w.root / "pods").iterdir())) == 1
    await w.delete(grace_s=3)
    await until(w.gone)
    assert [grace for _, grace in w.runtime.stops] == [3.0]
    assert await w.runtime.sandboxes() == []
    assert w.network.attached() == {}
    assert list((w.root / "pods").iterdir()) == list((w.root / "logs").iterdir()) == []
    told = await w.events()
    assert "Started: Started container main" in told
    assert "Killing: Stopping container main" in told


async def test_a_pod_deleted_behind_the_agents_back_is_ended_too(w: World) -> None:
    await running(w)
    await w.delete(grace_s=0)
    await until(lambda: w.network.attached() == {})
    assert await w.runtime.containers() == []


async def test_a_pod_that_was_marked_not_ready_with_its_node_is_reported_anew(w: World) -> None:
    await w.run_pod(pod())
    await until(lambda: w.ready("web"))
    await declare_lost(w, "web", node=NODE)
    await w.clock.advance(9)
    assert not w.ready("web"), "it may be our own report that is under way"
    await w.clock.advance(2)
    assert w.ready("web")


async def test_a_second_delete_hurries_the_first(w: World) -> None:
    await running(w)
    w.runtime.stubborn = True
    await w.delete(grace_s=100)
    await w.clock.advance(5)
    assert [grace for _, grace in w.runtime.stops] == [100.0]
    await w.delete(grace_s=3)
    await w.clock.advance(2.9)
    assert not w.gone()
    await w.clock.advance(0.2)
    await until(w.gone)


async def test_a_crash_is_restarted_at_once_then_held_back(w: World) -> None:
    await running(w)
    uid = (await w.pod())["metadata"]["uid"]
    await w.runtime.crash(uid, "main", 3)
    await until(lambda: w.container()["restartCount"] == 1)
    assert w.container()["lastState"]["terminated"]["exitCode"] == 3
    await w.runtime.crash(uid, "main", 3)
    await until(lambda: w.waiting() == "CrashLoopBackOff")
    assert not w.ready()
    await w.clock.advance(9.9)
    assert w.container()["restartCount"] == 1
    await w.clock.advance(0.2)
    await until(lambda: w.container()["restartCount"] == 2)
    assert len(await w.runtime.containers()) == 2, "attempts older than the last two are removed"
    assert await told(w, "BackOff") == {
        f"Back-off restarting failed container main in pod web_shop({uid})": 1
    }


async def test_events_name_the_container_that_they_are_about(w: World) -> None:
    await running(w, pod(container("main"), inits=[container("init", restartPolicy="Always")]))
    await w.clock.advance(0.2)
    events = (await w.client.list(kinds.EVENT)).items
    about = [e["involvedObject"] for e in events if e["involvedObject"]["kind"] == "Pod"]
    assert {one.get("fieldPath") for one in about} == {
        "spec.containers{main}",
        "spec.initContainers{init}",
    }


async def test_each_crash_is_told_of_however_quick(w: World) -> None:
    w.runtime.unstartable["main"] = "no such file: /bin/app"
    await w.run_pod(pod())
    await until(lambda: w.waiting() == "CrashLoopBackOff")
    await w.clock.advance(11)
    await until(lambda: w.container()["restartCount"] == 2)
    assert list((await told(w, "BackOff")).values()) == [2]


async def test_an_agent_that_starts_again_adopts_and_counts_on(w: World) -> None:
    await running(w)
    uid = (await w.pod())["metadata"]["uid"]
    await w.runtime.crash(uid, "main")
    await until(lambda: w.container()["restartCount"] == 1)
    started = len(w.runtime.started)
    await w.stop_agent()
    assert not w.container()["state"].get("terminated")
    await w.runtime.crash(uid, "main", 9)
    w.start_agent()
    await until(lambda: w.container()["restartCount"] == 2)
    assert len(w.runtime.started) == started + 1
    assert w.container()["lastState"]["terminated"]["exitCode"] == 9


async def test_containers_whose_pod_went_while_nobody_looked_are_removed(w: World) -> None:
    await running(w)
    await running(w, name="stays")
    await w.stop_agent()
    await w.delete(grace_s=0)
    w.start_agent()
    await until(lambda: len(w.network.attached()) == 1)
    assert [c.sandbox for c in await w.runtime.containers()] == [
        (await w.pod("stays"))["metadata"]["uid"]
    ]


async def test_an_image_that_cannot_be_pulled_backs_off_and_recovers(w: World) -> None:
    reference = container()["image"]
    w.runtime.missing.add(reference)
    w.runtime.unpullable[reference] = "manifest unknown"
    await w.run_pod(pod())
    await until(lambda: w.waiting() == "ErrImagePull")
    await w.clock.advance(2)
    await until(lambda: w.waiting() == "ImagePullBackOff")
    w.runtime.unpullable.clear()
    await w.clock.advance(8)
    await until(lambda: w.phase() == "Running")
    assert len(w.runtime.pulled) == 2
    assert await told(w, "Failed") == {
        f'Failed to pull image "{reference}": manifest unknown': 1,
        "Error: ErrImagePull": 1,
        "Error: ImagePullBackOff": 1,
    }


async def test_never_pull_is_honoured(w: World) -> None:
    w.runtime.missing.add(container()["image"])
    await w.run_pod(pod(container(imagePullPolicy="Never")))
    await until(lambda: w.waiting() == "ErrImageNeverPull")
    assert w.runtime.pulled == []
    assert await told(w, "Failed") == {"Error: ErrImageNeverPull": 1}


async def test_a_start_that_fails_counts_as_an_end(w: World) -> None:
    w.runtime.unstartable["main"] = "no such file: /bin/app"
    await w.run_pod(pod(restartPolicy="Never"))
    await until(lambda: w.phase() == "Failed")
    ended = w.container()["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert ended["message"] == "no such file: /bin/app"


def _runs(w: World, name: str) -> bool:
    return "running" in w.container(name)["state"]


async def test_init_containers_then_the_rest_then_success(w: World) -> None:
    doc = pod(inits=[container("one"), container("two")], restartPolicy="Never")
    await w.run_pod(doc)
    uid = (await w.pod())["metadata"]["uid"]
    for name in ("one", "two", "main"):
        await until(partial(_runs, w, name))
        await w.runtime.crash(uid, name, 0)
    await until(lambda: w.phase() == "Succeeded")
    assert [spec.name for spec in w.runtime.started] == ["one", "two", "main"]
    await until(lambda: w.network.attached() == {})
    await w.delete()
    await until(w.gone)


async def test_what_is_not_supported_is_refused_by_name(w: World) -> None:
    volume = {"name": "data", "nfs": {"server": "s", "path": "/"}}
    await w.run_pod(pod(volumes=[volume], hostUsers=False))
    await until(lambda: w.status().get("message"))
    sentence = "not supported by this node: spec.hostUsers=false, spec.volumes[data].nfs"
    assert (w.phase(), w.status()["message"]) == ("Pending", sentence)
    assert f"FailedMount: {sentence}" in await w.events()
    await w.delete()
    await until(w.gone)


async def test_environment_volumes_and_files_reach_the_container(w: World) -> None:
    await w.create(kinds.CONFIG_MAP, {"metadata": {"name": "app", "namespace": "shop"},
                                      "data": {"level": "debug", "file.ini": "a=1\n"}})  # fmt: skip
    secret = {"password": base64.b64encode(b"hunter2").decode()}
    await w.create(kinds.SECRET, {"metadata": {"name": "key", "namespace": "shop"}, "data": secret})
    main = container(
        command=["/bin/app", "$(LEVEL)", "$$(LEVEL)", "$(UNKNOWN)"],
        env=[
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "level"}}},
            {"name": "PASS", "valueFrom": {"secretKeyRef": {"name": "key", "key": "password"}}},
            {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "URL", "value": "http://$(ME):80"},
        ],
        volumeMounts=[{"name": "conf", "mountPath": "/etc/app"}],
        resources={"limits": {"cpu": "500m", "memory": "64Mi"}},
    )
    await running(w, pod(main, volumes=[{"name": "conf", "configMap": {"name": "app"}}]))
    [spec] = w.runtime.started
    env = dict(spec.env)
    assert list(spec.command) == ["/bin/app", "debug", "$(LEVEL)", "$(UNKNOWN)"]
    assert (env["LEVEL"], env["PASS"], env["ME"], env["URL"]) == (
        "debug", "hunter2", "web", "http://web:80",
    )  # fmt: skip
    assert env["IP"] == w.status()["podIP"]
    assert spec.resources.cpu_limit_millis == 500
    assert spec.resources.memory_limit_bytes == 64 * 1024 * 1024
    sources = {mount.target: Path(mount.source) for mount in spec.mounts}
    assert (sources["/etc/app"] / "file.ini").read_text() == "a=1\n"
    assert "nameserver 10.96.0.10" in sources["/etc/resolv.conf"].read_text()
    assert f"{env['IP']}\tweb" in sources["/etc/hosts"].read_text()
    assert (w.root / "pods").stat().st_mode & 0o777 == 0o700


async def test_a_claim_is_waited_for_and_mounted_once_it_is_bound(w: World, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("here")
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    claim = await w.create(kinds.PVC, {
        "metadata": {"name": "data", "namespace": "shop"},
        "spec": {**spec, "resources": {"requests": {"storage": "1Gi"}}}})  # fmt: skip
    main = container(volumeMounts=[{"name": "d", "mountPath": "/data"}])
    volume = {"name": "d", "persistentVolumeClaim": {"claimName": "data"}}
    await w.run_pod(pod(main, volumes=[volume]))
    await until(lambda: "PVC is not bound" in (w.status().get("message") or ""))
    reference = {field: claim["metadata"][field] for field in ("namespace", "name", "uid")}
    await w.create(kinds.PV, {"metadata": {"name": "v"}, "spec": {
        **spec, "capacity": {"storage": "1Gi"}, "claimRef": reference,
        "hostPath": {"path": str(tmp_path)}}})  # fmt: skip
    bound = {"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
             "spec": {"volumeName": "v"}}  # fmt: skip
    await w.client.write(Patch(kinds.PVC, "shop", "data", bound))
    await w.clock.advance(61)
    await until(lambda: w.phase() == "Running")
    source = next(Path(m.source) for m in w.runtime.started[0].mounts if m.target == "/data")
    assert (source / "kept").read_text() == "here"


async def test_a_changed_config_map_reaches_a_running_pod(w: World) -> None:
    await w.create(kinds.CONFIG_MAP, {"metadata": {"name": "app", "namespace": "shop"},
                                      "data": {"level": "debug", "old": "x"}})  # fmt: skip
    main = container(volumeMounts=[{"name": "conf", "mountPath": "/etc/app"}])
    await running(w, pod(main, volumes=[{"name": "conf", "configMap": {"name": "app"}}]))
    source = next(Path(m.source) for m in w.runtime.started[0].mounts if m.target == "/etc/app")
    new = {"data": {"level": "info", "old": None, "new": "y"}}
    await w.client.write(Patch(kinds.CONFIG_MAP, "shop", "app", new))
    await w.clock.advance(61)
    assert {p.name: p.read_text() for p in source.iterdir() if p.name[0] != "."} == {
        "level": "info", "new": "y",
    }  # fmt: skip


async def test_a_missing_config_map_is_waited_for(w: World) -> None:
    await w.run_pod(pod(volumes=[{"name": "conf", "configMap": {"name": "late"}}]))
    await until(lambda: "not found" in (w.status().get("message") or ""))
    await w.clock.advance(10.1)
    missing = 'MountVolume.SetUp failed for volume "conf" : configmap "late" not found'
    assert await told(w, "FailedMount") == {missing: 2}
    await w.create(kinds.CONFIG_MAP, {"metadata": {"name": "late", "namespace": "shop"}})
    await w.clock.advance(10.1)
    await until(lambda: w.phase() == "Running")
    assert w.status().get("message") is None


async def test_a_missing_key_keeps_only_its_container_waiting(w: World) -> None:
    ref = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}}
    await w.run_pod(pod(container("a", env=[ref]), container("b")))
    await until(lambda: w.waiting("a") == "CreateContainerConfigError")
    assert w.container("b")["state"].get("running")


async def test_probes_decide_readiness_and_restarts(w: World) -> None:
    probes: dict[str, Any] = {
        "startupProbe": {"httpGet": {"path": "/started", "port": 80}, "periodSeconds": 1,
                         "failureThreshold": 30},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 80}, "periodSeconds": 2},
        "livenessProbe": {"httpGet": {"path": "/live", "port": 80}, "periodSeconds": 5},
    }  # fmt: skip
    w.checker.bad = {"/started", "/ready"}
    await running(w, pod(container(**probes)))
    assert (w.container()["started"], w.ready()) == (False, False)
    assert "/ready" not in w.checker.asked
    w.checker.bad = {"/ready"}
    await w.clock.advance(1)
    await until(lambda: w.container()["started"])
    assert not w.ready()
    w.checker.bad = set()
    await w.clock.advance(2)
    await until(w.ready)
    w.checker.bad = {"/live"}
    await w.clock.advance(14.9)
    await until(lambda: w.container()["restartCount"] == 1)
    assert "Killing: Container main failed liveness probe, will be restarted" in await w.events()


async def test_a_new_agent_believes_in_readiness_until_probes_say_otherwise(w: World) -> None:
    probe = {"httpGet": {"path": "/ready", "port": 80}, "failureThreshold": 1}
    await running(w, pod(container(readinessProbe=probe)))
    await until(w.ready)
    seen: list[bool] = []
    w.checker.bad = {"/ready"}
    w.checker.asked.clear()
    await w.stop_agent()
    w.checker.before = lambda: seen.append(w.ready())
    w.start_agent()
    await until(lambda: seen)
    assert seen[0], "a new agent took a ready pod out of service before asking it"
    await until(lambda: not w.ready())


async def test_hooks_run_around_a_containers_life(w: World) -> None:
    hooks = {"postStart": {"httpGet": {"path": "/hello", "port": 80}},
             "preStop": {"sleep": {"seconds": 4}}}  # fmt: skip
    await running(w, pod(container(lifecycle=hooks)))
    assert w.checker.asked == ["/hello"]
    await w.delete(grace_s=10)
    await w.clock.advance(3.9)
    assert w.runtime.stops == []
    await w.clock.advance(0.2)
    await until(w.gone)
    assert w.runtime.stops[0][1] == pytest.approx(6.0)


async def test_a_container_whose_start_hook_fails_is_ended_as_any_other(w: World) -> None:
    w.checker.bad.add("/hello")
    hooks = {"postStart": {"httpGet": {"path": "/hello", "port": 80}},
             "preStop": {"httpGet": {"path": "/bye", "port": 80}}}  # fmt: skip
    main = container(lifecycle=hooks)
    await w.run_pod(pod(main, terminationGracePeriodSeconds=7, restartPolicy="Never"))
    await until(lambda: w.phase() in ("Failed", "Succeeded"))
    assert w.checker.asked == ["/hello", "/bye"]
    assert w.runtime.stops[0][1] == pytest.approx(7)
    # What a hook says may be a secret: its words are not in Events.
    assert await told(w, "FailedPostStartHook") == {"PostStartHook failed": 1}
    assert await told(w, "Killing") == {"FailedPostStartHook": 1}


async def test_service_variables_are_there_from_the_start(w: World) -> None:
    service = {"metadata": {"name": "my-db", "namespace": "shop"},
               "spec": {"ports": [{"port": 5432, "name": "pg"}], "selector": {"a": "b"}}}  # fmt: skip
    made = await w.create(kinds.SERVICE, service)
    await running(w)
    env = dict(w.runtime.started[0].env)
    assert env["MY_DB_SERVICE_HOST"] == made["spec"]["clusterIP"]
    assert env["MY_DB_SERVICE_PORT"] == env["MY_DB_SERVICE_PORT_PG"] == "5432"
    assert env["MY_DB_PORT_5432_TCP_PROTO"] == "tcp"


async def test_a_deadline_ends_a_pod_for_good(w: World) -> None:
    await running(w, pod(activeDeadlineSeconds=30))
    await w.clock.advance(29)
    assert w.phase() == "Running"
    await w.clock.advance(1.1)
    await until(lambda: w.phase() == "Failed")
    assert w.status()["reason"] == "DeadlineExceeded"


async def test_statuses_of_many_pods_go_in_few_calls(w: World) -> None:
    calls = []
    submit = w.client.submit

    async def counted(operations):  # type: ignore[no-untyped-def]
        calls.append(len(operations))
        return await submit(operations)

    w.client.submit = counted  # type: ignore[method-assign]
    for number in range(30):
        await w.run_pod(pod(name=f"p{number}"))
    await until(lambda: all(w.phase(f"p{n}") == "Running" for n in range(30)))
    assert sum(calls) <= 120


class Sudden(Recording):
    """Its containers say something and end before their start is answered."""

    async def start_container(self, sandbox_id: str, spec: ContainerSpec) -> Container:
        started = await super().start_container(sandbox_id, spec)
        said = next(m.source for m in spec.mounts if m.target == "/dev/termination-log")
        Path(said).write_text("that was it")
        await self.crash(sandbox_id, spec.name, 0)
        return next(c for c in await self.containers() if c.id == started.id)


async def test_last_words_of_a_container_that_ends_while_it_is_started(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.runtime = Sudden(w.clock)
        w.start_agent()
        await until(lambda: w.registry.cache.get(kinds.NODE, "", NODE))
        await w.run_pod(pod(restartPolicy="Never"))
        await until(lambda: w.phase() == "Succeeded")
        assert w.container()["state"]["terminated"]["message"] == "that was it"
