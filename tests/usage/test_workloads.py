"""What is seen of workloads: by owner, through restarts, and through kills for want of memory."""

from __future__ import annotations

from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.usage import containers
from longshore.core.objects.usage.containers import Seen
from longshore.core.streams.samples import PodSample, Use
from longshore.machinery.controllers.usage.workloads import Workloads

from .rig import MIB, World, simulated

DAY_S = 86_400


def seen(w: World, name: str = "deployment-web", container: str = "main") -> Seen:
    doc = w.cache.get(kinds.WORKLOAD_USAGE, "shop", name)
    assert doc is not None
    (found,) = [one for one in doc["status"]["containers"] if one["name"] == container]
    return containers.read(found)


@simulated
async def test_pods_count_for_the_workload_that_a_person_wrote(w: World) -> None:
    owner = await w.deployment("web")
    async with w.running():
        await w.pod("web-1-a", Use(200_000_000, 100 * MIB), owner=owner)
        await w.pod("web-1-b", Use(200_000_000, 100 * MIB), owner=owner)
        await w.pod("bare", Use(200_000_000, 100 * MIB))
        await w.wait(3600)
    (doc,) = w.cache.all(kinds.WORKLOAD_USAGE)
    assert doc["spec"]["targetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
    }
    (reference,) = doc["metadata"]["ownerReferences"]
    assert reference["kind"] == "Deployment"
    assert "controller" not in reference
    found = seen(w)
    assert 116 <= found.samples <= 122
    assert 0.2 <= found.cpu.percentile(0.9) <= 0.2 * 1.05 * 1.05
    assert 100 * MIB <= found.memory.percentile(0.9) <= 100 * MIB * 1.06


@simulated
async def test_a_restart_in_the_middle_changes_nothing(w: World) -> None:
    """The same samples with and without restarts are the same distribution, within its rounding."""
    owner = await w.deployment("web")
    uids = [(await w.pod(f"web-1-{one}", owner=owner))["metadata"]["uid"] for one in "ab"]
    for part in range(6):
        async with w.running():
            for hour in range(5):
                for uid in uids:
                    w.measured.uses[uid] = Use((part + 1) * 50_000_000, (hour + 1) * 40 * MIB)
                await w.wait(3600)
    plain = Seen()
    for minute in range(6 * 5 * 60):
        for _ in uids:
            plain.add_cpu((minute // 300 + 1) * 0.05, minute * 60.0)
    found = seen(w)
    assert abs(found.samples - plain.samples) <= 30
    for share in (0.5, 0.9, 0.95):
        ratio = found.cpu.percentile(share) / plain.cpu.percentile(share)
        assert 1 / 1.06 < ratio < 1.06
    # Each time both of them have the same peak.
    assert 200 * MIB <= found.memory.percentile(0.01) <= 200 * MIB * 1.06


@simulated
async def test_who_ran_out_of_memory_needs_more(w: World) -> None:
    owner = await w.deployment("web")
    async with w.running():
        use = Use(1_000_000, 60 * MIB)
        await w.pod("web-1-a", use, owner=owner, requests={"memory": "64Mi"})
        await w.wait(600)
        await w.status("web-1-a", containerStatuses=[killed(w)])
        await w.wait(2 * DAY_S)
    # 64 MiB and 100 more.
    assert seen(w).memory.percentile(0.99) >= 164 * MIB


@simulated
async def test_a_kill_is_told_once(w: World) -> None:
    owner = await w.deployment("web")
    await w.pod("web-1-a", Use(1_000_000, 60 * MIB), owner=owner)
    async with w.running():
        await w.wait(60)
        await w.status("web-1-a", containerStatuses=[killed(w)])
        await w.wait(3600)
    async with w.running():
        await w.wait(DAY_S * 2)
    # After the kill there were three days' peaks, each of which weighs more than the one before.
    assert seen(w).memory.percentile(0.5) < 100 * MIB < seen(w).memory.percentile(0.99)


def killed(w: World) -> Doc:
    ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": rfc3339(w.clock.now())}
    return {
        "name": "main", "image": "a", "imageID": "", "ready": True, "restartCount": 1,
        "lastState": {"terminated": ended},
    }  # fmt: skip


@simulated
async def test_a_workload_that_is_made_again_begins_anew(w: World) -> None:
    owner = await w.deployment("web")
    async with w.running():
        await w.pod("web-1-a", Use(200_000_000, MIB), owner=owner)
        await w.wait(3600)
        before = seen(w).samples
        other = {**owner, "name": "web-2", "kind": "StatefulSet"}
        await w.pod("web-2-0", Use(200_000_000, MIB), owner=other)
        await w.wait(1800)
    assert seen(w).samples > before
    async with w.running():
        await w.delete("web-2-0")
        again = {**other, "uid": "another"}
        await w.pod("web-2-0", Use(200_000_000, MIB), owner=again)
        await w.wait(900)
    assert seen(w, "statefulset-web-2").samples <= 16


@simulated
async def test_memory_is_bounded(w: World) -> None:
    workloads = Workloads(w.cache, containers_max=1)
    owner = await w.deployment("web")
    pod = await w.pod("web-1-a", owner=owner)
    uid = pod["metadata"]["uid"]
    workloads.put_pod(pod)
    uses = {name: Use(1, 1) for name in ("one", "two")}
    workloads.take(PodSample("shop", "web-1-a", uid, 1.0, 60.0, uses))
    (workload,) = workloads.changed()
    assert list(workload.seen) == ["one"]
    workloads.draft(workload)
    workloads.drop_pod(uid)
    assert len(workloads) == 0
