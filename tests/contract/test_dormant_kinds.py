"""Whoever makes an object that nothing acts on yet is told so, and gets it kept all the same."""

from __future__ import annotations

from tests.doors.rig import config_map, kube

JOBS = "/apis/batch/v1/namespaces/default/jobs"


async def test_a_job_that_nobody_runs_comes_with_a_warning() -> None:
    container = {"name": "main", "image": "busybox"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    job = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"},
        "spec": {"template": template},
    }  # fmt: skip
    async with kube() as ask:
        made = await ask("POST", JOBS, job)
        assert made.status == 201, made.doc
        assert "nothing in this cluster acts on them yet" in made.headers["Warning"]
        assert (await ask("GET", f"{JOBS}/j")).status == 200
        other = await ask("POST", "/api/v1/namespaces/default/configmaps", config_map("c"))
        assert "Warning" not in other.headers


async def test_who_makes_one_by_applying_is_told_too() -> None:
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}}
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/b?fieldManager=me"
    media = {"content_type": "application/apply-patch+yaml"}
    async with kube() as ask:
        made = await ask("PATCH", path, budget, **media)
        assert made.status == 201, made.doc
        assert "nothing in this cluster acts on them yet" in made.headers["Warning"]
        again = await ask("PATCH", path, budget, **media)
        assert again.status == 200 and "Warning" not in again.headers
