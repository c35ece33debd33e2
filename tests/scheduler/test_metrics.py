"""What /metrics tells of the scheduler, under upstream's names."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.registry.client import Create, Delete, Patch

from .failing import FailingClient, Trouble
from .placing import node, pod
from .test_tenants import NOW, group, member
from .test_worker import Site, site


def told(there: Site, name: str) -> dict[str, float]:
    """The numbers of a metric by their labels."""
    found = {}
    for line in there.scheduler.metrics.lines():
        words, _, number = line.rpartition(" ")
        of, _, labels = words.rstrip("}").partition("{")
        if of == f"scheduler_{name}":
            found[labels.replace('"', "")] = float(number)
    return found


async def test_attempts_and_what_came_of_them() -> None:
    async with site() as there:
        await there.node(node("a", "2"))
        for number in range(3):
            await there.pod(pod(f"p{number}", {"cpu": "1"}))
        await there.quiet()
        profile = "profile=default-scheduler"
        attempts = {f"result=scheduled,{profile}": 2, f"result=unschedulable,{profile}": 1}
        assert told(there, "schedule_attempts_total") == attempts
        assert told(there, "scheduling_attempt_duration_seconds_count") == attempts
        assert told(there, "scheduling_algorithm_duration_seconds_count") == {"": 3}
        assert told(there, "pod_scheduling_attempts_count") == {"": 2}
        incoming = {
            "queue=active,event=PodAdd": 3,
            "queue=unschedulable,event=ScheduleAttemptFailure": 1,
        }
        assert told(there, "queue_incoming_pods_total") == incoming
        assert told(there, "preemption_attempts_total") == {"": 1}
        assert told(there, "preemption_victims_count") == {}


async def test_how_long_a_pod_waited_and_how_often_it_was_tried() -> None:
    async with site() as there:
        await there.node(node("a", "1"))
        await there.pod(pod("first", {"cpu": "1"}))
        await there.quiet()
        await there.pod(pod("second", {"cpu": "1"}))
        await there.quiet()
        await there.client.write(Delete(kinds.POD, "shop", "first", NOW))
        await there.quiet()
        assert told(there, "pod_scheduling_sli_duration_seconds_count") == {
            "attempts=1": 1, "attempts=2": 1,
        }  # fmt: skip
        waited = told(there, "pod_scheduling_sli_duration_seconds_sum")
        assert waited["attempts=1"] < 0.5 < 3.9 < waited["attempts=2"] < 4.6


async def test_who_waits_for_what() -> None:
    async with site() as there:
        await there.node(node("a", "1"))
        await there.pod(pod("large", {"cpu": "2"}))
        await there.pod(pod("gated", schedulingGates=[{"name": "example.com/gate"}]))
        await group(there, "team", 2)
        await there.pod(member("m", "team"))
        await there.quiet()
        assert told(there, "pending_pods") == {
            "queue=active": 0, "queue=backoff": 0, "queue=unschedulable": 1, "queue=gated": 2,
        }  # fmt: skip
        open_gate = {"spec": {"schedulingGates": None}}
        await there.client.write(Patch(kinds.POD, "shop", "gated", open_gate))
        await there.quiet()
        assert told(there, "pending_pods")["queue=gated"] == 1


async def test_who_has_to_go() -> None:
    async with site() as there:
        metadata = {"name": "high"}
        await there.client.write(
            Create(kinds.PRIORITY_CLASS, {"metadata": metadata, "value": 1000})
        )
        await there.node(node("a", "2"))
        for number in range(2):
            await there.pod(pod(f"low-{number}", {"cpu": "1"}))
        await there.quiet()
        await there.pod(pod("urgent", {"cpu": "2"}, priorityClassName="high"))
        await there.quiet()
        assert told(there, "preemption_attempts_total") == {"": 1}
        assert told(there, "preemption_victims_sum") == {"": 2}


async def test_a_binding_that_fails_is_an_error() -> None:
    async with site(lambda client: FailingClient(client, Trouble("503", 0))) as there:
        await there.node(node("a"))
        await there.pod(pod("p"))
        await there.quiet()
        assert told(there, "schedule_attempts_total") == {
            "result=error,profile=default-scheduler": 1,
            "result=scheduled,profile=default-scheduler": 1,
        }
