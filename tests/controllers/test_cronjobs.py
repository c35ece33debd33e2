"""CronJobs in a running world: a minute of theirs is a moment of the test's."""

from __future__ import annotations

from typing import Any

from longshore.base.clock import parse_rfc3339, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from .jobs import end, job, live, work
from .world import World, running


def cron_job(schedule: str = "*/5 * * * *", **spec: Any) -> Doc:
    template = {"metadata": {"labels": {"of": "tick"}}, "spec": job()["spec"]}
    return {
        "metadata": {"name": "tick"},
        "spec": {"schedule": schedule, "jobTemplate": template, **spec},
    }


def names(world: World) -> list[str]:
    return [one["metadata"]["name"] for one in world.cache.all(kinds.JOB, "default")]


def status(world: World) -> Doc:
    found: Doc = world.get(kinds.CRON_JOB, "tick")["status"]
    return found


async def minutes(world: World, count: float) -> None:
    """To so many minutes from now, at a whole minute and a second."""
    now = world.clock.now()
    goal = (now // 60 + count) * 60 + 1
    await world.clock.advance(goal - now)
    await world.quiet()


async def to_minute(world: World, divisor: int) -> None:
    """To a second after a minute that can be divided so."""
    await minutes(world, divisor - world.clock.now() // 60 % divisor)


async def test_a_job_is_made_at_each_time_and_named_by_its_minute() -> None:
    async with running() as world:
        await to_minute(world, 5)
        await world.create(kinds.CRON_JOB, cron_job())
        await world.quiet()
        assert names(world) == []
        await minutes(world, 5)
        at = world.clock.now() // 60 * 60
        assert names(world) == [f"tick-{int(at) // 60}"]
        made = world.get(kinds.JOB, names(world)[0])
        assert made["metadata"]["labels"]["of"] == "tick"
        stamp = "batch.kubernetes.io/cronjob-scheduled-timestamp"
        assert made["metadata"]["annotations"][stamp] == rfc3339(at)
        (active,) = status(world)["active"]
        assert active["uid"] == made["metadata"]["uid"]
        assert status(world)["lastScheduleTime"] == rfc3339(at)
        await work(world)
        assert "active" not in status(world)
        assert parse_rfc3339(status(world)["lastSuccessfulTime"]) >= at
        await minutes(world, 5)
        assert len(names(world)) == 2
        assert world.events("SawCompletedJob") == [
            f"Saw completed job: {names(world)[0]}, condition: Complete"
        ]


async def test_allowed_jobs_run_side_by_side() -> None:
    async with running() as world:
        await to_minute(world, 5)
        await world.create(kinds.CRON_JOB, cron_job())
        await minutes(world, 5)
        await minutes(world, 5)
        assert len(status(world)["active"]) == 2
        assert len(live(world)) == 2


async def test_forbidden_jobs_wait_for_the_one_that_runs() -> None:
    async with running() as world:
        await to_minute(world, 5)
        await world.create(kinds.CRON_JOB, cron_job(concurrencyPolicy="Forbid"))
        await minutes(world, 5)
        await minutes(world, 6)
        assert len(names(world)) == 1
        assert world.events("JobAlreadyActive")
        await end(world, live(world))
        await world.quiet()
        assert len(names(world)) == 2, "the one that was missed starts late"
        missed = parse_rfc3339(status(world)["lastScheduleTime"])
        assert missed == (world.clock.now() // 60 - 1) * 60


async def test_a_replaced_job_is_deleted_with_its_pods() -> None:
    async with running() as world:
        await to_minute(world, 5)
        await world.create(kinds.CRON_JOB, cron_job(concurrencyPolicy="Replace"))
        await minutes(world, 5)
        (first,) = names(world)
        await minutes(world, 5)
        await world.play()
        (second,) = names(world)
        assert second != first
        assert world.events("SuccessfulDelete")[0] == f"Deleted job {first}"
        assert [ref["name"] for ref in status(world)["active"]] == [second]
        assert len(live(world)) == 1


async def test_of_times_missed_while_suspended_one_is_made_up_for() -> None:
    async with running() as world:
        await to_minute(world, 5)
        await world.create(kinds.CRON_JOB, cron_job(suspend=True))
        await minutes(world, 600)
        assert names(world) == []
        await world.patch(kinds.CRON_JOB, "tick", {"spec": {"suspend": False}})
        await world.quiet()
        assert len(names(world)) == 1
        assert world.events("TooManyMissedTimes") == [
            "too many missed start times. Set or decrease .spec.startingDeadlineSeconds "
            "or check clock skew"
        ]


async def test_what_is_later_than_the_deadline_is_not_made_up_for() -> None:
    async with running() as world:
        await to_minute(world, 5)
        await world.create(kinds.CRON_JOB, cron_job(suspend=True, startingDeadlineSeconds=60))
        await minutes(world, 7)
        await world.patch(kinds.CRON_JOB, "tick", {"spec": {"suspend": False}})
        await world.quiet()
        assert names(world) == []
        await minutes(world, 3)
        assert len(names(world)) == 1


async def test_history_is_kept_within_its_limits() -> None:
    async with running() as world:
        await to_minute(world, 5)
        await world.create(
            kinds.CRON_JOB, cron_job(successfulJobsHistoryLimit=2, failedJobsHistoryLimit=0)
        )
        for _ in range(4):
            await minutes(world, 5)
            await work(world)
        made = names(world)
        assert len(made) == 2
        await minutes(world, 5)
        (newest,) = set(names(world)) - set(made)
        await world.patch(kinds.JOB, newest, {"spec": {"activeDeadlineSeconds": 1}})
        await world.clock.advance(2)
        await world.play()
        assert names(world) == made, "the failed one is gone, successes stay"
        assert len(world.pods()) == 2


async def test_a_time_zone_says_when_it_is_noon() -> None:
    async with running() as world:
        await world.create(kinds.CRON_JOB, cron_job("0 12 * * *", timeZone="Asia/Kolkata"))
        await world.clock.advance(86_400)
        await world.quiet()
        (name,) = names(world)
        stamp = world.get(kinds.JOB, name)["metadata"]["annotations"]
        at = stamp["batch.kubernetes.io/cronjob-scheduled-timestamp"]
        assert at.endswith("T12:00:00+05:30")


async def test_a_job_that_was_made_before_a_crash_is_taken_into_account() -> None:
    async with running() as world:
        await to_minute(world, 5)
        await world.create(kinds.CRON_JOB, cron_job())
        await minutes(world, 5)
        (made,) = names(world)
        bare = {"active": None, "lastScheduleTime": None}
        await world.patch(kinds.CRON_JOB, "tick", {"status": bare}, "status")
        await world.quiet()
        assert names(world) == [made]
        assert [ref["name"] for ref in status(world)["active"]] == [made]


async def test_a_name_that_somebody_else_has_is_left_alone() -> None:
    async with running() as world:
        await to_minute(world, 5)
        await world.create(kinds.CRON_JOB, cron_job())
        name = f"tick-{int(world.clock.now()) // 60 + 5}"
        await world.create(kinds.JOB, job(name))
        await minutes(world, 5)
        assert names(world) == [name]
        assert "active" not in (world.get(kinds.CRON_JOB, "tick").get("status") or {})
        await minutes(world, 5)
        assert len(names(world)) == 2


async def test_jobs_that_are_over_go_after_their_time() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(ttlSecondsAfterFinished=100))
        await work(world)
        await world.clock.advance(95)
        await world.quiet()
        assert names(world) == ["work"]
        await world.clock.advance(6)
        await world.quiet()
        assert names(world) == []
        assert world.pods() == []


async def test_a_longer_time_to_stay_counts_though_it_comes_late() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(ttlSecondsAfterFinished=100))
        await work(world)
        await world.clock.advance(90)
        await world.patch(kinds.JOB, "work", {"spec": {"ttlSecondsAfterFinished": 1000}})
        await world.clock.advance(500)
        await world.quiet()
        assert names(world) == ["work"]
        await world.patch(kinds.JOB, "work", {"spec": {"ttlSecondsAfterFinished": 0}})
        await world.quiet()
        assert names(world) == []
